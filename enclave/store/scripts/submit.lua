-- Queue an operation that moves no ref. Asked again after a lost answer, nothing happens twice.
-- KEYS[14] the operation. ARGV: app id, operation id, fields (JSON, flat), activity (JSON), the
-- wake-up's words.
local OPERATION = KEYS[14]
if redis.call('EXISTS', OPERATION) == 0 then
  queue_operation(ARGV[1], ARGV[2], OPERATION, cjson.decode(ARGV[3]), 5)
  record(cjson.decode(ARGV[4]))
end
return 1
