#!lua flags=allow-oom
-- What a group's readers hold of its streams and took in the future, before the store's clock jumped back, counts as
-- taken now: nobody would miss it until that time has come again (J2). Nothing changes hands. An entry from the future
-- shows no idle time, and one that was taken in this very millisecond loses nothing by it: no clock need be remembered.
--
-- KEYS  1… streams
-- ARGV  1 group  2 most entries per stream
-- RETURNS entries that were counted anew

local count = 0
for _, stream in ipairs(KEYS) do
  local pending = redis.pcall('XPENDING', stream, ARGV[1], '-', '+', ARGV[2])
  if not pending.err then
    for _, item in ipairs(pending) do
      local entry, reader, idle = item[1], item[2], item[3]
      if idle <= 0 then
        redis.call('XCLAIM', stream, ARGV[1], reader, 0, entry, 'JUSTID')
        count = count + 1
      end
    end
  end
end
return count
