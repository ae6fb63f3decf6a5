#!lua flags=allow-oom
-- Keeps a room ticket; also in a full store, because joining is reading (C12).
--
-- KEYS  1 ticket
-- ARGV  1 claims (msgpack)  2 seconds until it expires
-- RETURNS 1

redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
