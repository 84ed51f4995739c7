-- Free a lease that was taken to remove containers. ARGV: fence, app id, '1' when all are gone,
-- wake-up words. Returns 0 when the lease is lost, or was freed by a first try whose answer was lost.
if redis.call('HGET', LEASE, 'fence') ~= ARGV[1] then return 0 end
if ARGV[3] == '1' and redis.call('HGET', UNTIDY, ARGV[2]) == redis.call('HGET', LEASE, 'note') then
  redis.call('HDEL', UNTIDY, ARGV[2])
end
free_lease(ARGV[2], 4)
return 1
