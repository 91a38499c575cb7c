-- Sessions that nobody has used for so long: their replica may be gone.
-- KEYS: used. ARGV: idle seconds, how many at most.
local until_ = redis.call('TIME')[1] - tonumber(ARGV[1])
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', until_, 'LIMIT', 0, ARGV[2])
