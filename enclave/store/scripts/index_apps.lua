-- Make the handles of an environment's apps in order anew, from what says which apps there are.
-- KEYS: the environment's apps, its handles in order.
local APPS, HANDLES = KEYS[1], KEYS[2]
redis.call('DEL', HANDLES)
for _, handle in ipairs(redis.call('HKEYS', APPS)) do redis.call('ZADD', HANDLES, 0, handle) end
return 1
