-- Note that the containers a release has replaced are gone. ARGV: app id, the fence it was noted under.
-- Somebody who has the lease to tidy takes the note away himself.
if redis.call('HGET', LEASE, 'mode') ~= 'tidy' and redis.call('HGET', UNTIDY, ARGV[1]) == ARGV[2] then
  redis.call('HDEL', UNTIDY, ARGV[1])
  if not next_operation(ARGV[1]) and redis.call('EXISTS', LEASE) == 0 then
    redis.call('ZREM', DUE, ARGV[1])
  end
end
return 1
