#!lua flags=allow-oom
-- Notes that the oldest entries of the log stand in a blob, and trims them off the log (C8). Whole or not at all.
--
-- KEYS  1 meta  2 log  3 blobs  4 blob_ages  5 archive
-- ARGV  1 first seq  2 last seq of the chapter  3 its blob's name
-- RETURNS 1, or 0 if the log does not begin with that seq any more, ends before or at the last one, or the blob is gone

local seq = redis.call('HGET', KEYS[1], 'seq')
if not seq or tonumber(ARGV[2]) >= tonumber(seq) then return 0 end
local oldest = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
if not oldest or oldest[1] ~= ARGV[1] .. '-0' or redis.call('HEXISTS', KEYS[3], ARGV[3]) == 0 then return 0 end
redis.call('ZADD', KEYS[5], ARGV[1], ARGV[1] .. '-' .. ARGV[2] .. '/' .. ARGV[3])
redis.call('ZADD', KEYS[4], '+inf', ARGV[3])
redis.call('XTRIM', KEYS[2], 'MINID', string.format('%.0f-0', ARGV[2] + 1))
return 1
