-- One push: refs by compare-and-swap, pushed configs, the operation and its wake-up, or none of it.
-- KEYS[14] the push's outcome; KEYS[15] the operation. ARGV: app id, payload (JSON), operation id,
-- the wake-up's words. payload: atomic, immediate = [update], reserved = [update],
-- deploy_ref, seen (the deploy ref's reservations that the push was judged against, JSON or ""),
-- fields (of the operation, flat), expiry (s), activity.
local PUSH, OPERATION = KEYS[14], KEYS[15]
local app_id, operation = ARGV[1], ARGV[3]
local payload = cjson.decode(ARGV[2])

local known = redis.call('GET', PUSH)
if known then return known end  -- asked again after a lost answer: the truth of the first time

-- Names taken besides those stored: what others have reserved, what this push itself creates.
local taken, below = {}, {}
local function take_name(ref)
  taken[ref] = true
  each_directory(ref, function(directory) below[directory] = ref end)
end
for _, other in ipairs(redis.call('HKEYS', RESERVATIONS)) do take_name(other) end

local gone = redis.call('HGET', APP, 'status') == 'deprovisioned'

local function verdict(update, deferred)
  if gone then return 'gone' end
  if (redis.call('HGET', REFS, update.ref) or ZERO) ~= update.old then return 'stale' end
  local holders = reserved_by(update.ref)
  if not (deferred and update.ref == payload.deploy_ref) and #holders > 0 then
    return 'reserved ' .. holders[#holders][1]
  end
  if update.old ~= ZERO or update.new == ZERO then return 'ok' end
  local above = each_directory(update.ref, function(directory)
    if taken[directory] or redis.call('HEXISTS', REFS, directory) == 1 then return directory end
  end)
  if above then return 'conflict ' .. above end
  if redis.call('HEXISTS', DIRECTORIES, update.ref) == 1 then
    return 'conflict ' .. update.ref .. '/'
  end
  if below[update.ref] then return 'conflict ' .. below[update.ref] end
  take_name(update.ref)
  return 'ok'
end

if payload.deploy_ref ~= '' and
   (redis.call('HGET', RESERVATIONS, payload.deploy_ref) or '') ~= payload.seen then
  return cjson.encode({ again = true })
end

local verdicts, all_ok, deploys = {}, true, #payload.reserved > 0
local moved = {}
local function move(update)
  store_ref(update.ref, update.new, update.config)
  if #moved < 10 then table.insert(moved, update.ref .. ' ' .. update.new:sub(1, 8)) end
end
local function judge(updates, deferred)
  for _, update in ipairs(updates) do
    local word = verdict(update, deferred)
    verdicts[update.ref] = word
    if word ~= 'ok' then
      all_ok = false
      if deferred then deploys = false end
    elseif not deferred and not payload.atomic then
      move(update)  -- so that the next one sees it
    end
  end
end
judge(payload.reserved, true)
judge(payload.immediate, false)

if payload.atomic then
  if not all_ok then deploys = false end
  if all_ok then
    for _, update in ipairs(payload.immediate) do move(update) end
  end
end
if deploys then
  for _, update in ipairs(payload.reserved) do reserve(update.ref, operation, update.new) end
  queue_operation(app_id, operation, OPERATION, payload.fields, 4)
  record(payload.activity, 'operation.deploy', operation)
end
if #moved > 0 then record(payload.activity, 'push', table.concat(moved, ', ')) end

local outcome = cjson.encode({ verdicts = verdicts, operation = deploys and operation or '' })
redis.call('SET', PUSH, outcome, 'EX', payload.expiry)
return outcome
