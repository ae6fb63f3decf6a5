-- Takes a deleted canvas back (C12).
--
-- KEYS  1 meta  2 deleted
-- ARGV  none
-- RETURNS 1, or 0 if there is none that could be taken back

if redis.call('EXISTS', KEYS[2]) == 0 or redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('RENAME', KEYS[2], KEYS[1])
redis.call('HDEL', KEYS[1], 'until_ms')
return 1
