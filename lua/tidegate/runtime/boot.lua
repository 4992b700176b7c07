--- The first file of the library that runs in a VM, called by C (core/script/vm.c) with the table `core`:
--
--   module(name)          chunk of that module, and whether it is the library's; or nil, what is wrong
--   main()                chunk of the main file; config_file(path): of an included one; or nil, message
--   read_file(path), file_digest(path), glob(pattern), getenv(name)   of this generation
--   dictionary(name)      pointer of a shared dictionary that the generation names
--   metric(name)          likewise of a metric
--   spawn(main, task, f, ...)   starts a task: pointer and serial; cancel(pointer, serial)
--                         gives false where it is the one that runs
--   abi                   declarations for ffi.cdef
--   control, sentinel     pointers: of this VM, and what a coroutine yields when it waits
--   cjson                 loader of that module
--   folder, version, generation, worker_id, worker_count
--   memory                bytes that the top level may take
--   first                 whether this is the loader's VM, which compiles what the others are made from
--
-- It makes `require`, the table `tidegate.host` and the sandbox of scripts, and returns what C calls.

local core = ...

local ffi = require "ffi"
local jit = require "jit"

jit.opt.start("maxtrace=8000", "maxmcode=8192")
ffi.cdef(core.abi)
package.preload["tidegate.core"] = function() return core end

-- A VM ends by dropping its memory, and nothing runs at its end: what the module allocates elsewhere would leak.
local function without_memory_of_its_own(cjson)
  local new = cjson.new
  cjson.encode_keep_buffer(false)
  cjson.encode_keep_buffer = nil
  cjson.new = function() return without_memory_of_its_own(new()) end
  return cjson
end
package.preload.cjson = function(...) return without_memory_of_its_own(core.cjson(...)) end

local system_require, preload, loaded = require, package.preload, package.loaded
local host = { phase = "load" }
local loading = {}
local sandbox

preload["tidegate.host"] = function() return host end

-- Of these some are named for the first time by a phase: the source has them from the load on.
local function is_library(name)
  return name:find "^tidegate%." ~= nil
end

local function load_module(name)
  if loading[name] then return nil, ("module '%s' requires itself"):format(name) end
  if host.phase == "run" and not is_library(name) then
    return nil, ("module '%s' was not loaded at load: require it at the top level of a file"):format(name)
  end
  local chunk, library = core.module(name)
  if not chunk then
    local message = library
    if message:find "^module '" then return nil, message end
    error(message, 0) -- a syntax error, which says its own place
  end
  if not library then sandbox.enclose(chunk) end
  loading[name] = true
  local value = chunk(name)
  loading[name] = nil
  if loaded[name] == nil then loaded[name] = value == nil and true or value end
  return loaded[name]
end

---The module; or nil and why it can't be had.
local function find_module(name)
  local value = loaded[name]
  if value ~= nil then return value end
  if preload[name] then return system_require(name) end
  return load_module(name)
end

function _G.require(name)
  local value, message = find_module(name)
  if value == nil then error(message, 0) end
  return value
end

require "tidegate.runtime.host"(host, core)
sandbox = require "tidegate.runtime.sandbox"
sandbox.find_module = find_module

function host.load_file(path)
  local chunk, message = core.config_file(path)
  if not chunk then return nil, message end
  return sandbox.enclose(chunk)
end

local entries = require "tidegate.runtime.entries"
local config

local boot = {
  contexts = require "tidegate.runtime.request".contexts,
  task_main = require "tidegate.runtime.tasks".main,
  produce = entries.producer(),
}

local function place_in_files()
  local level = 3
  while true do
    local info = debug.getinfo(level, "Sl")
    if not info then return "" end
    if info.currentline > 0 and not info.source:find "^=tidegate/" then
      return info.source:gsub("^[@=]", "") .. ":" .. info.currentline .. ": "
    end
    level = level + 1
  end
end

-- With the place in the operator's files, also where what was raised is no text or C raised it.
local function placed(failure)
  local kind = type(failure)
  local text = kind == "string" and failure or "an error that is a " .. kind .. " was raised"
  return text:find "^[^\n:]+:%d+: " and text or place_in_files() .. text
end

-- Where there is no memory for a message there was none for its place either.
local function explained(failure)
  if failure ~= "not enough memory" then return failure end
  return ("not enough memory: the top level may take %d MB"):format(core.memory / 1024 ^ 2)
end

-- The loader's VM compiles what the others may want later on.
local function keep_library()
  for _, name in ipairs(require "tidegate.runtime.lazy") do
    local chunk, message = core.module("tidegate." .. name)
    if not chunk then error(message, 0) end
  end
end
require "tidegate.runtime.library"

---Runs the main file. Gives the plan and its text.
function boot.top_level()
  config = require "tidegate.config"
  local chunk, message = core.main()
  if not chunk then error(message, 0) end
  local good, failure = xpcall(sandbox.enclose(chunk), placed)
  sandbox.close_files()
  if core.first then keep_library() end
  if not good then error(explained(failure), 0) end
  local plan = config.finish()
  return plan, config.serialise(plan)
end

function boot.difference(text, other)
  return config.difference(text, other)
end

---The function that C resumes for a use of a handler in a phase.
function boot.entry(number, phase)
  local use = config.use(number)
  return entries.make(phase, use.handler[phase], use.options)
end

---The function that runs the `init` of a use, or nil.
function boot.init(number)
  local use = config.use(number)
  local init, options = use.handler.init, use.options
  if init then return function() init(options) end end
end

---The generation has become the current one of this worker.
function boot.begin()
  if core.begin_timers then core.begin_timers() end
end

---From here on phases run.
function boot.seal()
  require("tidegate.runtime.dictionary").open()
  if core.open_metrics then core.open_metrics() end
  host.phase = "run"
end

return boot
