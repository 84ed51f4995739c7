-- Cancel an operation: a queued one ends here, a running one is told and ends at its next safe point.
-- KEYS[14] the operation, KEYS[15] its log, KEYS[16] its control list.
-- ARGV: app id, operation id, now (ISO), message, operation key prefix, how many logs are kept,
-- activity (JSON), webhooks (JSON, see tell_webhooks), their wake-up words.
-- Returns 'ended', 'cancelled' or 'cancelling'; webhooks whose jobs are missing, with nothing done yet.
local OPERATION, LOG, CONTROL = KEYS[14], KEYS[15], KEYS[16]
local status = redis.call('HGET', OPERATION, 'status')
if status == 'succeeded' or status == 'failed' then return 'ended' end
if status == 'running' then
  if redis.call('HGET', OPERATION, 'cancelled') ~= '1' then
    redis.call('HSET', OPERATION, 'cancelled', '1')
    redis.call('RPUSH', CONTROL, 'cancel')
    redis.call('EXPIRE', CONTROL, 86400)
    record(cjson.decode(ARGV[7]))
  end
  return 'cancelling'
end
local webhooks = cjson.decode(ARGV[8])
local without_job = webhooks_without_job(webhooks)
if #without_job > 0 then return without_job end
redis.call('LREM', QUEUE, 1, ARGV[2])
close_operation(ARGV[2], OPERATION, LOG, 'failed', ARGV[4], 'ERROR: ' .. ARGV[4], '1', ARGV[3],
  ARGV[5], tonumber(ARGV[6]), webhooks)
record(cjson.decode(ARGV[7]))
if not next_operation(ARGV[1]) then redis.call('ZREM', DUE, ARGV[1]) end
return 'cancelled'
