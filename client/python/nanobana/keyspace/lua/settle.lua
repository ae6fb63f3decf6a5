#!lua flags=allow-oom
-- When a canvas must be looked after again, unless something happened in it since it was looked at.
--
-- KEYS  1 upkeep
-- ARGV  1 canvas  2 its score when it was looked at  3 the next one, "" for none
-- RETURNS 1, or 0 if something happened

local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score or tonumber(score) ~= tonumber(ARGV[2]) then return 0 end
if ARGV[3] == '' then redis.call('ZREM', KEYS[1], ARGV[1]) else redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1]) end
return 1
