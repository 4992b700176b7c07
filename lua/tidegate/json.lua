--- tg.json: values to JSON text and back. Objects are written in the order of their names, so equal values give equal
--- text. Of a name that stands in an object twice, decoding keeps the last.

local cjson = require "cjson"

local decoder = cjson.new()
decoder.decode_invalid_numbers(false)
decoder.decode_max_depth(128)

local byte, find, format, gsub = string.byte, string.find, string.format, string.gsub
local concat, sort = table.concat, table.sort
local floor, huge = math.floor, math.huge

local DEEPEST = 128

local json = {}

---JSON's null, also inside decoded values: a value of its own, since nil can't stand in a table.
json.null = cjson.null

local null = json.null

local Array = {}

---Marks a table as a list, so that it is written as `[]` when it is empty.
---@generic T: table
---@param t T
---@return T
function json.array(t)
  if type(t) ~= "table" then error("tg.json.array: a table expected, got " .. type(t), 2) end
  return setmetatable(t, Array)
end

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r",
  ["\t"] = "\\t" }

local function escape(char)
  return ESCAPES[char] or format("\\u%04x", byte(char))
end

local function quoted(text)
  if find(text, '[%c"\\\127]') then text = gsub(text, '[%c"\\\127]', escape) end
  return '"' .. text .. '"'
end

local function number_text(value)
  if value ~= value or value == huge or value == -huge then return nil, "a number that is not finite" end
  if value == floor(value) and value > -1e15 and value < 1e15 then return format("%d", value) end
  local short = format("%.14g", value)
  return tonumber(short) == value and short or format("%.17g", value)
end

-- The length of a list, or nil where the table is an object. Raises nothing; a hole makes it neither.
local function list_length(t)
  local count, highest = 0, 0
  for key in pairs(t) do
    if type(key) ~= "number" then return nil end
    if key < 1 or key ~= floor(key) then return nil, "a list's positions begin at 1" end
    count = count + 1
    if key > highest then highest = key end
  end
  if count ~= highest then return nil, "a list has no holes (tg.json.null stands for null)" end
  if count == 0 and getmetatable(t) ~= Array then return nil end
  return count
end

local write

local function write_list(out, n, t, length, depth)
  for i = 1, length do
    n = n + 1
    out[n] = i == 1 and "[" or ","
    local why
    n, why = write(out, n, t[i], depth)
    if not n then return nil, why end
  end
  if length == 0 then
    n = n + 1
    out[n] = "["
  end
  out[n + 1] = "]"
  return n + 1
end

local function names_of(t)
  local names, values = {}, {}
  for key, value in pairs(t) do
    local name = key
    if type(key) == "number" then name = number_text(key) end
    if type(name) ~= "string" then return nil, "a name in an object is a string, not a " .. type(key) end
    if values[name] ~= nil then return nil, "a name stands twice in an object: " .. name end
    names[#names + 1], values[name] = name, value
  end
  sort(names)
  return names, values
end

local function write_object(out, n, t, depth)
  local names, values = names_of(t)
  if not names then return nil, values end
  for i = 1, #names do
    out[n + 1] = i == 1 and "{" or ","
    out[n + 2] = quoted(names[i])
    out[n + 3] = ":"
    local why
    n, why = write(out, n + 3, values[names[i]], depth)
    if not n then return nil, why end
  end
  if #names == 0 then
    n = n + 1
    out[n] = "{"
  end
  out[n + 1] = "}"
  return n + 1
end

local function write_scalar(out, n, value)
  local kind = type(value)
  local text, why
  if kind == "string" then text = quoted(value)
  elseif kind == "number" then text, why = number_text(value)
  elseif kind == "boolean" then text = value and "true" or "false"
  elseif value == null or kind == "nil" then text = "null"
  else why = "JSON has no " .. kind end
  if not text then return nil, why end
  out[n + 1] = text
  return n + 1
end

function write(out, n, value, depth)
  if type(value) ~= "table" then return write_scalar(out, n, value) end
  if depth == DEEPEST then return nil, "more than 128 levels, or a table inside itself" end
  local length, why = list_length(value)
  if length then return write_list(out, n, value, length, depth + 1) end
  if why then return nil, why end
  return write_object(out, n, value, depth + 1)
end

---A value as JSON text. What JSON can't say (a function, NaN, a list with holes, a table inside itself) raises.
---@param value any
---@return string
function json.encode(value)
  local out = {}
  local n, why = write(out, 0, value, 0)
  if not n then error("tg.json.encode: " .. why, 2) end
  return concat(out, "", 1, n)
end

---The value of a JSON text; or nil, "invalid" and what is wrong with it. The text `null` gives tg.null.
---@param text string
---@return any value, string? err, string? detail
function json.decode(text)
  if type(text) ~= "string" then error("tg.json.decode: a string expected, got " .. type(text), 2) end
  local good, value = pcall(decoder.decode, text)
  if not good then return nil, "invalid", value end
  return value
end

return json
