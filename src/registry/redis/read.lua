-- What has changed since a version, or everything. One step, so that it is one state.
-- KEYS: meta, rows, log, dead, heads. ARGV: epoch, decided, generation, changed | all.
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'decided', 'generation', 'floor')
if not meta[1] then
  return {}
end
local since = tonumber(ARGV[3])
local is_known = meta[1] == ARGV[1] and meta[2] == ARGV[2]
local is_near = since <= tonumber(meta[3]) and since >= tonumber(meta[4])
local now = redis.call('HGET', KEYS[5], meta[3]) or ''
local head_then = redis.call('HGET', KEYS[5], ARGV[3]) or ''
if ARGV[4] == 'all' or not is_known or not is_near then
  return {meta[1], meta[2], meta[3], now, head_then, 'all', redis.call('HGETALL', KEYS[2]), {}}
end
local rows = {}
for _, field in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. ARGV[3], '+inf')) do
  rows[#rows + 1] = field
  rows[#rows + 1] = redis.call('HGET', KEYS[2], field)
end
local gone = redis.call('ZRANGEBYSCORE', KEYS[4], '(' .. ARGV[3], '+inf')
return {meta[1], meta[2], meta[3], now, head_then, 'changed', rows, gone}
