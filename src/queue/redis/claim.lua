-- Takes the oldest jobs out of their lists, list by list. Gives how many messages were put aside, then id, list
-- and message of each job.
-- KEYS: jobs, leases, poison, then the lists; of the last everything is ours.
-- ARGV: owner, lease, most, a name for these jobs, bytes max, poison max.
local most, bytes_max = tonumber(ARGV[3]), tonumber(ARGV[5])

-- So many of a list's oldest messages are looked at: what others leave there must not make each look longer.
local LOOKED_AT = 50

local OURS = {mcp_search = true, mcp_tool_call = true}

-- The lists of agents have other consumers too. What cannot be read may be meant for one of them, in a format of
-- its own, so it is no more ours than another action: it stays where it is.
local function is_ours(message)
  if #message > bytes_max then
    return false
  end
  local is_json, decoded = pcall(cjson.decode, message)
  return is_json and type(decoded) == 'table' and OURS[decoded.action] == true
end

local found, count = {0}, 0
for at = 4, #KEYS do
  local list, is_all_ours = KEYS[at], at == #KEYS
  -- What is no list hides no other.
  local messages = count < most and redis.pcall('LRANGE', list, -LOOKED_AT, -1) or {}
  for back = #messages, 1, -1 do
    local message = messages[back]
    if count == most then
      break
    end
    if is_all_ours and #message > bytes_max then
      redis.call('LREM', list, -1, message)
      local entry = {message = message:sub(1, 1024), list = list, reason = 'it is larger than limits.body_bytes'}
      entry.at = now_ms() / 1000
      redis.call('LPUSH', KEYS[3], cjson.encode(entry))
      redis.call('LTRIM', KEYS[3], 0, tonumber(ARGV[6]) - 1)
      found[1] = found[1] + 1
    elseif is_all_ours or is_ours(message) then
      redis.call('LREM', list, -1, message)
      count = count + 1
      local id = ARGV[4] .. '-' .. count
      keep(id, {message = message, list = list, owner = ARGV[1], tries = 1, state = 'claimed'}, ARGV[2])
      found[#found + 1] = id
      found[#found + 1] = list
      found[#found + 1] = message
    end
  end
end
return found
