#!lua flags=allow-oom
-- Deletes blobs that were uploaded and that no op ever named: aborted imports, lost races, patches that were laid (C8).
--
-- KEYS  1 meta  2 blobs  3 blob_ages
-- ARGV  1 grace in ms since the last upload  2 most blobs per call
-- RETURNS {blobs deleted, bytes freed}

if redis.call('EXISTS', KEYS[1]) == 0 then return {0, 0} end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local orphans = redis.call('ZRANGEBYSCORE', KEYS[3], 0, now - ARGV[1], 'LIMIT', 0, ARGV[2])
local freed = 0
for _, name in ipairs(orphans) do
  freed = freed + redis.call('HSTRLEN', KEYS[2], name)
  redis.call('HDEL', KEYS[2], name)
  redis.call('ZREM', KEYS[3], name)
end
if freed > 0 then redis.call('HINCRBY', KEYS[1], 'used_bytes', -freed) end
return {#orphans, freed}
