-- A list of changes to one partition's counters, made behind a guard: all of it or nothing.
-- KEYS: position, fresh, state, and one that never exists: a node of Redis Cluster that is giving the
-- slot away refuses the call for its sake, where it would fail half-way at a key that has gone
-- already. ARGV: guard, expected, token, next position, fresh, phase, the time
-- of a rebuild's end; then the changes, each a letter and its words.
--
-- What is not written is cheap, what is written goes into the append-only file as well: so an expiry
-- is set when a field is new (its sum is then the amount), and not at all where changes.c knows that
-- the key has one. The list comes from changes.c alone and is not checked here again: that would
-- cost as much as a third of the writes. Sequences are compared as strings: Lua's numbers lose the
-- digits of a large one.

local call, argv = redis.call, ARGV
local guard, expected, token, position = argv[1], argv[2], argv[3], argv[4]
local fresh, phase, rebuilt_at = argv[5], argv[6], argv[7]
local stored = call('GET', KEYS[1])
local holder = call('HGET', KEYS[3], 'token') or ''
if (guard == 'position' and (stored ~= expected or holder ~= token))
  or (guard == 'counting' and not stored)
  or (guard == 'rebuilding' and holder ~= token) then
  return {0, stored or ''}
end

local whole = stored and string.match(stored, '^%d+') -- without the part of the next message
local items, open, late = {}, false, 0

-- a >= b for sequences without leading zeros.
local function reaches(a, b) return #a > #b or (#a == #b and a >= b) end

-- Makes the field hold `target`, when the item's condition holds. Returns what it moved by.
local function set(key, field, target)
  local by = open and tonumber(target) - tonumber(call('HGET', key, field) or 0) or 0
  if by ~= 0 then
    call('HINCRBY', key, field, by)
    items[#items] = '2'
  end
  return by
end

-- Each change is called with the index of its first word and returns the index behind its last.
local changes = {}

-- add: key, field, amount
function changes.A(i)
  call('HINCRBY', argv[i], argv[i + 1], argv[i + 2])
  return i + 3
end

-- add to a bucket: key, field, amount, seconds to live
function changes.B(i)
  if call('HINCRBY', argv[i], argv[i + 1], argv[i + 2]) == tonumber(argv[i + 2]) then
    call('EXPIRE', argv[i], argv[i + 3])
  end
  return i + 4
end

-- add to a day: key, day, amount, seconds to live, oldest day. When the day is new, the days that
-- are no longer kept go.
function changes.D(i)
  local key, oldest = argv[i], tonumber(argv[i + 4])
  if call('HINCRBY', key, argv[i + 1], argv[i + 2]) == tonumber(argv[i + 2]) then
    call('EXPIRE', key, argv[i + 3])
    for _, day in ipairs(call('HKEYS', key)) do
      if tonumber(day) < oldest then call('HDEL', key, day) end
    end
  end
  return i + 5
end

-- set: key, field, value
function changes.H(i)
  call('HSET', argv[i], argv[i + 1], argv[i + 2])
  return i + 3
end

-- set in a hash that expires: key, field, value, seconds to live
function changes.L(i)
  if call('HSET', argv[i], argv[i + 1], argv[i + 2]) == 1 then
    call('EXPIRE', argv[i], argv[i + 3])
  end
  return i + 4
end

-- visitors: key, count, visitors
function changes.U(i)
  local last = i + 1 + tonumber(argv[i + 1])
  call('PFADD', argv[i], unpack(argv, i + 2, last))
  return last + 1
end

-- visitors of what expires: key, seconds to live, count, visitors
function changes.P(i)
  local last = i + 2 + tonumber(argv[i + 2])
  if call('PFADD', argv[i], unpack(argv, i + 3, last)) == 1 then
    call('EXPIRE', argv[i], argv[i + 1])
  end
  return last + 1
end

-- visitors of a day: key, seconds to live, count, the sum's key, the day keys' prefix, day, visitors.
-- The first visitor of a new day closes the one before; a late visitor of a closed day goes into
-- the sum as well.
function changes.V(i)
  local key, ttl, sum, prefix, day = argv[i], argv[i + 1], argv[i + 3], argv[i + 4], argv[i + 5]
  local last = i + 5 + tonumber(argv[i + 2])
  local open_day = call('HGET', sum, 'day')
  if open_day and tonumber(open_day) > tonumber(day) then
    late = 1
    local before = call('PFCOUNT', key)
    if call('PFADD', key, unpack(argv, i + 6, last)) == 1 then
      call('EXPIRE', key, ttl)
      call('HINCRBY', sum, 'sum', call('PFCOUNT', key) - before)
    end
    return last + 1
  end
  if open_day ~= day then
    if open_day then
      call('HINCRBY', sum, 'sum', call('PFCOUNT', prefix .. open_day))
      call('EXPIRE', prefix .. open_day, ttl - (day - open_day) * 86400)
    end
    call('HSET', sum, 'day', day)
  end
  call('PFADD', key, unpack(argv, i + 6, last))
  return last + 1
end

-- delete: key
function changes.K(i)
  call('UNLINK', argv[i])
  return i + 1
end

-- begin an item: last sequences' key, field, PostgreSQL's position, needed sequence, totals' key,
-- series known
function changes.R(i)
  local last = call('HGET', argv[i], argv[i + 1]) or '0'
  open = reaches(argv[i + 2], last) and reaches(whole, argv[i + 3])
    and call('HLEN', argv[i + 4]) == tonumber(argv[i + 5])
  items[#items + 1] = open and '1' or '0'
  return i + 6
end

-- begin an item of a total: PostgreSQL's position
function changes.E(i)
  open = stored == argv[i]
  items[#items + 1] = open and '1' or '0'
  return i + 1
end

-- set a quarter hour: key, field, target, seconds to live; the day's key, field; the total's
function changes.Q(i)
  local by = set(argv[i], argv[i + 1], argv[i + 2])
  if by ~= 0 then
    call('EXPIRE', argv[i], argv[i + 3])
    call('HINCRBY', argv[i + 4], argv[i + 5], by)
    call('EXPIRE', argv[i + 4], 864000)
    call('HINCRBY', argv[i + 6], argv[i + 7], by)
  end
  return i + 8
end

-- set a total: key, series, target
function changes.S(i)
  set(argv[i], argv[i + 1], argv[i + 2])
  return i + 3
end

local i, n = 8, #argv
while i <= n do
  i = changes[argv[i]](i + 1)
end

if position ~= '' then call('SET', KEYS[1], position) end
if fresh ~= '' then call('SET', KEYS[2], fresh) end
if phase == 'done' then
  call('HDEL', KEYS[3], 'rebuild')
  call('HSET', KEYS[3], 'rebuilt_at', rebuilt_at)
elseif phase ~= '' then
  call('HSET', KEYS[3], 'rebuild', phase)
end
return {1, table.concat(items), late}
