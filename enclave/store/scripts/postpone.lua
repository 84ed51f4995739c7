-- Look at an app later, if it is still to be looked at. KEYS[1] what is due. ARGV: time, app id.
-- A full Redis does it, too: else the apps behind it would wait in vain.
redis.call('ZADD', KEYS[1], 'XX', 'GT', ARGV[1], ARGV[2])
return 1
