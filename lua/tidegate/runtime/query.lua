--- Query, cookies and route parameters of a request.

local ffi = require "ffi"
local handles = require "tidegate.runtime.handles"
local raise = require "tidegate.runtime.raise"

local C, string_of = ffi.C, ffi.string
local type, tostring = type, tostring
local slot_of = handles.slot
local REQUEST = C.TG_ABI_REQUEST

local function check_name(what, name)
  if type(name) ~= "string" then raise(("%s: a name is a string, not a %s"):format(what, type(name))) end
end

local function get_query(self, name)
  check_name("req.query", name)
  local slot = slot_of(self)
  local at = C.tg_abi_query_get(slot, name, #name)
  if at == nil then return nil end
  return string_of(at, slot.length)
end

local function writable(self)
  local slot = slot_of(self)
  if slot.phase ~= REQUEST then
    raise "req.query can be set in the request phase only (in upstream_request there is out.raw_query)"
  end
  return slot
end

local function text_of(name, value)
  if type(value) == "string" then return value end
  if type(value) == "number" then return tostring(value) end
  raise(("req.query.%s: a string or a number expected, got a %s"):format(name, type(value)))
end

local function check(problem)
  if problem ~= nil then raise("req.query: " .. string_of(problem)) end
end

local function set_query(self, name, value)
  check_name("req.query", name)
  local slot = writable(self)
  if value == nil then return check(C.tg_abi_query_remove(slot, name, #name)) end
  value = text_of(name, value)
  check(C.tg_abi_query_set(slot, name, #name, value, #value))
end

local query = {}

---The first value, decoded, also for names that are methods.
function query:get(name)
  return get_query(self, name)
end

function query:add(name, value)
  check_name("req.query", name)
  local slot = writable(self)
  value = text_of(name, value)
  check(C.tg_abi_query_add(slot, name, #name, value, #value))
end

function query:remove(name)
  check_name("req.query", name)
  check(C.tg_abi_query_remove(writable(self), name, #name))
end

---A new list of the values of that name, decoded.
---@return string[]
function query:all(name)
  check_name("req.query", name)
  local slot, values, position = slot_of(self), {}, -1
  while true do
    position = C.tg_abi_query_next(slot, position, name, #name)
    if position < 0 then return values end
    local at = C.tg_abi_query_value(slot, position)
    values[#values + 1] = string_of(at, slot.length)
  end
end

---Goes over the pairs that are there now: name and value, decoded.
function query:each()
  local slot, names, values, n, i = slot_of(self), {}, {}, 0, 0
  local position = C.tg_abi_query_next(slot, -1, nil, 0)
  while position >= 0 do
    n = n + 1
    local at = C.tg_abi_query_name(slot, position)
    names[n] = string_of(at, slot.length)
    at = C.tg_abi_query_value(slot, position)
    values[n] = string_of(at, slot.length)
    position = C.tg_abi_query_next(slot, position, nil, 0)
  end
  return function()
    if i == n then return nil end
    i = i + 1
    return names[i], values[i]
  end
end

local function get_cookie(self, name)
  local slot = self.__slot
  if slot.serial ~= self.__serial then slot_of(self) end
  if type(name) ~= "string" then check_name("req.cookies", name) end
  local at = C.tg_abi_cookie(slot, name, #name)
  if at == nil then return nil end
  return string_of(at, slot.length)
end

local cookies = {}

---The first value, undecoded, also for a cookie called "get".
function cookies:get(name)
  return get_cookie(self, name)
end

local function get_param(self, name)
  check_name("req.params", name)
  local slot = slot_of(self)
  local at = C.tg_abi_param(slot, name, #name)
  if at == nil then return nil end
  return string_of(at, slot.length)
end

local params = {}

function params:get(name)
  return get_param(self, name)
end

---Goes over the parameters in the order of the path.
function params:each()
  local slot, i = slot_of(self), -1
  return function()
    i = i + 1
    local at = C.tg_abi_param_name(slot, i)
    if at == nil then return nil end
    local name = string_of(at, slot.length)
    return name, get_param(self, name)
  end
end

return {
  new_query = handles.collection("query", "req.query", { methods = query, get = get_query, set = set_query }),
  new_cookies = handles.collection("cookies", "req.cookies", {
    methods = cookies, get = get_cookie,
    set = function() raise "req.cookies is read only: change req.headers.cookie, or answer with req:set_cookie" end,
  }),
  new_params = handles.collection("params", "req.params", {
    methods = params, get = get_param, set = function() raise "req.params is read only" end,
  }),
}
