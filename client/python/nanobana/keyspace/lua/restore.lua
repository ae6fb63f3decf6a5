#!lua flags=allow-oom
-- Puts the keys of a canvas in place that is not here: one that was asleep, or one from a file (C8). The blobs are there
-- already. Whole or not at all.
--
-- KEYS  1 meta  2 asleep  3… keys to write, meta among them
-- ARGV  1 the file that it sleeps in ("" for a canvas that is new)
--       then for each key to write: type, ms to live (0: for ever), number of words, words
--       (string: value; hash: field, value …; zset: score, member …; stream: ID, field, value …)
-- RETURNS 1, or 0 if there is a canvas already in which anything ever happened, or it sleeps in another file

local seq = redis.call('HGET', KEYS[1], 'seq')
if seq and (ARGV[1] ~= '' or seq ~= '0') then return 0 end
if (redis.call('GET', KEYS[2]) or '') ~= ARGV[1] then return 0 end
local at = 2
for i = 3, #KEYS do
  local key, kind, ttl, count = KEYS[i], ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  at = at + 3
  redis.call('UNLINK', key)
  if kind == 'string' then
    redis.call('SET', key, ARGV[at])
  elseif kind == 'hash' then
    for j = at, at + count - 1, 2 do redis.call('HSET', key, ARGV[j], ARGV[j + 1]) end
  elseif kind == 'zset' then
    for j = at, at + count - 1, 2 do redis.call('ZADD', key, ARGV[j], ARGV[j + 1]) end
  elseif kind == 'stream' then
    for j = at, at + count - 1, 3 do redis.call('XADD', key, ARGV[j], ARGV[j + 1], ARGV[j + 2]) end
  end
  if ttl > 0 then redis.call('PEXPIRE', key, ttl) end
  at = at + count
end
redis.call('DEL', KEYS[2])
return 1
