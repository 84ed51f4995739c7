-- Repeat a wake-up that may have been lost. ARGV: app id, the wake-up's words.
if not next_operation(ARGV[1]) and redis.call('EXISTS', LEASE) == 0 then
  redis.call('ZREM', DUE, ARGV[1])
  return 0
end
wake(ARGV[1], 2)
return 1
