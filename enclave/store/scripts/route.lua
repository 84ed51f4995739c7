-- Want a route, or (with an empty one) none. KEYS[14] routes, [15] revisions, [16] hosts, [17] the
-- counter of revisions. ARGV: fence, endpoint, route (JSON) or ''.
-- Returns the revision that holds it (0: nothing was ever there), -1 when the lease is lost, or the
-- host that another endpoint has.
-- What is wanted already keeps its revision: asked twice, it is once.
if redis.call('HGET', LEASE, 'fence') ~= ARGV[1] then return -1 end
local ROUTES, REVISIONS, HOSTS, COUNTER = KEYS[14], KEYS[15], KEYS[16], KEYS[17]
local endpoint, new = ARGV[2], ARGV[3]
local old = redis.call('HGET', ROUTES, endpoint) or ''
if old == new then
  return tonumber(redis.call('ZSCORE', REVISIONS, endpoint) or 0)
end

local function hosts_of(route)
  return route ~= '' and cjson.decode(route).hosts or {}
end

for _, host in ipairs(hosts_of(new)) do
  local holder = redis.call('HGET', HOSTS, host)
  if holder and holder ~= endpoint then return host end
end
for _, host in ipairs(hosts_of(old)) do redis.call('HDEL', HOSTS, host) end
for _, host in ipairs(hosts_of(new)) do redis.call('HSET', HOSTS, host, endpoint) end
if new ~= '' then
  redis.call('HSET', ROUTES, endpoint, new)
else
  redis.call('HDEL', ROUTES, endpoint)
end
local revision = redis.call('INCR', COUNTER)
redis.call('ZADD', REVISIONS, revision, endpoint)
redis.call('PUBLISH', ROUTES, revision)
return revision
