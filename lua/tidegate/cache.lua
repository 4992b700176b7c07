--- tg.cache: values by key, from this worker, else from the dictionary "tidegate.cache" that all workers share, else
--- from a function that loads them: one load at a time for a key in the process. A load runs in a coroutine of its own,
--- so that it ends in order whoever asked for it first has left.

local core = require "tidegate.core"
local dictionary = require "tidegate.runtime.dictionary"
local ffi = require "ffi"
local library = require "tidegate.runtime.library"
local place = require "tidegate.config.place"
local raise = require "tidegate.runtime.raise"
local tasks = require "tidegate.runtime.tasks"
local values = require "tidegate.config.values"
local waits = require "tidegate.runtime.waits"

place.library()

local C, string_of, huge = ffi.C, ffi.string, math.huge
local type, tostring, tonumber = type, tostring, tonumber
local xpcall, traceback = xpcall, debug.traceback
local control = ffi.cast("struct tg_abi_control *", core.control)
local lent = C.tg_abi_shared_value(control)
local run_pointer = ffi.typeof "struct tg_abi_run *"
local start_timer = core.start_timer
local dict_of = dictionary.own "tidegate.cache"

local NONE, NUMBER, BOOLEAN, STRING = 0, 1, 2, 3
local DONE, KEPT = 0, -1
local LONGEST_KEY = 65535

-- Seconds after a load that failed, beside a value that may still be served, until the next one.
local PAUSE = 1

-- A lock that is held without end would keep all from loading: it is looked at again after so many seconds.
local LOOK_AGAIN = 5

---@class tidegate.Cache
local methods = {}
local new, kind

local function now() return C.tg_abi_clock(control) end

-- --- this worker's part: two tables; the older one is dropped when the younger one is full ---

local function find(self, key)
  local entry = self.__young[key]
  if entry then return entry end
  entry = self.__old[key]
  if entry then self:__keep(key, entry) end
  return entry
end

local function keep(self, key, entry)
  if not self.__young[key] then
    if self.__count * 2 >= self.__size then
      self.__old, self.__young, self.__count = self.__young, {}, 0
    end
    self.__count = self.__count + 1
  end
  self.__young[key] = entry
end

local function forget(self, key)
  if self.__young[key] then
    self.__young[key] = nil
    self.__count = self.__count - 1
  end
  self.__old[key] = nil
end

-- --- the shared part ---

local function text_of(dict, key)
  if C.tg_abi_shared_get(control, dict, key, #key) ~= STRING then return nil end
  return string_of(lent.text, lent.length)
end

-- A mark that is another one after each change by hand: copies that were made before it are worth nothing.
local function mark_of(self, key)
  local whole = self.__marks .. key
  if C.tg_abi_shared_get(control, dict_of "cache", whole, #whole) ~= NUMBER then return 0 end
  return lent.number
end

local function store(key, kind_of_value, number, text, seconds)
  return C.tg_abi_shared_store(dict_of "cache", key, #key, 0, kind_of_value, number, text, text and #text or 0, seconds)
end

local function mark_change(self, key)
  store(self.__marks .. key, NUMBER, C.tg_abi_random() + 1, nil, self.__ttl + self.__stale + PAUSE)
end

local LETTERS = { string = "s", number = "n", boolean = "b", ["nil"] = "a" }

local function write_shared(self, key, shared, loaded_at, ttl)
  local letter = LETTERS[type(shared)]
  local seconds = shared == nil and ttl or ttl + self.__stale
  if seconds <= 0 then return end
  local shown = letter == "n" and ("%.17g"):format(shared) or shared == nil and "" or tostring(shared)
  store(self.__values .. key, STRING, 0, ("%s%.6f;%.6f;%s"):format(letter, loaded_at, ttl, shown), seconds)
end

local function decoded(self, shared)
  if shared == nil or not self.__decode then return shared end
  local value, err, detail = self.__decode(shared)
  if value == nil then return nil, err or "invalid", detail end
  return value
end

local function entry_of(self, key, value, loaded_at, ttl)
  return {
    value = value, loaded_at = loaded_at, tried_at = loaded_at, fresh_until = loaded_at + ttl,
    stale_until = loaded_at + ttl + (value == nil and 0 or self.__stale), mark = mark_of(self, key),
  }
end

-- An entry of what all share; nil where there is none, or this worker can't read it.
local function from_shared(self, key)
  local text = self.__shared and text_of(dict_of "cache", self.__values .. key)
  if not text then return nil end
  local letter, loaded_at, ttl, shown = text:match "^(.)([%d.]+);([%d.]+);(.*)$"
  local shared = shown
  if letter == "n" then shared = tonumber(shown) elseif letter == "b" then shared = shown == "true" end
  if letter == "a" then shared = nil end
  local value, err = decoded(self, shared)
  if err then return nil end
  return entry_of(self, key, value, tonumber(loaded_at), tonumber(ttl))
end

-- --- loading ---

-- Waits until nobody else in the process loads this key. True: somebody has loaded it meanwhile, maybe.
local function lock(self, key)
  local whole, waited, seen = self.__locks .. key, false, 0
  local dict = dict_of "cache"
  while true do
    local result = C.tg_abi_shared_lock(control, dict, whole, #whole)
    if result == DONE then return waited end
    if result ~= KEPT then error("cache: no memory is left for a lock", 0) end
    waited = true
    local found = C.tg_abi_shared_watch(control, dict, whole, #whole, seen)
    if found == NONE then
      waits.wait(LOOK_AGAIN)
    elseif found == BOOLEAN then
      seen = lent.version
    elseif found < 0 then
      error("cache: no memory is left to wait for a lock", 0)
    end
  end
end

local function check_shared(self, shared)
  if not self.__shared or LETTERS[type(shared)] then return end
  error(("cache %q: load gave a %s: what is shared is a string, a number or a boolean"):format(self.__name,
    type(shared)), 0)
end

-- The load has failed: what is there still serves for a while.
local function keep_failure(self, key, err, detail)
  local old, at = find(self, key), now()
  local pause = self.__negative_ttl
  if old and old.value ~= nil and at < old.stale_until and old.mark == mark_of(self, key) then
    old.tried_at = at
    old.fresh_until = math.min(at + (pause > 0 and pause or PAUSE), old.stale_until)
  else
    local entry = entry_of(self, key, nil, at, pause)
    entry.err, entry.detail = err, detail
    keep(self, key, entry)
  end
  return nil, err, detail
end

local function take_loaded(self, key, shared, err, detail)
  if shared == nil and err ~= nil then return keep_failure(self, key, err, detail) end
  check_shared(self, shared)
  local at, ttl = now(), shared == nil and self.__negative_ttl or self.__ttl
  local value, why, more = decoded(self, shared)
  if why then return keep_failure(self, key, why, more) end
  if self.__shared then write_shared(self, key, shared, at, ttl) end
  keep(self, key, entry_of(self, key, value, at, ttl))
  return value
end

local function load_value(self, key, forced, asked_at)
  local function shared_will_do()
    local entry = from_shared(self, key)
    local good = entry and now() < entry.fresh_until and (not forced or entry.loaded_at > asked_at)
    if good then keep(self, key, entry) end
    return good, entry
  end
  local good, entry = shared_will_do()
  if not good and lock(self, key) then good, entry = shared_will_do() end
  if good then return entry.value end
  return take_loaded(self, key, self.__load(key))
end

local function loaded(self, key, state, good, value, err, detail)
  self.__loading[key] = nil
  if good then
    state.value, state.err, state.detail, state.done = value, err, detail, true
    return
  end
  local message = tasks.text_of(value)
  state.err, state.detail, state.done = "failed", message, true
  keep_failure(self, key, "failed", message)
  error(message, 0)
end

local function run_load(self, key, state, forced)
  return loaded(self, key, state, xpcall(load_value, traceback, self, key, forced, now()))
end

local function begin_load(self, key, forced)
  local state = { done = false }
  self.__loading[key] = state
  local pointer, serial = start_timer(0, true, false, run_load, self, key, state, forced)
  state.run, state.serial = ffi.cast(run_pointer, pointer), serial
  return state
end

local function is_over(state)
  return state.done or state.run.serial ~= state.serial
end

-- Waits for the load of this key, which is begun unless it is under way; anew where it ended with a timer that had
-- begun it.
local function load_once(what, self, key, forced)
  waits.check(what)
  while true do
    local state = self.__loading[key] or begin_load(self, key, forced)
    while not is_over(state) do
      if not waits.watch(state.run, state.serial) then
        raise(what .. ": can't wait here; nor can a load for itself")
      end
      waits.wait(huge)
    end
    if state.done then return state.value, state.err, state.detail end
    if self.__loading[key] == state then self.__loading[key] = nil end
  end
end

-- --- what scripts call ---

local function check(what, self, key)
  library.check_object(what, self, kind, "a cache")
  if type(key) ~= "string" then raise(("%s: the key: a string expected, got a %s"):format(what, type(key))) end
  if #key + #self.__values > LONGEST_KEY then
    raise(("%s: name and key have %d bytes; at most %d"):format(what, #key + #self.__values, LONGEST_KEY))
  end
  dict_of(what)
end

local function is_valid(self, key, entry, at)
  return entry ~= nil and at < entry.fresh_until and entry.mark == mark_of(self, key)
end

---The value, loaded where there is none or it is too old; nil, err, detail as the function gave them.
---@param key string
function methods:get(key)
  check("cache:get", self, key)
  local entry = find(self, key)
  if is_valid(self, key, entry, now()) then return entry.value, entry.err, entry.detail end
  local value, err, detail = load_once("cache:get", self, key, false)
  if value ~= nil or err == nil then return value end
  entry = find(self, key)
  if entry and entry.value ~= nil and now() < entry.stale_until and entry.mark == mark_of(self, key) then
    return entry.value
  end
  return nil, err, detail
end

---The value if there is a fresh one; nothing is loaded.
---@param key string
function methods:peek(key)
  check("cache:peek", self, key)
  local entry, at = find(self, key), now()
  if is_valid(self, key, entry, at) then return entry.value end
  entry = from_shared(self, key)
  if not entry or at >= entry.fresh_until then return nil end
  keep(self, key, entry)
  return entry.value
end

---Sets the value, of this worker, or what all share, as `load` gives it.
---@param key string
---@param shared any
---@param ttl number?  the cache's
---@return true?, string? err, string? detail
function methods:set(key, shared, ttl)
  check("cache:set", self, key)
  if ttl ~= nil and not values.seconds(ttl) then
    raise("cache:set: seconds, more than 0, expected, got " .. tostring(ttl))
  end
  if shared == nil or self.__shared and not LETTERS[type(shared)] then
    raise(("cache:set: %s expected, got a %s"):format(self.__shared and "a string, a number or a boolean" or "a value",
      type(shared)))
  end
  local value, err, detail = decoded(self, shared)
  if err then return nil, err, detail end
  local at = now()
  if self.__shared then
    write_shared(self, key, shared, at, ttl or self.__ttl)
    mark_change(self, key)
  end
  keep(self, key, entry_of(self, key, value, at, ttl or self.__ttl))
  return true
end

---Forgets the value, in all workers.
---@param key string
function methods:delete(key)
  check("cache:delete", self, key)
  forget(self, key)
  local whole = self.__values .. key
  if self.__shared then C.tg_abi_shared_delete(dict_of "cache", whole, #whole) end
  mark_change(self, key)
end

---Loads the value anew, unless the last load, be it one that failed, is younger than `min_age` seconds.
---@param key string
---@param min_age number?
function methods:refresh(key, min_age)
  check("cache:refresh", self, key)
  if min_age ~= nil and (type(min_age) ~= "number" or min_age ~= min_age or min_age < 0) then
    raise("cache:refresh: seconds expected, got " .. tostring(min_age))
  end
  local entry = min_age and (find(self, key) or from_shared(self, key))
  if entry and now() - entry.tried_at < min_age then return entry.value, entry.err, entry.detail end
  return load_once("cache:refresh", self, key, true)
end

new, kind = library.class("cache", methods)

local function name(given)
  local good, why = values.text(given)
  if not good then return nil, why end
  if #given > 200 then return nil, "more than 200 bytes" end
  return given
end

local read = values.record {
  name = name, load = values.func, ttl = values.seconds, stale = values.seconds, negative_ttl = values.seconds,
  size = values.integer(2, 10000000), shared = values.boolean, decode = values.func,
}

local cache = {}

---A cache. `size`: values that a worker keeps (1000). `shared`: what `load` gives (a string, a number, a boolean) is
---for all workers; `decode` makes of it what this worker keeps.
---@param given table
---@return tidegate.Cache
function cache.new(given)
  local fields, why, path = read(given)
  if not fields then raise("tg.cache.new: " .. (path and path .. ": " .. why or why)) end
  for _, key in ipairs { "name", "load", "ttl" } do
    if fields[key] == nil then raise(("tg.cache.new: %s is required"):format(key)) end
  end
  return new {
    __name = fields.name, __load = fields.load, __decode = fields.decode or false, __ttl = fields.ttl,
    __stale = fields.stale or 0, __negative_ttl = fields.negative_ttl or 0, __size = fields.size or 1000,
    __shared = fields.shared or false, __young = {}, __old = {}, __count = 0, __loading = {}, __keep = keep,
    __values = "v" .. fields.name .. "\0", __marks = "m" .. fields.name .. "\0", __locks = "l" .. fields.name .. "\0",
  }
end

return library.module("tg.cache", cache)
