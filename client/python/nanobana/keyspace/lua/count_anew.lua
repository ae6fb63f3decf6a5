#!lua flags=allow-oom
-- What a group's readers hold of its streams counts as taken now where the store's clock has jumped back: by the clock it
-- was taken in the future, and nobody would miss it until that time has come again (J2). Nothing changes hands.
--
-- KEYS  1 the clock when somebody last asked  2… streams
-- ARGV  1 group  2 most entries per stream
-- RETURNS entries that were counted anew

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local before = tonumber(redis.call('GET', KEYS[1]) or 0)
redis.call('SET', KEYS[1], string.format('%.0f', now))
if now >= before then return 0 end
local count = 0
for i = 2, #KEYS do
  local pending = redis.pcall('XPENDING', KEYS[i], ARGV[1], '-', '+', ARGV[2])
  if not pending.err then
    for _, item in ipairs(pending) do
      redis.call('XCLAIM', KEYS[i], ARGV[1], item[2], 0, item[1], 'JUSTID')
      count = count + 1
    end
  end
end
return count
