-- Changes of plain records, and what the activity says of them: all of it, or nothing.
-- KEYS[1] what came of it, kept for a while. ARGV[1]: JSON: commands = [[command, key, ...]], activity,
-- seconds (KEYS[1] is kept for), and perhaps claim = [hash, name, number], guard = [hash, name, value].
-- Returns 1; 0 when the name is claimed already, or the guarded value is another one. Asked again after
-- a lost answer: the same.
local change = cjson.decode(ARGV[1])
local known = redis.call('GET', KEYS[1])
if known then return tonumber(known) end

local done = 1
local claim, guard = change.claim, change.guard
if guard and redis.call('HGET', guard[1], guard[2]) ~= guard[3] then done = 0 end
if claim and redis.call('HSETNX', claim[1], claim[2], claim[3]) == 0 then done = 0 end
if done == 1 then
  for _, command in ipairs(change.commands) do redis.call(unpack(command)) end
  record(change.activity)
end
redis.call('SET', KEYS[1], done, 'EX', change.seconds)
return done
