-- Ends a session; gives what was kept of it, so that it can be closed at servers.
-- KEYS: session, ended, seat. ARGV: seconds, channel, news.
local kept = redis.call('HGETALL', KEYS[1])
-- First what needs no memory: a Redis that is full takes the rest after it.
redis.call('DEL', KEYS[1], KEYS[3])
redis.call('SET', KEYS[2], '1', 'EX', ARGV[1])
redis.pcall('PUBLISH', ARGV[2], ARGV[3])
return kept
