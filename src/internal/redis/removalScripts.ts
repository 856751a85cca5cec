import * as Scripts from "./scripts.ts"

/** Takes away events of a stream that nobody may read any more, so many at once; answers whether all are. */
const tidying = `
local function tidy(key, limit)
  local meta, zset = base .. 'm:' .. key, base .. 's:' .. key
  local keep = number(call('HGET', goneKey, key), 'a version')
  if not keep then return true end
  local m = call('HMGET', meta, 'v', 'b')
  local version, there = number(m[1], 'a version') or 0, number(m[2], 'a version') or 1
  local stop = math.min(keep, version + 1)
  local n = math.min(limit, stop - there)
  if n > 0 then
    for _, p in ipairs(call('ZRANGE', zset, 0, n - 1)) do
      local entry = entryAt(p)
      if entry then
        local f = fields(entry)
        call('ZADD', base .. 'remembered', 0, named(unindex(call, p, f), f.t))
        call('XDEL', logKey, p)
      end
      call('ZREM', zset, p)
      there = there + 1
      call('HSET', meta, 'b', text(there))
    end
  end
  if there < stop then return false end
  call('HDEL', goneKey, key)
  return true
end
`

/** What a removal looks at before it writes anything. */
const looking = `
local tenant, stream = ARGV[1], ARGV[2]
local key, s = tenant .. stream, state()
if s.holder then
  if clock() <= s.till then return {'held'} end
  undo(s.head)
  call('HDEL', metaKey, 'holder', 'until')
end
local m = call('HMGET', base .. 'm:' .. key, 'v', 'f', 'x')
local version, first = number(m[1], 'a version') or 0, number(m[2], 'a version') or 1
if version == 0 then return {'missing'} end
if m[3] then return {'tombstoned'} end
call('HLEN', goneKey)
call('ZCARD', base .. 'shortened')
call('ZCARD', base .. 'remembered')
local function shorten(before)
  call('HSET', base .. 'm:' .. key, 'f', text(before))
  call('HSET', goneKey, key, text(before))
  call('ZADD', base .. 'shortened', 0, named(stream, tenant))
  call('HINCRBY', metaKey, 'removed', text(before - first))
end
`

/**
 * Makes the events below a version unreadable: tenant, stream, before. Nobody sees any of them afterwards, though many are
 * taken away later, by `tidy`.
 */
export const truncate: Scripts.Script = Scripts.writes(
  Scripts.writing,
  tidying,
  looking,
  `
local before = tonumber(ARGV[3])
if before > version + 1 then return {'beyond', version} end
if before > first then shorten(before) end
return {'done', tidy(key, 512) and 1 or 0}
`
)

/** Ends a stream: tenant, stream, expected, category, and the mark of it as an event. */
export const tombstone: Scripts.Script = Scripts.writes(
  Scripts.writing,
  tidying,
  looking,
  `
local expected = tonumber(ARGV[3])
if expected == 0 or (expected > 0 and expected ~= version) then return {'version', version} end
local recorded, position = math.max(s.recorded, clock()), s.last + 1
local ok, problem = pcall(put, tenant, stream, ARGV[4], position, version + 1, recorded, 5)
if not ok then
  undo(s.last)
  call('HSET', metaKey, 'last', text(position))
  error(problem)
end
call('HSET', base .. 'm:' .. key, 'x', '1')
shorten(version + 1)
note(s)
call('HINCRBY', metaKey, 'removed', 1)
call('HSET', metaKey, 'head', text(position), 'last', text(position), 'recorded', text(recorded))
return {'done', tidy(key, 512) and 1 or 0, position}
`
)

/** Goes on taking away what was truncated: a stream with its tenant, or whichever there is. Answers whether all is. */
export const tidy: Scripts.Script = Scripts.writes(
  Scripts.writing,
  tidying,
  `
local s = state()
if s.holder then return 1 end
local key = ARGV[1] ~= '' and ARGV[1] or call('HRANDFIELD', goneKey)
if not key then return 1 end
local done = tidy(key, 512)
return done and (ARGV[1] ~= '' or call('EXISTS', goneKey) == 0) and 1 or 0
`
)
