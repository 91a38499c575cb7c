-- What is kept of a session. {0}: it has ended.
-- KEYS: session, ended.
if redis.call('EXISTS', KEYS[2]) == 1 then
  return {0, {}}
end
return {1, redis.call('HGETALL', KEYS[1])}
