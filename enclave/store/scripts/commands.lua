-- Shared by the scripts that enqueue RQ's jobs.
local WAKE_MS = 10000  -- a wake-up that nobody answered for so long is repeated by a reconciler

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Run RQ's own commands, flattened in ARGV from `first`: count of words, words, count of words, …
-- They end with a count of 0, or with ARGV.
local function run_commands(first)
  local at = first
  while at <= #ARGV do
    local words = tonumber(ARGV[at])
    if words == 0 then return end
    redis.call(unpack(ARGV, at + 1, at + words))
    at = at + words + 1
  end
end
