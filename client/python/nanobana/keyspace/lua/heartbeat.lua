#!lua flags=allow-oom
-- Extends the lease of the current attempt only, and says how to go on (J2, E8).
--
-- KEYS  1 job record
-- ARGV  1 attempt  2 lease_ms (0 gives the lease back)
-- RETURNS "go", "cancelled", "superseded", or "stale" (another attempt has it, or it is done)

local record = redis.call('HMGET', KEYS[1], 'state', 'attempt')
if record[1] == 'cancelled' or record[1] == 'superseded' then return record[1] end
if record[1] ~= 'running' or record[2] ~= ARGV[1] then return 'stale' end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('HSET', KEYS[1], 'lease_until', now + ARGV[2])
return 'go'
