-- Wake a courier for a webhook that is overdue. ARGV: webhook id, wake-up words.
if redis.call('EXISTS', LEASE) == 0 and redis.call('ZCOUNT', PENDING, '-inf', now_ms()) == 0 then
  rest()
  return 0
end
run_commands(2)
look_at(now_ms() + WAKE_MS)
return 1
