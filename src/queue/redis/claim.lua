-- Takes the oldest jobs out of their lists, list by list. Gives how many messages were put aside, then id, list
-- and message of each job.
-- KEYS: jobs, leases, poison, then the lists; of the last everything is ours.
-- ARGV: owner, lease, most, a name for these jobs, bytes max, poison max.
local most, bytes_max = tonumber(ARGV[3]), tonumber(ARGV[5])

-- So many of a list's oldest messages are looked at: what others leave there must not make each look longer.
local LOOKED_AT = 50

-- And at so many bytes of them, or at one message: Redis does nothing else meanwhile.
local BYTES_LOOKED_AT = 262144

local OURS = {mcp_search = true, mcp_tool_call = true}

-- The lists of agents have other consumers too. What cannot be read may be meant for one of them, in a format of
-- its own, so it is no more ours than another action: it stays where it is.
local function is_ours(message)
  if #message > bytes_max or not message:find('mcp_', 1, true) then
    return false
  end
  local is_json, decoded = pcall(cjson.decode, message)
  return is_json and type(decoded) == 'table' and OURS[decoded.action] == true
end

local function put_aside(list, message)
  local entry = {message = message:sub(1, 1024), list = list, reason = 'it is larger than limits.body_bytes'}
  entry.at = now_ms() / 1000
  redis.pcall('LPUSH', KEYS[3], cjson.encode(entry))
  redis.pcall('LTRIM', KEYS[3], 0, tonumber(ARGV[6]) - 1)
end

local found, count = {0}, 0
for at = 4, #KEYS do
  local list, is_all_ours = KEYS[at], at == #KEYS
  local back, bytes = -1, 0
  for _ = 1, LOOKED_AT do
    -- What is no list hides no other.
    local message = count < most and redis.pcall('LINDEX', list, back)
    if type(message) ~= 'string' or (bytes > 0 and bytes + #message > BYTES_LOOKED_AT) then
      break
    end
    bytes = bytes + #message
    if is_all_ours and #message > bytes_max then
      redis.call('LREM', list, -1, message)
      put_aside(list, message)
      found[1] = found[1] + 1
    elseif is_all_ours or is_ours(message) then
      redis.call('LREM', list, -1, message)
      count = count + 1
      local id = ARGV[4] .. '-' .. count
      keep(id, {message = message, list = list, owner = ARGV[1], tries = 1, state = 'claimed'}, ARGV[2])
      found[#found + 1] = id
      found[#found + 1] = list
      found[#found + 1] = message
    else
      back = back - 1
    end
  end
end
return found
