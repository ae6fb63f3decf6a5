#!lua flags=allow-oom
-- Notes in the outbox as which stream entry a job was sent, unless that is known already or the job is done (design §3.3).
--
-- KEYS  1 open_jobs
-- ARGV  1 job ID  2 stream entry ID  3 the entry that stood there before ("" for unsent)
-- RETURNS 1 if noted, else 0

if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[3] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1
