-- The end of an operation: outcome, app, release and refs at once, the lease freed, the next woken.
-- KEYS[12] the operation, KEYS[13] its log. ARGV: app id, operation id, payload (JSON), wake-up words.
-- payload: fence, status, message, line (the log's last), cancelled, ended_at, app (flat fields),
-- release (JSON or ""), number. Returns 1, or 0 when the lease is lost. Asked again after a lost answer: 1.
local OPERATION, LOG = KEYS[12], KEYS[13]
local app_id, operation = ARGV[1], ARGV[2]
local payload = cjson.decode(ARGV[3])
if redis.call('HGET', OPERATION, 'fence') == payload.fence then return 1 end
if redis.call('HGET', LEASE, 'fence') ~= payload.fence then return 0 end
if redis.call('HGET', LEASE, 'operation') ~= operation then return 0 end

if payload.status == 'succeeded' then
  for _, update in ipairs(cjson.decode(redis.call('HGET', OPERATION, 'refs'))) do
    store_ref(update.ref, update.new, update.config)
  end
  if #payload.app > 0 then redis.call('HSET', APP, unpack(payload.app)) end
  if payload.release ~= '' then redis.call('HSET', RELEASES, payload.number, payload.release) end
end
close_operation(operation, OPERATION, LOG, payload.status, payload.message, payload.line,
  payload.cancelled, payload.ended_at)
redis.call('HSET', OPERATION, 'fence', payload.fence)
redis.call('LPOP', QUEUE)
redis.call('DEL', LEASE)
if redis.call('LLEN', QUEUE) > 0 then wake(app_id, 4) else redis.call('ZREM', DUE, app_id) end
return 1
