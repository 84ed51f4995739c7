-- Change a webhook. One that is made inactive gets nothing more: what waits for it has failed.
-- ARGV: webhook id, sealed URL, active ('1' or '0'), now (ISO), prefix of deliveries' keys, how many
-- ended ones are kept, why they failed. Returns 0 when there is no such webhook.
if redis.call('EXISTS', WEBHOOK) == 0 then return 0 end
redis.call('HSET', WEBHOOK, 'sealed', ARGV[2])
redis.call('HSET', OF_APP, WEBHOOK_ID, ARGV[3])
if ARGV[3] == '0' then
  for _, delivery in ipairs(redis.call('ZRANGE', PENDING, 0, -1)) do
    end_delivery(delivery, ARGV[5], tonumber(ARGV[6]), 'status', 'failed', 'error', ARGV[7],
      'ended_at', ARGV[4])
  end
  redis.call('ZREM', DUE, WEBHOOK_ID)
end
return 1
