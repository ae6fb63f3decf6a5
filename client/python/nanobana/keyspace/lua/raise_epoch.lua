-- A new epoch for a log that lost its tail; once per epoch, whoever sees it first (C4).
--
-- KEYS  1 meta
-- ARGV  1 the epoch that was found void
-- RETURNS the epoch now, or nil if there is no canvas

local epoch = redis.call('HGET', KEYS[1], 'epoch')
if not epoch then return nil end
if epoch ~= ARGV[1] then return tonumber(epoch) end
local clock = redis.call('TIME')
local fresh = math.max(tonumber(epoch) + 1, clock[1] * 1000 + math.floor(clock[2] / 1000))
redis.call('HSET', KEYS[1], 'epoch', fresh)
return fresh
