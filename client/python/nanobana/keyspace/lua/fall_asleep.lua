#!lua flags=allow-oom
-- A canvas leaves the store for the cellar, unless anything in it changed since it was copied there (C8).
--
-- KEYS  1 asleep  2… keys that were copied, as many as there are digests, then keys that go with them unread
-- ARGV  1 name of the file in the cellar  2… digests as fingerprint.lua gave them before the copying began
-- RETURNS 1, or 0 if something changed

for i = 2, #ARGV do
  local dumped = redis.call('DUMP', KEYS[i])
  if (dumped and redis.sha1hex(dumped) or '') ~= ARGV[i] then return 0 end
end
for i = 2, #KEYS do redis.call('UNLINK', KEYS[i]) end
redis.call('SET', KEYS[1], ARGV[1])
return 1
