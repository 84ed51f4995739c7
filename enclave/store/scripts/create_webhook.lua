-- Store a webhook, unless the app has as many as it may have. Asked again, nothing happens twice.
-- KEYS[1] the webhook, KEYS[2] the app's webhooks. ARGV: webhook id, how many an app may have, activity
-- (JSON), fields.
-- Returns 0 when there are too many.
if redis.call('EXISTS', KEYS[1]) == 1 then return 1 end
if redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 4))
redis.call('HSET', KEYS[2], ARGV[1], '1')
record(cjson.decode(ARGV[3]))
return 1
