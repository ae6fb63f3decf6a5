-- Immutable bytes by name, as often as wanted; a repeated upload renews its age, but not that of a blob which an op
-- has named: that stands at infinity (C3, C8, C12).
--
-- They may be an engine's result: then the lease of its attempt is extended too, as by heartbeat.lua. One write that
-- the store syncs instead of two: large arguments are read by themselves, so a pipeline would not do.
--
-- KEYS  1 meta  2 blobs  3 blob_ages  (4 the job's record)
-- ARGV  1 "1" to go on though the budget is used up (undo)  2… name, bytes, name, bytes …  (attempt, lease_ms)
-- RETURNS {"ok"}, {"no_canvas"} or {"full", used, budget}; nothing is written unless all are.
--         With a job {"ok", "go"}, or in place of "go" what heartbeat.lua would say

local meta = redis.call('HMGET', KEYS[1], 'used_bytes', 'budget_bytes')
if not meta[1] then return {'no_canvas'} end
local last = KEYS[4] and #ARGV - 2 or #ARGV
local fresh, bytes = {}, 0
for i = 2, last, 2 do
  if redis.call('HEXISTS', KEYS[2], ARGV[i]) == 0 then
    fresh[#fresh + 1] = i
    bytes = bytes + #ARGV[i + 1]
  end
end
if ARGV[1] ~= '1' and bytes > 0 and meta[1] + bytes > tonumber(meta[2]) then return {'full', meta[1], meta[2]} end
for _, i in ipairs(fresh) do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
for i = 2, last, 2 do redis.call('ZADD', KEYS[3], 'GT', now, ARGV[i]) end
if bytes > 0 then redis.call('HINCRBY', KEYS[1], 'used_bytes', bytes) end
if not KEYS[4] then return {'ok'} end
local record = redis.call('HMGET', KEYS[4], 'state', 'attempt')
if record[1] == 'cancelled' or record[1] == 'superseded' then return {'ok', record[1]} end
if record[1] ~= 'running' or record[2] ~= ARGV[last + 1] then return {'ok', 'stale'} end
redis.call('HSET', KEYS[4], 'lease_until', now + ARGV[last + 2])
return {'ok', 'go'}
