#!lua flags=allow-oom
-- Notes since when nothing but history names these blobs; an op that names one, or an upload, takes the note off (C8).
--
-- KEYS  1 blob_ages
-- ARGV  blob names
-- RETURNS how many were noted now

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local noted = 0
for _, name in ipairs(ARGV) do
  if redis.call('ZSCORE', KEYS[1], name) == 'inf' then
    redis.call('ZADD', KEYS[1], -now, name)
    noted = noted + 1
  end
end
return noted
