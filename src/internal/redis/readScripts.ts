import * as Scripts from "./scripts.ts"

/** The head. */
export const head: Scripts.Script = Scripts.reads("return text(state().head)")

/**
 * A part of a page of the log: a plan as JSON, after, to, backwards, limit. Answers the head, how far it has looked, whether that
 * is all, and entries of the log. A part is bounded in what it looks at and in bytes, so that it never holds up the server.
 */
export const log: Scripts.Script = Scripts.reads(
  Scripts.scanning,
  `
local plan, limit, backwards = cjson.decode(ARGV[1]), tonumber(ARGV[5]), ARGV[4] == '1'
local s, rows, bytes = state(), {}, 0
local to = math.min(tonumber(ARGV[3]), s.head)
if plan.tenant == cjson.null then plan.tenant = nil end
local size = math.max(16, math.min(limit, 512))
local cursor, done = scan(plan, tonumber(ARGV[2]), to, backwards, size, 4096, function(_, entry)
  rows[#rows + 1] = entry
  bytes = bytes + #entry[2][4] + #entry[2][6]
  return #rows >= limit or bytes >= 8388608
end)
return {text(s.head), text(cursor), done and 1 or 0, rows}
`
)

/** A part of a page of a stream: tenant, stream, from, to, backwards, limit. Answers whether that is all, and entries. */
export const stream: Scripts.Script = Scripts.reads(`
local key, backwards, limit = ARGV[1] .. ARGV[2], ARGV[5] == '1', tonumber(ARGV[6])
local m, s = call('HMGET', base .. 'm:' .. key, 'v', 'f', 'x', 'b'), state()
if not m[1] or m[3] then return {1, {}} end
local zset = base .. 's:' .. key
local version = number(m[1], 'a version')
if s.holder then version = version - call('ZCOUNT', zset, '(' .. text(s.head), '+inf') end
local first = number(m[4], 'a version') or 1
local from = math.max(tonumber(ARGV[3]), number(m[2], 'a version') or 1, first)
local to = math.min(tonumber(ARGV[4]), version)
if from > to then return {1, {}} end
local all = to - from + 1 <= limit
if not all and backwards then from = to - limit + 1 elseif not all then to = from + limit - 1 end
local positions = call('ZRANGE', zset, text(from - first), text(to - first))
local n = #positions
if n ~= to - from + 1 then corrupt('the positions of a stream') end
local rows, bytes = {}, 0
for i = 1, n do
  local p = positions[backwards and n + 1 - i or i]
  local entry = entryAt(p)
  if not entry then corrupt('the log has no entry ' .. p) end
  rows[i] = entry
  bytes = bytes + #entry[2][6]
  if bytes >= 8388608 and i < n then return {0, rows} end
end
return {1, rows}
`)

/** What is known of a stream: tenant, stream. */
export const status: Scripts.Script = Scripts.reads(`
local key = ARGV[1] .. ARGV[2]
local m, s = call('HMGET', base .. 'm:' .. key, 'v', 'f', 'x'), state()
local version = number(m[1], 'a version') or 0
if s.holder then version = version - call('ZCOUNT', base .. 's:' .. key, '(' .. text(s.head), '+inf') end
return {version, number(m[2], 'a version') or 1, m[3] and 1 or 0}
`)

/** Where the event of an id stands: tenant, id. */
export const find: Scripts.Script = Scripts.reads(`
local known = call('HGET', base .. 'i:' .. ARGV[1], ARGV[2])
local p = known and tonumber(string.match(known, '^%d+ (%d+) ') or corrupt('what is known of an id'))
if not p or p > state().head then return false end
return known
`)
