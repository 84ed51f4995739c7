-- Take an SSH key from its user: a key half gone would still open. KEYS: by-fingerprint, the user's
-- keys, the record. ARGV: fingerprint, key id. Asked again after a lost answer, nothing is taken from
-- whoever has registered the same key meanwhile.
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then redis.call('HDEL', KEYS[1], ARGV[1]) end
redis.call('SREM', KEYS[2], ARGV[2])
redis.call('DEL', KEYS[3])
return 1
