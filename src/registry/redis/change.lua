-- Changes rows, if the registry is still at the version that was judged. 0: it is not.
-- KEYS: meta, rows, log, dead, heads.
-- ARGV: epoch, decided, generation, head, next head, channel, heads kept, tombstones kept, then field and =value or -
-- each.
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'decided', 'generation')
if meta[1] then
  local head = redis.call('HGET', KEYS[5], ARGV[3])
  if meta[1] ~= ARGV[1] or meta[2] ~= ARGV[2] or meta[3] ~= ARGV[3] or head ~= ARGV[4] then
    return 0
  end
else
  -- A registry begins with whoever knows of none.
  if ARGV[3] ~= '0' then
    return 0
  end
  redis.call('DEL', unpack(KEYS))
  redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'decided', ARGV[2], 'floor', 0)
end
local generation = tonumber(ARGV[3]) + 1
for at = 9, #ARGV, 2 do
  local field, value = ARGV[at], ARGV[at + 1]
  if value:sub(1, 1) == '=' then
    redis.call('HSET', KEYS[2], field, value:sub(2))
    redis.call('ZADD', KEYS[3], generation, field)
    redis.call('ZREM', KEYS[4], field)
  else
    redis.call('HDEL', KEYS[2], field)
    redis.call('ZREM', KEYS[3], field)
    redis.call('ZADD', KEYS[4], generation, field)
  end
end
-- Whoever stands before a tombstone that is dropped reads everything.
local dropped = redis.call('ZCARD', KEYS[4]) - tonumber(ARGV[8])
if dropped > 0 then
  local popped = redis.call('ZPOPMIN', KEYS[4], dropped)
  redis.call('HSET', KEYS[1], 'floor', popped[#popped])
end
redis.call('HSET', KEYS[1], 'generation', generation)
redis.call('HSET', KEYS[5], generation, ARGV[5])
redis.call('HDEL', KEYS[5], generation - tonumber(ARGV[7]))
-- A hint: whoever may not give it has changed the registry all the same.
redis.pcall('PUBLISH', ARGV[6], ARGV[1] .. ' ' .. generation)
return generation
