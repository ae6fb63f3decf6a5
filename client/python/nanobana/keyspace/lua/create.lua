-- A new canvas, or nothing if there is one by that ID.
--
-- KEYS  1 meta  2 layers
-- ARGV  1 title  2 width  3 height  4 budget_bytes  5 layers (msgpack)
-- RETURNS 1 if it was made, 0 if it existed

if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('HSET', KEYS[1], 'title', ARGV[1], 'width', ARGV[2], 'height', ARGV[3], 'budget_bytes', ARGV[4],
  'first_title', ARGV[1], 'first_width', ARGV[2], 'first_height', ARGV[3], 'first_layers', ARGV[5], 'used_bytes', 0, 'seq', 0, 'epoch', now, 'layers_version', 0, 'created_ms', now, 'updated_ms', now)
redis.call('SET', KEYS[2], ARGV[5])
return 1
