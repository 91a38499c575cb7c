-- Something that a client has asked for in its session; an empty value takes it back.
-- KEYS: session, ended. ARGV: field, value, seconds, channel, news, fields at most.
if redis.call('EXISTS', KEYS[2]) == 1 then
  return 0
end
local there = redis.call('HGET', KEYS[1], ARGV[1])
if ARGV[2] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
elseif there or redis.call('HLEN', KEYS[1]) < tonumber(ARGV[6]) then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
  redis.call('EXPIRE', KEYS[1], ARGV[3])
end
redis.pcall('PUBLISH', ARGV[4], ARGV[5])
return 1
