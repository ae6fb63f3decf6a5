#!lua flags=no-writes,allow-oom
-- What tells whether anything in these keys changes.
--
-- KEYS  any of one canvas
-- ARGV  none
-- RETURNS {digest, …} in order of the keys, "" for a key that is not there

local digests = {}
for i, key in ipairs(KEYS) do
  local dumped = redis.call('DUMP', key)
  digests[i] = dumped and redis.sha1hex(dumped) or ''
end
return digests
