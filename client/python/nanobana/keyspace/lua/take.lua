#!lua flags=allow-oom
-- An engine asks for its next ticket and gets the fair one of those for its models, or none (E7, J1): live before batch,
-- then the user who has least in this engine's hands, then whose turn it is. One user's flood fills the slots only while
-- nobody else waits. The streams stay the truth: what was read from them waits here in order, by model and user, until an
-- engine takes it into the group's pending list; what a dead engine had pending waits again, for its model.
--
-- KEYS  1 stream of lane live  2 of lane batch  3 waiting  4 turns  5 desk  6 engine_ages
-- ARGV  1 group  2 engine  3 slots  4 most (tickets in hand whatever is due)  5 dead_ms (silence of a dead engine)
--       6 left_ms (a ticket pending on this engine, not in its hands and older, waits again)
--       7 "look" to look for what dead engines left, else ""  8 the number of its models
--       9… {model as queues are named, "1" if it is in memory else "0"} of each, then {lane/entry, user} of each ticket
--       in its hands
-- RETURNS {newest live entry, newest batch entry} that were read, and where there is one lane, entry, ticket (msgpack)

local STREAM, WAITING, TURNS, DESK, AGES = {live = KEYS[1], batch = KEYS[2]}, KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local GROUP, ME, SLOTS, MOST = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local DEAD_MS, LEFT_MS, READ, FORGET_MS = tonumber(ARGV[5]), tonumber(ARGV[6]), 1000, 60000
local LANES = {'live', 'batch'}

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local serves, mine = {}, ''
local FIRST = 9 + 2 * tonumber(ARGV[8])
for i = 9, FIRST - 1, 2 do
  serves[ARGV[i]] = tonumber(ARGV[i + 1])
  mine = mine .. '/' .. ARGV[i + 1] .. ARGV[i]
end
serves[''] = 1
local hands, held, users, running = {}, {}, 0, 0
for i = FIRST, #ARGV, 2 do
  local user = ARGV[i + 1]
  hands[ARGV[i]] = true
  if not held[user] then users = users + 1 end
  held[user], running = (held[user] or 0) + 1, running + 1
end

local function lives(engine)
  local beat = redis.call('ZSCORE', AGES, engine)
  return beat and math.abs(now - tonumber(beat)) <= DEAD_MS
end

local function next_turn() return redis.call('HINCRBY', DESK, 'turn', 1) end

-- a ticket of a stream waits from now on; entry IDs are written so that their order is the alphabet's, behind a rank:
-- 0 for those that their author wants in front of the others of his
local function wait(lane, entry, fields)
  local ticket = {}
  for i = 1, #fields, 2 do
    if fields[i] == 'm' then
      local ok, found = pcall(cmsgpack.unpack, fields[i + 1])
      if ok and type(found) == 'table' then ticket = found end
    end
  end
  local model = string.gsub(ticket.model or '', '[%%/]', {['%'] = '%25', ['/'] = '%2F'})
  local queue, ms, n = lane .. '/' .. model .. '/' .. (ticket.user or ''), string.match(entry, '^(%d+)-(%d+)$')
  local rank = ticket.front == true and 0 or 1
  redis.call('ZADD', WAITING, 0, string.format('%s/%d%016.0f-%06.0f/%s', queue, rank, ms, n, ticket.job or ''))
  if not redis.call('ZSCORE', TURNS, queue) then redis.call('ZADD', TURNS, next_turn(), queue) end
end

-- what is new on the streams
local newest = {}
for i, lane in ipairs(LANES) do
  redis.pcall('XGROUP', 'CREATE', STREAM[lane], GROUP, '0', 'MKSTREAM')
  newest[i] = redis.call('HGET', DESK, lane) or '0-0'
  while true do
    local found = redis.call('XRANGE', STREAM[lane], '(' .. newest[i], '+', 'COUNT', READ)
    if #found == 0 then break end
    for _, item in ipairs(found) do wait(lane, item[1], item[2]) end
    newest[i] = found[#found][1]
    redis.call('HSET', DESK, lane, newest[i])
    redis.call('XGROUP', 'SETID', STREAM[lane], GROUP, newest[i])
  end
end

-- what dead engines, and this one by mistake, left pending
local function facts(flat)
  local named = {}
  for i = 1, #flat, 2 do named[flat[i]] = flat[i + 1] end
  return named
end
if ARGV[7] == 'look' then
  for _, lane in ipairs(LANES) do
    for _, flat in ipairs(redis.call('XINFO', 'CONSUMERS', STREAM[lane], GROUP)) do
      local consumer = facts(flat)
      local name, mine = consumer.name, consumer.name == ME
      if (mine or not lives(name)) and consumer.pending > 0 then
        for _, item in ipairs(redis.call('XPENDING', STREAM[lane], GROUP, '-', '+', READ, name)) do
          local entry, idle = item[1], item[3]
          if not mine or (idle >= LEFT_MS and not hands[lane .. '/' .. entry]) then
            local found = redis.call('XRANGE', STREAM[lane], entry, entry)
            redis.call('XACK', STREAM[lane], GROUP, entry)
            if #found > 0 then wait(lane, entry, found[1][2]) end
          end
        end
      elseif not mine and consumer.pending == 0 and consumer.idle > FORGET_MS and not lives(name) then
        redis.call('XGROUP', 'DELCONSUMER', STREAM[lane], GROUP, name)
      end
    end
  end
end

-- the other engines that live: their room, and what they serve
local room, others = SLOTS - running, {}
for name, words in pairs(facts(redis.call('HGETALL', DESK))) do
  local engine = string.match(name, '^room/(.+)$')
  if engine and engine ~= ME then
    if not lives(engine) then redis.call('HDEL', DESK, name)
    else
      local theirs, list = string.match(words, '^(-?%d+)(.*)$')
      local models = {[''] = 1}
      for warm, model in string.gmatch(list, '/([01])([^/]*)') do models[model] = tonumber(warm) end
      others[#others + 1] = {room = tonumber(theirs), serves = models}
    end
  end
end

-- a queue is left to an engine that lives and is better placed: they all hear of every ticket. With room at both it is
-- the one that has the model in memory, else the one with more room
local function is_left(model)
  for _, other in ipairs(others) do
    local warm = other.serves[model]
    if warm then
      local both = other.room > 0 and room > 0
      if both and warm ~= serves[model] then
        if warm > serves[model] then return true end
      elseif other.room > room then return true end
    end
  end
  return false
end

-- whose turn it is: a slot if one is free; else, live only, where this user has less in hand than an equal share
local function fair(lane)
  local best, of_user
  for _, key in ipairs(redis.call('ZRANGE', TURNS, 0, -1)) do
    local of, model, user = string.match(key, '^(%a+)/([^/]*)/(.*)$')
    local has = held[user] or 0
    local due = math.max(1, math.floor(SLOTS / (users + (has == 0 and 1 or 0))))
    if of == lane and serves[model] and (room > 0 or (lane == 'live' and running < MOST and has < due)) then
      if (not best or has < (held[of_user] or 0)) and not is_left(model) then best, of_user = key, user end
    end
  end
  return best
end

-- a user who was served stands last with each of the queues that this engine serves, that with the ticket behind them
local function served(queue)
  local lane, _, user = string.match(queue, '^(%a+)/([^/]*)/(.*)$')
  for _, key in ipairs(redis.call('ZRANGE', TURNS, 0, -1)) do
    local of, model, who = string.match(key, '^(%a+)/([^/]*)/(.*)$')
    if key ~= queue and of == lane and who == user and serves[model] then redis.call('ZADD', TURNS, next_turn(), key) end
  end
end

local function pop(queue)
  local after, before = '[' .. queue .. '/', '(' .. queue .. '0'
  local lane = string.match(queue, '^%a+')
  local member = redis.call('ZRANGEBYLEX', WAITING, after, before, 'LIMIT', 0, 1)[1]
  if member then redis.call('ZREM', WAITING, member) end
  served(queue)
  if #redis.call('ZRANGEBYLEX', WAITING, after, before, 'LIMIT', 0, 1) > 0 then
    redis.call('ZADD', TURNS, next_turn(), queue)
  else
    redis.call('ZREM', TURNS, queue)
  end
  if not member then return nil end
  local ms, n = string.match(string.sub(member, #queue + 2), '^%d(%d+)-(%d+)')
  local entry = string.format('%.0f-%.0f', ms, n)
  local found = redis.call('XCLAIM', STREAM[lane], GROUP, ME, 0, entry, 'FORCE')[1]
  if not found then return nil end
  return {newest, lane, entry, facts(found[2]).m or ''}
end

local taken
while not taken do
  local queue = fair('live') or fair('batch')
  if not queue then break end
  taken = pop(queue)
  if taken then room = room - 1 end
end
redis.call('HSET', DESK, 'room/' .. ME, room .. mine)
return taken or {newest}
