#!lua flags=allow-oom
-- The newest thing on an author's undo or redo stack, with all that is needed to take it back (C9). Entries whose
-- records were dropped or whose edits are decided have nothing to take back; they are removed on the way.
--
-- KEYS  1 meta  2 layers  3 tiles  4 undo  5 history  6 stacks  7 flips  8 public_jobs
-- ARGV  1 user  2 "undo" or "redo"
-- RETURNS nil if there is nothing (or no canvas), else
--   {{seq, …}, {record, …}, {field, name now, "history member …", …}, {seq, flip, …} for ops in those histories,
--    {title, width, height, layers_version, used_bytes, budget_bytes, seq}, layers,
--    {tile field, …} of layers that these ops added or deleted, public Job or false}
--   where the fields are the tiles that these ops wrote, and all that ever were in a layer that comes back

local packed = redis.call('HGET', KEYS[6], ARGV[1])
local meta = redis.call('HMGET', KEYS[1], 'title', 'width', 'height', 'layers_version', 'used_bytes', 'budget_bytes',
  'seq')
if not packed or not meta[1] then return nil end
local both = cmsgpack.unpack(packed)
local stack = ARGV[2] == 'undo' and both[1] or both[2]
local dropped, seqs, records, decoded, job = false, {}, {}, {}, false

while #stack > 0 do
  local top, alive = stack[#stack], true
  seqs, records, decoded, job = {}, {}, {}, false
  for i = 2, #top do
    local record = redis.call('HGET', KEYS[4], top[i])
    if not record then alive = false break end
    seqs[#seqs + 1], records[#records + 1], decoded[#decoded + 1] = top[i], record, cmsgpack.unpack(record)
    local id = decoded[#decoded].job
    if id and id ~= '' then
      job = redis.call('HGET', KEYS[8], id)
      alive = alive and job ~= false
    end
  end
  if alive then break end
  table.remove(stack)
  dropped = true
end
if dropped then redis.call('HSET', KEYS[6], ARGV[1], cmsgpack.pack(both)) end
if #stack == 0 then return nil end

local tiles, seen, flips, owned, of_layer, fields, listed = {}, {}, {}, {}, {}, {}, {}
local function list(field)
  if not listed[field] then
    listed[field] = true
    fields[#fields + 1] = field
  end
end
for _, record in ipairs(decoded) do
  for _, field in ipairs(record.tiles or {}) do list(field) end
  for _, change in ipairs(record.layers or {}) do
    local layer = type(change.after) == 'table' and change.after or change.before
    if change.what == 'add' or change.what == 'delete' then of_layer[layer.id] = true end
    if change.what == (ARGV[2] == 'undo' and 'delete' or 'add') then
      for _, member in ipairs(redis.call('ZRANGEBYLEX', KEYS[5], '[' .. layer.id .. '/', '(' .. layer.id .. '0')) do
        list(string.match(member, '^[^/]+/[^/]+/[^/]+'))
      end
    end
  end
end
for _, field in ipairs(fields) do
  local members = redis.call('ZRANGEBYLEX', KEYS[5], '[' .. field .. '/', '(' .. field .. '0')
  tiles[#tiles + 1] = field
  tiles[#tiles + 1] = redis.call('HGET', KEYS[3], field) or ''
  tiles[#tiles + 1] = table.concat(members, ' ')
  for _, member in ipairs(members) do
    local seq = string.match(string.sub(member, #field + 2), '^%d+')
    if not seen[seq] then
      seen[seq] = true
      local flip = redis.call('HGET', KEYS[7], string.format('%.0f', tonumber(seq)))
      if flip then
        flips[#flips + 1] = seq
        flips[#flips + 1] = flip
      end
    end
  end
end
if next(of_layer) then
  for _, field in ipairs(redis.call('HKEYS', KEYS[3])) do
    if of_layer[string.match(field, '^[^/]+')] then owned[#owned + 1] = field end
  end
end
return {seqs, records, tiles, flips, meta, redis.call('GET', KEYS[2]), owned, job}
