-- A rebuild takes a partition over: without a position nobody counts, and the token makes it the
-- only rebuild. KEYS: position, fresh, state, one that never exists. ARGV: the last whole message of the position that is
-- to go ("": none, "*": any), token.
local stored = redis.call('GET', KEYS[1]) or ''
if string.match(stored, '^%d*') ~= ARGV[1] and ARGV[1] ~= '*' then return {0, stored} end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[3], 'rebuild', 'totals', 'token', ARGV[2])
return {1, ''}
