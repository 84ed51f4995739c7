-- Who did what: written in the transaction that does it. An entry: action, about, fields (flat), streams
-- = [[key, how many are kept]], app (its key, or ""), before and behind (of the key of the stream of the
-- app's environment), kept (there). ``action`` and ``about`` replace the entry's own.
local function record(entry, action, about)
  local streams = entry.streams
  local environment = entry.app ~= '' and redis.call('HGET', entry.app, 'environment_id')
  if environment then
    streams = { { entry.before .. environment .. entry.behind, entry.kept }, unpack(streams) }
  end
  for _, stream in ipairs(streams) do
    redis.call('XADD', stream[1], 'MAXLEN', stream[2], '*', 'action', action or entry.action,
      'about', about or entry.about, unpack(entry.fields))
  end
end
