-- Append lines to the log of a running operation. KEYS[12] the log. ARGV: fence, lines.
-- Returns 0 when the lease is lost: a worker that was thought dead writes nothing.
if redis.call('HGET', LEASE, 'fence') ~= ARGV[1] then return 0 end
for at = 2, #ARGV do redis.call('XADD', KEYS[12], '*', 'line', ARGV[at]) end
return 1
