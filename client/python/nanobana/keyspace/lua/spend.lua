#!lua flags=allow-oom
-- Spends from several allowances at once, or from none: the generic cell rate algorithm, by the store's clock (R10).
--
-- KEYS  1… allowances of one slot; strings: the moment at which everything is there again, in microseconds
-- ARGV  for each key: units, microseconds in which a unit comes back, microseconds' worth that may be spent at once
-- RETURNS {0, 0}, or {number of the key that has to be waited for longest, microseconds to wait}

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local full_at, which, longest = {}, 0, 0
for i, key in ipairs(KEYS) do
  local units, each, burst = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  local cost = units * each
  local stored = tonumber(redis.call('GET', key) or '0')
  if stored > now + burst then
    -- the clock jumped back, here or by a replica that took over: that costs no more than what can be spent at once,
    -- written down now, so that it comes back from now on
    stored = now + burst
    redis.call('SET', key, string.format('%.0f', stored), 'PX', math.ceil(burst / 1000) + 1)
  end
  full_at[i] = math.max(now, stored) + cost
  local wait = full_at[i] - now - math.max(burst, cost) -- more than can ever be there: all of it must be
  if wait > longest then which, longest = i, wait end
end
if which > 0 then return {which, math.ceil(longest)} end
for i, key in ipairs(KEYS) do
  redis.call('SET', key, string.format('%.0f', full_at[i]), 'PX', math.ceil((full_at[i] - now) / 1000) + 1)
end
return {0, 0}
