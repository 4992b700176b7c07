--- The objects that tg.shared gives: methods over a dictionary of C. They work in init, phases, tasks and timers; while
--- the configuration is read the dictionary is only named.

local core = require "tidegate.core"
local ffi = require "ffi"
local place = require "tidegate.config.place"
local raise = require "tidegate.runtime.raise"
local suggest = require "tidegate.config.suggest"
local waits = require "tidegate.runtime.waits"

place.library()

local C, string_of = ffi.C, ffi.string
local type, tostring, huge = type, tostring, math.huge
local control = ffi.cast("struct tg_abi_control *", core.control)
local value = C.tg_abi_shared_value(control)
if value == nil then error("not enough memory", 0) end
local istype, new = ffi.istype, ffi.typeof "struct tg_abi_dictionary"

local NONE, NUMBER, BOOLEAN, STRING, LIST = 0, 1, 2, 3, 4
local DONE, KEPT, WRONG_TYPE, TOO_LARGE, CANT_WAIT = 0, -1, -2, -3, -5
local SET, ADD, REPLACE = 0, 1, 2
local LONGEST_KEY, MOST_KEYS = 65535, 1000000
local NAN = 0 / 0

local dictionary = {}

---@class tidegate.Dictionary
local methods = {}

-- By number: name, and what takes the table of the configuration.
local names, set_sizes, objects = {}, {}, {}

local function refuse(what, self)
  if not istype(new, self) then raise(what .. ": methods are called with a colon, as in dictionary:get(key)") end
  raise(what .. " works in init, phases, tasks and timers, not while the configuration is read")
end

-- The dictionary in C, and the key's length.
local function check(what, self, key)
  if not istype(new, self) or self.__dict == nil then refuse(what, self) end
  if type(key) ~= "string" then raise(("%s: the key: a string expected, got a %s"):format(what, type(key))) end
  if #key > LONGEST_KEY then raise(("%s: the key has %d bytes; at most %d"):format(what, #key, LONGEST_KEY)) end
  return self.__dict, #key
end

local function seconds_of(what, seconds)
  if seconds == nil then return huge end
  if type(seconds) ~= "number" or seconds ~= seconds or seconds <= 0 then
    raise(("%s: seconds, more than 0, expected, got %s"):format(what, tostring(seconds)))
  end
  return seconds
end

-- Type, number, text and length of a value on its way to C.
local function taken(what, given)
  local kind = type(given)
  if kind == "number" then return NUMBER, given, nil, 0 end
  if kind == "string" then return STRING, 0, given, #given end
  if kind == "boolean" then return BOOLEAN, given and 1 or 0, nil, 0 end
  raise(("%s: a string, a number or a boolean expected, got a %s"):format(what, kind))
end

local function failed(result)
  if result == WRONG_TYPE then return nil, "invalid", "the value is of another type" end
  if result == TOO_LARGE then return nil, "too_large", "it would take more than half of the dictionary" end
  return nil, "busy", "no memory is left for it"
end

-- What C has lent.
local function given(kind)
  if kind == NONE then return nil end
  if kind == STRING then return string_of(value.text, value.length) end
  if kind == NUMBER then return value.number end
  if kind == BOOLEAN then return value.number ~= 0 end
  return failed(kind == LIST and WRONG_TYPE or kind)
end

---The value; nil where there is none. Nil and "invalid" for a list.
---@param key string
function methods:get(key)
  local dict, length = check("dictionary:get", self, key)
  return given(C.tg_abi_shared_get(control, dict, key, length))
end

local function store(what, self, key, how, new_value, ttl)
  local dict, length = check(what, self, key)
  local kind, number, text, text_length = taken(what, new_value)
  local result = C.tg_abi_shared_store(dict, key, length, how, kind, number, text, text_length, seconds_of(what, ttl))
  if result == DONE then return true end
  if result == KEPT then return false end
  return failed(result)
end

---Sets the value, for `ttl` seconds, or until it is evicted.
---@param key string
---@param new_value string|number|boolean
---@param ttl number?  seconds
---@return true?, string? err, string? detail
function methods:set(key, new_value, ttl)
  return store("dictionary:set", self, key, SET, new_value, ttl)
end

---The same where there is no value yet; false: there is one.
---@param key string
---@param new_value string|number|boolean
---@param ttl number?
---@return boolean?, string? err, string? detail
function methods:add(key, new_value, ttl)
  return store("dictionary:add", self, key, ADD, new_value, ttl)
end

---The same where there is one; false: there is none.
---@param key string
---@param new_value string|number|boolean
---@param ttl number?
---@return boolean?, string? err, string? detail
function methods:replace(key, new_value, ttl)
  return store("dictionary:replace", self, key, REPLACE, new_value, ttl)
end

---Whether there was one.
---@param key string
---@return boolean
function methods:delete(key)
  local dict, length = check("dictionary:delete", self, key)
  return C.tg_abi_shared_delete(dict, key, length) == DONE
end

local function number_of(what, name, given_number)
  if type(given_number) ~= "number" then
    raise(("%s: %s: a number expected, got a %s"):format(what, name, type(given_number)))
  end
  if given_number ~= given_number then raise(("%s: %s: a number expected, got nan"):format(what, name)) end
  return given_number
end

---Adds to a number, at once for all workers; the sum. Without `initial` an absent key gives nil, "not_found". `ttl` is
---for a key that was absent.
---@param key string
---@param by number?  1
---@param initial number?  what an absent key counts from
---@param ttl number?  seconds
---@return number?, string? err, string? detail
function methods:incr(key, by, initial, ttl)
  local what = "dictionary:incr"
  local dict, length = check(what, self, key)
  if by ~= nil then number_of(what, "by", by) end
  if initial ~= nil then number_of(what, "initial", initial) end
  local seconds = seconds_of(what, ttl)
  local result = C.tg_abi_shared_add(control, dict, key, length, by or 1, initial or NAN, seconds)
  if result == DONE then return value.number end
  if result == KEPT then return nil, "not_found" end
  return failed(result)
end

---Sets `new_value` where the value is `old` (nil: where there is none), and says whether. A new value of nil deletes.
---@param key string
---@param old string|number|boolean|nil
---@param new_value string|number|boolean|nil
---@param ttl number?
---@return boolean?, string? err, string? detail
function methods:cas(key, old, new_value, ttl)
  local what = "dictionary:cas"
  local dict, length = check(what, self, key)
  local old_kind, old_number, old_text, old_length = NONE, 0, nil, 0
  local kind, number, text, text_length = NONE, 0, nil, 0
  if old ~= nil then old_kind, old_number, old_text, old_length = taken(what, old) end
  if new_value ~= nil then kind, number, text, text_length = taken(what, new_value) end
  local result = C.tg_abi_shared_swap(dict, key, length, old_kind, old_number, old_text, old_length, kind, number,
    text, text_length, seconds_of(what, ttl))
  if result == DONE then return true end
  if result == KEPT then return false end
  return failed(result)
end

---Seconds until it expires, math.huge: never; nil, "not_found" where there is none.
---@param key string
---@return number?, string? err
function methods:ttl(key)
  local dict, length = check("dictionary:ttl", self, key)
  local left = C.tg_abi_shared_left(dict, key, length)
  if left ~= left then return nil, "not_found" end
  return left
end

---Lets it expire in `ttl` seconds, or never (nil). False: there is none.
---@param key string
---@param ttl number?
---@return boolean
function methods:expire(key, ttl)
  local dict, length = check("dictionary:expire", self, key)
  return C.tg_abi_shared_expire(dict, key, length, seconds_of("dictionary:expire", ttl)) == DONE
end

---Adds at the end of a list, which an absent key becomes; its length.
---@param key string
---@param new_value string|number|boolean
---@return integer?, string? err, string? detail
function methods:push(key, new_value)
  local dict, length = check("dictionary:push", self, key)
  local result = C.tg_abi_shared_push(control, dict, key, length, taken("dictionary:push", new_value))
  if result == DONE then return value.number end
  return failed(result)
end

---Takes the oldest value of a list; nil: there is none.
---@param key string
---@return string|number|boolean|nil, string? err, string? detail
function methods:pop(key)
  local dict, length = check("dictionary:pop", self, key)
  return given(C.tg_abi_shared_pop(control, dict, key, length))
end

---The length of a list, 0 where there is none.
---@param key string
---@return integer?, string? err, string? detail
function methods:len(key)
  local dict, length = check("dictionary:len", self, key)
  local kind = C.tg_abi_shared_get(control, dict, key, length)
  if kind == LIST then return value.number end
  if kind == NONE then return 0 end
  return failed(kind > 0 and WRONG_TYPE or kind)
end

---Up to `max` keys (1024), in no order.
---@param max integer?
---@return string[]?, string? err, string? detail
function methods:keys(max)
  local what = "dictionary:keys"
  local dict = check(what, self, "")
  if max == nil then max = 1024 end
  if type(max) ~= "number" or max % 1 ~= 0 or max < 1 or max > MOST_KEYS then
    raise(("%s: an integer from 1 to %d expected, got %s"):format(what, MOST_KEYS, tostring(max)))
  end
  local result = C.tg_abi_shared_keys(control, dict, max)
  if result ~= DONE then return failed(result) end
  local list, at = {}, ffi.cast("const uint8_t *", value.text)
  for i = 1, value.number do
    local length = at[0] + at[1] * 256
    list[i] = string_of(at + 2, length)
    at = at + 2 + length
  end
  return list
end

---Removes everything.
function methods:clear()
  C.tg_abi_shared_clear((check("dictionary:clear", self, "")))
end

-- A list shows its length.
local function watched(kind)
  if kind == LIST then return value.number, value.version end
  if kind < 0 then return failed(kind) end
  return given(kind), value.version
end

---Waits until the key has a value of another version than the one that was seen; that value (of a list: its length)
---and its version. Nil, "timeout": there is none so far. That the key is deleted or expires is no news.
---@param key string
---@param version number?  nil: any value will do, also the one that is there
---@param timeout number?  seconds; nil: as long as it takes
---@return string|number|boolean|nil, number|string, string? detail
function methods:watch(key, version, timeout)
  local what = "dictionary:watch"
  local dict, length = check(what, self, key)
  if version ~= nil and version == version then number_of(what, "version", version) end
  if timeout ~= nil and (type(timeout) ~= "number" or timeout ~= timeout or timeout < 0) then
    raise(("%s: seconds expected, got %s"):format(what, tostring(timeout)))
  end
  local ends = timeout and C.tg_abi_clock(control) + timeout
  waits.check(what)
  while true do
    local kind = C.tg_abi_shared_watch(control, dict, key, length, version or 0)
    if kind == CANT_WAIT then raise(what .. " works in init, phases, tasks and timers") end
    if kind ~= NONE then return watched(kind) end
    local left = ends and ends - C.tg_abi_clock(control) or huge
    if not waits.wait(left) then return nil, "timeout" end
  end
end

ffi.metatype(new, {
  __index = function(self, key)
    local method = methods[key]
    if method then return method end
    if key == "name" then return names[self.__number] end
    raise(("dictionary.%s: there is no such name%s"):format(tostring(key), suggest.text(tostring(key), methods)))
  end,
  __newindex = function(_, key)
    raise(("a field of a dictionary can't be set; dictionary:set(%q, value)"):format(tostring(key)))
  end,
  __call = function(self, fields)
    set_sizes[self.__number](fields)
    return self
  end,
  __tostring = function(self) return ("dictionary %q"):format(names[self.__number]) end,
})

---A dictionary that is declared. `set_size`: takes the table behind its name.
---@param name string
---@param set_size fun(fields: table)
---@return tidegate.Dictionary
function dictionary.new(name, set_size)
  local number = #names + 1
  names[number], set_sizes[number], objects[number] = name, set_size, new(nil, number)
  return objects[number]
end

---A dictionary of the library's own: a function that gives it, and raises while the configuration is read.
---@param name string
function dictionary.own(name)
  local dict
  return function(what)
    if not dict then
      local pointer = core.dictionary(name)
      if not pointer then raise(what .. " works in init, phases, tasks and timers") end
      dict = ffi.cast("struct tg_shared_dict *", pointer)
    end
    return dict
  end
end

---The configuration has been read: all of them work from now on.
function dictionary.open()
  for number, name in ipairs(names) do
    objects[number].__dict = ffi.cast("struct tg_shared_dict *", core.dictionary(name))
  end
end

return dictionary
