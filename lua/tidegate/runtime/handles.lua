--- Handles of scripts to what C holds: small cdata of a slot and a serial. When the request ends the slot's serial
--- changes, so that a handle that was kept raises and never shows another request.
---
--- Each type, and each property, gets functions of its own, made from text: functions that share a prototype share its
--- traces, which then branch on what they were made for.

local ffi = require "ffi"
local raise = require "tidegate.runtime.raise"
local suggest = require "tidegate.config.suggest"

ffi.cdef [[
struct tg_handle_request { struct tg_abi_slot *__slot; int32_t __serial; };
struct tg_handle_response { struct tg_abi_slot *__slot; int32_t __serial; };
struct tg_handle_out { struct tg_abi_slot *__slot; int32_t __serial; };
struct tg_handle_error { struct tg_abi_slot *__slot; int32_t __serial; };
struct tg_handle_headers { struct tg_abi_slot *__slot; int32_t __serial; int32_t __section; };
struct tg_handle_query { struct tg_abi_slot *__slot; int32_t __serial; };
struct tg_handle_cookies { struct tg_abi_slot *__slot; int32_t __serial; };
struct tg_handle_params { struct tg_abi_slot *__slot; int32_t __serial; };
struct tg_handle_client { struct tg_abi_slot *__slot; int32_t __serial; };
struct tg_handle_route { struct tg_abi_slot *__slot; int32_t __serial; };
struct tg_handle_times { struct tg_abi_slot *__slot; int32_t __serial; };
struct tg_handle_log { struct tg_abi_slot *__slot; int32_t __serial; };
struct tg_handle_tls { struct tg_abi_slot *__slot; int32_t __serial; };
struct tg_handle_cert { struct tg_abi_slot *__slot; int32_t __serial; };
struct tg_handle_conn { struct tg_abi_slot *__slot; int32_t __serial; };
struct tg_handle_hello { struct tg_abi_slot *__slot; int32_t __serial; };
struct tg_handle_hello_client { struct tg_abi_slot *__slot; int32_t __serial; };
]]

local OVER = "the request is over"

local handles = {}

local ACCEPT, CLIENT_HELLO = ffi.C.TG_ABI_ACCEPT, ffi.C.TG_ABI_CLIENT_HELLO

---A function that gives the slot of a living handle. `example`: how a method is called; `over`: what is said of a
---handle that isn't alive any more; `phase`: whose handle it is, where it is no request's, since C has other things
---behind a slot then.
function handles.slot_function(example, over, phase)
  local colon = "methods are called with a colon, as in " .. example
  return function(self)
    if type(self) ~= "cdata" then raise(colon) end
    local slot = self.__slot
    if slot.serial ~= self.__serial then raise(over) end
    local at = slot.phase
    if at ~= phase and (phase or at == ACCEPT or at == CLIENT_HELLO) then
      raise("a method of another kind of object: " .. colon)
    end
    return slot
  end
end

---The slot of a living handle of a request.
handles.slot = handles.slot_function("req:respond(...)", OVER)

local INDEX = [[
local methods, getters, missing, raise, over = ...
return function(self, key)
  local method = methods[key]
  if method then return method end
  local getter = getters[key]
  if not getter then return missing(key) end
  local slot = self.__slot
  if slot.serial ~= self.__serial then raise(over) end
  return getter(slot)
end
]]

local NEWINDEX = [[
local setters, missing, raise, over = ...
return function(self, key, value)
  local setter = setters[key]
  if not setter then missing(key) end
  local slot = self.__slot
  if slot.serial ~= self.__serial then raise(over) end
  setter(slot, value)
end
]]

local function make(text, name, ...)
  return assert(load(text, "=tidegate/runtime/" .. name))(...)
end

---A type with a fixed set of properties. `label`: what scripts call it; `later`: names of the API that this version
---lacks; `over`: what is said of a handle that was kept, where it is no request's.
function handles.define(name, label, parts)
  local getters, setters, methods, later = parts.getters, parts.setters or {}, parts.methods or {}, parts.later or {}
  local over = parts.over or OVER
  local function unknown(key)
    local full = ("%s.%s"):format(label, tostring(key))
    if later[key] then raise(full .. " is not available in this version of tidegate") end
    local known = {}
    for _, names in ipairs { getters, methods } do
      for one in pairs(names) do known[one] = true end
    end
    raise(("%s: there is no such name%s"):format(full, suggest.text(tostring(key), known)))
  end
  local function fixed(key)
    if not (getters[key] or methods[key]) then unknown(key) end
    raise(("%s.%s can't be set"):format(label, tostring(key)))
  end
  return ffi.metatype("struct tg_handle_" .. name, {
    __index = make(INDEX, name, methods, getters, unknown, raise, over),
    __newindex = make(NEWINDEX, name, setters, fixed, raise, over),
    __tostring = function() return label end,
  })
end

---A type that is a collection: its keys are names of data.
function handles.collection(name, label, parts)
  local methods = parts.methods
  return ffi.metatype("struct tg_handle_" .. name, {
    __index = make([[
local methods, get = ...
return function(self, key)
  local method = methods[key]
  if method then return method end
  return get(self, key)
end
]], name, methods, parts.get),
    __newindex = parts.set,
    __tostring = function() return label end,
  })
end

local TEXT = [[
local C, string_of = ...
return function(slot)
  local at = C.%s(slot, %d)
  if at == nil then return nil end
  return string_of(at, slot.length)
end
]]

local NUMBER = [[
local C = ...
return function(slot)
  local value = C.tg_abi_number(slot, %d)
  if value ~= value then return nil end
  return value
end
]]

local CHILD = [[
local new = ...
return function(slot) return new(slot, slot.serial) end
]]

local LIST = [[
local C, string_of = ...
return function(slot)
  local list, i = {}, 0
  while true do
    local at = C.%s(slot, %si)
    if at == nil then return list end
    i = i + 1
    list[i] = string_of(at, slot.length)
  end
end
]]

---A getter of a text property: a number of enum tg_abi_text, or of what another function takes.
function handles.text(field, source)
  return make(TEXT:format(source or "tg_abi_text", field), "text", ffi.C, ffi.string)
end

---A getter that makes a list of texts, each time. `source`: gives one by its position, behind `field` if that is given.
function handles.list(source, field)
  return make(LIST:format(source, field and field .. ", " or ""), "list", ffi.C, ffi.string)
end

---A getter of a number (enum tg_abi_number); NaN is nil.
function handles.number(field)
  return make(NUMBER:format(field), "number", ffi.C)
end

---A getter of another handle of the same request.
function handles.child(new)
  return make(CHILD, "child", new)
end

return handles
