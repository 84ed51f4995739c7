-- Hold an image for an operation; also on a full Redis, for the operation has been accepted.
-- KEYS: the apps that asked for the image, the app's held images, the removal of the image.
-- ARGV: app id, operation id, pinned. Returns 0 while somebody is removing the image.
redis.call('SADD', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
return redis.call('EXISTS', KEYS[3]) == 1 and 0 or 1
