--- tg.limit: how often, and how many at a time, counted for all workers and generations in the dictionary
--- "tidegate.limit".

local core = require "tidegate.core"
local dictionary = require "tidegate.runtime.dictionary"
local ffi = require "ffi"
local handles = require "tidegate.runtime.handles"
local library = require "tidegate.runtime.library"
local place = require "tidegate.config.place"
local raise = require "tidegate.runtime.raise"
local values = require "tidegate.config.values"

place.library()

local C = ffi.C
local type, tostring = type, tostring
local control = ffi.cast("struct tg_abi_control *", core.control)
local value = C.tg_abi_shared_value(control)
local check_object = library.check_object
local dict_of = dictionary.own "tidegate.limit"

local LONGEST_KEY = 65535
local DONE, KEPT = 0, -1

local limit = {}

local function key_of(what, self, key)
  if type(key) ~= "string" then raise(("%s: the key: a string expected, got a %s"):format(what, type(key))) end
  local whole = self.__prefix .. key
  if #whole > LONGEST_KEY then
    raise(("%s: name and key have %d bytes; at most %d"):format(what, #whole, LONGEST_KEY))
  end
  return whole
end

local function count_of(what, count, most)
  if count == nil then return 1 end
  if type(count) ~= "number" or not (count > 0 and count <= most) then
    raise(("%s: a number, more than 0 and at most %s, expected, got %s"):format(what, most, tostring(count)))
  end
  return count
end

local function outcome(result)
  if result == DONE then return true, value.number end
  if result == KEPT then return false, value.number end
  return nil, "busy", "no memory is left for it"
end

---@class tidegate.Bucket
local bucket = {}
local new_bucket, bucket_kind

---Takes from the key's bucket: true and what remains; false and the seconds until there is enough; nil, "busy".
---@param key string
---@param count number?  1
---@return boolean?, number|string, string? detail
function bucket:take(key, count)
  local what = "bucket:take"
  check_object(what, self, bucket_kind, "a bucket")
  local whole = key_of(what, self, key)
  return outcome(C.tg_abi_shared_bucket(control, dict_of(what), whole, #whole, self.__rate, self.__burst,
    count_of(what, count, self.__burst)))
end

---@class tidegate.Window
local window = {}
local new_window, window_kind

---Counts in the key's window, which its first count begins: true and what remains; false and the seconds until it ends;
---nil, "busy".
---@param key string
---@param count number?  1
---@return boolean?, number|string, string? detail
function window:take(key, count)
  local what = "window:take"
  check_object(what, self, window_kind, "a window")
  local whole = key_of(what, self, key)
  return outcome(C.tg_abi_shared_window(control, dict_of(what), whole, #whole, self.__limit, self.__per,
    count_of(what, count, self.__limit)))
end

---@class tidegate.Concurrency
local concurrency = {}
local new_concurrency, concurrency_kind

---Lets the request in until it ends: true; false: so many are in already; nil, "busy".
---@param req tidegate.Request
---@param key string
---@return boolean?, string? err, string? detail
function concurrency:enter(req, key)
  local what = "concurrency:enter"
  check_object(what, self, concurrency_kind, "a concurrency")
  local slot = handles.slot(req)
  local whole = key_of(what, self, key)
  local result = C.tg_abi_shared_enter(slot, dict_of(what), whole, #whole, self.__max)
  if result == DONE then return true end
  if result == KEPT then return false end
  return nil, "busy", "no memory is left for it"
end

new_bucket, bucket_kind = library.class("bucket", bucket)
new_window, window_kind = library.class("window", window)
new_concurrency, concurrency_kind = library.class("concurrency", concurrency)

local LONGEST_NAME = 200

local function name(given)
  local good, why = values.text(given)
  if not good then return nil, why end
  if #given > LONGEST_NAME then return nil, ("more than %d bytes"):format(LONGEST_NAME) end
  return given
end

local positive = values.number(1e-9, 1e15)

local function reader(word, required, schema)
  local read = values.record(schema)
  return function(given)
    local fields, why, path = read(given)
    if not fields then raise(("%s: %s"):format(word, path and path .. ": " .. why or why)) end
    for _, key in ipairs(required) do
      if fields[key] == nil then raise(("%s: %s is required"):format(word, key)) end
    end
    return fields
  end
end

local read_bucket = reader("tg.limit.bucket", { "name", "rate", "burst" },
  { name = name, rate = positive, burst = positive, redis = values.later })
local read_window = reader("tg.limit.window", { "name", "limit", "per" },
  { name = name, limit = positive, per = values.seconds, redis = values.later })
local read_concurrency = reader("tg.limit.concurrency", { "name", "max" }, { name = name, max = positive })

---`burst` at once, and `rate` a second in the long run, for each key.
---@param given { name: string, rate: number, burst: number }
---@return tidegate.Bucket
function limit.bucket(given)
  local fields = read_bucket(given)
  return new_bucket { __prefix = "b" .. fields.name .. "\0", __rate = fields.rate, __burst = fields.burst }
end

---`limit` in `per` seconds, for each key.
---@param given { name: string, limit: number, per: number }
---@return tidegate.Window
function limit.window(given)
  local fields = read_window(given)
  return new_window { __prefix = "w" .. fields.name .. "\0", __limit = fields.limit, __per = fields.per }
end

---`max` requests at a time, for each key.
---@param given { name: string, max: number }
---@return tidegate.Concurrency
function limit.concurrency(given)
  local fields = read_concurrency(given)
  return new_concurrency { __prefix = "c" .. fields.name .. "\0", __max = fields.max }
end

return library.module("tg.limit", limit)
