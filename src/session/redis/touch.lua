-- These sessions were used until now, by this clock.
-- KEYS: used. ARGV: sessions.
local now = redis.call('TIME')[1]
for _, session in ipairs(ARGV) do
  redis.call('ZADD', KEYS[1], now, session)
end
return 1
