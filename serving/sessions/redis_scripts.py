"""What a Redis server does for sessions, in Lua: each script is atomic for all of its users.

A user is a hash: t touched, i items (int32), r responses (float32), w R, v version, u updated,
d decisions of which an item was taken (8 bytes each), s open sessions. A session is {name, began,
last, steps, requests}, and its requests are 8 bytes and the step, the oldest first. All users stand
in one sorted set by the time at which they were seen last.
"""

from __future__ import annotations

from serving.links.redis import Script

_COMMON = """
local users = KEYS[1]
local now, ttl, length = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[4])
redis.call('ZREMRANGEBYSCORE', users, '-inf', '(' .. string.format('%.17g', now - ttl))

local function later(time)  -- of two times, as they were written: a clock may go back
  if time and tonumber(time) > now then return time end
  return ARGV[1]
end

local function position(packed, entry, size)  -- of an entry of 8 bytes in records of `size`
  local at = string.find(packed, entry, 1, true)
  while at and (at - 1) % size ~= 0 do at = string.find(packed, entry, at + 1, true) end
  return at
end

local function read(key)
  local user = redis.call('HMGET', key, 't', 'i', 'r', 'v', 'u', 's', 'd')
  if user[1] and tonumber(user[1]) + ttl < now then
    redis.call('DEL', key)
    return {}
  end
  return user
end

local function touch(key, touched)
  redis.call('PEXPIRE', key, ARGV[3])
  if redis.call('ZADD', users, touched, key) == 0 then return end
  local most = tonumber(ARGV[5])
  while redis.call('ZCARD', users) > most do
    local oldest = redis.call('ZRANGE', users, 0, 1)
    local gone = oldest[1] ~= key and oldest[1] or oldest[2]
    if not gone then return end
    redis.call('DEL', gone)
    redis.call('ZREM', users, gone)
  end
end
"""

OPEN = Script(
    _COMMON
    + """
local idle, requests, most_sessions = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])

local function session_of(sessions, name, request, id, began)
  for at, one in ipairs(sessions) do
    if one[1] == name then
      table.remove(sessions, at)
      local goes_on = began == one[2]
      if began == '' then
        goes_on = now <= tonumber(one[3]) + idle or position(one[5], request, 12)
      end
      if goes_on then return one end
      break
    end
  end
  return {name, began ~= '' and began or id, ARGV[1], 0, ''}
end

local function step_of(session, request, given)
  session[3] = later(session[3])
  local at = position(session[5], request, 12)
  if at then return (struct.unpack('<i4', session[5], at + 8)) end
  local step = given ~= '' and tonumber(given) or session[4]
  session[5] = string.sub(session[5] .. request .. struct.pack('<i4', step), -12 * requests)
  session[4] = math.max(session[4], step + 1)
  return step
end

local seen = {}
for nth = 2, #KEYS do
  local key, at = KEYS[nth], 8 + 9 * (nth - 2)
  local user = read(key)
  if not user[1] then
    user[2], user[3], user[4], user[5] = ARGV[at + 6], ARGV[at + 7], ARGV[at + 8], false
    redis.call('HSET', key, 'i', user[2], 'r', user[3], 'v', user[4], 'w', ARGV[at + 9])
  end
  local sessions = user[6] and cmsgpack.unpack(user[6]) or {}
  local session = session_of(sessions, ARGV[at + 1], ARGV[at + 3], ARGV[at + 2], ARGV[at + 5])
  local step = step_of(session, ARGV[at + 3], ARGV[at + 4])
  table.insert(sessions, session)
  while #sessions > most_sessions do table.remove(sessions, 1) end
  local touched = later(user[1])
  redis.call('HSET', key, 't', touched, 's', cmsgpack.pack(sessions))
  touch(key, touched)
  seen[nth - 1] = {user[2], user[3], user[4], user[5], step, session[2]}
end
return seen
"""
)

APPLY = Script(
    _COMMON
    + """
local decisions, new = tonumber(ARGV[6]), 0
for nth = 2, #KEYS do
  local key, at = KEYS[nth], 6 + 3 * (nth - 2)
  local decision, responses = ARGV[at + 1], ARGV[at + 3]
  local user = read(key)
  local told, touched = user[7] or '', later(user[1])
  if position(told, decision, 8) then
    redis.call('HSET', key, 't', touched)
  else
    redis.call('HSET', key, 't', touched, 'u', ARGV[1], 'w', #responses / 4,
      'i', string.sub((user[2] or '') .. ARGV[at + 2], -4 * length),
      'r', string.sub((user[3] or '') .. responses, -#responses * length),
      'v', string.format('%d', (user[4] or 0) + 1),
      'd', string.sub(told .. decision, -8 * decisions))
    new = new + 1
  end
  touch(key, touched)
end
return new
"""
)

PEEK = Script(
    """
local known = {}
for nth, key in ipairs(KEYS) do known[nth] = redis.call('HMGET', key, 'i', 'r', 'v', 'u', 'w') end
return known
"""
)

FORGET = Script(
    """
local known = 0
for nth = 2, #KEYS do
  known = known + redis.call('DEL', KEYS[nth])
  redis.call('ZREM', KEYS[1], KEYS[nth])
end
return known
"""
)
