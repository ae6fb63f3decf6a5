#!lua flags=allow-oom
-- An engine takes a job: raises the fence and starts the lease by the store's clock (J2).
--
-- KEYS  1 job record
-- ARGV  1 worker  2 lease_ms
-- RETURNS {attempt, spec}; {0, "terminal"} if nothing is left to do (acknowledge the ticket);
--         {0, "leased", ms left} while another worker holds it (leave the ticket pending)

local record = redis.call('HMGET', KEYS[1], 'state', 'spec', 'lease_until')
if record[1] ~= 'queued' and record[1] ~= 'running' then return {0, 'terminal'} end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local left = tonumber(record[3]) - now
-- longer than leases are: the clock has jumped back since, and a holder that lives renews it within a beat
if left > 0 and left <= 10 * ARGV[2] then return {0, 'leased', left} end
local attempt = redis.call('HINCRBY', KEYS[1], 'attempt', 1)
redis.call('HSET', KEYS[1], 'state', 'running', 'worker', ARGV[1], 'lease_until', now + ARGV[2], 'updated_ms', now)
return {attempt, record[2]}
