#!lua flags=allow-oom
-- Lays what a person did since a change on the top of an owner's undo stack, as one entry, so that the owner's next undo
-- takes all of it back (C9). Their edits that are still open stay theirs. Once it is gathered, asking again changes
-- nothing but its place.
--
-- KEYS  1 stacks  2 undo
-- ARGV  1 owner  2 person  3 seq of the first change that is meant  4 name of the entry's group
-- RETURNS {seq, …} of the ops in the entry; empty if there is nothing to take back

local function stacks_of(user)
  local packed = redis.call('HGET', KEYS[1], user)
  return packed and cmsgpack.unpack(packed) or {{}, {}}
end

local function seqs_of(entry)
  local seqs = {}
  for i = 2, #entry do seqs[#seqs + 1] = entry[i] end
  return seqs
end

local mine = stacks_of(ARGV[1])
for i = #mine[1], 1, -1 do
  if mine[1][i][1] == ARGV[4] then
    mine[1][#mine[1] + 1] = table.remove(mine[1], i)
    redis.call('HSET', KEYS[1], ARGV[1], cmsgpack.pack(mine))
    return seqs_of(mine[1][#mine[1]])
  end
end

local theirs = stacks_of(ARGV[2])
local kept, seqs = {}, {}
for _, entry in ipairs(theirs[1]) do
  local meant = true
  for i = 2, #entry do
    local record = entry[i] >= tonumber(ARGV[3]) and redis.call('HGET', KEYS[2], entry[i])
    local job = record and cmsgpack.unpack(record).job
    meant = meant and record and (not job or job == '')
  end
  if meant then
    for i = 2, #entry do seqs[#seqs + 1] = entry[i] end
  else
    kept[#kept + 1] = entry
  end
end
if #seqs == 0 then return {} end
table.sort(seqs)
theirs[1] = kept
redis.call('HSET', KEYS[1], ARGV[2], cmsgpack.pack(theirs))
local entry = {ARGV[4]}
for _, seq in ipairs(seqs) do entry[#entry + 1] = seq end
mine[1][#mine[1] + 1] = entry
redis.call('HSET', KEYS[1], ARGV[1], cmsgpack.pack(mine))
return seqs
