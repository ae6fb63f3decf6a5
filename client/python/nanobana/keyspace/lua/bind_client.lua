#!lua flags=allow-oom
-- A client ID belongs to the first user who comes with it; also in a full store, because joining is reading (C6, C12).
--
-- KEYS  1 clients
-- ARGV  1 client  2 user
-- RETURNS the user that it belongs to

redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2])
return redis.call('HGET', KEYS[1], ARGV[1])
