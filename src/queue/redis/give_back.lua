-- Puts a job that nobody has sent back to where it came from, as the oldest. 0: it was sent, or is another's.
-- KEYS: jobs, leases, its list. ARGV: job, owner, tries.
local job = held(ARGV[1], ARGV[2], ARGV[3])
if not job or job.state ~= 'claimed' then
  return 0
end
redis.call('RPUSH', KEYS[3], job.message)
drop(ARGV[1])
return 1
