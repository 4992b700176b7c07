--- tg.route, tg.group, tg.use, tg.include: which request goes where, and through which handlers.

local answer = require "tidegate.config.answer"
local declarations = require "tidegate.config.declarations"
local handlers = require "tidegate.config.handlers"
local host = require "tidegate.host"
local match = require "tidegate.config.match"
local place = require "tidegate.config.place"
local settings = require "tidegate.config.words.settings"
local upstream = require "tidegate.config.words.upstream"
local values = require "tidegate.config.values"

place.library()

---What tg.route and tg.group return: nothing to work with, but a group takes in those that stand in its table.
---@class tidegate.config.Declared
---@field at string
---@field word string
---@field parent table?
---@field fields table
---@field uses integer[]
local Declared = {}

local function rewrite(value)
  local path, names = match.read_path(value)
  if not path then return nil, names end
  return path
end

local function host_header(value)
  if value == "preserve" or value == "upstream" then return value end
  if type(value) ~= "string" then return values.expected('"preserve", "upstream" or a name', value) end
  local name, port = value:match "^(.-)(:%d+)$"
  local good = match.host(name or value)
  if not good or good:find("*", 1, true) then return values.expected('"preserve", "upstream" or a name', value) end
  return good .. (port or "")
end

local function route_timeouts()
  local checks = values.with_defaults({}, settings.route_timeouts)
  local function whole(_) return nil, "is the same for all routes: it belongs to tg.settings" end
  checks.header, checks.idle = whole, whole
  return values.record(values.with_defaults(checks, upstream.timeouts))
end

local function route_limits()
  local function whole(_) return nil, "is the same for all routes: it belongs to tg.settings" end
  local checks = { head = whole, fields = whole, target = whole, connections = whole, replay = whole }
  return values.record(values.with_defaults(checks, settings.route_limits))
end

-- Fields that a group gives to the routes in it.
local SHARED = {
  name = values.text,
  host = values.one_or_list(match.host, "a host, or a list of them"),
  method = values.one_or_list(match.method, "a method, or a list of them"),
  listener = values.one_or_list(values.text, "the name of a listener, or a list of them"),
  upstream = values.text,
  handlers = values.any,
  host_header = host_header,
  raw_path = values.boolean,
  timeouts = route_timeouts(),
  limits = route_limits(),
  retry = upstream.retry,
  half_close = values.one_of { "answer", "abort" },
  on_script_error = values.one_of { "fail", "continue" },
}

local ROUTE = values.with_defaults({
  path = values.one_or_list(match.path, "a path, or a list of them"),
  respond = answer.respond,
  redirect = answer.redirect,
  rewrite = rewrite,
}, SHARED)

local function belongs_to_route() return nil, "belongs to a route, not to a group" end

local function include_list(value)
  local list = values.one_or_list(values.text, "a file, or a list of them")
  return list(value)
end

local GROUP = values.with_defaults({
  path = match.prefix, include = include_list,
  respond = belongs_to_route, redirect = belongs_to_route, rewrite = belongs_to_route,
}, SHARED)

for _, phase in ipairs(handlers.PHASES) do
  ROUTE[phase] = values.func
  GROUP[phase] = function() return nil, "a phase by itself belongs to a route; in a group it goes into handlers" end
end
for _, phase in ipairs(handlers.LISTENER_PHASES) do
  local function belongs_to_listener() return nil, "belongs to the handlers of tg.listen" end
  ROUTE[phase], GROUP[phase] = belongs_to_listener, belongs_to_listener
end
for phase in pairs(handlers.LATER) do ROUTE[phase], GROUP[phase] = values.later, values.later end

local read_route = values.record(ROUTE)

local function take_phases(fields)
  local phases
  for _, phase in ipairs(handlers.PHASES) do
    if fields[phase] then
      phases = phases or {}
      phases[phase], fields[phase] = fields[phase], nil
    end
  end
  return phases
end

local function declare_route(given, at, word, parent)
  local fields, why, path = read_route(given)
  if not fields then place.wrong(at, word, why, path) end
  local kinds = (fields.upstream and 1 or 0) + (fields.respond and 1 or 0) + (fields.redirect and 1 or 0)
  if kinds > 1 then place.raise(at, word, "upstream, respond and redirect: one of them") end
  if fields.rewrite and (fields.respond or fields.redirect) then
    place.raise(at, word, "rewrite is for what goes to an upstream")
  end
  local phases = take_phases(fields)
  local declared = setmetatable({ at = at, word = word, parent = parent, fields = fields }, Declared)
  declared.uses = fields.handlers and handlers.declare(fields.handlers, at, word) or {}
  if phases then table.insert(declared.uses, handlers.declare_inline(phases, at)) end
  declarations.routes[#declarations.routes + 1] = declared
  return declared
end

---Declares a route.
---@param given tidegate.RouteFields
local function route(given)
  local at = declarations.open "tg.route"
  return declare_route(given, at, "tg.route", declarations.group)
end

local function run_file(path, at)
  for _, other in ipairs(declarations.including) do
    if other == path then place.raise(at, "tg.include", "%q includes itself", path) end
  end
  local chunk, why = host.load_file(path)
  if not chunk then
    if tostring(why):find "^[^\n:]+:%d+: " then error(("%s (included at %s)"):format(why, at), 0) end
    place.wrong(at, "tg.include", tostring(why), values.shown(path))
  end
  table.insert(declarations.including, path)
  chunk()
  table.remove(declarations.including)
end

local function include_files(pattern, at)
  local files = host.glob(pattern)
  if #files == 0 and not pattern:find "[*?%[]" then place.raise(at, "tg.include", "%q: no such file", pattern) end
  for _, file in ipairs(files) do run_file(file, at) end
end

---Runs the files that match, in alphabetical order, inside the group that includes them.
---@param pattern string  relative to the folder of gateway.lua
local function include(pattern)
  local at = declarations.open "tg.include"
  local good, why = values.text(pattern)
  if not good then place.raise(at, "tg.include", "%s", why) end
  include_files(pattern, at)
end

-- A route or group in a group's table: one that was declared there by its word, or the fields of a route.
local function take_in(group, item, at)
  if type(item) == "table" and getmetatable(item) == Declared then
    if item.taken or item.parent ~= group.parent then
      place.raise(item.at, item.word, "stands in more than one group (%s)", at)
    end
    item.parent, item.taken = group, true
  else
    declare_route(item, at, "tg.group", group)
  end
end

local function split_positions(given, at)
  if type(given) ~= "table" or getmetatable(given) then
    place.raise(at, "tg.group", "a table of fields expected, got %s", values.shown(given))
  end
  local named, items = {}, {}
  for key, value in pairs(given) do
    if type(key) == "number" and key >= 1 and key <= #given and key % 1 == 0 then items[key] = value
    else named[key] = value end
  end
  return named, items
end

local read_group = values.record(GROUP)

---Declares a group: a part of the traffic, and what all routes in it have.
---@param given tidegate.GroupFields
local function group(given)
  local at = declarations.open "tg.group"
  local named, items = split_positions(given, at)
  local fields, why, path = read_group(named)
  if not fields then place.wrong(at, "tg.group", why, path) end
  local outer = declarations.group
  local declared = setmetatable({ at = at, word = "tg.group", parent = outer, fields = fields }, Declared)
  declared.uses = fields.handlers and handlers.declare(fields.handlers, at, "tg.group") or {}
  declarations.group = declared
  for i = 1, #given do take_in(declared, items[i], at) end
  for _, pattern in ipairs(fields.include or {}) do include_files(pattern, at) end
  declarations.group = outer
  return declared
end

---Handlers for all routes, and for requests that no route takes.
---@param list table
local function use(list)
  local at = declarations.open_outside_groups "tg.use"
  for _, number in ipairs(handlers.declare(list, at, "tg.use")) do
    table.insert(declarations.global_uses, number)
  end
end

return { words = { route = route, group = group, use = use, include = include } }
