-- Deletes a canvas so that it can be taken back: for everybody there is no such canvas from here on (C12).
--
-- KEYS  1 meta  2 deleted  3 bell
-- ARGV  1 until when it is kept, ms
-- RETURNS 1, or 0 if there is no canvas

if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('RENAME', KEYS[1], KEYS[2])
redis.call('HSET', KEYS[2], 'until_ms', ARGV[1])
redis.call('SPUBLISH', KEYS[3], 0)
return 1
