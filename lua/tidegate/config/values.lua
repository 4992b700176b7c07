--- Checks of single values. A check takes what was written and returns it in the form of the plan; or nil, what is
--- wrong with it, and (inside a table) the path of the value that is wrong.

local suggest = require "tidegate.config.suggest"

local values = {}

-- Numbers by value, before strings, before the rest.
local RANK = { number = 1, string = 2 }

local function before(a, b)
  local rank_a, rank_b = RANK[type(a)] or 3, RANK[type(b)] or 3
  if rank_a ~= rank_b then return rank_a < rank_b end
  if rank_a == 3 then return tostring(a) < tostring(b) end
  return a < b
end

---The keys of a table in an order that is the same in every VM.
local function sorted_keys(t)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys, before)
  return keys
end
values.sorted_keys = sorted_keys

---A value as an error shows it: short, on one line, without control characters.
---@return string
function values.shown(value)
  local kind = type(value)
  if kind == "string" then
    local cut = #value > 60 and value:sub(1, 57) .. "..." or value
    cut = cut:gsub('[%c"\\\127-\255]', function(c) return c == '"' and '\\"' or ("\\%03d"):format(c:byte()) end)
    return '"' .. cut .. '"'
  end
  if kind == "number" or kind == "boolean" then return tostring(value) end
  if kind == "nil" then return "nothing" end
  return "a " .. kind
end

---@param what string
---@param value any
---@return nil, string
function values.expected(what, value)
  return nil, ("%s expected, got %s"):format(what, values.shown(value))
end
local expected = values.expected

---Marks a field that the API has and this version has not.
function values.later()
  return nil, "later"
end

function values.any(value) return value end

function values.boolean(value)
  if type(value) ~= "boolean" then return expected("true or false", value) end
  return value
end

function values.func(value)
  if type(value) ~= "function" then return expected("a function", value) end
  return value
end

---Text that can stand in a log line or a message: not empty, no control characters.
function values.text(value)
  if type(value) ~= "string" then return expected("a string", value) end
  if value == "" then return nil, "an empty string has no meaning here" end
  if value:find "%c" then return nil, ("control characters in %s"):format(values.shown(value)) end
  return value
end

local function is_number(value)
  return type(value) == "number" and value == value and value > -math.huge and value < math.huge
end
values.is_number = is_number

---@param low number
---@param high number
function values.number(low, high)
  local what = ("a number from %s to %s"):format(low, high)
  return function(value)
    if not is_number(value) or value < low or value > high then return expected(what, value) end
    return value
  end
end

---@param low integer
---@param high integer
---@param what string?
function values.integer(low, high, what)
  what = what or ("an integer from %d to %d"):format(low, high)
  return function(value)
    if not is_number(value) or value < low or value > high or value % 1 ~= 0 then return expected(what, value) end
    return value
  end
end

local LONGEST = 10 * 365 * 86400

function values.seconds(value)
  if not is_number(value) or value <= 0 or value > LONGEST then return expected("seconds, more than 0,", value) end
  return value
end

---Seconds, or false for no limit, which is 0 in the plan.
function values.seconds_or_none(value)
  if value == false then return 0 end
  if not is_number(value) or value <= 0 or value > LONGEST then
    return expected("seconds, more than 0, or false for no limit,", value)
  end
  return value
end

values.bytes = values.integer(1, 2 ^ 52, "a size in bytes, at least 1,")

---Bytes, or false for no limit, which is 0 in the plan.
function values.bytes_or_none(value)
  if value == false then return 0 end
  if not values.bytes(value) then return expected("a size in bytes, at least 1, or false for no limit,", value) end
  return value
end

---Bytes a second, of which 0 or false is no limit.
function values.rate_or_none(value)
  if value == 0 then return 0 end
  return values.bytes_or_none(value)
end

---One of a few words. `not_yet` names words of the API that this version lacks.
---@param words string[]
---@param not_yet table<string, true>?
function values.one_of(words, not_yet)
  local quoted, known = {}, {}
  for i, word in ipairs(words) do quoted[i], known[word] = ("%q"):format(word), true end
  local what = table.concat(quoted, " or ")
  return function(value)
    if type(value) == "string" then
      if known[value] then return value end
      if not_yet and not_yet[value] then return nil, "later", nil, value end
    end
    local _, why = expected(what, value)
    return nil, type(value) == "string" and why .. suggest.text(value, known) or why
  end
end

---A list, of values that pass `check`, each once.
function values.list(check, what)
  return function(value)
    if type(value) ~= "table" or getmetatable(value) then return expected(what, value) end
    local result, seen = {}, {}
    for _, key in ipairs(sorted_keys(value)) do
      if type(key) ~= "number" or key % 1 ~= 0 or key < 1 or key > #value then
        return nil, ("a list has no field %s"):format(values.shown(key))
      end
    end
    for i = 1, #value do
      local item, why = check(value[i])
      if item == nil then return nil, why, "[" .. i .. "]" end
      if seen[item] then return nil, values.shown(item) .. " stands there twice" end
      result[i], seen[item] = item, true
    end
    return result
  end
end

---One value, or a list of them; always a list in the plan.
function values.one_or_list(check, what)
  local list = values.list(check, what)
  return function(value)
    if type(value) ~= "table" then
      local item, why = check(value)
      if item == nil then return nil, why end
      return { item }
    end
    if #value == 0 and next(value) == nil then return nil, "an empty list has no meaning here" end
    return list(value)
  end
end

local function later_message(name)
  return ("%q is not available in this version of tidegate"):format(name)
end

local function join(path, below)
  if not below then return path end
  return below:sub(1, 1) == "[" and path .. below or path .. "." .. below
end

local function read_field(schema, key, given, result)
  local check = schema[key]
  if check == values.later then return nil, later_message(key) end
  if type(key) ~= "string" or not check then
    if type(key) ~= "string" then
      return nil, ("a value without a name has no meaning here: %s"):format(values.shown(given[key]))
    end
    return nil, ("unknown field %s%s"):format(values.shown(key), suggest.text(key, schema))
  end
  local value, why, below, name = check(given[key])
  if value == nil then
    if why == "later" then why = later_message(name) end
    return nil, why, join(key, below)
  end
  result[key] = value
  return true
end

---A table of named fields, and positional ones if `positional` is given, which checks each of them.
---@param schema table<string, function>
---@param positional function?
function values.record(schema, positional)
  return function(given)
    if type(given) ~= "table" or getmetatable(given) then return expected("a table of fields", given) end
    local result = {}
    for _, key in ipairs(sorted_keys(given)) do
      if positional and type(key) == "number" and key % 1 == 0 and key >= 1 and key <= #given then
        local item, why, below = positional(given[key])
        if item == nil then return nil, why, join("[" .. key .. "]", below) end
        result[key] = item
      else
        local good, why, path = read_field(schema, key, given, result)
        if not good then return nil, why, path end
      end
    end
    return result
  end
end

---Fields that were not given, from `defaults`; gives `result` back.
function values.with_defaults(result, defaults)
  for key, value in pairs(defaults) do
    if result[key] == nil then result[key] = value end
  end
  return result
end

return values
