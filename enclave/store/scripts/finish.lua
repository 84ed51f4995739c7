-- The end of an operation: outcome, app, release and refs at once, the lease freed, the next woken.
-- KEYS[14] the operation, KEYS[15] its log. ARGV: app id, operation id, payload (JSON), wake-up words,
-- 0, those of the webhooks.
-- payload: fence, status, message, line (the log's last), cancelled, ended_at, app (flat fields),
-- release (JSON or ""), number, untidy (containers may be left to remove), prefix (of operations'
-- keys), logs (how many are kept), webhooks (see tell_webhooks).
-- Returns 1; 0 when the lease is lost; 2 when the operation was cancelled before this success, which
-- then did not happen; webhooks whose jobs are missing, with nothing done yet. Asked again after a
-- lost answer: 1.
-- deprovisions: the app's handle is free, its refs and releases are gone, its repository is to go.
local OPERATION, LOG = KEYS[14], KEYS[15]
local app_id, operation = ARGV[1], ARGV[2]
local payload = cjson.decode(ARGV[3])
if redis.call('HGET', OPERATION, 'fence') == payload.fence then return 1 end
if redis.call('HGET', LEASE, 'fence') ~= payload.fence then return 0 end
if redis.call('HGET', LEASE, 'operation') ~= operation then return 0 end
local without_job = webhooks_without_job(payload.webhooks)
if #without_job > 0 then return without_job end

if payload.status == 'succeeded' then
  if redis.call('HGET', OPERATION, 'cancelled') == '1' then return 2 end
  for _, update in ipairs(cjson.decode(redis.call('HGET', OPERATION, 'refs'))) do
    store_ref(update.ref, update.new, update.config)
  end
  if #payload.app > 0 then redis.call('HSET', APP, unpack(payload.app)) end
  for _, endpoint in ipairs(payload.endpoints) do end_endpoint(payload, unpack(endpoint)) end
  if payload.deprovisions then forget_app(app_id, payload) end
  if payload.release ~= '' then redis.call('HSET', RELEASES, payload.number, payload.release) end
end
local cancelled = redis.call('HGET', OPERATION, 'cancelled') == '1' and '1' or payload.cancelled
close_operation(operation, OPERATION, LOG, payload.status, payload.message, payload.line,
  cancelled, payload.ended_at, payload.prefix, payload.logs, payload.webhooks)
redis.call('HSET', OPERATION, 'fence', payload.fence)
redis.call('LPOP', QUEUE)
-- A note of somebody else's stays: what it is about may not be among what this release replaced.
if payload.untidy and not (redis.call('HGET', UNTIDY, app_id) or ''):find('^note') then
  redis.call('HSET', UNTIDY, app_id, payload.fence)
end
free_lease(app_id, 4)
return 1
