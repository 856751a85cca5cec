import { createHash } from "node:crypto"

/** A script that the server keeps, known there by its digest. */
export interface Script {
  readonly sha: string
  readonly text: string
}

/** Reads run when memory is full, too, and on a server that takes no writes. */
const make = (access: "reads" | "writes", ...parts: ReadonlyArray<string>): Script => {
  const text = [access === "reads" ? "#!lua flags=no-writes" : "#!lua", ...parts].join("\n")
  return { text, sha: createHash("sha1").update(text).digest("hex") }
}

export const reads = (...parts: ReadonlyArray<string>): Script => make("reads", common, ...parts)

export const writes = (...parts: ReadonlyArray<string>): Script => make("writes", common, ...parts)

/**
 * What a script says of keys that it did not write so.
 */
export const corrupt = "SKALDCORRUPT"

/**
 * What all scripts share. Every key begins with the base, a hash tag, so that they are in one slot of a cluster:
 *
 * - `meta`: a hash; `head` is the position up to which readers see, `last` the last that was drawn, `recorded` the time
 *   of the last append; `holder` and `until` are of the append whose hook is running; `largest` is the size of the largest
 *   payload, and `mixed` says that a tenant has a name;
 * - `log`: a stream, one entry an event, `<position>-0`; of its three fields `m` is its version, time, bytes of the tenant, tenant
 *   and stream, `d` what `batch.ts` keeps beside the payload, `p` the payload;
 * - `s:` of a stream, `c:` of a category, `y:` of a type, `g:` of a tag, `o:` of a correlation id, `n:` of a tenant that has a
 *   name: sorted sets of positions;
 * - `t:` of a tenant: a sorted set of positions by `occurredAt`;
 * - `m:` of a stream: a hash; `v` is its version, `f` its first version, `x` says that it is tombstoned, `b` is the first
 *   version that is still there;
 * - `i:` of a tenant: a hash, from the id of an event to where it stands, for ever;
 * - `gone`: a hash of the streams whose truncated events are still there, to the first version that may be read;
 * - `shortened`: a sorted set of the names of the streams that were truncated or tombstoned, each with its tenant, and
 *   `remembered` one of the ids of their events that are not there any more. `removed` of `meta` counts both, as transfers do.
 *
 * A tenant is `:` where there is none, else its length and its name between colons, so that no two names meet.
 */
const common = `
local call, base = redis.call, string.sub(KEYS[1], 1, -5)
local metaKey, logKey, goneKey = KEYS[1], base .. 'log', base .. 'gone'

local function corrupt(what) error('${corrupt} ' .. what) end

local function text(n) return string.format('%.0f', n) end

local function number(value, what)
  if not value then return nil end
  local n = tonumber(value)
  if not n then corrupt(what .. ' is no number') end
  return n
end

local function state()
  local s = call('HMGET', metaKey, 'head', 'last', 'recorded', 'holder', 'until', 'largest', 'mixed')
  return {
    largest = number(s[6], 'largest') or 0, mixed = s[7], head = number(s[1], 'head') or 0, last = number(s[2], 'last') or 0, recorded = number(s[3], 'recorded') or 0,
    holder = s[4], till = number(s[5], 'until') or 0
  }
end

local function clock()
  local t = call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- What stands in an entry of the log: version, time, tenant and stream, what is kept beside the payload, and the payload.
local function fields(entry)
  local e = entry[2]
  local v, r, n, name = string.match(e[2], '^(%d+) (%d+) (%d+) (.*)$')
  if not v or e[1] ~= 'm' or e[5] ~= 'p' then corrupt('entry ' .. entry[1] .. ' of the log is no event') end
  return {v = v, r = r, t = string.sub(name, 1, n), s = string.sub(name, n + 1), key = name, d = e[4], p = e[6]}
end

local function positionOf(entry) return tonumber(string.match(entry[1], '^(%d+)%-0$') or corrupt('entry ' .. entry[1])) end

local function entryAt(p) return call('XRANGE', logKey, p, p)[1] end

-- A name with its tenant, so that they are ordered by their names.
local function named(name, tenant) return name .. '\\0' .. (string.match(tenant, '^%d+:(.*):$') or '') .. '\\0' .. tenant end
`

/** Writes an event, its log first; takes events out of what holds them. */
export const writing = `
local largest, mixed = 0, false

-- The arguments from i on are those of an event; answers how many they are.
local function put(tenant, stream, category, position, version, recorded, i)
  local p, v, r = text(position), text(version), text(recorded)
  local m = v .. ' ' .. r .. ' ' .. #tenant .. ' ' .. tenant .. stream
  call('XADD', logKey, p .. '-0', 'm', m, 'd', ARGV[i + 5], 'p', ARGV[i + 6])
  call('ZADD', base .. 's:' .. tenant .. stream, p, p)
  if category ~= '' then call('ZADD', base .. 'c:' .. tenant .. category, p, p) end
  call('ZADD', base .. 'y:' .. tenant .. ARGV[i + 2], p, p)
  call('ZADD', base .. 'o:' .. tenant .. ARGV[i + 3], p, p)
  call('ZADD', base .. 't:' .. tenant, ARGV[i + 4], p)
  if tenant ~= ':' then call('ZADD', base .. 'n:' .. tenant, p, p) end
  local tags = tonumber(ARGV[i + 7])
  for tag = i + 8, i + 7 + tags do call('ZADD', base .. 'g:' .. tenant .. ARGV[tag], p, p) end
  call('HSET', base .. 'i:' .. tenant, ARGV[i], v .. ' ' .. p .. ' ' .. r .. ' ' .. ARGV[i + 1] .. ' ' .. stream)
  if #ARGV[i + 6] > largest then largest = #ARGV[i + 6] end
  if tenant ~= ':' then mixed = true end
  return 8 + tags
end

-- What reads of the whole log want to know beforehand, after all is written.
local function note(s)
  if largest > s.largest then call('HSET', metaKey, 'largest', text(largest)) end
  if mixed and not s.mixed then call('HSET', metaKey, 'mixed', '1') end
end

-- Takes an event out of everything but its stream, which comes last, and the ids; answers its id.
local function unindex(run, p, f)
  local t, ok, h = f.t, pcall(cjson.decode, f.d)
  if not ok then corrupt('the event at ' .. p) end
  run('ZREM', base .. 'y:' .. t .. h[2], p)
  run('ZREM', base .. 'o:' .. t .. h[9], p)
  run('ZREM', base .. 't:' .. t, p)
  if t ~= ':' then run('ZREM', base .. 'n:' .. t, p) end
  if h[10] ~= cjson.null then run('ZREM', base .. 'c:' .. t .. h[10], p) end
  if h[7] ~= cjson.null then
    for _, tag in ipairs(cjson.decode(h[7])) do run('ZREM', base .. 'g:' .. t .. tag, p) end
  end
  return h[1]
end

-- Takes back all that was written beyond a position; what stands in the way there was never written.
local function undo(from)
  while true do
    local entries = call('XREVRANGE', logKey, '+', text(from + 1), 'COUNT', 256)
    if #entries == 0 then return end
    for _, entry in ipairs(entries) do
      local f, p = fields(entry), text(positionOf(entry))
      local id, key = unindex(redis.pcall, p, f), f.key
      redis.pcall('ZREM', base .. 's:' .. key, p)
      redis.pcall('HDEL', base .. 'i:' .. f.t, id)
      if f.v == '1' then redis.pcall('DEL', base .. 'm:' .. key)
      else redis.pcall('HSET', base .. 'm:' .. key, 'v', text(tonumber(f.v) - 1)) end
      redis.pcall('XDEL', logKey, entry[1])
    end
  end
end
`

/**
 * Walks through what a plan asks for, in order. Looks through whatever index holds the fewest positions within the
 * bounds, and asks the others about each; sees nothing of what was truncated.
 */
export const scanning = `
-- The first position after a bound whose event was recorded at a time or later.
local function firstAt(time, after, to)
  local low, high = after + 1, to + 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    local entry = call('XRANGE', logKey, text(middle), text(to), 'COUNT', 1)[1]
    if not entry or tonumber(fields(entry).r) >= time then high = middle
    else low = positionOf(entry) + 1 end
  end
  return low
end

-- Answers how far it came, and whether that is all; ends early when 'visit' says so, or after so many looks.
local function scan(plan, after, to, backwards, size, looks, visit)
  local t, all, types, items = plan.tenant, plan.all or {}, plan.types, plan.items
  local stop = backwards and after or to
  if plan.recorded then
    after, to = math.max(after, firstAt(plan.recorded[1], after, to) - 1), math.min(to, firstAt(plan.recorded[2], after, to) - 1)
  end
  if after >= to then return stop, true end
  local lower, upper = '(' .. text(after), text(to)
  local function count(key) return call('ZCOUNT', key, lower, upper) end

  local best, least = nil, to - after
  local function consider(keys)
    local sum = 0
    for _, key in ipairs(keys) do sum = sum + count(key) end
    if sum <= least then best, least = keys, sum end
  end
  if t then
    if t ~= ':' then consider({base .. 'n:' .. t}) end
    if items then
      local keys, known = {}, {}
      local function add(key) if not known[key] then known[key] = true; keys[#keys + 1] = key end end
      for _, item in ipairs(items) do
        if item.tags and #item.tags > 0 then
          local rarest, few
          for _, tag in ipairs(item.tags) do
            local key = base .. 'g:' .. t .. tag
            local n = count(key)
            if not few or n < few then rarest, few = key, n end
          end
          add(rarest)
        else
          for _, name in ipairs(item.types) do add(base .. 'y:' .. t .. name) end
        end
      end
      consider(keys)
    end
    if types then
      local keys = {}
      for i, name in ipairs(types) do keys[i] = base .. 'y:' .. t .. name end
      consider(keys)
    end
    for _, a in ipairs(all) do consider({base .. a[1] .. ':' .. t .. a[2]}) end
  end
  local listed
  if t and plan.occurred and least > 64 then
    local key, since, before = base .. 't:' .. t, plan.occurred[1], '(' .. plan.occurred[2]
    local n = call('ZCOUNT', key, since, before)
    if n <= 1000 and n < least then
      listed = {}
      for _, p in ipairs(call('ZRANGE', key, since, before, 'BYSCORE')) do
        local position = tonumber(p)
        if position > after and position <= to then listed[#listed + 1] = p end
      end
      best = {}
    end
  end
  local covered = best and #best == 1 and best[1] or nil

  local function has(kind, tenant, name, p)
    local key = base .. kind .. ':' .. tenant .. name
    return key == covered or call('ZSCORE', key, p)
  end
  local function hasAny(names, tenant, p)
    for _, name in ipairs(names) do if has('y', tenant, name, p) then return true end end
    return false
  end
  local function fits(item, tenant, p)
    if item.types and #item.types > 0 and not hasAny(item.types, tenant, p) then return false end
    for _, tag in ipairs(item.tags or {}) do if not has('g', tenant, tag, p) then return false end end
    return true
  end
  local function matches(tenant, p)
    for _, a in ipairs(all) do if not has(a[1], tenant, a[2], p) then return false end end
    if types and not hasAny(types, tenant, p) then return false end
    if items then
      local found = false
      for _, item in ipairs(items) do if fits(item, tenant, p) then found = true; break end end
      if not found then return false end
    end
    if plan.occurred then
      local at = tonumber(call('ZSCORE', base .. 't:' .. tenant, p) or corrupt('the time of the event at ' .. p))
      if at < tonumber(plan.occurred[1]) or at >= tonumber(plan.occurred[2]) then return false end
    end
    return true
  end
  local someGone = call('EXISTS', goneKey) == 1
  local function isGone(entry)
    if not someGone then return false end
    local f = fields(entry)
    local first = call('HGET', goneKey, f.key)
    return first and tonumber(f.v) < tonumber(first)
  end

  local looked = 0
  while after < to do
    local found, horizon, isFull = {}, nil, false
    lower, upper = '(' .. text(after), text(to)
    if listed then
      found, listed = listed, {}
      table.sort(found, function(a, b)
        if backwards then return tonumber(a) > tonumber(b) end
        return tonumber(a) < tonumber(b)
      end)
    elseif best then
      for _, key in ipairs(best) do
        local part = backwards and call('ZRANGE', key, upper, lower, 'BYSCORE', 'REV', 'LIMIT', 0, size)
          or call('ZRANGE', key, lower, upper, 'BYSCORE', 'LIMIT', 0, size)
        if #part == size then
          local last = tonumber(part[size])
          if not horizon or (backwards and last > horizon) or (not backwards and last < horizon) then horizon = last end
        end
        if #best == 1 then found = part else for _, p in ipairs(part) do found[#found + 1] = p end end
      end
      if #best > 1 then
        local known, once = {}, {}
        for _, p in ipairs(found) do
          local n = tonumber(p)
          if not known[p] and not (horizon and ((backwards and n < horizon) or (not backwards and n > horizon))) then
            known[p] = true
            once[#once + 1] = p
          end
        end
        found = once
        table.sort(found, function(a, b)
          if backwards then return tonumber(a) > tonumber(b) end
          return tonumber(a) < tonumber(b)
        end)
      end
    else
      found = backwards and call('XREVRANGE', logKey, upper, text(after + 1), 'COUNT', size)
        or call('XRANGE', logKey, text(after + 1), upper, 'COUNT', size)
      if #found == size then horizon = positionOf(found[size]) end
    end
    for _, each in ipairs(found) do
      local entry, p
      if best then p = each else entry, p = each, text(positionOf(each)) end
      looked = looked + 1
      local tenant = t
      if entry then tenant = fields(entry).t end
      if (not entry or not t or tenant == t) and matches(tenant, p) then
        if not entry then
          entry = entryAt(p)
          if not entry then corrupt('the log has no entry ' .. p) end
        end
        if not isGone(entry) and visit(p, entry) then return tonumber(p), false end
      end
    end
    if not horizon then return stop, true end
    if backwards then to = horizon - 1 else after = horizon end
    if looked >= looks then return horizon, false end
    if size < 512 then size = size * 2 end
  end
  return stop, true
end
`
