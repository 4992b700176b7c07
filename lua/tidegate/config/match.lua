--- What routes match on: methods, hosts and paths, checked, put into the form that requests have, narrowed by groups.

local place = require "tidegate.config.place"
local values = require "tidegate.config.values"

place.library()

local match = {}

local expected, shown = values.expected, values.shown

function match.method(value)
  if type(value) ~= "string" or not value:find "^[%w!#$%%&'*+.^_`|~-]+$" then
    return expected('a method such as "GET"', value)
  end
  local upper = value:upper()
  if upper == "CONNECT" then return nil, "CONNECT is refused by the gateway" end
  if upper ~= value then return nil, ("methods are upper case: %q"):format(upper) end
  return value
end

---A host name, with "*." in front for all names below it.
function match.host(value)
  local what = 'a host such as "shop.example" or "*.shop.example"'
  if type(value) ~= "string" or value == "" then return expected(what, value) end
  local host = value:lower()
  if host:find "^%[[%x:.]+%]$" then return host end
  if host:find ":%d+$" then return nil, ("%s: a host is given without its port"):format(shown(value)) end
  local name = host:gsub("^%*%.", "")
  if #name > 253 or not name:find "^[%w_-][%w._-]*$" or name:find("..", 1, true) or name:sub(-1) == "." then
    return expected(what, value)
  end
  return host
end

local function normal_escapes(text)
  local bad
  local result = text:gsub("%%(.?.?)", function(hex)
    if not hex:find "^%x%x$" then bad = true return end
    local char = string.char(tonumber(hex, 16))
    if char:find "[%w._~-]" then return char end
    return "%" .. hex:upper()
  end)
  if bad then return nil end
  return result
end

-- One literal segment in the form that req.path has.
local function segment_text(segment)
  local text = normal_escapes(segment)
  if not text then return nil, "an incomplete percent-encoding" end
  if text == "." or text == ".." then return nil, ("%q can't be a segment"):format(text) end
  if text:find("%00", 1, true) or text:find("\\", 1, true) or text:find "%c" then
    return nil, "a character that no path may have"
  end
  if text:find "[?#]" then return nil, "a path ends before its query" end
  if text:find "[ \"<>^`{|}\127-\255]" then
    return nil, "a character that is percent-encoded in a path (write %20 for a space)"
  end
  return text
end

local function parameter(segment, names, last)
  local mark, name = segment:sub(1, 1), segment:sub(2)
  if mark == "*" and not last then return nil, '"*" takes the rest, so it is the last segment' end
  if not (mark == "*" and name == "" or name:find "^[%a_][%w_]*$") then
    return nil, ("%s is no name of a parameter"):format(shown(segment))
  end
  local key = name == "" and "*" or name
  if names[key] then return nil, ("parameter %s stands there twice"):format(shown(segment)) end
  names[key] = mark
  return segment
end

local function read_segments(path, names)
  local segments, rest = {}, path:sub(2)
  local at = 1
  while true do
    local slash = rest:find("/", at, true)
    local segment = rest:sub(at, slash and slash - 1)
    local good, why
    if segment:find "^[:*]" then good, why = parameter(segment, names, not slash)
    else good, why = segment_text(segment) end
    if not good then return nil, why end
    segments[#segments + 1] = good
    if not slash then return segments end
    at = slash + 1
  end
end

---Reads a path with parameters; gives it in normal form and its parameters: ":" or "*" by name.
---@return string?, table|string
function match.read_path(value)
  if type(value) ~= "string" or value:sub(1, 1) ~= "/" then
    return nil, select(2, expected('a path that begins with "/"', value))
  end
  local names = {}
  local segments, why = read_segments(value, names)
  if not segments then return nil, ("%s: %s"):format(shown(value), why) end
  return "/" .. table.concat(segments, "/"), names
end

function match.path(value)
  local path, names = match.read_path(value)
  if not path then return nil, names end
  return path
end

---A group's path: a prefix of whole segments, without the last slash.
function match.prefix(value)
  local path, names = match.read_path(value)
  if not path then return nil, names end
  for name, mark in pairs(names) do
    if mark == "*" then
      local rest = name == "*" and "*" or "*" .. name
      return nil, ("%s: a group's path is a prefix, without %q"):format(shown(value), rest)
    end
  end
  return (path:gsub("/$", ""))
end

---Whether the host pattern `inner` matches only what `outer` matches.
local function host_within(inner, outer)
  if inner == outer then return true end
  local suffix = outer:match "^%*(%..+)$"
  if not suffix then return false end
  return #inner > #suffix and inner:sub(-#suffix) == suffix
end

local function equal(inner, outer) return inner == outer end

local function method_within(inner, outer)
  return inner == outer or inner == "HEAD" and outer == "GET"
end

local function narrow(inner, outer, within)
  if #inner == 0 then return outer end
  if #outer == 0 then return inner end
  for _, item in ipairs(inner) do
    local good = false
    for _, limit in ipairs(outer) do good = good or within(item, limit) end
    if not good then return nil, item end
  end
  return inner
end

---The hosts of `inner`, which must lie within those of `outer`; an empty list is any host. Nil and the one that doesn't
---where they don't.
function match.narrow_hosts(inner, outer) return narrow(inner, outer, host_within) end

---The same for methods, of which GET has HEAD in it.
function match.narrow_methods(inner, outer) return narrow(inner, outer, method_within) end

---The same for names of listeners.
function match.narrow_listeners(inner, outer) return narrow(inner, outer, equal) end

---Whether the parameters of a rewrite or a location are among those of the paths it is made from; those of a location's
---query are too.
---@param template string
---@param paths string[]
---@return string? why
function match.missing_parameter(template, paths)
  local path = template:match "^%a[%w+.-]*://[^/?#]*(.*)$" or template
  for mark, name in path:gmatch "/([:*])([^/?#]*)" do
    for _, pattern in ipairs(paths) do
      local _, names = match.read_path(pattern)
      if not names[name == "" and "*" or name] then
        return ("%s: path %s has no parameter %s"):format(shown(template), shown(pattern), shown(mark .. name))
      end
    end
  end
end

return match
