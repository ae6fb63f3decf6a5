-- What a canvas has used of its budget, and the store that keeps it of its own (C12).
--
-- KEYS  1 meta (also says which shard of a cluster is asked)
-- ARGV  none
-- RETURNS {used, budget, store used, store budget (0: unlimited)} in bytes, or false where there is no such canvas

local meta = redis.call('HMGET', KEYS[1], 'used_bytes', 'budget_bytes')
if not meta[1] then return false end
local memory = redis.call('INFO', 'memory')
return {
  tonumber(meta[1]), tonumber(meta[2]),
  tonumber(memory:match('used_memory:(%d+)')), tonumber(memory:match('maxmemory:(%d+)')),
}
