#!lua flags=no-writes,allow-oom
-- Everything in these keys at one moment, in the words that restore.lua takes.
--
-- KEYS  any of one canvas; none of its large ones
-- ARGV  none
-- RETURNS for each key {type, ms to live (0: for ever), word, …}, type "none" for one that is not there

local all = {}
for i, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key).ok
  local words = {kind, tostring(math.max(0, redis.call('PTTL', key)))}
  if kind == 'string' then
    words[3] = redis.call('GET', key)
  elseif kind == 'hash' then
    for j, word in ipairs(redis.call('HGETALL', key)) do words[j + 2] = word end
  elseif kind == 'zset' then
    local found = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
    for j = 1, #found, 2 do words[j + 2], words[j + 3] = found[j + 1], found[j] end
  elseif kind == 'stream' then
    for _, entry in ipairs(redis.call('XRANGE', key, '-', '+')) do
      words[#words + 1] = entry[1]
      for _, word in ipairs(entry[2]) do words[#words + 1] = word end
    end
  end
  all[i] = words
end
return all
