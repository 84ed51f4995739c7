-- Note that an app may have containers that nobody counts on, and wake a worker to remove them.
-- ARGV: app id, the wake-up's words.
redis.call('HSETNX', UNTIDY, ARGV[1], '0')
if redis.call('EXISTS', LEASE) == 0 then wake(ARGV[1], 2) end
return 1
