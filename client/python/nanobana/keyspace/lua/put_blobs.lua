-- Immutable bytes by name, as often as wanted; a repeated upload renews its age, but not that of a blob which an op
-- has named: that stands at infinity (C3, C8, C12).
--
-- KEYS  1 meta  2 blobs  3 blob_ages
-- ARGV  1 "1" to go on though the budget is used up (undo)  2… name, bytes, name, bytes …
-- RETURNS {"ok"}, {"no_canvas"} or {"full", used, budget}; nothing is written unless all are

local meta = redis.call('HMGET', KEYS[1], 'used_bytes', 'budget_bytes')
if not meta[1] then return {'no_canvas'} end
local fresh, bytes = {}, 0
for i = 2, #ARGV, 2 do
  if redis.call('HEXISTS', KEYS[2], ARGV[i]) == 0 then
    fresh[#fresh + 1] = i
    bytes = bytes + #ARGV[i + 1]
  end
end
if ARGV[1] ~= '1' and bytes > 0 and meta[1] + bytes > tonumber(meta[2]) then return {'full', meta[1], meta[2]} end
for _, i in ipairs(fresh) do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
for i = 2, #ARGV, 2 do redis.call('ZADD', KEYS[3], 'GT', now, ARGV[i]) end
if bytes > 0 then redis.call('HINCRBY', KEYS[1], 'used_bytes', bytes) end
return {'ok'}
