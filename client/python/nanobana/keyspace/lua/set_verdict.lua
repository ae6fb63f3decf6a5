#!lua flags=allow-oom
-- An owner decides about somebody on a canvas (R7). Of two owners who remove each other at once the first one wins.
--
-- KEYS  1 verdicts  2 meta (on a deleted canvas nothing is decided)
-- ARGV  1 the owner who does it  2 user  3 what: role, kick, ban or forgive  4 the new role, for "role"
-- RETURNS what: ok, no_canvas or not_owner

if redis.call('EXISTS', KEYS[2]) == 0 then return 'no_canvas' end
local packed = redis.call('HGET', KEYS[1], ARGV[1])
local actor = packed and cmsgpack.unpack(packed) or {}
if actor.banned or (actor.role and actor.role ~= 'owner') then return 'not_owner' end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
packed = redis.call('HGET', KEYS[1], ARGV[2])
local verdict = packed and cmsgpack.unpack(packed) or {user = ARGV[2], banned = false, kicked_ms = 0}
if ARGV[3] == 'role' then verdict.role = ARGV[4] end
if ARGV[3] == 'kick' then verdict.kicked_ms = now end
if ARGV[3] == 'ban' then verdict.banned, verdict.kicked_ms = true, now end
if ARGV[3] == 'forgive' then verdict.banned = false end
redis.call('HSET', KEYS[1], ARGV[2], cmsgpack.pack(verdict))
return 'ok'
