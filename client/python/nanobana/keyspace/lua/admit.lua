#!lua flags=allow-oom
-- Lets somebody in by a link that holds; who comes by it for the first time counts as one use (R7). Also in a full store,
-- because joining is reading (C12).
--
-- KEYS  1 links  2 arrivals  3 verdicts
-- ARGV  1 link ID  2 user  3 how many people are counted of a link without a limit
-- RETURNS {what, link (msgpack), the role that an owner gave them or "", now in ms};
--         what is in, none, revoked, expired, banned or used_up

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local packed = redis.call('HGET', KEYS[1], ARGV[1])
if not packed then return {'none', '', '', now} end
local link = cmsgpack.unpack(packed)
if link.revoked then return {'revoked', packed, '', now} end
if link.expires_ms and link.expires_ms <= now then return {'expired', packed, '', now} end
local decided = redis.call('HGET', KEYS[3], ARGV[2])
local verdict = decided and cmsgpack.unpack(decided) or {}
if verdict.banned then return {'banned', packed, '', now} end
local seen = ARGV[1] .. '/' .. ARGV[2]
if redis.call('HEXISTS', KEYS[2], seen) == 0 then
  local used = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or 0)
  if link.max_uses and used >= link.max_uses then return {'used_up', packed, '', now} end
  if link.max_uses or used < tonumber(ARGV[3]) then
    redis.call('HSET', KEYS[2], ARGV[1], used + 1, seen, now)
  end
end
return {'in', packed, verdict.role or '', now}
