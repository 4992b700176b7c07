--- Handlers: the forms in which one is named, and what a table of phases may hold. Each use of a handler has a number.

local declarations = require "tidegate.config.declarations"
local options = require "tidegate.config.options"
local place = require "tidegate.config.place"
local suggest = require "tidegate.config.suggest"
local values = require "tidegate.config.values"

place.library()

local handlers = {}

---Phases of this version, in the order of a request's life.
handlers.PHASES = { "request", "request_body", "upstream_request", "upstream_response", "response", "response_body",
  "trailers", "error", "log" }

---Phases of a connection, before there is a request: of a listener's handlers.
handlers.LISTENER_PHASES = { "accept", "client_hello" }

---Phases that the API has and this version has not.
handlers.LATER = {
  peer = true, upstream_failed = true, mirrored = true,
}

-- Where the phases of a use may stand, and the other way round.
local PHASES_OF = { route = handlers.PHASES, listener = handlers.LISTENER_PHASES }
local ELSEWHERE = { route = {}, listener = {} }

local KEYS = { init = true, options = true, must_run = true }
for _, phase in ipairs(handlers.PHASES) do KEYS[phase], ELSEWHERE.listener[phase] = true, true end
for _, phase in ipairs(handlers.LISTENER_PHASES) do KEYS[phase], ELSEWHERE.route[phase] = true, true end
for phase in pairs(handlers.LATER) do KEYS[phase] = true end

local shown, sorted_keys = values.shown, values.sorted_keys

-- Where a table of phases is written: what it is called in messages and logs.
local function place_of_table(handler)
  for _, key in ipairs(sorted_keys(handler)) do
    if type(handler[key]) == "function" then return place.of(handler[key]) end
  end
  return "handler"
end

local function load_module(name, at, word)
  local good, result = pcall(require, name)
  if good then return result end
  if type(result) ~= "string" then
    place.raise(at, word, "%s: an error that is a %s was raised", shown(name), type(result))
  end
  local message = result:gsub("^error loading module [^\n]*:\n%s*", "")
  if message:find "^[^\n:]+:%d+: " then error(("%s (%s, used at %s)"):format(message, name, at), 0) end
  place.raise(at, word, "%s: %s", shown(name), message)
end

-- What a handler is in a list: a module's name, a table of phases, or an object that is a handler, such as a split.
local function read_handler(item, at, word)
  if type(item) == "string" then return load_module(item, at, word), item end
  local meta = type(item) == "table" and getmetatable(item)
  local own = meta and meta.as_handler
  if own then return own, item.title, item end
  if type(item) ~= "table" or meta then
    place.raise(at, word, "handlers: a module's name, a table of phases or a split expected, got %s", shown(item))
  end
  return item
end

local function add(use)
  local n = #declarations.uses + 1
  declarations.uses[n] = use
  return n
end

local function declare_one(item, at, word, where)
  local named, given = item, {}
  if type(item) == "table" and not getmetatable(item) and item[1] ~= nil then
    named = item[1]
    for key, value in pairs(item) do
      if key ~= 1 then given[key] = value end
    end
  end
  local handler, name, object = read_handler(named, at, word)
  return add { handler = handler, name = name, object = object, given = given, at = at, where = where }
end

---Declares the uses of a `handlers` list; gives their numbers.
---@param list any
---@param at string
---@param word string
---@param where "route"|"listener"|nil  whose handlers they are; nil: a route's
---@return integer[]
function handlers.declare(list, at, word, where)
  if type(list) ~= "table" or getmetatable(list) then
    place.raise(at, word, "handlers: a list expected, got %s", shown(list))
  end
  local numbers = {}
  for _, key in ipairs(sorted_keys(list)) do
    if type(key) ~= "number" or key < 1 or key > #list or key % 1 ~= 0 then
      local inner = type(list[1]) == "string" and ("{ %q, %s = ... }"):format(list[1], tostring(key))
      place.raise(at, word, "handlers: %s stands in the list; options go with their handler into a table: %s",
        shown(key), inner or "{ handler, option = ... }")
    end
  end
  for i = 1, #list do numbers[i] = declare_one(list[i], at, word, where or "route") end
  return numbers
end

---Declares the inline phases of a route as one use.
---@param phases table<string, function>
---@param at string
---@return integer
function handlers.declare_inline(phases, at)
  return add { handler = phases, name = place_of_table(phases), given = {}, at = at, where = "route" }
end

local BELONGS = {
  route = "phase %q belongs to the handlers of tg.listen, not to a route's",
  listener = "phase %q belongs to the handlers of routes: a listener's have \"accept\" and \"client_hello\"",
}

local function check_key(handler, key, where, raise)
  if type(key) ~= "string" then raise(("a phase has a name, got %s"):format(shown(key))) end
  if key:sub(1, 1) == "_" then return end
  if ELSEWHERE[where][key] then raise(BELONGS[where]:format(key)) end
  if handlers.LATER[key] then raise(("phase %q is not available in this version of tidegate"):format(key)) end
  if not KEYS[key] then
    local nearest = suggest.nearest(key, KEYS)
    nearest = nearest and (" did you mean %q?"):format(nearest) or ""
    raise(("%s is no phase (misspelt phase?%s)"):format(shown(key), nearest))
  end
  local kind = key == "options" and "table" or key == "must_run" and "boolean" or "function"
  if type(handler[key]) ~= kind then raise(("%s: a %s expected, got %s"):format(key, kind, shown(handler[key]))) end
end

local function check_table(handler, where, raise)
  if handler == true then raise 'the module returned nothing: the file of a handler ends with "return handler"' end
  if type(handler) ~= "table" then
    raise(("a handler is a table of phase functions, the module returned %s"):format(shown(handler)))
  end
  local functions = 0
  for _, key in ipairs(sorted_keys(handler)) do
    check_key(handler, key, where, raise)
    if key ~= "options" and key ~= "must_run" and type(handler[key]) == "function" then functions = functions + 1 end
  end
  if functions == 0 then raise "has no phase" end
end

---Raises what is wrong with a use. A handler without a name is called by its place, unless that is said anyway.
---@param use table
---@param message string
function handlers.raise(use, message)
  place.raise(use.at, use.name == use.at and "handlers" or use.name, "%s", message)
end

---Checks one use, when everything is declared; sets its `options`, `specs` and `phases`.
---@param use table
---@param names table  upstreams and routes that exist
function handlers.resolve(use, names)
  use.name = use.name or type(use.handler) == "table" and place_of_table(use.handler) or "handler"
  local function raise(message) handlers.raise(use, message) end
  check_table(use.handler, use.where, raise)
  use.specs = use.handler.options and options.read_specs(use.handler.options, raise)
  local o = options.read(use.specs, use.given, names, raise)
  use.options = use.object or o
  use.phases = {}
  for _, phase in ipairs(PHASES_OF[use.where]) do
    if use.handler[phase] then use.phases[#use.phases + 1] = phase end
  end
  if use.where == "listener" and #use.phases == 0 then raise 'a listener\'s handler has "accept" or "client_hello"' end
end

---A use in the form of the plan.
function handlers.plan_entry(use)
  return {
    name = use.name, at = use.at, must_run = use.handler.must_run or false, phases = use.phases,
    options = use.object and {} or options.written(use.specs, use.options),
  }
end

return handlers
