--- tg.re: regular expressions (PCRE2). A search has limits: one that runs into them gives nil, "limit", and nothing is
--- known of the text then.

local ffi = require "ffi"
local core = require "tidegate.core"
local library = require "tidegate.runtime.library"
local raise = require "tidegate.runtime.raise"

local C, string_of = ffi.C, ffi.string
local type, tostring, tonumber, error = type, tostring, tonumber, error
local byte, find, sub, concat = string.byte, string.find, string.sub, table.concat
local control = ffi.cast("struct tg_abi_control *", core.control)
local check_string, check_integer = library.check_string, library.check_integer

local NONE, FOUND = C.TG_ABI_RE_NONE, C.TG_ABI_RE_FOUND

local spans = C.tg_abi_regex_spans(control)
if spans == nil then error("not enough memory", 0) end
spans = spans.at

local re = {}

-- Positions are 32 bits wide.
local LAST = 2 ^ 31 - 8

local FLAGS = {
  i = C.TG_ABI_RE_CASELESS, m = C.TG_ABI_RE_MULTILINE, s = C.TG_ABI_RE_DOTALL, x = C.TG_ABI_RE_EXTENDED,
  u = C.TG_ABI_RE_UTF, a = C.TG_ABI_RE_ANCHORED,
}

local function number_of_flags(what, flags)
  if flags == nil then return 0 end
  check_string(what .. ": flags", flags)
  local number, seen = 0, {}
  for flag in flags:gmatch "." do
    if not FLAGS[flag] or seen[flag] then
      raise(('%s: flags: some of "imsxua" expected, each once, got %q'):format(what, flags))
    end
    number, seen[flag] = number + FLAGS[flag], true
  end
  return number
end

---@class tidegate.Regex
local regex = {}

-- The pattern of an object, and the text, the arguments of each method.
local function pattern_of(what, self, text)
  local owned = type(self) == "table" and self.__regex
  if not owned then raise(what .. ": methods are called with a colon, as in pattern:test(text)") end
  if type(text) ~= "string" then check_string(what, text) end
  return owned
end

local function start_of(what, at)
  if at == nil then return 0 end
  check_integer(what .. ": position", at, 1, LAST)
  return at - 1
end

-- What the groups of the last match are.
local function captured(self, text)
  local result = {}
  for i = 0, self.__groups do
    local from = spans[2 * i]
    result[i] = from >= 0 and sub(text, from + 1, spans[2 * i + 1])
  end
  local names, numbers = self.__names, self.__numbers
  for i = 1, #names do
    local value = result[numbers[i]]
    if value or result[names[i]] == nil then result[names[i]] = value end
  end
  return result
end

---Whether the pattern is somewhere in the text; or nil, "limit".
---@param text string
---@return boolean? found, string? err
function regex:test(text)
  local result = C.tg_abi_regex_match(pattern_of("regex:test", self, text), text, #text, 0, 0)
  if result == FOUND then return true end
  if result == NONE then return false end
  return nil, "limit"
end

---First and last byte of the first match from `at` on; nil where there is none; or nil, "limit". An empty match ends
---before it begins.
---@param text string
---@param at integer?  1
---@return integer? first, integer|string|nil last
function regex:find(text, at)
  local pattern = pattern_of("regex:find", self, text)
  local result = C.tg_abi_regex_match(pattern, text, #text, start_of("regex:find", at), 0)
  if result == FOUND then return spans[0] + 1, spans[1] end
  if result == NONE then return nil end
  return nil, "limit"
end

---The first match from `at` on: `[0]` is the whole, `[1]` and so on are the groups, also by their names; false: the
---group took no part. nil where there is none; or nil, "limit".
---@param text string
---@param at integer?  1
---@return table? groups, string? err
function regex:match(text, at)
  local pattern = pattern_of("regex:match", self, text)
  local result = C.tg_abi_regex_match(pattern, text, #text, start_of("regex:match", at), 0)
  if result == FOUND then return captured(self, text) end
  if result == NONE then return nil end
  return nil, "limit"
end

-- Whether there is a next match, from byte `at` on; the last one was empty and ended there: `empty`.
local function search(self, text, at, empty)
  if at > #text then return NONE end
  return C.tg_abi_regex_match(self.__regex, text, #text, at, empty and 1 or 0)
end

---Goes over all matches, none of which overlap: tables as `match` gives them. Running into the limit raises, since a
---loop that ends early would look like one that has seen all.
---@param text string
---@return fun(): table?
function regex:each(text)
  pattern_of("regex:each", self, text)
  local at, empty, over = 0, false, false
  return function()
    if over then return nil end
    local result = search(self, text, at, empty)
    over = result ~= FOUND
    if result == NONE then return nil end
    if over then raise "regex:each: the search ran into the limit" end
    at, empty = spans[1], spans[0] == spans[1]
    return captured(self, text)
  end
end

-- The number of a group in a replacement.
local function group_of(self, name)
  local number = tonumber(name)
  if number and number <= self.__groups then return number end
  for i, known in ipairs(self.__names) do
    if known == name then return self.__numbers[i] end
  end
  raise(("regex:replace: the pattern has no group %q (a dollar sign is written $$)"):format(name))
end

-- A replacement as a list of texts and numbers of groups.
local function parsed(self, text)
  local parts, at = {}, 1
  while true do
    local dollar = find(text, "$", at, true)
    if not dollar then break end
    if dollar > at then parts[#parts + 1] = sub(text, at, dollar - 1) end
    if byte(text, dollar + 1) == 36 then
      parts[#parts + 1], at = "$", dollar + 2
    else
      local _, last, name = find(text, "^(%d+)", dollar + 1)
      if not name then _, last, name = find(text, "^{([%w_]+)}", dollar + 1) end
      if not name then raise "regex:replace: behind a dollar sign a number, {name} or another $ is expected" end
      parts[#parts + 1], at = group_of(self, name), last + 1
    end
  end
  if at <= #text then parts[#parts + 1] = sub(text, at) end
  return parts
end

local function filled(parts, text)
  local out = {}
  for i = 1, #parts do
    local part = parts[i]
    if type(part) == "number" then
      local from = spans[2 * part]
      part = from >= 0 and sub(text, from + 1, spans[2 * part + 1]) or ""
    end
    out[i] = part
  end
  return concat(out)
end

local function called(self, f, text, whole)
  local value = f(captured(self, text))
  if value == nil or value == false then return whole end
  if type(value) == "number" then return tostring(value) end
  if type(value) == "string" then return value end
  raise("regex:replace: the function gave a " .. type(value) .. "; a string, a number or nil expected")
end

local function replacer_of(self, with)
  if type(with) == "function" then return with end
  if type(with) == "string" then return nil, parsed(self, with) end
  raise("regex:replace: a text or a function expected as replacement, got a " .. type(with))
end

---The text with its matches replaced (at most n of them), and how many there were; or nil, "limit". In a replacing text
---`$1`, `${12}` and `${name}` are groups, `$0` is the whole match, `$$` a dollar sign. A function gets what `match`
---gives, and gives the new text; nil: as it was.
---@param text string
---@param with string|fun(groups: table): string|number|nil
---@param n integer?
---@return string? text, integer|string count
function regex:replace(text, with, n)
  pattern_of("regex:replace", self, text)
  local f, parts = replacer_of(self, with)
  if n ~= nil then check_integer("regex:replace: count", n, 0, LAST) end
  local out, size, count, at, done, empty = {}, 0, 0, 0, 0, false
  while not n or count < n do
    local result = search(self, text, at, empty)
    if result == NONE then break end
    if result ~= FOUND then return nil, "limit" end
    local from, to = spans[0], spans[1]
    if from < done then from = done end -- a look-behind with \K
    out[size + 1] = sub(text, done + 1, from)
    out[size + 2] = f and called(self, f, text, sub(text, from + 1, to)) or parts and filled(parts, text)
    size, count = size + 2, count + 1
    at, done, empty = to, to, from == to
  end
  if count == 0 then return text, 0 end
  out[size + 1] = sub(text, done + 1)
  return concat(out, "", 1, size + 1), count
end

local new_regex, kind = library.class("regex", regex)
function kind.__tostring(self) return self.pattern end

local function compiled(what, pattern, flags)
  local owned = C.tg_abi_regex_new(control, pattern, #pattern, flags)
  if owned == nil then
    return nil, ("%s: %s"):format(what, string_of(C.tg_abi_regex_problem(control)))
  end
  local names, numbers = {}, {}
  while true do
    local name = C.tg_abi_regex_name(owned, #names)
    if name == nil then break end
    numbers[#names + 1] = C.tg_abi_regex_number(owned, #names)
    names[#names + 1] = string_of(name)
  end
  return new_regex {
    __regex = ffi.gc(owned, C.tg_abi_release), __groups = C.tg_abi_regex_groups(owned), __names = names,
    __numbers = numbers, pattern = pattern,
  }
end

---A pattern, compiled: at load and in `init`. Flags: "i" any case, "m" lines, "s" a dot matches line feeds, "x" blanks
---and comments in it, "u" UTF-8, "a" only at the place where the search begins.
---@param pattern string
---@param flags string?
---@return tidegate.Regex
function re.new(pattern, flags)
  check_string("tg.re.new", pattern)
  if C.tg_abi_at_load(control) == 0 then
    raise "tg.re.new works at load and in init; in a phase there is tg.re.match(text, pattern)"
  end
  local number = number_of_flags("tg.re.new", flags)
  local made, why = compiled(("tg.re.new: %q"):format(pattern), pattern, number)
  if not made then raise(why) end
  return made
end

---For the option type `regex`: the pattern; or nil and what is wrong with it.
---@param pattern string
---@return tidegate.Regex?, string?
function library.regex(pattern)
  return compiled(("the pattern %q"):format(pattern), pattern, 0)
end

-- Patterns that tg.re.match has met: those of now, and those before, which are dropped when the new ones are as many.
local KEPT = 100
local young, old, young_count = {}, {}, 0

local function drop_old()
  for _, one in pairs(old) do
    C.tg_abi_release(ffi.gc(one.__regex, nil))
  end
  old, young, young_count = young, {}, 0
end

local function cached(pattern, flags)
  local key = flags .. "/" .. pattern
  local found = young[key]
  if found then return found end
  if young_count == KEPT then drop_old() end
  found = old[key]
  old[key] = nil
  if not found then
    local why
    found, why = compiled(("tg.re.match: %q"):format(pattern), pattern, number_of_flags("tg.re.match", flags))
    if not found then raise(why) end
  end
  young[key], young_count = found, young_count + 1
  return found
end

---The first match, as regex:match gives it, with a pattern that is compiled once and kept for a while: for patterns
---that aren't known at load.
---@param text string
---@param pattern string
---@param flags string?
---@return table? groups, string? err
function re.match(text, pattern, flags)
  check_string("tg.re.match", text)
  check_string("tg.re.match: pattern", pattern)
  if flags == nil then flags = "" end
  check_string("tg.re.match: flags", flags)
  return regex.match(cached(pattern, flags), text)
end

return library.module("tg.re", re)
