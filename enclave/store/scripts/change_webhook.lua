-- Change a webhook. One that is made inactive gets nothing more: what waits for it has failed.
-- ARGV: webhook id, sealed URL, active ('1' or '0'), now (ISO), prefix of deliveries' keys, how many
-- ended ones are kept, why they failed, a name of this change, activity (JSON). Returns 0 when there is
-- no such webhook. Asked again after a lost answer, nothing happens twice.
if redis.call('EXISTS', WEBHOOK) == 0 then return 0 end
if redis.call('HGET', WEBHOOK, 'change') == ARGV[8] then return 1 end
redis.call('HSET', WEBHOOK, 'sealed', ARGV[2], 'change', ARGV[8])
redis.call('HSET', OF_APP, WEBHOOK_ID, ARGV[3])
if ARGV[3] == '0' then
  for _, delivery in ipairs(redis.call('ZRANGE', PENDING, 0, -1)) do
    end_delivery(delivery, ARGV[5], tonumber(ARGV[6]), 'status', 'failed', 'error', ARGV[7],
      'ended_at', ARGV[4])
  end
  redis.call('ZREM', DUE, WEBHOOK_ID)
end
record(cjson.decode(ARGV[9]))
return 1
