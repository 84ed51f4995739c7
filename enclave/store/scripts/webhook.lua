-- Shared by every script about one webhook, after commands.lua. KEYS[1..5] are the webhook's keys in
-- the order of enclave/store/deliveries.py (webhook_keys); ARGV[1] is its id. KEYS[6], for those that
-- name it: its app's webhooks.
local WEBHOOK, PENDING, ENDED, LEASE, DUE, OF_APP = unpack(KEYS)
local WEBHOOK_ID = ARGV[1]

-- Receivers that sleep are told when that is earlier than they know.
local function look_at(moment)
  local known = redis.call('ZSCORE', DUE, WEBHOOK_ID)
  redis.call('ZADD', DUE, moment, WEBHOOK_ID)
  if not known or tonumber(moment) < tonumber(known) then redis.call('PUBLISH', DUE, WEBHOOK_ID) end
end

-- Nobody works on it any more: it is looked at when its next delivery is due.
local function rest()
  local first = redis.call('ZRANGE', PENDING, 0, 0, 'WITHSCORES')
  if first[1] then look_at(first[2]) else redis.call('ZREM', DUE, WEBHOOK_ID) end
end

-- One delivery has ended. Keep the `most` newest of these.
local function end_delivery(delivery, prefix, most, ...)
  redis.call('HSET', prefix .. delivery, ...)
  redis.call('HDEL', prefix .. delivery, 'next_at')
  redis.call('ZREM', PENDING, delivery)
  redis.call('RPUSH', ENDED, delivery)
  while redis.call('LLEN', ENDED) > most do
    redis.call('DEL', prefix .. redis.call('LPOP', ENDED))
  end
end
