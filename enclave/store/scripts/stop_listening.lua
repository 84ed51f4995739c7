-- Have the worker that listens for a cancel return at once: it has ended the operation itself.
-- KEYS[1] the control list. ARGV: seconds that the word is kept.
redis.call('RPUSH', KEYS[1], 'end')
redis.call('EXPIRE', KEYS[1], ARGV[1])
return 1
