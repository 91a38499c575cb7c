-- Notes that a job's call goes out now: from here on nobody does it again. 0: it is another's.
-- KEYS: jobs, leases. ARGV: job, owner, tries, lease.
local job = held(ARGV[1], ARGV[2], ARGV[3])
if not job then
  return 0
end
job.state = 'sent'
keep(ARGV[1], job, ARGV[4])
return 1
