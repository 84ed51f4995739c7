-- Prolong a lease. ARGV: fence, lease length (ms), app id. Returns 0 when the lease is lost.
if redis.call('HGET', LEASE, 'fence') ~= ARGV[1] then return 0 end
redis.call('HSET', LEASE, 'expires', now_ms() + ARGV[2])
redis.call('HDEL', LEASE, 'doubted', 'doubted_in')
redis.call('ZADD', DUE, now_ms() + ARGV[2], ARGV[3])
return 1
