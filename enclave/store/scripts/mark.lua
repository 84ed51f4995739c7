-- Record how far a running operation got. KEYS[14] the operation. ARGV: fence, point.
-- Returns 0 when the lease is lost.
if redis.call('HGET', LEASE, 'fence') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[14], 'point', ARGV[2])
return 1
