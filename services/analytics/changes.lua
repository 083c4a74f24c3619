-- A list of changes to one partition's counters, made behind a guard: all of it or nothing.
-- KEYS: position, fresh, state. ARGV: guard, expected, next position, fresh, phase, the time of a
-- rebuild's end; then the changes, each a letter and its words (see changes.h).
--
-- An error would leave the writes before it, so the list is walked once without writing: unknown
-- letters, missing words and amounts that are no numbers are found there. An expiry is set when a
-- field is new (its sum is then the amount), not with each write. Sequences are compared as
-- strings: Lua's numbers lose the digits of a large one.

local call, argv = redis.call, ARGV
local guard, expected, position, fresh, phase = argv[1], argv[2], argv[3], argv[4], argv[5]
local stored = call('GET', KEYS[1])
if guard == 'position' then
  if stored ~= expected then return {0, stored or ''} end
elseif guard == 'counting' then
  if not stored then return {0, ''} end
elseif call('HGET', KEYS[3], 'token') ~= expected then
  return {0, stored or ''}
end

-- How many words a change has; the words that must be numbers. V: D visitors follow.
local words = {B = 5, D = 6, T = 4, L = 5, P = 4, V = 7, K = 2, R = 7, Q = 9, E = 2, S = 4}
local number = {B = 3, D = 3, T = 3, P = 3, V = 3, R = 6, Q = 3, S = 3}
local i, n = 7, #argv
while i <= n do
  local op = argv[i]
  local size, at = words[op], number[op]
  if not size or (at and not tonumber(argv[i + at])) then
    return redis.error_reply('ERR change ' .. i .. ' is malformed')
  end
  if op == 'P' or op == 'V' then size = size + tonumber(argv[i + 3]) end
  i = i + size
end
if i ~= n + 1 then return redis.error_reply('ERR the last change is cut off') end

-- a >= b for sequences without leading zeros.
local function reaches(a, b) return #a > #b or (#a == #b and a >= b) end

-- The visitors of a day; argv[i + 4] is the sum's key, argv[i + 5] the day keys' prefix.
local function add_day_visitors(i, last)
  local key, ttl, sum, day = argv[i + 1], argv[i + 2], argv[i + 4], argv[i + 6]
  local prefix = argv[i + 5]
  local open = call('HGET', sum, 'day')
  if open and tonumber(open) > tonumber(day) then
    local before = call('PFCOUNT', key)
    if call('PFADD', key, unpack(argv, i + 7, last)) == 1 then
      call('EXPIRE', key, ttl)
      call('HINCRBY', sum, 'sum', call('PFCOUNT', key) - before)
    end
    return
  end
  if open ~= day then
    if open then
      call('HINCRBY', sum, 'sum', call('PFCOUNT', prefix .. open))
      call('EXPIRE', prefix .. open, tonumber(ttl) - (tonumber(day) - tonumber(open)) * 86400)
    end
    call('HSET', sum, 'day', day)
  end
  call('PFADD', key, unpack(argv, i + 7, last))
end

-- A new day begins in the hash of days: the days that are no longer kept go.
local function drop_days(key, oldest)
  for _, day in ipairs(call('HKEYS', key)) do
    if tonumber(day) < tonumber(oldest) then call('HDEL', key, day) end
  end
end
local items, open = {}, false
i = 7
while i <= n do
  local op, key = argv[i], argv[i + 1]
  if op == 'B' then
    if call('HINCRBY', key, argv[i + 2], argv[i + 3]) == tonumber(argv[i + 3]) then
      call('EXPIRE', key, argv[i + 4])
    end
    i = i + 5
  elseif op == 'T' then
    call('HINCRBY', key, argv[i + 2], argv[i + 3])
    i = i + 4
  elseif op == 'D' then
    if call('HINCRBY', key, argv[i + 2], argv[i + 3]) == tonumber(argv[i + 3]) then
      call('EXPIRE', key, argv[i + 4])
      drop_days(key, argv[i + 5])
    end
    i = i + 6
  elseif op == 'L' then
    if call('HSET', key, argv[i + 2], argv[i + 3]) == 1 then
      call('EXPIRE', key, argv[i + 4])
    end
    i = i + 5
  elseif op == 'P' then
    local last = i + 3 + tonumber(argv[i + 3])
    if call('PFADD', key, unpack(argv, i + 4, last)) == 1 then
      call('EXPIRE', key, argv[i + 2])
    end
    i = last + 1
  elseif op == 'V' then
    local last = i + 6 + tonumber(argv[i + 3])
    add_day_visitors(i, last)
    i = last + 1
  elseif op == 'K' then
    call('UNLINK', key)
    i = i + 2
  elseif op == 'R' then
    local last = call('HGET', key, argv[i + 2]) or '0'
    open = reaches(argv[i + 3], last) and reaches(stored, argv[i + 4])
      and call('HLEN', argv[i + 5]) == tonumber(argv[i + 6])
    items[#items + 1] = open and '1' or '0'
    i = i + 7
  elseif op == 'E' then
    open = stored == key
    items[#items + 1] = open and '1' or '0'
    i = i + 2
  elseif op == 'Q' then
    local by = open and tonumber(argv[i + 3]) - tonumber(call('HGET', key, argv[i + 2]) or 0)
    if by and by ~= 0 then
      call('HINCRBY', key, argv[i + 2], by)
      call('EXPIRE', key, argv[i + 4])
      call('HINCRBY', argv[i + 5], argv[i + 6], by)
      call('EXPIRE', argv[i + 5], 864000)
      call('HINCRBY', argv[i + 7], argv[i + 8], by)
      items[#items] = '2'
    end
    i = i + 9
  else
    local by = open and tonumber(argv[i + 3]) - tonumber(call('HGET', key, argv[i + 2]) or 0)
    if by and by ~= 0 then
      call('HINCRBY', key, argv[i + 2], by)
      items[#items] = '2'
    end
    i = i + 4
  end
end
if position ~= '' then call('SET', KEYS[1], position) end
if fresh ~= '' then call('SET', KEYS[2], fresh) end
if phase == 'done' then
  call('HDEL', KEYS[3], 'rebuild', 'token')
  call('HSET', KEYS[3], 'rebuilt_at', argv[6])
elseif phase ~= '' then
  call('HSET', KEYS[3], 'rebuild', phase)
end
return {1, table.concat(items)}
