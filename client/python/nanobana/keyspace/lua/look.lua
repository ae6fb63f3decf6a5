#!lua flags=no-writes,allow-oom
-- What a writer must read of a canvas before it composites: layers, and the names of the tiles that it names (C5).
--
-- KEYS  1 meta  2 layers  3 tiles
-- ARGV  1… tile fields
-- RETURNS {seq, epoch, title, width, height, used_bytes, budget_bytes, layers_version, layers, {name, …}}, or nil

local meta = redis.call('HMGET', KEYS[1], 'seq', 'epoch', 'title', 'width', 'height', 'used_bytes', 'budget_bytes',
  'layers_version')
if not meta[1] then return nil end
meta[9] = redis.call('GET', KEYS[2])
local names = {}
for i, field in ipairs(ARGV) do names[i] = redis.call('HGET', KEYS[3], field) or '' end
meta[10] = names
return meta
