import * as Scripts from "./scripts.ts"

/**
 * Of a key, two hashes by position: `parked:`, what stands aside, and `parked-held:`, by whom it is being forgotten, and until
 * when.
 */
const keys = `
local parked, held = base .. 'parked:' .. ARGV[1], base .. 'parked-held:' .. ARGV[1]
local function holderOf(position)
  local h = call('HGET', held, position)
  if not h then return nil end
  local till, token = string.match(h, '^(%d+) (.+)$')
  if not till then corrupt('who holds what was put aside') end
  return token, tonumber(till)
end
`

/** Adds entries that are not there: key, then position and entry of each. */
export const addParked: Scripts.Script = Scripts.writes(
  keys,
  `
for i = 2, #ARGV, 2 do call('HSETNX', parked, ARGV[i], ARGV[i + 1]) end
return 1
`
)

/**
 * Holds the entries that are there, all or none: key, token, for how long, positions. Answers how many they are, or -1 where
 * somebody else holds one.
 */
export const holdParked: Scripts.Script = Scripts.writes(
  keys,
  `
local now, there = clock(), 0
for i = 4, #ARGV do
  local token, till = holderOf(ARGV[i])
  if token and token ~= ARGV[2] and till > now then return -1 end
end
for i = 4, #ARGV do
  if call('HEXISTS', parked, ARGV[i]) == 1 then
    call('HSET', held, ARGV[i], text(now + tonumber(ARGV[3])) .. ' ' .. ARGV[2])
    there = there + 1
  end
end
return there
`
)

/** Ends a hold: key, token, whether the entries are forgotten, positions. What somebody else has come to hold stays. */
export const settleParked: Scripts.Script = Scripts.writes(
  keys,
  `
for i = 4, #ARGV do
  if holderOf(ARGV[i]) == ARGV[2] then
    if ARGV[3] == '1' then call('HDEL', parked, ARGV[i]) end
    call('HDEL', held, ARGV[i])
  end
end
return 1
`
)

/** Says of an entry that it failed again: key, position, problem, and a token by which a call that is sent again knows its own. */
export const failParked: Scripts.Script = Scripts.writes(
  keys,
  `
local found = call('HGET', parked, ARGV[2])
if not found then return 0 end
local ok, entry = pcall(cjson.decode, found)
local attempts = ok and type(entry) == 'table' and tonumber(entry.attempts)
if not attempts then corrupt('what was put aside at ' .. ARGV[2]) end
if entry.told == ARGV[4] then return 1 end
entry.reason, entry.problem, entry.attempts, entry.told = 'failed', ARGV[3], attempts + 1, ARGV[4]
call('HSET', parked, ARGV[2], cjson.encode(entry))
return 1
`
)
