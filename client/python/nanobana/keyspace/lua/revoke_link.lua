#!lua flags=allow-oom
-- Revokes a link, unless it is the last one by which an owner can always come (R7).
--
-- KEYS  1 links
-- ARGV  1 link ID
-- RETURNS what: ok, none or last_owner

local packed = redis.call('HGET', KEYS[1], ARGV[1])
if not packed then return 'none' end
local link = cmsgpack.unpack(packed)
local function is_lasting(other)
  return other.role == 'owner' and not (other.revoked or other.expires_ms or other.max_uses)
end
if is_lasting(link) then
  local left, all = 0, redis.call('HGETALL', KEYS[1])
  for i = 2, #all, 2 do
    if is_lasting(cmsgpack.unpack(all[i])) then left = left + 1 end
  end
  if left == 1 then return 'last_owner' end
end
link.revoked = true
redis.call('HSET', KEYS[1], ARGV[1], cmsgpack.pack(link))
return 'ok'
