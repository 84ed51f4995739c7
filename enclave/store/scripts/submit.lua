-- Queue an operation that moves no ref, or store one that is for no worker. Asked again after a lost
-- answer, nothing happens twice. KEYS[14] the operation, KEYS[15] what was asked before with the same
-- idempotency key, if there is a key. ARGV: app id, operation id, fields (JSON, flat), what is asked
-- (JSON), seconds for which that counts, queue, record or forget, activity (JSON), the wake-up's words.
-- What is to be forgotten is in no list, no change, and expires after those seconds. Returns what was asked with the
-- key, now or before: of two requests that race, one makes an operation, and both are told.
local OPERATION, ASKED = KEYS[14], KEYS[15]
if ASKED then
  local known = redis.call('GET', ASKED)
  if known then return known end
  redis.call('SET', ASKED, ARGV[4], 'EX', ARGV[5])
end
if redis.call('EXISTS', OPERATION) == 0 then
  local fields = cjson.decode(ARGV[3])
  if ARGV[6] == 'queue' then
    queue_operation(ARGV[1], ARGV[2], OPERATION, fields, 8)
  else
    redis.call('HSET', OPERATION, unpack(fields))
    if ARGV[6] == 'record' then
      redis.call('ZADD', OPERATIONS, ARGV[2], ARGV[2])
    else
      redis.call('EXPIRE', OPERATION, ARGV[5])
    end
  end
  if ARGV[6] ~= 'forget' then record(cjson.decode(ARGV[7])) end
end
return ARGV[4]
