#!lua flags=no-writes,allow-oom
-- The log after a position, with what is needed to tell whether the position still holds (C4).
--
-- KEYS  1 meta  2 log
-- ARGV  1 seq  2 limit
-- RETURNS {epoch, head seq, entry at seq or false, {seq, bytes, …}}, or nil if there is no canvas

local meta = redis.call('HMGET', KEYS[1], 'epoch', 'seq')
if not meta[1] then return nil end
local at = redis.call('XRANGE', KEYS[2], ARGV[1] .. '-0', ARGV[1] .. '-0')
local tail = {}
for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '(' .. ARGV[1] .. '-0', '+', 'COUNT', ARGV[2])) do
  tail[#tail + 1] = string.match(entry[1], '^%d+')
  tail[#tail + 1] = entry[2][2]
end
return {meta[1], meta[2], at[1] and at[1][2][2] or false, tail}
