import * as Scripts from "./scripts.ts"

/** The head, and how much was ever removed. */
export const state: Scripts.Script = Scripts.reads(`
return {text(state().head), call('HGET', metaKey, 'removed') or '0'}
`)

/** Entries of the log with what is remembered of their ids: after, to, limit. Answers how far it has looked, and whether that is all. */
export const rows: Scripts.Script = Scripts.reads(
  Scripts.scanning,
  `
local s, limit, entries, places, bytes = state(), tonumber(ARGV[3]), {}, {}, 0
local to = math.min(tonumber(ARGV[2]), s.head)
local cursor, done = scan({}, tonumber(ARGV[1]), to, false, math.max(16, math.min(limit, 512)), 4096, function(p, entry)
  local f = fields(entry)
  entries[#entries + 1] = entry
  places[#places + 1] = call('HGET', base .. 'i:' .. f.t, cjson.decode(f.d)[1]) or corrupt('the id of the event at ' .. p)
  bytes = bytes + #f.d + #f.p
  return #entries >= limit or bytes >= 8388608
end)
return {text(cursor), done and 1 or 0, entries, places}
`
)

/** Ids of events that were removed: after which of the names, limit. Answers names and what is known of them. */
export const remembered: Scripts.Script = Scripts.reads(`
local found = {}
for _, name in ipairs(call('ZRANGE', base .. 'remembered', ARGV[1], '+', 'BYLEX', 'LIMIT', 0, ARGV[2])) do
  local id, _, tenant = string.match(name, '^([^%z]*)%z([^%z]*)%z(.*)$')
  found[#found + 1] = name
  found[#found + 1] = call('HGET', base .. 'i:' .. (tenant or corrupt('a name')), id) or corrupt('the id ' .. id)
end
return found
`)

/** Streams of which something was removed: after which of the names, to, limit. Answers four for each. */
export const streams: Scripts.Script = Scripts.reads(`
local found = {}
for _, name in ipairs(call('ZRANGE', base .. 'shortened', ARGV[1], '+', 'BYLEX', 'LIMIT', 0, ARGV[3])) do
  local stream, _, tenant = string.match(name, '^([^%z]*)%z([^%z]*)%z(.*)$')
  local key = (tenant or corrupt('a name')) .. stream
  local m = call('HMGET', base .. 'm:' .. key, 'v', 'f', 'x')
  local version = number(m[1], 'a version') or corrupt('the stream ' .. stream)
  if not m[3] then version = version - call('ZCOUNT', base .. 's:' .. key, '(' .. ARGV[2], '+inf') end
  found[#found + 1] = name
  found[#found + 1] = text(version)
  found[#found + 1] = text(number(m[2], 'a version') or 1)
  found[#found + 1] = m[3] and '1' or '0'
end
return found
`)

/**
 * Writes a part of another log: the head that this one must have, the head and the time that it has then, how many rows,
 * ids and streams, and these. All keys are looked at before anything is written.
 */
export const write: Scripts.Script = Scripts.writes(
  Scripts.writing,
  `
local s = state()
if s.holder then
  if clock() <= s.till then return {'held'} end
  undo(s.head)
  call('HDEL', metaKey, 'holder', 'until')
end
if s.last ~= tonumber(ARGV[1]) then return {'other', text(s.last)} end
local rows, ids, streams = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local seen = {}
local function expect(key, wanted)
  if seen[key] then return end
  seen[key] = true
  local found = call('TYPE', key).ok
  if found ~= 'none' and found ~= wanted then corrupt(key .. ' is a ' .. found) end
end
expect(logKey, 'stream')
expect(base .. 'remembered', 'zset')
expect(base .. 'shortened', 'zset')

local function each(row, id, stream)
  local i = 7
  for _ = 1, rows do
    row(i, ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3]))
    i = i + 14 + tonumber(ARGV[i + 13])
  end
  for _ = 1, ids do
    id(ARGV[i], ARGV[i + 1], ARGV[i + 2])
    i = i + 3
  end
  for _ = 1, streams do
    stream(ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3]), ARGV[i + 4] == '1')
    i = i + 5
  end
end

each(function(i, tenant, stream, category)
  expect(base .. 'm:' .. tenant .. stream, 'hash')
  expect(base .. 's:' .. tenant .. stream, 'zset')
  expect(base .. 'c:' .. tenant .. category, 'zset')
  expect(base .. 'y:' .. tenant .. ARGV[i + 8], 'zset')
  expect(base .. 'o:' .. tenant .. ARGV[i + 9], 'zset')
  expect(base .. 't:' .. tenant, 'zset')
  expect(base .. 'n:' .. tenant, 'zset')
  expect(base .. 'i:' .. tenant, 'hash')
  for tag = i + 14, i + 13 + tonumber(ARGV[i + 13]) do expect(base .. 'g:' .. tenant .. ARGV[tag], 'zset') end
end, function(tenant)
  expect(base .. 'i:' .. tenant, 'hash')
end, function(tenant, stream)
  expect(base .. 'm:' .. tenant .. stream, 'hash')
end)

each(function(i, tenant, stream, category, version)
  local meta = base .. 'm:' .. tenant .. stream
  put(tenant, stream, category, tonumber(ARGV[i + 4]), version, tonumber(ARGV[i + 5]), i + 6)
  local m = call('HMGET', meta, 'v', 'x')
  if not m[1] then call('HSET', meta, 'v', text(version), 'b', text(version))
  elseif not m[2] and tonumber(m[1]) < version then call('HSET', meta, 'v', text(version)) end
end, function(tenant, id, place)
  call('HSET', base .. 'i:' .. tenant, id, place)
  call('ZADD', base .. 'remembered', 0, named(id, tenant))
end, function(tenant, stream, version, first, tombstoned)
  local meta = base .. 'm:' .. tenant .. stream
  local m = call('HMGET', meta, 'v', 'f')
  if not m[1] then call('HSET', meta, 'b', text(first)) end
  if not tombstoned then version = math.max(version, tonumber(m[1] or '0')) end
  call('HSET', meta, 'v', text(version), 'f', text(first))
  if tombstoned then call('HSET', meta, 'x', '1') end
  call('ZADD', base .. 'shortened', 0, named(stream, tenant))
  call('HINCRBY', metaKey, 'removed', text(first - tonumber(m[2] or '1') + (tombstoned and 1 or 0)))
end)
note(s)
call('HSET', metaKey, 'head', ARGV[2], 'last', ARGV[2], 'recorded', text(math.max(s.recorded, tonumber(ARGV[3]))))
return {'done'}
`
)
