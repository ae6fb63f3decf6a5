#!lua flags=no-writes,allow-oom
-- The live snapshot of a canvas at one position (C8).
--
-- KEYS  1 meta  2 layers  3 tiles  4 public_jobs
-- ARGV  none
-- RETURNS {seq, epoch, head_op, title, width, height, used_bytes, budget_bytes, layers_version, layers,
--          {field, name, …}, {job ID, public, …}}, nil values as false, or nil if there is no canvas

local meta = redis.call('HMGET', KEYS[1], 'seq', 'epoch', 'head_op', 'title', 'width', 'height', 'used_bytes',
  'budget_bytes', 'layers_version')
if not meta[1] then return nil end
meta[10] = redis.call('GET', KEYS[2])
meta[11] = redis.call('HGETALL', KEYS[3])
meta[12] = redis.call('HGETALL', KEYS[4])
return meta
