-- Record how a try ended, free the webhook, and wake a courier if more is due for it.
-- ARGV: webhook id, holder, delivery, status, response code, error, now (ISO), pause before the next
-- try (ms), its time (ISO), prefix of deliveries' keys, how many ended ones are kept, wake-up words.
-- Returns 0 when the lease is lost, or was freed by a first try whose answer was lost.
local holder, delivery, status, prefix = ARGV[2], ARGV[3], ARGV[4], ARGV[10]
if redis.call('HGET', LEASE, 'holder') ~= holder then return 0 end
redis.call('DEL', LEASE)
if redis.call('ZSCORE', PENDING, delivery) then  -- else the webhook was made inactive meanwhile
  redis.call('HSET', prefix .. delivery, 'code', ARGV[5], 'error', ARGV[6])
  if status == 'pending' then
    redis.call('HSET', prefix .. delivery, 'next_at', ARGV[9])
    redis.call('ZADD', PENDING, now_ms() + ARGV[8], delivery)
  else
    end_delivery(delivery, prefix, tonumber(ARGV[11]), 'status', status, 'ended_at', ARGV[7])
  end
end
if redis.call('ZCOUNT', PENDING, '-inf', now_ms()) > 0 then
  run_commands(12)
  look_at(now_ms() + WAKE_MS)
else
  rest()
end
return 1
