--- Answers that routes give without Lua: `respond` and `redirect`.

local header = require "tidegate.config.header"
local json = require "tidegate.json"
local match = require "tidegate.config.match"
local place = require "tidegate.config.place"
local values = require "tidegate.config.values"

place.library()

local answer = {}

local expected, shown, sorted_keys = values.expected, values.shown, values.sorted_keys

local function add_lines(lines, name, given)
  for _, item in ipairs(type(given) == "table" and given or { given }) do
    local value, why = header.value(item)
    if not value then return nil, ("%s: %s"):format(name, why) end
    lines[#lines + 1] = { name, value }
  end
  return true
end

---Header lines in the form of the plan: list of { name, value }, sorted by name.
---@param given table?
---@return table? lines, string? why
function answer.headers(given)
  local lines, seen = {}, {}
  if given == nil then return lines, nil end
  if type(given) ~= "table" then return expected("a table of headers", given) end
  for _, key in ipairs(sorted_keys(given)) do
    local name, why = header.name(key)
    if not name then return nil, why end
    if seen[name] then return nil, ("%q stands there twice"):format(name) end
    seen[name] = true
    local good, why_not = add_lines(lines, name, given[key])
    if not good then return nil, why_not end
  end
  return lines
end

local function body_text(body)
  if body == nil then return "" end
  if type(body) == "string" then return body, "text/plain; charset=utf-8" end
  if type(body) ~= "table" then return expected("a string or a table", body) end
  local good, text = pcall(json.encode, body)
  if not good then return nil, (tostring(text):gsub("^%S+:%d+: ", "")) end
  return text, "application/json"
end

local function with_type(lines, kind)
  for _, line in ipairs(lines) do
    if line[1] == "content-type" then return end
  end
  local at = 1
  while lines[at] and lines[at][1] < "content-type" do at = at + 1 end
  table.insert(lines, at, { "content-type", kind })
end

local function only_positions(value, count, what)
  if type(value) ~= "table" or getmetatable(value) then return expected(what, value) end
  for key in pairs(value) do
    if type(key) ~= "number" or key < 1 or key > count or key % 1 ~= 0 then return nil, ("it is %s"):format(what) end
  end
  return true
end

local read_status = values.integer(200, 599, "a status from 200 to 599")

---`respond = { status, body, headers }`, or a status alone.
function answer.respond(value)
  if type(value) == "number" then value = { value } end
  local good, why = only_positions(value, 3, "{ status, body, headers }")
  if not good then return nil, why end
  local status, why_status = read_status(value[1])
  if not status then return nil, why_status, "[1]" end
  local body, kind = body_text(value[2])
  if not body then return nil, kind, "[2]" end
  if body ~= "" and (status == 204 or status == 205 or status == 304) then
    return nil, ("an answer with status %d has no body"):format(status), "[2]"
  end
  local lines, why_headers = answer.headers(value[3])
  if not lines then return nil, why_headers, "[3]" end
  if body ~= "" then with_type(lines, kind) end
  return { status = status, body = body, headers = lines }
end

local STATUSES = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }

local function read_location(value)
  local what = 'a path such as "/new/*rest", or a URL,'
  if type(value) ~= "string" then return expected(what, value) end
  local path = value:match "^[Hh][Tt][Tt][Pp][Ss]?://[%w._:%[%]-]+(.*)$" or value
  if path == "" and path ~= value then return value end
  if path:find "[%c%s\127-\255\"<>\\^`{|}]" then
    return nil, ("a character that no URL has in %s"):format(shown(value))
  end
  local good, why = match.read_path((path:gsub("[?#].*", "")))
  if not good then return nil, why end
  return value
end

---`redirect = "/new/*rest"`, or `{ 308, "/new/*rest" }`.
function answer.redirect(value)
  if type(value) == "string" then value = { 302, value } end
  local good, why = only_positions(value, 2, '"/path" or { status, "/path" }')
  if not good then return nil, why end
  if not STATUSES[value[1]] then return nil, select(2, expected("301, 302, 303, 307 or 308", value[1])), "[1]" end
  local location, why_not = read_location(value[2])
  if not location then return nil, why_not, "[2]" end
  return { status = value[1], location = location }
end

return answer
