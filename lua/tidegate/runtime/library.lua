--- What the modules of the library share: checks of arguments, room for bytes, tables without unknown names.

local ffi = require "ffi"
local raise = require "tidegate.runtime.raise"
local suggest = require "tidegate.config.suggest"

local type, tostring, floor, rawget, setmetatable = type, tostring, math.floor, rawget, setmetatable

local library = {}

---Raises unless the value is a string.
---@param what string  such as "tg.base64.encode"
function library.check_string(what, value)
  if type(value) ~= "string" then raise(("%s: a string expected, got a %s"):format(what, type(value))) end
end

---Raises unless the value is an integer within the limits.
function library.check_integer(what, value, low, high)
  if type(value) ~= "number" or value ~= floor(value) or value < low or value > high then
    raise(("%s: an integer from %.0f to %.0f expected, got %s"):format(what, low, high, tostring(value)))
  end
end

---Raises unless the value is an object that `kind` is the metatable of.
function library.check_object(what, value, kind, expected)
  if type(value) ~= "table" or rawget(value, "__kind") ~= kind then
    raise(("%s: %s expected, got a %s"):format(what, expected, type(value)))
  end
end

---An object of the library: its metatable isn't shown to scripts, and unknown names raise.
---@param label string  what scripts call it
---@param methods table<string, function>
---@return fun(object: table): table new, table kind
function library.class(label, methods)
  local kind = { __metatable = false }
  kind.__index = setmetatable(methods, { __index = function(_, key)
    raise(("%s.%s: there is no such name%s"):format(label, tostring(key), suggest.text(tostring(key), methods)))
  end })
  function kind.__newindex(_, key) raise(("%s.%s can't be set"):format(label, tostring(key))) end
  function kind.__tostring() return label end
  return function(object)
    object.__kind = kind
    return setmetatable(object, kind)
  end, kind
end

---A module of the library: unknown names raise, none can be added.
---@generic T: table
---@param label string  "tg.base64"
---@param fields T
---@return T
function library.module(label, fields)
  return setmetatable(fields, {
    __index = function(_, key)
      raise(("%s.%s: there is no such name%s"):format(label, tostring(key), suggest.text(tostring(key), fields)))
    end,
    __newindex = function(_, key) raise(("%s is read only: %s.%s"):format(label, label, tostring(key))) end,
  })
end

local LEAST_KEPT, MOST_KEPT = 4096, 262144
local bytes_of_any = ffi.typeof "char[?]"
local kept_size = LEAST_KEPT
local kept = bytes_of_any(kept_size)

local function grow(size)
  while kept_size < size do kept_size = kept_size * 2 end
  kept = bytes_of_any(kept_size)
  return kept
end

---Bytes to write to, until the next call.
---@param size integer
function library.room(size)
  if size <= kept_size then return kept end
  if size > MOST_KEPT then return bytes_of_any(size) end
  return grow(size)
end

return library
