--- tg.timer: functions that run after a time, beside all requests. What the configuration and `init` make begins when
--- the generation becomes the current one, on one worker of the process, and ends when another one does.

local core = require "tidegate.core"
local ffi = require "ffi"
local host = require "tidegate.host"
local library = require "tidegate.runtime.library"
local place = require "tidegate.config.place"
local raise = require "tidegate.runtime.raise"
local suggest = require "tidegate.config.suggest"
local tasks = require "tidegate.runtime.tasks"

place.library()

local C, huge = ffi.C, math.huge
local control = ffi.cast("struct tg_abi_control *", core.control)
local start_timer, at_load, cancel = core.start_timer, core.at_load, core.cancel
local select, type, tostring, unpack, xpcall, traceback = select, type, tostring, unpack, xpcall, debug.traceback

local timers = {}

---@class tidegate.Timer
local Timer = {}
local new_timer = library.class("timer", Timer)

-- What the library knows of each: scripts only hold the key.
local states = setmetatable({}, { __mode = "k" })

-- Those made at load, in their order.
local made_at_load = {}

local main

local function schedule(state, seconds, again)
  state.pointer, state.serial = start_timer(seconds, again, state.period ~= nil, main, state, unpack(state, 1, state.n))
  return state.pointer ~= nil
end

local function with_jitter(state, seconds)
  return seconds + (state.jitter and host.random() * state.jitter or 0)
end

-- The next run of a timer whose last one took its time: at its next turn, never two at once.
local function over(state, good, ...)
  state.running = false
  if state.period and not state.stopped then
    local took = C.tg_abi_clock(control) - state.began
    schedule(state, with_jitter(state, state.period - took % state.period), true)
  end
  if not good then error(tasks.text_of((...)), 0) end
end

-- The script's function is called from a line of the library's: a message says the script's.
function main(state, ...)
  state.running, state.began = true, C.tg_abi_clock(control)
  return over(state, xpcall(state.f, traceback, ...))
end

local function add(state)
  local timer = new_timer {}
  states[timer] = state
  if host.phase == "load" or at_load() then
    made_at_load[#made_at_load + 1] = state
    return timer
  end
  if not schedule(state, state.first) then return nil, "busy", "there are too many timers" end
  return timer
end

local function check_seconds(what, name, seconds, low)
  if type(seconds) ~= "number" or seconds ~= seconds or seconds < low or seconds == huge then
    raise(("%s: %s: seconds, at least %s, expected, got %s"):format(what, name, low, tostring(seconds)))
  end
end

local function check_function(what, f)
  if type(f) ~= "function" then raise(("%s: a function expected, got a %s"):format(what, type(f))) end
end

---Runs f once, after so many seconds.
---@param seconds number
---@param f function
---@param ... any  its arguments
---@return tidegate.Timer?, string? err, string? detail
function timers.after(seconds, f, ...)
  check_seconds("tg.timer.after", "the first argument", seconds, 0)
  check_function("tg.timer.after", f)
  return add { first = seconds, f = f, n = select("#", ...), ... }
end

local OPTIONS = { now = "boolean", each_worker = "boolean", jitter = "number" }

local function check_options(options)
  if options == nil then return {} end
  if type(options) ~= "table" then raise("tg.timer.every: options: a table expected, got a " .. type(options)) end
  for key, value in pairs(options) do
    local kind = OPTIONS[key]
    if not kind then
      raise(("tg.timer.every: unknown option %q%s"):format(tostring(key), suggest.text(tostring(key), OPTIONS)))
    end
    if type(value) ~= kind then
      raise(("tg.timer.every: %s: a %s expected, got a %s"):format(key, kind, type(value)))
    end
  end
  if options.jitter then check_seconds("tg.timer.every", "jitter", options.jitter, 0) end
  return options
end

---Runs f every so many seconds, the first time after them or now. The next run begins when the last one is over.
---@param seconds number
---@param f function
---@param options { now: boolean?, each_worker: boolean?, jitter: number? }?
---@return tidegate.Timer?, string? err, string? detail
function timers.every(seconds, f, options)
  check_seconds("tg.timer.every", "the first argument", seconds, 0.001)
  check_function("tg.timer.every", f)
  options = check_options(options)
  local state = { period = seconds, f = f, n = 0, jitter = options.jitter, each_worker = options.each_worker }
  state.first = with_jitter(state, options.now and 0 or seconds)
  return add(state)
end

---Ends it: a run under way goes on to its end, and there is no further one.
function Timer:stop()
  local state = states[self]
  if not state then raise "timer:stop: a timer expected: methods are called with a colon" end
  state.stopped = true
  if state.pointer and not state.running then cancel(state.pointer, state.serial) end
end

---The generation has become the current one.
function core.begin_timers()
  for _, state in ipairs(made_at_load) do
    state.running = false
    if not state.stopped and (state.each_worker or host.worker_id == 0) then schedule(state, state.first, true) end
  end
end

return library.module("tg.timer", timers)
