import * as Scripts from "./redisScripts.ts"

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
        unindex(call, p, fields(entry))
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

/**
 * Makes the events below a version unreadable, or ends a stream: tenant, stream, before, ending, expected. Nobody sees
 * any of them afterwards, though many are taken away later, by `tidy`.
 */
export const remove: Scripts.Script = Scripts.writes(
  Scripts.removal,
  tidying,
  `
local key, ending, expected = ARGV[1] .. ARGV[2], ARGV[4] == '1', tonumber(ARGV[5])
local before, s = ending and 9007199254740991 or tonumber(ARGV[3]), state()
if s.holder then
  if clock() <= s.till then return {'held'} end
  undo(s.head)
  call('HDEL', metaKey, 'holder', 'until')
end
local m = call('HMGET', base .. 'm:' .. key, 'v', 'f', 'x')
local version, first = number(m[1], 'a version') or 0, number(m[2], 'a version') or 1
if version == 0 then return {'missing'} end
if m[3] then return {'tombstoned'} end
if ending and ((expected == 0) or (expected > 0 and expected ~= version)) then return {'version', version} end
if not ending and before > version + 1 then return {'beyond', version} end
call('HLEN', goneKey)
if ending then call('HSET', base .. 'm:' .. key, 'x', '1')
elseif before > first then call('HSET', base .. 'm:' .. key, 'f', text(before)) end
if ending or before > first then call('HSET', goneKey, key, text(before)) end
return {'done', tidy(key, 512) and 1 or 0}
`
)

/** Goes on taking away what was truncated: a stream with its tenant, or whichever there is. Answers whether all is. */
export const tidy: Scripts.Script = Scripts.writes(
  Scripts.removal,
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
