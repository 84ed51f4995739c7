-- Count a failed login, for a time from the last one on. KEYS[1] the count. ARGV: seconds.
-- A full Redis counts, too: else a wrong password would look like a store that is away.
redis.call('INCR', KEYS[1])
redis.call('EXPIRE', KEYS[1], ARGV[1])
return 1
