#!lua flags=allow-oom
-- One op, whole or not at all (C3): compare, then change tile names, layers, log, job records and undo records.
--
-- KEYS  1 meta  2 log  3 layers  4 tiles  5 blobs  6 answers  7 undo  8 history  9 stacks  10 flips
--       11 open_jobs  12 public_jobs  13 ended_jobs  14 blob_ages  15 bell  16 edits
--       17 comments  18 versions  19… job records, as the entries refer to them
-- ARGV  1 request (msgpack, text and numbers only)  2… binary parts that the request refers to by index
-- request
--   client, n        the op ID; answer: keep and consult the client's answers (C6); forget: client whose answers go
--   reads            {field, name, …}: tiles must have these names now ("" = no tile) (C5)
--   writes           {field, name, coverage, …}: new names
--   layers, layers_version   ARGV index of the new list; the version that it was made from (also guards title and size)
--   need             layer IDs that must exist;  open: layer IDs that nobody may have locked, nor a group around them
--   whole            {{layer, count}, …}: layers whose tiles, so many, are all among the reads
--   title, width, height     new values of the canvas
--   blobs            names that must be in the store;  free: go on though the budget is used up (undo)
--   entries          {fields, body = ARGV index of a msgpack map without its header, job = {key = KEYS index, id,
--                    expect, state, public, spec, attempt, soft, passing (nothing to look back at)}}; the last one
--                    is the op, those before it go with it
--   version          {id, ARGV index of a msgpack Version; absent: it goes}
--   undo             {user, record = ARGV index, group, instead}: makes the op undoable, together with others of its
--                    group or instead of them
--   thread           {id, before = ARGV index of what it was ("" = none), after = ARGV index, absent: it goes}
--   flip             {user, from = "undo" | "redo", seqs, keep, as_of, notes = {{seq, ARGV index}, …}}: takes the top
--                    of a stack, to the other one if keep; notes: undo records as they are from now on; as_of: seq
--                    after which nothing may have been written over those tiles, nor taken back or done again
-- RETURNS {"ok", seq, entry bytes, …} with one entry per log entry, or one of
--   {"duplicate", seq} {"refused", code} {"too_old"} {"no_canvas"} {"state", state} {"attempt"} {"layer_gone", id}
--   {"layer_locked", id} {"layers"} {"stack"} {"thread"}
--   {"conflict", field, name now, …} {"missing", name, …} {"full", used, budget}

local KEEP_OPS, KEEP_ANSWERS, KEEP_UNDO, MOST_PARTS, KEEP_EDITS, JOB_TTL_MS = 2000, 256, 100, 128, 1000, 604800000
local MOST_LAYERS = 200
local TERMINAL = {accepted = true, discarded = true, cancelled = true, superseded = true, failed = true}
local META, LOG, LAYERS, TILES, BLOBS, ANSWERS, UNDO = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local HISTORY, STACKS, FLIPS, OPEN, PUBLIC = KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12]
local ENDED, AGES, BELL, EDITS = KEYS[13], KEYS[14], KEYS[15], KEYS[16]
local COMMENTS, VERSIONS = KEYS[17], KEYS[18]

local R = cmsgpack.unpack(ARGV[1])
local reads, writes, entries = R.reads or {}, R.writes or {}, R.entries
local meta = redis.call('HMGET', META, 'seq', 'epoch', 'layers_version', 'used_bytes', 'budget_bytes')
if not meta[1] then return {'no_canvas'} end
local seq, epoch, layers_version = tonumber(meta[1]), tonumber(meta[2]), tonumber(meta[3])

-- C6: an op that was committed is answered with its first result
local answers
local oldest = 2
if R.answer then
  local packed = redis.call('HGET', ANSWERS, R.client)
  answers = packed and cmsgpack.unpack(packed) or {0}
  for i = 2, #answers, 2 do
    if answers[i] == R.n then
      return {type(answers[i + 1]) == 'string' and 'refused' or 'duplicate', answers[i + 1]}
    end
    if answers[i] < answers[oldest] then oldest = i end
  end
  if #answers > 2 * KEEP_ANSWERS and R.n < answers[oldest] then return {'too_old'} end
end

-- J5, J2: the first terminal state wins, and only the current attempt may speak
local skipped = {}
for e = 1, #entries do
  local job = entries[e].job
  if job then
    local record = redis.call('HMGET', KEYS[job.key], 'state', 'attempt')
    local state, expected = record[1] or '', false
    for _, name in ipairs(job.expect) do expected = expected or name == state end
    if not expected then
      if not job.soft then return {'state', state} end
      skipped[e] = true
    elseif job.attempt and tonumber(record[2] or '0') ~= job.attempt then
      return {'attempt'}
    end
  end
end

if R.need and #R.need > 0 then
  local found = {}
  for _, layer in ipairs(cmsgpack.unpack(redis.call('GET', LAYERS))) do found[layer.id] = layer end
  for _, id in ipairs(R.need) do
    if not found[id] then return {'layer_gone', id} end
  end
  for _, id in ipairs(R.open or {}) do
    local layer, steps = found[id], 0
    while layer and steps <= MOST_LAYERS do
      if layer.locked then return {'layer_locked', id} end
      layer, steps = found[layer.parent or ''], steps + 1
    end
  end
end
if R.layers_version and R.layers_version ~= layers_version then return {'layers'} end

local changed = {'conflict'}
for i = 1, #reads, 2 do
  local now = redis.call('HGET', TILES, reads[i]) or ''
  if now ~= reads[i + 1] then
    changed[#changed + 1] = reads[i]
    changed[#changed + 1] = now
  end
end
if #changed > 1 then return changed end
if R.whole then
  local counts = {}
  for _, field in ipairs(redis.call('HKEYS', TILES)) do
    local layer = string.match(field, '^[^/]+')
    counts[layer] = (counts[layer] or 0) + 1
  end
  for _, whole in ipairs(R.whole) do
    if (counts[whole[1]] or 0) ~= whole[2] then return {'layers'} end
  end
end

if R.thread and (redis.call('HGET', COMMENTS, R.thread.id) or '') ~= ARGV[R.thread.before] then return {'thread'} end

local missing = {'missing'}
for _, name in ipairs(R.blobs or {}) do
  if redis.call('HEXISTS', BLOBS, name) == 0 then missing[#missing + 1] = name end
end
if #missing > 1 then return missing end
if not R.free and tonumber(meta[4]) > tonumber(meta[5]) then return {'full', meta[4], meta[5]} end

-- C9: the stacks of the op's author
local owner = (R.undo and R.undo.user) or (R.flip and R.flip.user)
local undo, redo
if owner then
  local packed = redis.call('HGET', STACKS, owner)
  local both = packed and cmsgpack.unpack(packed) or {{}, {}}
  undo, redo = both[1], both[2]
end
if R.flip then
  local from = R.flip.from == 'undo' and undo or redo
  local to = R.flip.from == 'undo' and redo or undo
  local top = from[#from]
  if not top or #top ~= #R.flip.seqs + 1 then return {'stack'} end
  for i, flipped in ipairs(R.flip.seqs) do
    if top[i + 1] ~= flipped then return {'stack'} end
  end
  -- a tile's name tells not all: what is painted or taken back under others' work may leave it as it was
  if R.flip.keep then
    if tonumber(redis.call('HGET', META, 'last_flip') or 0) > R.flip.as_of then return {'stack'} end
    for i = 1, #reads, 2 do
      local field = reads[i]
      local last = redis.call('ZREVRANGEBYLEX', HISTORY, '(' .. field .. '0', '[' .. field .. '/', 'LIMIT', 0, 1)[1]
      if last and tonumber(string.match(string.sub(last, #field + 2), '^%d+')) > R.flip.as_of then return {'stack'} end
    end
  end
  table.remove(from)
  if R.flip.keep then to[#to + 1] = top end
end

-- from here on everything is written
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local result = {'ok', 0}
for e = 1, #entries do
  if not skipped[e] then
    local entry, job = entries[e], entries[e].job
    seq = seq + 1
    local bytes = string.char(0x80 + entry.fields + 3) ..
      cmsgpack.pack('seq') .. cmsgpack.pack(seq) .. cmsgpack.pack('epoch') .. cmsgpack.pack(epoch) ..
      cmsgpack.pack('time_ms') .. cmsgpack.pack(now) .. ARGV[entry.body]
    redis.call('XADD', LOG, seq .. '-0', 'm', bytes)
    result[#result + 1] = bytes
    if job then
      local key = KEYS[job.key]
      redis.call('HSET', key, 'state', job.state, 'public', ARGV[job.public], 'updated_ms', now)
      if job.spec then
        redis.call('HSET', key, 'spec', ARGV[job.spec], 'attempt', 0, 'lease_until', 0)
        redis.call('HSET', OPEN, job.id, '')
      end
      if TERMINAL[job.state] then
        redis.call('HDEL', OPEN, job.id)
        redis.call('HDEL', PUBLIC, job.id)
        redis.call('PEXPIRE', key, JOB_TTL_MS)
        redis.call('ZADD', ENDED, now, job.id)
        redis.call('ZREMRANGEBYSCORE', ENDED, '-inf', now - JOB_TTL_MS)
        if not job.passing then
          redis.call('XADD', EDITS, 'MAXLEN', '~', KEEP_EDITS, seq .. '-0', 'm', ARGV[job.public])
        end
      else
        redis.call('HSET', PUBLIC, job.id, ARGV[job.public])
        if job.state == 'staged' then redis.call('HSET', OPEN, job.id, '-') end
      end
    end
  end
end
result[2] = seq

-- what an op has named is no orphan any more, however long ago it was uploaded (C8)
for _, name in ipairs(R.blobs or {}) do redis.call('ZADD', AGES, '+inf', name) end

local stamp = string.format('/%016.0f/', seq)
for i = 1, #writes, 3 do
  local field, name = writes[i], writes[i + 1]
  if R.undo then
    local before = redis.call('HGET', TILES, field) or ''
    redis.call('ZADD', HISTORY, 0, field .. stamp .. before .. '/' .. name .. '/' .. writes[i + 2])
  end
  if name == '' then redis.call('HDEL', TILES, field) else redis.call('HSET', TILES, field, name) end
end
if R.thread and R.thread.after then redis.call('HSET', COMMENTS, R.thread.id, ARGV[R.thread.after]) end
if R.thread and not R.thread.after then redis.call('HDEL', COMMENTS, R.thread.id) end
if R.layers then redis.call('SET', LAYERS, ARGV[R.layers]) end
if R.version and R.version[2] then redis.call('HSET', VERSIONS, R.version[1], ARGV[R.version[2]]) end
if R.version and not R.version[2] then redis.call('HDEL', VERSIONS, R.version[1]) end
if R.layers or R.title or R.width or R.height then redis.call('HINCRBY', META, 'layers_version', 1) end
for _, name in ipairs({'title', 'width', 'height'}) do
  if R[name] then redis.call('HSET', META, name, R[name]) end
end

if R.undo then
  redis.call('HSET', UNDO, seq, ARGV[R.undo.record])
  local joined = false
  if R.undo.group ~= '' then
    for i = #undo, 1, -1 do
      local item = undo[i]
      if item[1] == R.undo.group and R.undo.instead then
        table.remove(undo, i)
      elseif item[1] == R.undo.group and #item <= MOST_PARTS then
        item[#item + 1] = seq
        joined = true
      end
    end
  end
  if not joined then undo[#undo + 1] = {R.undo.group, seq} end
  if #undo > KEEP_UNDO then table.remove(undo, 1) end
  redo = {}
end
if R.flip and R.flip.keep then
  local mark = R.flip.from == 'undo' and -seq or seq
  for _, flipped in ipairs(R.flip.seqs) do redis.call('HSET', FLIPS, flipped, mark) end
  redis.call('HSET', META, 'last_flip', seq)
  for _, note in ipairs(R.flip.notes) do redis.call('HSET', UNDO, note[1], ARGV[note[2]]) end
end
if owner then redis.call('HSET', STACKS, owner, cmsgpack.pack({undo, redo})) end

for old = seq - KEEP_OPS - #result + 3, seq - KEEP_OPS do
  local record = old > 0 and redis.call('HGET', UNDO, old)
  if record then
    for _, field in ipairs(cmsgpack.unpack(record).tiles or {}) do
      local prefix = field .. string.format('/%016.0f/', old)
      redis.call('ZREMRANGEBYLEX', HISTORY, '[' .. prefix, '(' .. string.sub(prefix, 1, -2) .. '0')
    end
    redis.call('HDEL', UNDO, old)
    redis.call('HDEL', FLIPS, old)
  end
end

if R.answer then
  if #answers > 2 * KEEP_ANSWERS then
    table.remove(answers, oldest)
    table.remove(answers, oldest)
  end
  if R.n > answers[1] then answers[1] = R.n end
  answers[#answers + 1] = R.n
  answers[#answers + 1] = seq
  redis.call('HSET', ANSWERS, R.client, cmsgpack.pack(answers))
end
if R.forget then redis.call('HDEL', ANSWERS, R.forget) end
redis.call('HSET', META, 'seq', seq, 'head_op', cmsgpack.pack({R.client, R.n}), 'updated_ms', now)
redis.call('SPUBLISH', BELL, seq)
return result
