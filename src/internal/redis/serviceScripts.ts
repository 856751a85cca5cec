import * as Scripts from "./scripts.ts"

/** Keeps a snapshot that is not older than the one there: key, fingerprint, version, position (-1 for none), and the value. */
export const saveSnapshot: Scripts.Script = Scripts.writes(`
local key, field, version, position = base .. 'snapshot:' .. ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local known = call('HGET', key, field)
if known then
  local v, p = string.match(known, '^(%d+) (%-?%d+) ')
  v, p = number(v, 'a snapshot') or corrupt('a snapshot'), tonumber(p)
  if version < v or (version == v and position < p) then return 0 end
end
call('HSET', key, field, ARGV[5])
return 1
`)

/**
 * Moves a checkpoint from where it is expected: name, expected (`""` for nowhere), next, and a token by which a call that is sent
 * again knows its own. Answers where it stands otherwise, or that it stands nowhere.
 */
export const moveCheckpoint: Scripts.Script = Scripts.writes(`
local key, known = base .. 'checkpoints', call('HGET', base .. 'checkpoints', ARGV[1])
local actual, token = '', ''
if known then
  actual, token = string.match(known, '^(%d+) (.*)$')
  if not actual then corrupt('a checkpoint') end
end
if token == ARGV[4] then return {'moved'} end
if actual ~= ARGV[2] then return {'other', actual} end
call('HSET', key, ARGV[1], ARGV[3] .. ' ' .. ARGV[4])
return {'moved'}
`)

/** The time by which a lease runs out: what was given, or the server's. */
const leaseClock = `
local key = base .. 'lease:' .. ARGV[1]
local now = ARGV[2] == '' and clock() or tonumber(ARGV[2])
local l = call('HMGET', key, 'token', 'until', 'claim', 'machine', 'process')
local token, till = number(l[1], 'a lease') or 0, number(l[2], 'a lease') or 0
`

/**
 * Takes a lease that is free: name, time, for how long, a claim by which a call that is sent again knows its own, whose it is, machine,
 * process, and the token of a holder that is dead. Answers its token, or else who holds it.
 */
export const claimLease: Scripts.Script = Scripts.writes(
  leaseClock,
  `
if l[3] == ARGV[4] and till > now then return {'claimed', text(token)} end
if till > now and ARGV[8] ~= text(token) then return {'held', text(token), l[4] or '', l[5] or ''} end
call('HSET', key, 'token', text(token + 1), 'until', text(now + tonumber(ARGV[3])), 'claim', ARGV[4], 'owner', ARGV[5],
  'machine', ARGV[6], 'process', ARGV[7])
return {'claimed', text(token + 1)}
`
)

/** Keeps a lease for longer, where its token is the valid one: name, time, for how long, token. */
export const renewLease: Scripts.Script = Scripts.writes(
  leaseClock,
  `
if token ~= tonumber(ARGV[4]) or till <= now then return 0 end
call('HSET', key, 'until', text(now + tonumber(ARGV[3])))
return 1
`
)

/** Ends a lease: name, time, nothing, token. The token stays. */
export const releaseLease: Scripts.Script = Scripts.writes(
  leaseClock,
  `
if token == tonumber(ARGV[4]) then call('HSET', key, 'until', '0') end
return 1
`
)

/** Whether a token is the valid one: name, time, nothing, token. */
export const checkLease: Scripts.Script = Scripts.reads(
  leaseClock,
  `
return token == tonumber(ARGV[4]) and till > now and 1 or 0
`
)
