#!lua flags=allow-oom
-- Shows or refreshes a member of a canvas, drops those that were not refreshed, and lists the rest. The
-- clock may jump: what was refreshed in the future was not.
--
-- KEYS  1 members  2 meta (a deleted canvas has no members)
-- ARGV  1 member ID ("" only lists)  2 Member (msgpack)  3 milliseconds after which a member is dropped
-- RETURNS {Member (msgpack), …}

if redis.call('EXISTS', KEYS[2]) == 0 then return {} end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
if ARGV[1] ~= '' then redis.call('HSET', KEYS[1], ARGV[1], string.format('%016.0f', now) .. ARGV[2]) end
local all, alive = redis.call('HGETALL', KEYS[1]), {}
for i = 1, #all, 2 do
  if math.abs(tonumber(string.sub(all[i + 1], 1, 16)) - now) > tonumber(ARGV[3]) then
    redis.call('HDEL', KEYS[1], all[i])
  else
    alive[#alive + 1] = string.sub(all[i + 1], 17)
  end
end
return alive
