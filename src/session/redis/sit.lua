-- Takes the seat of a session's stream, if it is still as it was seen. 1: it is taken now.
-- KEYS: seat. ARGV: seen, owner, seconds, channel, news.
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
redis.pcall('PUBLISH', ARGV[4], ARGV[5])
return 1
