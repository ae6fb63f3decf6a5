#!lua flags=allow-oom
-- Deletes blobs that lie in the cellar, those that an op has named or somebody uploaded meanwhile left out (C8).
--
-- KEYS  1 meta  2 blobs  3 blob_ages
-- ARGV  name, note (the negative score that was read), name, note …
-- RETURNS {blobs deleted, bytes freed}

local count, freed = 0, 0
for i = 1, #ARGV, 2 do
  local score = redis.call('ZSCORE', KEYS[3], ARGV[i])
  if score and tonumber(score) == tonumber(ARGV[i + 1]) then
    freed = freed + redis.call('HSTRLEN', KEYS[2], ARGV[i])
    redis.call('HDEL', KEYS[2], ARGV[i])
    redis.call('ZREM', KEYS[3], ARGV[i])
    count = count + 1
  end
end
if freed > 0 then redis.call('HINCRBY', KEYS[1], 'used_bytes', -freed) end
return {count, freed}
