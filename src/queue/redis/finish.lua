-- Writes a job's answer, once: the job goes with it. 0: it is another's, or was answered. 2: some of it was refused.
-- KEYS: jobs, leases, poison. ARGV: job, owner, tries, poison max, poison or '', the list for the reply or '', reply,
-- the request's hash or '', seconds to keep it, then its fields and values.
-- The last two keys are named by whoever pushed the job. Were they among KEYS, one that this user may not write
-- would refuse the script, and not the key.
local job = held(ARGV[1], ARGV[2], ARGV[3])
if not job then
  return 0
end

-- What a script has done when it breaks off stays done, so nothing that may be refused is simply called.
local refused
local function try(...)
  local answer = redis.pcall(...)
  if type(answer) == 'table' and answer.err then
    refused = refused or answer.err
  end
  return answer
end

local poison, list, request, seconds = ARGV[5], ARGV[6], ARGV[8], tonumber(ARGV[9])
if request ~= '' then
  local left = try('TTL', request)
  try('HSET', request, unpack(ARGV, 10))
  -- Whoever keeps a request without an end keeps its answer with it.
  if not refused and left ~= -1 and left < seconds then
    try('EXPIRE', request, seconds)
  end
end
if list ~= '' then
  try('LPUSH', list, ARGV[7])
end
if refused and poison == '' then
  local reason = 'its answer could not be written: ' .. refused
  poison = cjson.encode({message = job.message, list = job.list, reason = reason, at = now_ms() / 1000})
end
if poison ~= '' then
  try('LPUSH', KEYS[3], poison)
  try('LTRIM', KEYS[3], 0, tonumber(ARGV[4]) - 1)
end
drop(ARGV[1])
return refused and 2 or 1
