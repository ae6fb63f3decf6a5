-- Caches a mip tile and drops the longest unused beyond the cache's budget.
--
-- KEYS  1 meta  2 mips  3 mip_ages
-- ARGV  1 key  2 bytes  3 budget in bytes
-- RETURNS bytes cached now, or nil if there is no canvas

if redis.call('EXISTS', KEYS[1]) == 0 then return nil end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local used = tonumber(redis.call('HGET', KEYS[1], 'mip_bytes') or '0')
if redis.call('HSETNX', KEYS[2], ARGV[1], ARGV[2]) == 1 then used = used + #ARGV[2] end
redis.call('ZADD', KEYS[3], now, ARGV[1])
while used > tonumber(ARGV[3]) do
  local oldest = redis.call('ZPOPMIN', KEYS[3])[1]
  if not oldest or oldest == ARGV[1] then break end
  used = used - redis.call('HSTRLEN', KEYS[2], oldest)
  redis.call('HDEL', KEYS[2], oldest)
end
redis.call('HSET', KEYS[1], 'mip_bytes', used)
return used
