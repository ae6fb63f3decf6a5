#!lua flags=allow-oom
-- An engine says that it lives, or takes its leave; engines silent for a minute, by a clock that may jump, are forgotten (J4).
--
-- KEYS  1 engines  2 engine_ages
-- ARGV  1 worker  2 EngineBeat (msgpack), "" to leave
-- RETURNS the store's clock in ms

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
if ARGV[2] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
  redis.call('ZREM', KEYS[2], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
  redis.call('ZADD', KEYS[2], now, ARGV[1])
end
for _, range in ipairs({{'-inf', now - 60000}, {now + 60000, '+inf'}}) do
  for _, silent in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], range[1], range[2])) do
    redis.call('HDEL', KEYS[1], silent)
    redis.call('ZREM', KEYS[2], silent)
  end
end
return now
