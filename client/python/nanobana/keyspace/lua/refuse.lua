#!lua flags=allow-oom
-- Keeps a refusal as the answer to an op, unless it has one: an attempt still under way elsewhere must not land (C6).
--
-- KEYS  1 meta  2 answers
-- ARGV  1 client  2 n  3 code
-- RETURNS the seq of an op that was committed, else the code that it was first refused with

local KEEP_ANSWERS = 256

if redis.call('EXISTS', KEYS[1]) == 0 then return ARGV[3] end
local n = tonumber(ARGV[2])
local packed = redis.call('HGET', KEYS[2], ARGV[1])
local answers = packed and cmsgpack.unpack(packed) or {0}
local oldest = 2
for i = 2, #answers, 2 do
  if answers[i] == n then return answers[i + 1] end
  if answers[i] < answers[oldest] then oldest = i end
end
if #answers > 2 * KEEP_ANSWERS then
  if n < answers[oldest] then return ARGV[3] end -- commit.lua refuses it as too old
  table.remove(answers, oldest)
  table.remove(answers, oldest)
end
if n > answers[1] then answers[1] = n end
answers[#answers + 1] = n
answers[#answers + 1] = ARGV[3]
redis.call('HSET', KEYS[2], ARGV[1], cmsgpack.pack(answers))
return ARGV[3]
