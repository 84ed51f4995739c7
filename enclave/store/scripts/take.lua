-- Give the app's lease to one worker: at most one operation of an app runs at a time, in order. With no
-- operation waiting, the lease is given to remove containers that were left behind (operation 0).
-- ARGV: holder, lease length (ms), now (ISO), app id, operation key prefix.
-- Returns {'idle'}, {'held'}, or {'run', 'recover' or 'tidy', operation, fence, how often it was taken}.
local holder, length, started_at, app_id = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local operation = next_operation(app_id)
local expires = tonumber(redis.call('HGET', LEASE, 'expires') or '0')
if expires > 0 then
  if redis.call('HGET', LEASE, 'holder') == holder then  -- our first answer was lost
    operation = redis.call('HGET', LEASE, 'operation')
    redis.call('HSET', LEASE, 'expires', now_ms() + length)
    redis.call('ZADD', DUE, now_ms() + length, app_id)
    return { redis.call('HGET', LEASE, 'mode'), operation, redis.call('HGET', LEASE, 'fence'),
      tonumber(redis.call('HGET', ARGV[5] .. operation, 'takes') or '1') }
  end
  -- A lease that ran out is doubted before it counts as lost, for Redis itself may have been away,
  -- or read-only: from the moment it takes writes, its holder has half a lease's time to renew it;
  -- anew, if Redis was restarted meanwhile.
  local left = expires - now_ms()
  if left <= 0 then
    local run = redis.call('INFO', 'server'):match('run_id:(%w+)')
    if redis.call('HGET', LEASE, 'doubted_in') ~= run then
      redis.call('HSET', LEASE, 'doubted_in', run, 'doubted', now_ms())
    end
    left = redis.call('HGET', LEASE, 'doubted') + math.floor(length / 2) - now_ms()
  end
  if left > 0 then
    look_again(app_id, left)
    return { 'held' }
  end
end
if not operation then  -- nothing waits; a lease that ran out was of somebody who died tidying
  redis.call('DEL', LEASE)
  redis.call('ZREM', DUE, app_id)
  return { 'idle' }
end
local fence = redis.call('INCR', FENCE)
local mode, takes = 'tidy', 1
if operation ~= '0' then
  local OPERATION = ARGV[5] .. operation
  takes = redis.call('HINCRBY', OPERATION, 'takes', 1)
  mode = 'recover'
  if redis.call('HGET', OPERATION, 'status') == 'queued' then
    mode = 'run'
    redis.call('HSET', OPERATION, 'status', 'running', 'started_at', started_at)
  end
end
redis.call('DEL', LEASE)
redis.call('HSET', LEASE, 'holder', holder, 'operation', operation, 'fence', fence,
  'mode', mode, 'expires', now_ms() + length)
if mode == 'tidy' then redis.call('HSET', LEASE, 'note', redis.call('HGET', UNTIDY, app_id)) end
redis.call('ZADD', DUE, now_ms() + length, app_id)
return { mode, operation, fence, takes }
