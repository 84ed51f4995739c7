-- Give the app's lease to one worker: at most one operation of an app runs at a time, in order.
-- ARGV: holder, lease length (ms), now (ISO), app id, operation key prefix.
-- Returns {'idle'}, {'held'}, or {'run' or 'recover', operation, fence, how often it was taken}.
local holder, length, started_at = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local operation = redis.call('LINDEX', QUEUE, 0)
if not operation then
  redis.call('ZREM', DUE, ARGV[4])
  return { 'idle' }
end
local expires = tonumber(redis.call('HGET', LEASE, 'expires') or '0')
local OPERATION = ARGV[5] .. operation
if expires > 0 then
  if redis.call('HGET', LEASE, 'holder') == holder then  -- our first answer was lost
    return { redis.call('HGET', LEASE, 'mode'), operation, redis.call('HGET', LEASE, 'fence'),
      tonumber(redis.call('HGET', OPERATION, 'takes')) }
  end
  if expires > now_ms() then return { 'held' } end
  -- After Redis starts, its holders get one lease's time to come back before a lease counts as lost.
  local uptime = redis.call('INFO', 'server'):match('uptime_in_seconds:(%d+)')
  if tonumber(uptime) * 1000 < length then return { 'held' } end
end
local fence = redis.call('INCR', FENCE)
local takes = redis.call('HINCRBY', OPERATION, 'takes', 1)
local mode = 'recover'
if redis.call('HGET', OPERATION, 'status') == 'queued' then
  mode = 'run'
  redis.call('HSET', OPERATION, 'status', 'running', 'started_at', started_at)
end
redis.call('HSET', LEASE, 'holder', holder, 'operation', operation, 'fence', fence,
  'mode', mode, 'expires', now_ms() + length)
redis.call('ZADD', DUE, now_ms() + length, ARGV[4])
return { mode, operation, fence, takes }
