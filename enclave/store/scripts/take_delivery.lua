-- Give the oldest delivery that is due to one courier: a webhook gets one at a time.
-- ARGV: webhook id, holder, lease length (ms), now (ISO), prefix of deliveries' keys.
-- Returns {delivery, its attempts with this one}, or {}. Asked again after a lost answer: the same.
local holder, length, prefix = ARGV[2], tonumber(ARGV[3]), ARGV[5]
if redis.call('HGET', LEASE, 'holder') == holder then
  local delivery = redis.call('HGET', LEASE, 'delivery')
  return { delivery, redis.call('HGET', prefix .. delivery, 'attempts') }
end
local expires = tonumber(redis.call('HGET', LEASE, 'expires') or '0')
if expires > now_ms() then
  look_at(expires)
  return {}
end
local delivery = redis.call('ZRANGE', PENDING, '-inf', now_ms(), 'BYSCORE', 'LIMIT', 0, 1)[1]
if not delivery then
  rest()
  return {}
end
redis.call('DEL', LEASE)
redis.call('HSET', LEASE, 'holder', holder, 'delivery', delivery, 'expires', now_ms() + length)
redis.call('HSET', prefix .. delivery, 'attempted_at', ARGV[4])
look_at(now_ms() + length)
return { delivery, tostring(redis.call('HINCRBY', prefix .. delivery, 'attempts', 1)) }
