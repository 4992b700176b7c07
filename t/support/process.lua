---Programs of a test: started through t/support/spawn, ended with the test whatever happens.
local socket = require "socket"
local lfs = require "lfs"

local process = {}

---@class support.Process
---@field pid integer
---@field output string file with what it printed
---@field errors string file with its standard error
local Process = {}
Process.__index = Process

local support_folder = os.getenv "TIDEGATE_SUPPORT" or "build/support"
local started, temporary = {}, {}
local in_test = false

---Ends the program when this Lua process ends without saying so, since its connection to spawn closes then.
function process.quote(word)
  return "'" .. tostring(word):gsub("'", "'\\''") .. "'"
end

function process.program(name)
  return support_folder .. "/" .. name
end

function process.read_file(path)
  local file = io.open(path, "rb")
  if not file then return "" end
  local text = file:read "*a"
  file:close()
  return text
end

function process.write_file(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

---A folder that is removed with the test, or with the file where none runs.
function process.folder()
  local pipe = io.popen "mktemp -d /tmp/tidegate-spec.XXXXXX"
  local path = pipe:read "*l"
  pipe:close()
  temporary[#temporary + 1] = { path = path, in_test = in_test }
  return path
end

---Waits until `check` gives something true; what it gives is the result. An error after `timeout` seconds.
function process.wait_until(check, timeout, what)
  local deadline = socket.gettime() + (timeout or 10)
  while true do
    local result = check()
    if result then return result end
    if socket.gettime() > deadline then error("waited too long for " .. (what or "something"), 2) end
    socket.sleep(0.002)
  end
end

local function read_line(self, timeout)
  self.control:settimeout(timeout)
  return self.control:receive "*l"
end

---@param options table program, arguments, folder, descriptors, environment, name
---@return support.Process
function process.start(options)
  local listener = assert(socket.bind("127.0.0.1", 0))
  local _, port = listener:getsockname()
  local self = setmetatable({ in_test = in_test, name = options.name or options.program }, Process)
  self.place = options.place or process.folder()
  self.output, self.errors = self.place .. "/stdout", self.place .. "/stderr"
  local words = {}
  for name, value in pairs(options.environment or {}) do words[#words + 1] = name .. "=" .. process.quote(value) end
  local function add(...)
    for _, word in ipairs { ... } do words[#words + 1] = process.quote(word) end
  end
  add(process.program "spawn", port, "-o", self.output, "-e", self.errors)
  if options.folder then add("-C", options.folder) end
  if options.descriptors then add("-n", options.descriptors) end
  add("--", options.program, unpack(options.arguments or {}))
  os.execute(table.concat(words, " ") .. " &")
  listener:settimeout(10)
  self.control = assert(listener:accept(), "spawn did not come up: run make support")
  listener:close()
  local line = assert(read_line(self, 10))
  self.pid = tonumber(line:match "^pid (%d+)$")
  started[#started + 1] = self
  return self
end

function Process:signal(number)
  self.control:send("signal " .. number .. "\n")
end

---Gives a line to the program's standard input.
function Process:send(text)
  self.control:send("send " .. text .. "\n")
end

---The exit code; 128 + N when signal N ended it; nil when it still runs after `timeout` seconds.
function Process:wait(timeout)
  if self.code then return self.code end
  local line = read_line(self, timeout or 10)
  if not line then return nil end
  local how, number = line:match "^(%a+) (%d+)$"
  self.code = tonumber(number) + (how == "killed" and 128 or 0)
  return self.code
end

function Process:running()
  return self:wait(0) == nil
end

function Process:kill()
  if self.code then return end
  self.control:send "group 9\n"
  self:wait(5)
end

function Process:errors_text()
  return process.read_file(self.errors)
end

function Process:output_text()
  return process.read_file(self.output)
end

---The sizes that the kernel keeps of it, in bytes: VmRSS now, VmHWM the most so far.
function Process:memory(name)
  local kilobytes = process.read_file("/proc/" .. self.pid .. "/status"):match((name or "VmRSS") .. ":%s+(%d+)")
  return tonumber(kilobytes) * 1024
end

function Process:open_descriptors()
  local count = 0
  for name in lfs.dir("/proc/" .. self.pid .. "/fd") do
    if name:match "^%d" then count = count + 1 end
  end
  return count
end

---Runs a program to its end. Gives its exit code, output and errors.
function process.run(options)
  local self = process.start(options)
  local code = self:wait(options.timeout or 20)
  if not code then self:kill() end
  return code or "it did not end", self:output_text(), self:errors_text()
end

---Where this process ends with the test, instead of the file.
function process.begin_test()
  in_test = true
end

local function end_some(which)
  local problems = {}
  for i = #started, 1, -1 do
    local one = started[i]
    if which(one) then
      local fine, problem = true, nil
      if one.on_end then fine, problem = pcall(one.on_end, one) end
      if not fine then problems[#problems + 1] = tostring(problem) end
      one:kill()
      one.control:close()
      table.remove(started, i)
    end
  end
  for i = #temporary, 1, -1 do
    if which(temporary[i]) then
      if not os.getenv "KEEP_SPEC_FILES" then os.execute("rm -rf " .. process.quote(temporary[i].path)) end
      table.remove(temporary, i)
    end
  end
  if problems[1] then error(table.concat(problems, "\n"), 0) end
end

---Ends what the test started.
function process.end_test()
  in_test = false
  end_some(function(one) return one.in_test end)
end

---Ends what is left.
function process.end_file()
  in_test = false
  end_some(function() return true end)
end

return process
