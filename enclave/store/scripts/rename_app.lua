-- Give an app another handle: under one of the two it is always found. KEYS: the environment's apps,
-- its handles in order, the app. ARGV: app id, handle, activity (JSON).
local APPS, HANDLES, APP = KEYS[1], KEYS[2], KEYS[3]
local app_id, handle = ARGV[1], ARGV[2]
local old = redis.call('HGET', APP, 'handle')
if not old or redis.call('HGET', APPS, old) ~= app_id then return 'gone' end
if old == handle then return 'ok' end
if redis.call('HEXISTS', APPS, handle) == 1 then return 'taken' end
redis.call('HDEL', APPS, old)
redis.call('ZREM', HANDLES, old)
redis.call('HSET', APPS, handle, app_id)
redis.call('ZADD', HANDLES, 0, handle)
redis.call('HSET', APP, 'handle', handle)
record(cjson.decode(ARGV[3]))
return 'ok'
