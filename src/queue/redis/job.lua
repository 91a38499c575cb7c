-- What every script begins with. KEYS: jobs, leases.
-- A job is {message, list, owner, tries, state}; it is one replica's, in one try, until its lease is over and
-- another takes it over. Leases run by the clock of Redis: those of the replicas differ.
local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- The job, if it is still theirs who ask.
local function held(id, owner, tries)
  local text = redis.call('HGET', KEYS[1], id)
  local job = text and cjson.decode(text)
  return job and job.owner == owner and job.tries == tonumber(tries) and job or nil
end

local function keep(id, job, lease)
  redis.call('HSET', KEYS[1], id, cjson.encode(job))
  redis.call('ZADD', KEYS[2], now_ms() + tonumber(lease), id)
end

local function drop(id)
  redis.call('HDEL', KEYS[1], id)
  redis.call('ZREM', KEYS[2], id)
end
