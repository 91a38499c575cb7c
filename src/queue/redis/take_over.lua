-- Makes jobs whose lease is over those of who asks. Gives id, list, message, state and tries of each.
-- KEYS: jobs, leases. ARGV: owner, lease, most.
local taken = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now_ms(), 'LIMIT', 0, ARGV[3])) do
  local text = redis.call('HGET', KEYS[1], id)
  if text then
    local job = cjson.decode(text)
    job.owner, job.tries = ARGV[1], job.tries + 1
    keep(id, job, ARGV[2])
    for _, part in ipairs({id, job.list, job.message, job.state, job.tries}) do
      taken[#taken + 1] = part
    end
  else
    drop(id)
  end
end
return taken
