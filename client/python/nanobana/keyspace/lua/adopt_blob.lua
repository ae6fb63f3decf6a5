-- A large blob whose bytes came in pieces becomes visible, whole and at once (C3).
--
-- KEYS  1 meta  2 blobs  3 blob_ages  4 the pieces so far
-- ARGV  1 "1" to go on though the budget is used up (undo)  2 name  3 bytes that it must have
-- RETURNS {"ok"}, {"no_canvas"}, {"full", used, budget} or {"partial", bytes there}: a piece was lost, write them again

local meta = redis.call('HMGET', KEYS[1], 'used_bytes', 'budget_bytes')
if not meta[1] then return {'no_canvas'} end
local size = tonumber(ARGV[3])
if redis.call('HEXISTS', KEYS[2], ARGV[2]) == 0 then
  local there = redis.call('STRLEN', KEYS[4])
  if there ~= size then return {'partial', there} end
  if ARGV[1] ~= '1' and meta[1] + size > tonumber(meta[2]) then return {'full', meta[1], meta[2]} end
  redis.call('HSET', KEYS[2], ARGV[2], redis.call('GET', KEYS[4]))
  redis.call('HINCRBY', KEYS[1], 'used_bytes', size)
end
redis.call('DEL', KEYS[4])
local clock = redis.call('TIME')
redis.call('ZADD', KEYS[3], 'GT', clock[1] * 1000 + math.floor(clock[2] / 1000), ARGV[2])
return {'ok'}
