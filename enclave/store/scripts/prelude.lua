-- Shared by every script about one app, after commands.lua. KEYS[1..13] are the app's keys in the
-- order of enclave/store/database.py (app_keys). Scripts run alone, whole, and are written to the append-only
-- file as one transaction.
local REFS, CONFIGS, DIRECTORIES, RESERVATIONS = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local QUEUE, LEASE, FENCE, APP, OPERATIONS, RELEASES, DUE, UNTIDY, KEPT_LOGS =
  KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12], KEYS[13]
local ZERO = string.rep('0', 40)

-- Have somebody look at the app's queue in `after` milliseconds; reconcilers that sleep are told.
local function look_again(app_id, after)
  redis.call('ZADD', DUE, now_ms() + after, app_id)
  redis.call('PUBLISH', DUE, app_id)
end

-- Wake a worker by the commands in ARGV from `first`.
local function wake(app_id, first)
  run_commands(first)
  look_again(app_id, WAKE_MS)
end

-- The lease is free: wake a worker if more waits, or come back if containers are left to remove.
local function free_lease(app_id, first_wake_word)
  redis.call('DEL', LEASE)
  if redis.call('LLEN', QUEUE) > 0 then
    wake(app_id, first_wake_word)
  elseif redis.call('HEXISTS', UNTIDY, app_id) == 1 then
    look_again(app_id, WAKE_MS)
  else
    redis.call('ZREM', DUE, app_id)
  end
end

-- The head of the queue, '0' when only containers are left to remove, nil when all is done.
local function next_operation(app_id)
  local head = redis.call('LINDEX', QUEUE, 0)
  if head then return head end
  if redis.call('HEXISTS', UNTIDY, app_id) == 1 then return '0' end
end

-- Call `visit` with every directory of a ref name: refs, refs/heads, refs/heads/a for refs/heads/a/b.
local function each_directory(ref, visit)
  local slash = ref:find('/', 1, true)
  while slash do
    local stop = visit(ref:sub(1, slash - 1))
    if stop then return stop end
    slash = ref:find('/', slash + 1, true)
  end
end

local function store_ref(ref, new, config)
  local exists = redis.call('HEXISTS', REFS, ref) == 1
  if new == ZERO then
    redis.call('HDEL', REFS, ref)
    redis.call('HDEL', CONFIGS, ref)
    if exists then
      each_directory(ref, function(directory)
        if redis.call('HINCRBY', DIRECTORIES, directory, -1) <= 0 then
          redis.call('HDEL', DIRECTORIES, directory)
        end
      end)
    end
    return
  end
  redis.call('HSET', REFS, ref, new)
  if config then
    redis.call('HSET', CONFIGS, ref, config)
  else
    redis.call('HDEL', CONFIGS, ref)
  end
  if not exists then
    each_directory(ref, function(directory) redis.call('HINCRBY', DIRECTORIES, directory, 1) end)
  end
end

local function reserved_by(ref)
  local text = redis.call('HGET', RESERVATIONS, ref)
  return text and cjson.decode(text) or {}
end

local function reserve(ref, operation, commit)
  local holders = reserved_by(ref)
  holders[#holders + 1] = { tonumber(operation), commit }
  redis.call('HSET', RESERVATIONS, ref, cjson.encode(holders))
end

local function unreserve(ref, operation)
  local rest = {}
  for _, holder in ipairs(reserved_by(ref)) do
    if holder[1] ~= tonumber(operation) then rest[#rest + 1] = holder end
  end
  if #rest > 0 then
    redis.call('HSET', RESERVATIONS, ref, cjson.encode(rest))
  else
    redis.call('HDEL', RESERVATIONS, ref)
  end
end

-- A line of progress is shown until the next line comes; no log keeps one.
local function drop_progress(log)
  local last = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
  if last and last[2][1] == 'progress' then redis.call('XDEL', log, last[1]) end
end

-- Keep the logs of the app's `most` newest ended operations. `prefix` is that of operations' keys.
local function keep_logs(operation, prefix, most)
  redis.call('RPUSH', KEPT_LOGS, operation)
  while redis.call('LLEN', KEPT_LOGS) > most do
    redis.call('DEL', prefix .. redis.call('LPOP', KEPT_LOGS) .. ':log')
  end
end

-- The app is gone: only its record and its operations stay, to be read by those who could before.
local function forget_app(app_id, payload)
  local environment = redis.call('HGET', APP, 'environment_id')
  local apps = payload.environment .. environment .. ':apps'
  local handle = redis.call('HGET', APP, 'handle')
  if redis.call('HGET', apps, handle) == app_id then
    redis.call('HDEL', apps, handle)
    redis.call('ZREM', payload.environment .. environment .. ':handles', handle)
  end
  redis.call('DEL', REFS, CONFIGS, DIRECTORIES, RELEASES)
  redis.call('SADD', payload.deprovisioned, app_id)
end

-- What becomes of an endpoint: its name is free once it is deprovisioned.
local function end_endpoint(payload, key, id, status, host)
  redis.call('HSET', key, 'status', status)
  if status ~= 'deprovisioned' then return end
  if redis.call('HGET', payload.hosts, host) == tostring(id) then redis.call('HDEL', payload.hosts, host) end
  redis.call('SREM', payload.app_endpoints, id)
end

-- The app's active webhooks, of which none is missed: jobs for them have to come with ARGV.
local function active_webhooks(webhooks)
  local of_app, active = redis.call('HGETALL', webhooks.of_app), {}
  for at = 1, #of_app, 2 do
    if of_app[at + 1] == '1' then active[#active + 1] = of_app[at] end
  end
  return active
end

-- Those without a job in ARGV: the caller gives it, and asks again. Nothing is written before that.
local function webhooks_without_job(webhooks)
  local without = {}
  for _, id in ipairs(active_webhooks(webhooks)) do
    if not webhooks.jobs[id] then without[#without + 1] = id end
  end
  return without
end

-- Have each active webhook told of an operation's end: a delivery, and its job.
-- webhooks: of_app, prefix, deliveries, due (keys), counter, jobs (webhook id -> first word in ARGV).
local function tell_webhooks(webhooks, operation, ended_at)
  for _, id in ipairs(active_webhooks(webhooks)) do
    local delivery = redis.call('INCR', webhooks.counter)
    redis.call('HSET', webhooks.deliveries .. delivery, 'webhook', id, 'operation', operation,
      'status', 'pending', 'attempts', '0', 'created_at', ended_at)
    local pending = webhooks.prefix .. id .. ':pending'
    local woken = redis.call('ZCOUNT', pending, '-inf', now_ms()) > 0
    redis.call('ZADD', pending, now_ms(), delivery)
    if not woken then run_commands(webhooks.jobs[id]) end
    if redis.call('ZADD', webhooks.due, 'LT', 'CH', now_ms() + WAKE_MS, id) == 1 then
      redis.call('PUBLISH', webhooks.due, id)
    end
  end
end

-- The end of an operation, however it ended: its refs are free, its log is closed with `line`, the
-- app's webhooks are told.
local function close_operation(operation, operation_key, log, status, message, line, cancelled,
                               ended_at, prefix, most_logs, webhooks)
  for _, update in ipairs(cjson.decode(redis.call('HGET', operation_key, 'refs'))) do
    unreserve(update.ref, operation)
  end
  redis.call('HSET', operation_key, 'status', status, 'message', message,
    'cancelled', cancelled, 'ended_at', ended_at)
  redis.call('HDEL', operation_key, 'sealed')
  drop_progress(log)
  if line ~= '' then redis.call('XADD', log, '*', 'line', line) end
  redis.call('XADD', log, '*', 'end', status)
  keep_logs(operation, prefix, most_logs)
  tell_webhooks(webhooks, operation, ended_at)
end

-- Store an operation at the end of the app's queue; wake a worker if the app was idle. If it was
-- not, whoever ends the operation ahead wakes one.
local function queue_operation(app_id, operation, operation_key, fields, first_wake_word)
  for at = 1, #fields, 2 do
    if fields[at] == 'request' and cjson.decode(fields[at + 1]).type == 'deploy' then
      redis.call('HSET', APP, 'last_deploy', operation)
    end
  end
  redis.call('HSET', operation_key, unpack(fields))
  redis.call('ZADD', OPERATIONS, operation, operation)
  if redis.call('RPUSH', QUEUE, operation) == 1 then wake(app_id, first_wake_word) end
end
