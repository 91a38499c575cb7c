-- An operator has decided: what is here counts (adopt), or what is sent does (restore).
-- KEYS: meta, rows, log, dead, heads. ARGV: adopt | restore, epoch, decided, generation, head, channel, then field and value each.
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if ARGV[1] == 'adopt' and epoch then
  redis.call('HSET', KEYS[1], 'decided', ARGV[3])
  redis.pcall('PUBLISH', ARGV[6], epoch .. ' decided')
  return redis.call('HGET', KEYS[1], 'generation')
end
redis.call('DEL', unpack(KEYS))
redis.call('HSET', KEYS[1], 'epoch', ARGV[2], 'decided', ARGV[3], 'generation', ARGV[4], 'floor', ARGV[4])
redis.call('HSET', KEYS[5], ARGV[4], ARGV[5])
for at = 7, #ARGV, 2 do
  redis.call('HSET', KEYS[2], ARGV[at], ARGV[at + 1])
  redis.call('ZADD', KEYS[3], ARGV[4], ARGV[at])
end
redis.pcall('PUBLISH', ARGV[6], ARGV[2] .. ' decided')
return ARGV[4]
