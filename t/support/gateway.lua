---The real binary under test: started on free ports with a configuration of the test, driven by its command line, and
---ended with the test. A specification begins with
---
---    local gateway = require "t.support.gateway"
---    before_each(gateway.begin_test)
---    after_each(gateway.end_test)
---    teardown(gateway.end_file)
---
---What starts in `setup` lives for the file, what starts in a test for that test. A gateway that doesn't end with 0 on
---SIGTERM, or that a sanitizer complained about, fails the test.
local cjson = require "cjson.safe"
local client = require "t.support.client"
local process = require "t.support.process"
local socket = require "socket"
local lfs = require "lfs"

local gateway = {}

---@class support.Gateway
---@field port integer the first listener's
---@field folder string where gateway.lua is
---@field variables table<string, string|integer>
local Gateway = {}
Gateway.__index = Gateway

local function default_binary()
  if os.getenv "TIDEGATE_BIN" then return os.getenv "TIDEGATE_BIN" end
  return lfs.attributes("build/asan/tidegate") and "build/asan/tidegate" or "build/tidegate"
end

local function absolute(path)
  return path:sub(1, 1) == "/" and path or lfs.currentdir() .. "/" .. path
end

gateway.binary = absolute(default_binary())
gateway.is_instrumented = gateway.binary:find "asan" ~= nil or gateway.binary:find "tsan" ~= nil

-- Ports below the range that the kernel gives to outgoing connections, so that nobody takes one between its choice
-- and its use.
local function port_is_free(port)
  local handle = socket.tcp()
  handle:setoption("reuseaddr", true)
  local free = handle:bind("127.0.0.1", port)
  handle:close()
  return free ~= nil
end

local given = {}
math.randomseed(socket.gettime() * 1000 % 2 ^ 31)
for _ = 1, 10 do math.random() end

---@return integer
function gateway.free_port()
  while true do
    local port = math.random(10240, 32000)
    if not given[port] and port_is_free(port) then
      given[port] = true
      return port
    end
  end
end

---Replaces each ${name}. Names that begin with "port" get a free port when first used.
local function expand(self, text)
  return (text:gsub("%${([%w_]+)}", function(name)
    if self.variables[name] == nil then
      assert(name:find "^port", "no value for ${" .. name .. "}")
      self.variables[name] = gateway.free_port()
      self.port = self.port or self.variables[name]
    end
    return tostring(self.variables[name])
  end))
end

---Writes a file of the configuration.
function Gateway:write(name, text)
  local path = self.folder .. "/" .. name
  if name:find "/" then os.execute("mkdir -p " .. process.quote(path:match "^(.*)/")) end
  -- a new file in its place, as editors do it
  process.write_file(path .. ".new", expand(self, text))
  os.rename(path .. ".new", path)
end

local function check_errors(text)
  for _, mark in ipairs { "Sanitizer", "runtime error:", "PANIC", "Assertion" } do
    if text:find(mark, 1, true) then return text:sub(-6000) end
  end
end

local function ended_well(self)
  self.process:signal(15)
  local code = self.process:wait(gateway.is_instrumented and 40 or 20)
  local text = self.process:errors_text()
  local complaint = check_errors(text)
  if complaint then error("the gateway's sanitizer or an assertion complains:\n" .. complaint, 0) end
  if self.may_die then return end
  if code == nil then
    local arguments = { "status", "--json", "--socket", self.socket }
    local _, status = process.run { program = gateway.binary, arguments = arguments }
    error("the gateway does not end on SIGTERM:\n" .. text:sub(-2000) .. status, 0)
  end
  if code ~= 0 then error("the gateway ended with " .. code .. ":\n" .. text:sub(-3000), 0) end
end

---A folder with the configuration in it, not started.
---@param options table config (text), files (name = text), variables
---@return support.Gateway
function gateway.prepare(options)
  local self = setmetatable({ folder = process.folder(), variables = {} }, Gateway)
  self.variables.folder = self.folder
  for name, value in pairs(options.variables or {}) do self.variables[name] = value end
  self.socket = self.folder .. "/control.sock"
  self:write("gateway.lua", options.config)
  for name, text in pairs(options.files or {}) do self:write(name, text) end
  return self
end

-- Sanitizers want a fixed layout of the address space.
local function command(words)
  if not gateway.is_instrumented then return gateway.binary, words end
  local all = { "-R", gateway.binary }
  for _, word in ipairs(words) do all[#all + 1] = word end
  return "setarch", all
end

local environment = {
  ASAN_OPTIONS = os.getenv "ASAN_OPTIONS" or "detect_stack_use_after_return=0:abort_on_error=0",
  UBSAN_OPTIONS = os.getenv "UBSAN_OPTIONS" or "print_stacktrace=1",
  TSAN_OPTIONS = os.getenv "TSAN_OPTIONS",
}

local function merged_environment(more)
  local merged = {}
  for _, from in ipairs { environment, more or {} } do
    for name, value in pairs(from) do merged[name] = value end
  end
  return merged
end

---Starts `tidegate run` without waiting for anything.
function Gateway:launch(options)
  options = options or {}
  local words = { "run", "-c", self.folder .. "/gateway.lua", "--socket", self.socket }
  if options.workers then
    words[#words + 1] = "--workers"
    words[#words + 1] = options.workers
  end
  for _, word in ipairs(options.arguments or {}) do words[#words + 1] = word end
  local program, arguments = command(words)
  self.process = process.start {
    program = program,
    arguments = arguments,
    descriptors = options.descriptors,
    environment = merged_environment(options.environment),
    name = "gateway",
  }
  self.process.on_end = function() ended_well(self) end
  return self
end

---Waits for the "listening on" lines of all `${port...}`, or for its end.
function Gateway:wait_ready(timeout)
  process.wait_until(function()
    local text = self.process:errors_text()
    if text:find "listening on" then return true end
    if not self.process:running() then error("the gateway ended:\n" .. text, 0) end
  end, timeout or 20, "the gateway to listen")
  return self
end

---Writes the configuration, starts the gateway and waits until it serves.
---@param options table config, files, variables, workers (1), descriptors, arguments, environment
---@return support.Gateway
function gateway.start(options)
  local self = gateway.prepare(options)
  self:launch {
    workers = options.workers or 1,
    descriptors = options.descriptors,
    arguments = options.arguments,
    environment = options.environment,
  }
  return self:wait_ready()
end

---Runs the binary with these words to its end.
---@return table code, output, errors
function gateway.run(words, options)
  local program, arguments = command(words)
  local code, output, errors = process.run {
    program = program,
    arguments = arguments,
    environment = merged_environment(options and options.environment),
    folder = options and options.folder,
    timeout = options and options.timeout,
  }
  local complaint = check_errors(errors)
  if complaint then error("tidegate " .. table.concat(words, " ") .. ":\n" .. complaint, 2) end
  return { code = code, output = output, errors = errors }
end

---A command of the command line for this gateway: "reload", "--name", "x".
function Gateway:command(...)
  local words = { ... }
  words[#words + 1] = "--socket"
  words[#words + 1] = self.socket
  return gateway.run(words)
end

---A reload that must succeed.
function Gateway:reload(...)
  local result = self:command("reload", ...)
  if result.code ~= 0 then error("the reload failed: " .. result.errors .. result.output, 2) end
  return result
end

function Gateway:status()
  local result = self:command("status", "--json")
  if result.code ~= 0 then error("no status: " .. result.errors, 2) end
  return assert(cjson.decode(result.output))
end

function Gateway:generations()
  local result = self:command("generations", "--json")
  if result.code ~= 0 then error("no generations: " .. result.errors, 2) end
  return assert(cjson.decode(result.output))
end

---Asks the admin socket directly, for what has no command: a table, and the decoded reply.
function Gateway:ask(question)
  local handle = assert(require "socket.unix"())
  handle:settimeout(20)
  assert(handle:connect(self.socket))
  assert(handle:send(cjson.encode(question) .. "\n"))
  local reply = assert(handle:receive "*l")
  handle:close()
  return assert(cjson.decode(reply))
end

---Stops it with SIGTERM and checks how it ended.
function Gateway:stop()
  self.process.on_end = nil
  ended_well(self)
end

---The error log so far.
function Gateway:errors()
  return self.process:errors_text()
end

---The lines of the access log file `${folder}/access.log`, decoded.
function Gateway:access_log(name)
  local lines = {}
  for line in process.read_file(self.folder .. "/" .. (name or "access.log")):gmatch "([^\n]*)\n" do
    lines[#lines + 1] = assert(cjson.decode(line), "not JSON: " .. line)
  end
  return lines
end

---Waits for a line of the access log that `check` accepts, and gives it.
function Gateway:wait_log(check, timeout)
  return process.wait_until(function()
    for _, line in ipairs(self:access_log()) do
      if check(line) then return line end
    end
  end, timeout, "a line in the access log")
end

---Waits for a text in the error log.
function Gateway:wait_error(text, timeout)
  return process.wait_until(function() return self:errors():find(text, 1, true) end, timeout, "the error " .. text)
end

function Gateway:connect(from)
  return client.connect(self.port, from)
end

function Gateway:request(options)
  return client.request(self.port, options)
end

gateway.begin_test = process.begin_test
gateway.wait_until = process.wait_until

function gateway.end_test()
  client.close_all()
  process.end_test()
end

function gateway.end_file()
  client.close_all()
  process.end_file()
end

return gateway
