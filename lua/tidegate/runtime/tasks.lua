--- Tasks: functions that run beside a phase, and end with its request.

local core = require "tidegate.core"
local ffi = require "ffi"
local host = require "tidegate.host"
local raise = require "tidegate.runtime.raise"
local waits = require "tidegate.runtime.waits"

local C, huge = ffi.C, math.huge
local select, type, unpack, xpcall = select, type, unpack, xpcall
local spawn, cancel, traceback = core.spawn, core.cancel, debug.traceback
local control = ffi.cast("struct tg_abi_control *", core.control)
local run_pointer = ffi.typeof "struct tg_abi_run *"

local tasks = {}

---@class tidegate.Task
local Task = {}
Task.__index = Task

-- None of the metamethods of an error that is no text is called.
local function text_of(failure)
  local kind = type(failure)
  if kind == "string" or kind == "number" then return tostring(failure) end
  return ("(the error is a %s)"):format(kind)
end

tasks.text_of = text_of

local function finish(task, good, ...)
  if good then
    task.count, task.results, task.done = select("#", ...), { ... }, true
    return
  end
  task.failed, task.done = text_of((...)), true
  error(task.failed, 0)
end

---What the coroutine of a task runs. A failure goes on to C, which logs it.
function tasks.main(task, f, ...)
  return finish(task, xpcall(f, traceback, ...))
end

---Runs f beside the caller, from the moment at which this one waits.
---@param f function
---@param ... any  its arguments
---@return tidegate.Task
function tasks.spawn(f, ...)
  if type(f) ~= "function" then raise("tg.spawn: a function expected, got a " .. type(f)) end
  if host.phase == "load" then raise "tg.spawn works in init, phases and timers; at load: tg.timer.after(0, f)" end
  local task = setmetatable({ done = false }, Task)
  local pointer, serial = spawn(tasks.main, task, f, ...)
  task.pointer, task.run, task.serial = pointer, ffi.cast(run_pointer, pointer), serial
  return task
end

local function check_task(what, task)
  if type(task) ~= "table" or getmetatable(task) ~= Task then
    raise(what .. ": a task expected, got a " .. type(task))
  end
end

-- Over: done, or cancelled together with its request.
local function is_over(task)
  return task.done or task.run.serial ~= task.serial
end

-- Waits until `ready(list)` gives something, which is returned; nil where the time is over.
local function wait_until(what, list, ready, timeout)
  if timeout ~= nil and (type(timeout) ~= "number" or timeout < 0 or timeout ~= timeout) then
    raise(("%s: seconds expected, got %s"):format(what, tostring(timeout)))
  end
  local ends = timeout and C.tg_abi_clock(control) + timeout
  while true do
    local result = ready(list)
    if result then return result end
    local left = ends and ends - C.tg_abi_clock(control) or huge
    if left <= 0 then return nil end
    waits.check(what)
    for i = 1, #list do
      if not is_over(list[i]) and not waits.watch(list[i].run, list[i].serial) then
        raise(what .. ": can't wait here; nor can a task wait for itself")
      end
    end
    waits.wait(left)
  end
end

local function outcome(task)
  if task.results then return unpack(task.results, 1, task.count) end
  if task.failed then return nil, "failed", task.failed end
  return nil, "cancelled"
end

local function all_over(list)
  for i = 1, #list do
    if not is_over(list[i]) then return false end
  end
  return true
end

local function first_over(list)
  for i = 1, #list do
    if is_over(list[i]) then return i end
  end
end

---Waits for the task. Its results; or nil and "timeout", "cancelled" or "failed" with the message.
---@param timeout number?  seconds
function Task:wait(timeout)
  check_task("task:wait", self)
  if not wait_until("task:wait", { self }, first_over, timeout) then return nil, "timeout" end
  return outcome(self)
end

---Ends the task where it waits; it is never resumed.
function Task:cancel()
  check_task("task:cancel", self)
  if not is_over(self) and not cancel(self.pointer, self.serial) then
    raise "task:cancel: a task can't cancel itself: return instead"
  end
end

local function check_list(what, list)
  if type(list) ~= "table" or getmetatable(list) == Task then raise(what .. ": a list of tasks expected") end
  for i = 1, #list do check_task(what, list[i]) end
end

---Waits for all of them. True; or nil and "timeout".
---@param list tidegate.Task[]
---@param timeout number?  seconds
function tasks.wait_all(list, timeout)
  check_list("tg.wait_all", list)
  if not wait_until("tg.wait_all", list, all_over, timeout) then return nil, "timeout" end
  return true
end

---Waits for the first of them. Its position and the task; or nil and "timeout".
---@param list tidegate.Task[]
---@param timeout number?  seconds
function tasks.wait_any(list, timeout)
  check_list("tg.wait_any", list)
  if #list == 0 then raise "tg.wait_any: an empty list would never end" end
  local index = wait_until("tg.wait_any", list, first_over, timeout)
  if not index then return nil, "timeout" end
  return index, list[index]
end

return tasks
