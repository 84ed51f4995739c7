-- Note that an app may have containers that nobody counts on, and wake a worker to remove them.
-- ARGV: app id, the wake-up's words.
-- The note is a new one: whoever tidies now may have looked before.
redis.call('HSET', UNTIDY, ARGV[1], 'note ' .. redis.call('INCR', FENCE))
if redis.call('EXISTS', LEASE) == 0 then wake(ARGV[1], 2) else look_again(ARGV[1], WAKE_MS) end
return 1
