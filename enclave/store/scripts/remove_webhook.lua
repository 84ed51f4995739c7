-- Forget a webhook and all its deliveries, whether they have ended or not.
-- ARGV: webhook id, prefix of deliveries' keys, activity (JSON).
if redis.call('EXISTS', WEBHOOK) == 0 then return 1 end
redis.call('HDEL', OF_APP, WEBHOOK_ID)
for _, delivery in ipairs(redis.call('ZRANGE', PENDING, 0, -1)) do redis.call('DEL', ARGV[2] .. delivery) end
for _, delivery in ipairs(redis.call('LRANGE', ENDED, 0, -1)) do redis.call('DEL', ARGV[2] .. delivery) end
redis.call('DEL', WEBHOOK, PENDING, ENDED, LEASE)
redis.call('ZREM', DUE, WEBHOOK_ID)
record(cjson.decode(ARGV[3]))
return 1
