--- Options of handlers: what a handler says it takes, and what a use gives, checked against each other.

local address = require "tidegate.config.address"
local place = require "tidegate.config.place"
local suggest = require "tidegate.config.suggest"
local values = require "tidegate.config.values"

place.library()

local options = {}

local expected, shown, sorted_keys = values.expected, values.shown, values.sorted_keys

local SPEC_FIELDS = {
  required = true, default = true, min = true, max = true, one_of = true, check = true, of = true,
}

local function number(value)
  if not values.is_number(value) then return expected("a number", value) end
  return value
end

local function integer(value)
  if not values.is_number(value) or value % 1 ~= 0 then return expected("an integer", value) end
  return value
end

local function of_type(name, what)
  return function(value)
    if type(value) ~= name then return expected(what, value) end
    return value
  end
end

local function seconds(value)
  if not values.is_number(value) or value < 0 then return expected("seconds, at least 0,", value) end
  return value
end

local function percent(value)
  local hundredths = values.is_number(value) and value * 100 or -1
  if hundredths < 0 or hundredths > 10000 or math.abs(hundredths - math.floor(hundredths + 0.5)) > 1e-6 then
    return expected("a share from 0 to 100 percent with at most two decimals", value)
  end
  return value
end

local function header(value)
  if type(value) ~= "string" or not value:find "^[%w!#$%%&'*+.^_`|~-]+$" then
    return expected("the name of a header", value)
  end
  return value:lower()
end

local function secret(value)
  if type(value) ~= "string" then return nil, "a string expected, got a " .. type(value) end
  return value
end

local function known(kind)
  return function(value, names)
    if type(value) ~= "string" then return expected(("the name of %s"):format(kind), value) end
    local there = names[kind]
    if not there[value] then
      return nil, ("unknown %s %s%s"):format(kind:match "%a+$", shown(value), suggest.text(value, there))
    end
    return value
  end
end

local function regex(value)
  if type(value) ~= "string" then return expected("a pattern", value) end
  require "tidegate.re"
  return require "tidegate.runtime.library".regex(value)
end

local function ip_set(value)
  if type(value) == "string" then value = { value } end
  if type(value) ~= "table" or getmetatable(value) then return expected("a network or a list of them", value) end
  require "tidegate.ip"
  return require "tidegate.runtime.library".ip_set(value)
end

local function map(value)
  if type(value) ~= "table" then return expected("a table of names and values", value) end
  for key in pairs(value) do
    if type(key) ~= "string" then return nil, ("a name expected as key, got %s"):format(shown(key)) end
  end
  return value
end

local TYPES = {
  string = of_type("string", "a string"), number = number, integer = integer,
  boolean = of_type("boolean", "true or false"), ["function"] = of_type("function", "a function"),
  table = of_type("table", "a table"), map = map, seconds = seconds, percent = percent, header = header,
  bytes = values.integer(0, 2 ^ 52, "a size in bytes"), address = address.any, url = address.url, secret = secret,
  upstream = known "an upstream", route = known "a route", regex = regex, ip_set = ip_set,
}
local TYPE_NAMES = setmetatable({ list = true }, { __index = TYPES })

---The checks of `header`, `percent`, for words that take the same.
options.header, options.percent = header, percent

local function check_type(kind, raise)
  if type(kind) ~= "string" or not TYPE_NAMES[kind] then
    local candidates = { list = true }
    for name in pairs(TYPES) do candidates[name] = true end
    local nearest = type(kind) == "string" and suggest.text(kind, candidates) or ""
    raise(("unknown option type %s%s"):format(shown(kind), nearest))
  end
end

-- What the checks of an option may be.
local CHECKS = {
  required = { "boolean", "true or false" }, min = { "number", "a number" }, max = { "number", "a number" },
  one_of = { "table", "a list of values" }, check = { "function", "a function" },
}

local function check_fields(spec, raise)
  for _, key in ipairs(sorted_keys(spec)) do
    if key ~= 1 and not SPEC_FIELDS[key] then
      raise(("unknown check %s%s"):format(shown(key), type(key) == "string" and suggest.text(key, SPEC_FIELDS) or ""))
    end
    local wanted = CHECKS[key]
    if wanted and type(spec[key]) ~= wanted[1] then
      raise(("%s: %s expected, got %s"):format(key, wanted[2], shown(spec[key])))
    end
  end
  if spec.one_of and #spec.one_of == 0 then raise "one_of: a list of values expected, got an empty one" end
end

local function read_spec(spec, raise)
  if type(spec) == "string" then spec = { spec } end
  if type(spec) ~= "table" then raise 'a type expected, such as "string" or { "string", required = true }' end
  check_type(spec[1], raise)
  if spec.of ~= nil then
    if spec[1] ~= "list" and spec[1] ~= "map" then raise '"of" belongs to a list or a map' end
    check_type(spec.of, raise)
  end
  check_fields(spec, raise)
  return spec
end

---Reads `handler.options`; raises where it is wrong.
---@param given table
---@param raise fun(message: string)  for what a handler says wrongly
---@return table<string, table> specs
function options.read_specs(given, raise)
  if type(given) ~= "table" then raise "options: a table expected" end
  local specs = {}
  for _, name in ipairs(sorted_keys(given)) do
    if type(name) ~= "string" then raise(("options: a name expected, got %s"):format(shown(name))) end
    specs[name] = read_spec(given[name], function(message) raise(("options.%s: %s"):format(name, message)) end)
  end
  return specs
end

local function copy(value)
  if type(value) ~= "table" or getmetatable(value) then return value end
  local result = {}
  for key, item in pairs(value) do result[key] = copy(item) end
  return result
end

local function check_items(spec, value, names)
  local of = spec.of and (TYPES[spec.of] or spec.of == "list" and of_type("table", "a list"))
  if spec[1] == "list" then
    if type(value) ~= "table" then return expected("a list", value) end
    for key in pairs(value) do
      if type(key) ~= "number" or key < 1 or key > #value or key % 1 ~= 0 then
        return nil, ("a list has no field %s"):format(shown(key))
      end
    end
  end
  if not of then return value end
  local result = {}
  for _, key in ipairs(sorted_keys(value)) do
    local item, why = of(value[key], names)
    if item == nil then return nil, ("[%s]: %s"):format(shown(key), why) end
    result[key] = item
  end
  return result
end

local function out_of_range(spec, value)
  if type(value) ~= "number" then return nil end
  if spec.min and value < spec.min then return ("at least %s expected, got %s"):format(spec.min, value) end
  if spec.max and value > spec.max then return ("at most %s expected, got %s"):format(spec.max, value) end
end

local function none_of(spec, value)
  local allowed, quoted = {}, {}
  for i, word in ipairs(spec.one_of) do
    if word == value then return nil end
    allowed[word], quoted[i] = true, shown(word)
  end
  local nearest = type(value) == "string" and suggest.text(value, allowed) or ""
  local got = spec[1] == "secret" and "another value" or shown(value)
  return ("%s expected, got %s%s"):format(table.concat(quoted, " or "), got, nearest)
end

---One value of an option in the form that the handler gets it; or nil and what is wrong.
local function check_value(spec, value, names)
  local why
  if TYPES[spec[1]] then
    value, why = TYPES[spec[1]](value, names)
    if value == nil then return nil, why end
  end
  if spec[1] == "list" or spec[1] == "map" then
    value, why = check_items(spec, value, names)
    if value == nil then return nil, why end
  end
  why = out_of_range(spec, value) or spec.one_of and none_of(spec, value)
  if why then return nil, why end
  if spec.check then
    local good, reason = spec.check(value)
    if good == false or not good and reason ~= nil then return nil, tostring(reason or "refused by the handler") end
  end
  return value
end

local function default_of(name, spec, names, raise)
  if spec.required then raise(("option %s is required"):format(shown(name))) end
  if spec.default == nil then return nil end
  local value, why = check_value(spec, copy(spec.default), names)
  if value == nil then raise(("option %s: its default: %s"):format(shown(name), why)) end
  return value
end

---The options of one use: checked, with defaults filled in.
---@param specs table<string, table>?  nil: the handler takes no options
---@param given table  options by name
---@param names table  upstreams and routes that exist
---@param raise fun(message: string)
---@return table
function options.read(specs, given, names, raise)
  local result = {}
  for _, name in ipairs(sorted_keys(given)) do
    if not specs then raise(("takes no options, got %s"):format(shown(name))) end
    if type(name) ~= "string" then raise(("an option has a name, got %s"):format(shown(given[name]))) end
    if not specs[name] then raise(("option %s unknown%s"):format(shown(name), suggest.text(name, specs))) end
    local value, why = check_value(specs[name], given[name], names)
    if value == nil then raise(("option %s: %s"):format(shown(name), why)) end
    result[name] = value
  end
  for _, name in ipairs(specs and sorted_keys(specs) or {}) do
    if result[name] == nil then result[name] = default_of(name, specs[name], names, raise) end
  end
  return result
end

local function written(value, depth)
  local kind = type(value)
  if kind == "string" or kind == "number" or kind == "boolean" then return value end
  if kind ~= "table" or getmetatable(value) or depth == 0 then return kind end
  local result = {}
  for key, item in pairs(value) do
    if type(key) == "string" or type(key) == "number" then result[key] = written(item, depth - 1) end
  end
  return result
end

---What can be written down of options: plain values, the kind of others, no secrets.
---@return table
function options.written(specs, o)
  local result = {}
  for name, value in pairs(o) do
    local hidden = specs and specs[name] and specs[name][1] == "secret"
    result[name] = hidden and "secret" or written(value, 6)
  end
  return result
end

return options
