-- Whether a session is nobody's: unused for so long, and not let go of by another replica. Whoever is told so
-- closes it.
-- KEYS: used. ARGV: session, idle seconds.
local used = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not used or redis.call('TIME')[1] - used < tonumber(ARGV[2]) then
  return 0
end
return redis.call('ZREM', KEYS[1], ARGV[1])
