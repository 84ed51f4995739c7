-- Give a running operation that has begun nothing back to the queue, whose head it stays: its worker is
-- being stopped. KEYS[14] the operation. ARGV: fence, app id, wake-up words.
-- Returns 0 when the lease is lost. Asked again after a lost answer: 1.
if redis.call('HGET', KEYS[14], 'handed_back') == ARGV[1] then return 1 end
if redis.call('HGET', LEASE, 'fence') ~= ARGV[1] then return 0 end
redis.call('HINCRBY', KEYS[14], 'takes', -1)
redis.call('HSET', KEYS[14], 'status', 'queued', 'handed_back', ARGV[1])
redis.call('HDEL', KEYS[14], 'started_at')
free_lease(ARGV[2], 3)
return 1
