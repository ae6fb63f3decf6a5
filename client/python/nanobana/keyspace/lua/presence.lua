#!lua flags=allow-oom
-- Shows or refreshes members of a canvas; where it is asked for, drops those that were not refreshed and lists the rest.
-- The clock may jump: what was refreshed in the future was not.
--
-- KEYS  1 members  2 meta (a deleted canvas has no members)
-- ARGV  1 milliseconds after which a member is dropped  2 "1" lists  3… member ID, Member (msgpack), …
-- RETURNS {Member (msgpack), …}, nothing where it does not list

if redis.call('EXISTS', KEYS[2]) == 0 then return {} end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local stamp = string.format('%016.0f', now)
for i = 3, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], stamp .. ARGV[i + 1]) end
if ARGV[2] ~= '1' then return {} end
local all, alive = redis.call('HGETALL', KEYS[1]), {}
for i = 1, #all, 2 do
  if math.abs(tonumber(string.sub(all[i + 1], 1, 16)) - now) > tonumber(ARGV[1]) then
    redis.call('HDEL', KEYS[1], all[i])
  else
    alive[#alive + 1] = string.sub(all[i + 1], 17)
  end
end
return alive
