-- Cancel an operation: a queued one ends here, a running one is told and ends at its next safe point.
-- KEYS[12] the operation, KEYS[13] its log, KEYS[14] its control list.
-- ARGV: app id, operation id, now (ISO), message. Returns 'ended', 'cancelled' or 'cancelling'.
local OPERATION, LOG, CONTROL = KEYS[12], KEYS[13], KEYS[14]
local status = redis.call('HGET', OPERATION, 'status')
if status == 'succeeded' or status == 'failed' then return 'ended' end
if status == 'running' then
  if redis.call('HGET', OPERATION, 'cancelled') ~= '1' then
    redis.call('HSET', OPERATION, 'cancelled', '1')
    redis.call('RPUSH', CONTROL, 'cancel')
    redis.call('EXPIRE', CONTROL, 86400)
  end
  return 'cancelling'
end
redis.call('LREM', QUEUE, 1, ARGV[2])
close_operation(ARGV[2], OPERATION, LOG, 'failed', ARGV[4], 'ERROR: ' .. ARGV[4], '1', ARGV[3])
if redis.call('LLEN', QUEUE) == 0 then redis.call('ZREM', DUE, ARGV[1]) end
return 'cancelled'
