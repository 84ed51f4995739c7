-- Forget a webhook and all its deliveries, whether they have ended or not.
-- ARGV: webhook id, prefix of deliveries' keys.
redis.call('HDEL', OF_APP, WEBHOOK_ID)
for _, delivery in ipairs(redis.call('ZRANGE', PENDING, 0, -1)) do redis.call('DEL', ARGV[2] .. delivery) end
for _, delivery in ipairs(redis.call('LRANGE', ENDED, 0, -1)) do redis.call('DEL', ARGV[2] .. delivery) end
redis.call('DEL', WEBHOOK, PENDING, ENDED, LEASE)
redis.call('ZREM', DUE, WEBHOOK_ID)
return 1
