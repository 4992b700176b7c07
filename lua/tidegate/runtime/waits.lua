--- Waiting: the coroutine says what it waits for, then yields a value that only C and this file know. A script's own
--- coroutines hand such a yield outward, and the answer inward.

local core = require "tidegate.core"
local ffi = require "ffi"
local raise = require "tidegate.runtime.raise"

local C, huge = ffi.C, math.huge
local control = ffi.cast("struct tg_abi_control *", core.control)
local sentinel = core.sentinel
local create, resume, yield = coroutine.create, coroutine.resume, coroutine.yield
local isyieldable = coroutine.isyieldable

local waits = {}

---Raises where a wait would have to leave a function of C.
---@param what string
function waits.check(what)
  if isyieldable() then return end
  raise(what .. " can't wait inside a function that C calls, such as the comparison of table.sort or the " ..
    "replacement of string.gsub")
end

---Waits so many seconds, or for what was announced with `watch`. True: that has come; false: the time is over.
---@param seconds number?
---@return boolean
function waits.wait(seconds)
  if C.tg_abi_wait(control, seconds or huge) == 0 then raise "only phases, tasks and init can wait" end
  return yield(sentinel)
end

---The next `wait` also ends when this task does.
function waits.watch(run, serial)
  return C.tg_abi_watch(control, run, serial) ~= 0
end

local function pass(co, good, first, ...)
  if good and first == sentinel then
    waits.check "a coroutine"
    return pass(co, resume(co, yield(sentinel)))
  end
  return good, first, ...
end

---coroutine.resume for scripts.
function waits.resume(co, ...)
  return pass(co, resume(co, ...))
end

local function results(good, ...)
  if not good then error((...), 0) end
  return ...
end

---coroutine.wrap for scripts.
function waits.wrap(f)
  local co = create(f)
  return function(...) return results(pass(co, resume(co, ...))) end
end

return waits
