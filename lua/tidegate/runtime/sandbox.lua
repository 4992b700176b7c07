--- What scripts see of Lua: the standard library without what would break the gateway's own, read only, and an
--- environment in which an accidental global is an error. It is a guard rail, not a prison.

local bit = require "bit"
local host = require "tidegate.host"
local raise = require "tidegate.runtime.raise"
local waits = require "tidegate.runtime.waits"

local sandbox = {}

local sealed = setmetatable({}, { __mode = "k" })

local function read_only(name, fields)
  local proxy = setmetatable({}, {
    __index = fields,
    __newindex = function(_, key) raise(("%s.%s: the standard library is read only"):format(name, tostring(key))) end,
    __metatable = false,
  })
  sealed[proxy] = true
  return proxy
end

local function copy(from, without)
  local to = {}
  for key, value in pairs(from) do to[key] = value end
  for _, key in ipairs(without or {}) do to[key] = nil end
  return to
end

-- At load blocking is allowed; afterwards it would stop all requests of the worker.
local function only_at_load(name, f, instead)
  return function(...)
    if host.phase == "run" then raise(("%s blocks the whole worker: %s"):format(name, instead)) end
    return f(...)
  end
end

local IO_INSTEAD = "read files at load (tg.file), write lines with tg.log"
local OS_INSTEAD = {
  execute = "run programs outside of the gateway", remove = "change files outside of the gateway",
  rename = "change files outside of the gateway", tmpname = "change files outside of the gateway",
}

local opened = {}

-- A VM ends without finalizers: what a file of the configuration leaves open is closed at the end of the load.
local function remembered(open)
  return function(...)
    local file, message, code = open(...)
    if file then opened[#opened + 1] = file end
    return file, message, code
  end
end

function sandbox.close_files()
  for _, file in ipairs(opened) do
    if io.type(file) == "file" then file:close() end
  end
  opened = {}
end

local function library_io()
  local fields = {}
  for key, value in pairs(io) do
    if key == "open" or key == "popen" or key == "tmpfile" then value = remembered(value) end
    fields[key] = type(value) == "function" and key ~= "type" and only_at_load("io." .. key, value, IO_INSTEAD) or value
  end
  return fields
end

local function library_os()
  local fields = copy(os, { "exit", "setlocale" })
  for key, instead in pairs(OS_INSTEAD) do fields[key] = only_at_load("os." .. key, os[key], instead) end
  return fields
end

local function library_coroutine()
  local fields = copy(coroutine)
  fields.resume, fields.wrap = waits.resume, waits.wrap
  return fields
end

local libraries = {
  string = read_only("string", copy(string, { "dump" })), table = read_only("table", table),
  math = read_only("math", math), bit = read_only("bit", bit), coroutine = read_only("coroutine", library_coroutine()),
  io = read_only("io", library_io()), os = read_only("os", library_os()),
  debug = read_only("debug", { traceback = debug.traceback }),
}

local globals = copy(_G, {
  "_G", "require", "module", "package", "jit", "ffi", "setfenv", "getfenv", "newproxy", "gcinfo", "loadfile", "dofile",
})
for name, library in pairs(libraries) do globals[name] = library end

local environment = setmetatable({}, {
  __index = globals,
  __newindex = function(_, name)
    raise(("assignment to the global %q: write local %s"):format(tostring(name), tostring(name)))
  end,
  __metatable = false,
})
sealed[environment] = true
globals._G = environment

-- ("").anything goes through this metatable: it isn't shown, and shows the copy without `dump`.
local string_meta = getmetatable ""
string_meta.__index = copy(string, { "dump" })
string_meta.__metatable = false

local system_load, setfenv, rawset = load, setfenv, rawset

---Lets a chunk run in the environment of scripts.
function sandbox.enclose(chunk)
  return setfenv(chunk, environment)
end

function globals.load(chunk, name, mode, env)
  if mode ~= nil and mode ~= "t" and mode ~= "bt" then return nil, "attempt to load chunk with wrong mode" end
  return system_load(chunk, name, "t", env == nil and environment or env)
end

function globals.loadstring(text, name)
  if type(text) ~= "string" then raise("loadstring: a string expected, got a " .. type(text)) end
  return system_load(text, name, "t", environment)
end

function globals.loadfile(path)
  if host.phase == "run" then raise "loadfile works at load only" end
  local text, message = host.read_file(path)
  if not text then return nil, message end
  return system_load(text, "@" .. path, "t", environment)
end

function globals.dofile(path)
  local chunk, message = globals.loadfile(path)
  if not chunk then raise(message) end
  return chunk()
end

function globals.rawset(t, key, value)
  if sealed[t] or getmetatable(t) == "tidegate" then raise "rawset: this table is read only" end
  return rawset(t, key, value)
end

function globals.collectgarbage(option, argument)
  if host.phase == "run" and option ~= "count" then raise "collectgarbage: the gateway collects by itself" end
  return collectgarbage(option, argument)
end

function globals.print(...)
  local parts = {}
  for i = 1, select("#", ...) do parts[i] = tostring((select(i, ...))) end
  host.log("info", table.concat(parts, " "))
end

-- Modules of LuaJIT that scripts may have.
local ALLOWED = {
  ["table.new"] = true, ["table.clear"] = true, ["table.nkeys"] = true, ["table.isempty"] = true,
  ["table.isarray"] = true, ["table.clone"] = true,
}

local PRIVATE = {
  ffi = true, jit = true, package = true, ["tidegate.core"] = true, ["tidegate.host"] = true,
  ["tidegate.config"] = true, ["thread.exdata"] = true, ["thread.exdata2"] = true, ["string.buffer"] = true,
}

local own_cjson

local function is_private(name)
  return PRIVATE[name] or name:find "^jit%." or name:find "^tidegate%.runtime%." or name:find "^tidegate%.config%."
end

---@param name string
function globals.require(name)
  if type(name) ~= "string" then raise("require: the name of a module expected, got a " .. type(name)) end
  if libraries[name] then return libraries[name] end
  if name == "_G" then return environment end
  if name == "cjson" then
    own_cjson = own_cjson or require "cjson".new()
    return own_cjson
  end
  if ALLOWED[name] then return require(name) end
  if is_private(name) then raise(("module '%s' is not for scripts"):format(name)) end
  local value, message = sandbox.find_module(name)
  if value == nil then raise(message) end
  return value
end

globals.package = read_only("package", {
  config = package.config, path = "", cpath = "",
  loaded = read_only("package.loaded", setmetatable({}, {
    __index = function(_, name)
      if libraries[name] then return libraries[name] end
      if type(name) == "string" and not is_private(name) and name ~= "cjson" then return package.loaded[name] end
    end,
  })),
})

return sandbox
