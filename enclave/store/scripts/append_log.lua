-- Append to the log of a running operation. KEYS[14] the log. ARGV: fence, the batch's name, then kind
-- and text in turn: `line`, or `progress`, which the next entry replaces.
-- Returns 0 when the lease is lost: a worker that was thought dead writes nothing. Asked again after a
-- lost answer, nothing is written twice.
if redis.call('HGET', LEASE, 'fence') ~= ARGV[1] then return 0 end
if redis.call('HGET', LEASE, 'batch') == ARGV[2] then return 1 end
redis.call('HSET', LEASE, 'batch', ARGV[2])
drop_progress(KEYS[14])
for at = 3, #ARGV, 2 do redis.call('XADD', KEYS[14], '*', ARGV[at], ARGV[at + 1]) end
return 1
