-- A session with a server was opened for a session of a client. The first one counts, unless it is the one that
-- was lost. {ended}, {taken, what is there}, or {kept, who reads the client's stream}.
-- KEYS: session, ended, seat. ARGV: field, mark, value, lost mark, seconds, channel, news.
if redis.call('EXISTS', KEYS[2]) == 1 then
  return {'ended', ''}
end
local there = redis.call('HGET', KEYS[1], ARGV[1])
local mark = there and there:match('^%x+')
if mark and mark ~= ARGV[2] and mark ~= ARGV[4] then
  return {'taken', there}
end
if mark ~= ARGV[2] then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ':' .. ARGV[3])
  redis.pcall('PUBLISH', ARGV[6], ARGV[7])
end
redis.call('EXPIRE', KEYS[1], ARGV[5])
return {'kept', redis.call('GET', KEYS[3]) or ''}
