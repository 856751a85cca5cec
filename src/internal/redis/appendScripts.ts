import * as Scripts from "./scripts.ts"

/**
 * Appends, one after the other, each all or nothing. Its arguments are a token of who holds the log, what to do about it
 * (`""`, `"begin"`, `"join"`), for how long, how many appends there are, and each append as `batch.ts` writes it.
 *
 * All that an append reads is looked at before it writes anything, and the first that it writes is the log: a key that somebody
 * else has made of another type fails it there. One that does so later fails it as well, and what was written is taken back.
 */
export const append: Scripts.Script = Scripts.writes(
  Scripts.writing,
  Scripts.scanning,
  `
local token, mode, lease, count = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local s, now = state(), clock()
local before = s.last
if s.holder and (s.holder ~= token or mode == 'begin') then
  if s.holder ~= token and now <= s.till then return {'held'} end
  undo(s.head)
  call('HDEL', metaKey, 'holder', 'until')
  s.holder = false
end
if mode == 'join' and s.holder ~= token then return {'lost'} end

local recorded = math.max(s.recorded, now)
local at = 5
local function take()
  local value = ARGV[at]
  at = at + 1
  return value
end

local function one()
  local tenant, condition, after, size = take(), take(), tonumber(take()), tonumber(take())
  local groups, ids, idsAt, some = {}, {}, 0, false
  local idKey = base .. 'i:' .. tenant
  for g = 1, size do
    local group = {stream = take(), category = take(), expected = tonumber(take()), count = tonumber(take())}
    group.at = at
    for e = 1, group.count do
      idsAt = idsAt + 1
      ids[idsAt] = ARGV[at]
      at = at + 8 + tonumber(ARGV[at + 7])
    end
    groups[g] = group
  end

  local known = {'known'}
  for from = 1, idsAt, 1000 do
    local upTo = math.min(idsAt, from + 999)
    for i, value in ipairs(call('HMGET', idKey, unpack(ids, from, upTo))) do
      if value then
        known[#known + 1] = ids[from + i - 1]
        known[#known + 1] = value
      end
    end
  end
  if #known > 1 then return known end

  for g, group in ipairs(groups) do
    local m = call('HMGET', base .. 'm:' .. tenant .. group.stream, 'v', 'x')
    local v, e = number(m[1], 'the version of ' .. group.stream) or 0, group.expected
    if m[2] then return {'version', g, -1} end
    if (e == -2 and v == 0) or (e >= 0 and v ~= e) then return {'version', g, v} end
    group.version = v
  end

  if condition ~= '' then
    local matched
    local plan = {tenant = tenant, items = condition ~= '*' and cjson.decode(condition) or nil}
    scan(plan, after, s.last, false, 16, 1e15, function(p, entry)
      -- marks of the library's own are no events
      if condition == '*' and string.sub(cjson.decode(fields(entry).d)[2], 1, 1) == '$' then return false end
      matched = tonumber(p)
      return true
    end)
    if matched then return {'matched', matched} end
  end

  local first, answer = s.last + 1, {'ok', s.last + 1, recorded}
  local ok, problem = pcall(function()
    for _, group in ipairs(groups) do
      local stream, category, version, i = group.stream, group.category, group.version, group.at
      answer[#answer + 1] = version
      for _ = 1, group.count do
        version = version + 1
        s.last = s.last + 1
        i = i + put(tenant, stream, category, s.last, version, recorded, i)
      end
      if group.count > 0 then call('HSET', base .. 'm:' .. tenant .. stream, 'v', text(version)) end
    end
  end)
  if not ok then
    undo(first - 1)
    error(problem)
  end
  return answer
end

local answers, written = {}, false
local starts = at
for n = 1, count do
  local length = tonumber(ARGV[starts])
  at = starts + 1
  local ok, answer = pcall(one)
  if not ok then
    answer = {'failed', type(answer) == 'table' and (answer.err or 'unknown') or tostring(answer)}
  elseif answer[1] == 'ok' then written = true end
  answers[n] = answer
  starts = starts + 1 + length
end
if written then note(s) end
if written and mode ~= '' then
  call('HSET', metaKey, 'last', text(s.last), 'recorded', text(recorded), 'holder', token, 'until', text(now + lease))
elseif written then
  call('HSET', metaKey, 'head', text(s.last), 'last', text(s.last), 'recorded', text(recorded))
elseif s.last ~= before then
  call('HSET', metaKey, 'last', text(s.last))
end
return answers
`
)

/**
 * What becomes of what a holder has written: `"commit"` lets readers see it, `"undo"` takes back what stands beyond a
 * position, `"end"` all of it, `"renew"` keeps it for a while. Answers 1, or 0 where the token does not hold the log; 1
 * where a commit is asked for again, too: then an event of it (its tenant, id and position) can be seen.
 */
export const settle: Scripts.Script = Scripts.writes(
  Scripts.writing,
  `
local token, what, from = ARGV[1], ARGV[2], tonumber(ARGV[3])
local s = state()
if s.holder ~= token then
  if what ~= 'commit' then return 0 end
  local known = call('HGET', base .. 'i:' .. ARGV[4], ARGV[5])
  local p = known and tonumber(string.match(known, '^%d+ (%d+) '))
  return p and p == tonumber(ARGV[6]) and p <= s.head and 1 or 0
end
if what == 'renew' then
  call('HSET', metaKey, 'until', text(clock() + from))
elseif what == 'undo' then
  undo(from)
elseif what == 'end' then
  undo(s.head)
  call('HDEL', metaKey, 'holder', 'until')
else
  call('HSET', metaKey, 'head', text(s.last))
  call('HDEL', metaKey, 'holder', 'until')
end
return 1
`
)
