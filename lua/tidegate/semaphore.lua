--- tg.semaphore: at most n at a time, of the requests, tasks and timers of this worker.

local core = require "tidegate.core"
local ffi = require "ffi"
local library = require "tidegate.runtime.library"
local raise = require "tidegate.runtime.raise"
local waits = require "tidegate.runtime.waits"

local C, huge = ffi.C, math.huge
local type, tostring = type, tostring
local control = ffi.cast("struct tg_abi_control *", core.control)

---@class tidegate.Semaphore
local methods = {}

local new, kind

local function check(what, self)
  library.check_object(what, self, kind, "a semaphore (methods are called with a colon)")
  return self.__places
end

local function entered(result)
  if result == C.TG_ABI_ENTER_NO_RUN then raise "semaphore:enter works in init, phases, tasks and timers" end
  if result == C.TG_ABI_ENTER_NO_MEMORY then raise "semaphore:enter: not enough memory" end
  return result == C.TG_ABI_ENTER_DONE
end

---Takes a place, when there is one: true. It is left by `leave`, or when the request, task or timer ends.
---@param timeout number?  seconds; nil: as long as it takes
---@return true?, string? err  nil, "timeout"
function methods:enter(timeout)
  local places = check("semaphore:enter", self)
  if timeout ~= nil and (type(timeout) ~= "number" or timeout ~= timeout or timeout < 0) then
    raise("semaphore:enter: seconds expected, got " .. tostring(timeout))
  end
  if entered(C.tg_abi_semaphore_enter(control, places, 0)) then return true end
  waits.check "semaphore:enter"
  entered(C.tg_abi_semaphore_enter(control, places, 1))
  waits.wait(timeout or huge)
  if C.tg_abi_granted(control) ~= 0 then return true end
  return nil, "timeout"
end

---Gives a place back.
function methods:leave()
  local places = check("semaphore:leave", self)
  if C.tg_abi_semaphore_leave(control, places) == 0 then
    raise "semaphore:leave: this request, task or timer holds no place"
  end
end

new, kind = library.class("semaphore", methods)

---@param places integer  how many may be in at a time
---@return tidegate.Semaphore
return function(places)
  library.check_integer("tg.semaphore", places, 1, 1000000)
  local owned = C.tg_abi_semaphore_new(control, places)
  if owned == nil then raise "tg.semaphore: there is no room for one more" end
  return new { __places = ffi.gc(owned, C.tg_abi_release) }
end
