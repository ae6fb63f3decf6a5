#!lua flags=no-writes,allow-oom
-- The engines that spoke within a time; a beat from the future is from before the clock jumped back.
--
-- KEYS  1 engines  2 engine_ages
-- ARGV  1 milliseconds
-- RETURNS {EngineBeat (msgpack), …}

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local alive = {}
for _, worker in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], now - ARGV[1], now + ARGV[1])) do
  alive[#alive + 1] = redis.call('HGET', KEYS[1], worker)
end
return alive
