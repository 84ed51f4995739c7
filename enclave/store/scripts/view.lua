-- What a push is judged against: refs and reservations at one moment, each flat: names and values in turn.
-- A script, for a full Redis refuses even reads between MULTI and EXEC.
return { redis.call('HGETALL', REFS), redis.call('HGETALL', RESERVATIONS) }
