-- Prolongs what is still theirs who ask, also where its time was over and nobody has noticed.
-- KEYS: jobs, leases. ARGV: owner, lease, then job and tries each.
local deadline = now_ms() + tonumber(ARGV[2])
for at = 3, #ARGV, 2 do
  if held(ARGV[at], ARGV[1], ARGV[at + 1]) then
    redis.call('ZADD', KEYS[2], deadline, ARGV[at])
  end
end
return 1
