-- Change a member of an environment, or take them out; its last admin stays one.
-- KEYS[1] what came of it, kept for a while; KEYS[2] the members. ARGV[1]: JSON: email, old and new (the
-- record, new "" for none), activity, seconds. Returns 1; 0 when the record is another one by now; -1
-- when no admin would be left. Asked again after a lost answer: the same.
local change = cjson.decode(ARGV[1])
local known = redis.call('GET', KEYS[1])
if known then return tonumber(known) end

local function is_admin(member) return member ~= '' and cjson.decode(member).role == 'admin' end

local function another_admin()
  local members = redis.call('HGETALL', KEYS[2])
  for at = 1, #members, 2 do
    if members[at] ~= change.email and is_admin(members[at + 1]) then return true end
  end
  return false
end

local done = 1
if redis.call('HGET', KEYS[2], change.email) ~= change.old then
  done = 0
elseif is_admin(change.old) and not is_admin(change.new) and not another_admin() then
  done = -1
elseif change.new == '' then
  redis.call('HDEL', KEYS[2], change.email)
else
  redis.call('HSET', KEYS[2], change.email, change.new)
end
if done == 1 then record(change.activity) end
redis.call('SET', KEYS[1], done, 'EX', change.seconds)
return done
