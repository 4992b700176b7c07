---The programs of t/node as a test sees them.
local cjson = require "cjson.safe"
local process = require "t.support.process"

local node = {}

local function first_line(program)
  return process.wait_until(function()
    return program:output_text():match "^[^\n]+\n" or not program:running()
  end, 20, "a line of " .. program.name)
end

---Starts a program that prints one line of JSON and lives on. Gives it and what it said.
---@return support.Process, table
function node.start(script, arguments, environment)
  local program = process.start {
    program = "node", arguments = { "t/node/" .. script, unpack(arguments or {}) }, name = script,
    environment = environment,
  }
  local line = first_line(program)
  if line == true then error(script .. " ended: " .. program:errors_text(), 2) end
  return program, assert(cjson.decode(line))
end

---Runs a program to its end; gives its lines of JSON, decoded.
---@return table[]
function node.run(script, arguments, timeout)
  local code, output, errors = process.run {
    program = "node", arguments = { "t/node/" .. script, unpack(arguments or {}) }, timeout = timeout or 60,
  }
  local lines = {}
  for line in output:gmatch "([^\n]+)\n" do lines[#lines + 1] = cjson.decode(line) end
  if code ~= 0 or not lines[1] then error(script .. ": " .. tostring(code) .. " " .. output .. errors, 2) end
  return lines
end

---One request through t/node/ask.js. Kinds: h1, h1s, h2c, h2.
---@return table result, table[] all
function node.ask(kind, port, options)
  local lines = node.run("ask.js", { kind, port, cjson.encode(options or {}) })
  return lines[1], lines
end

---An origin of four kinds (t/node/origin.js); with `certificate` (of t/support/certificates.lua) under TLS, too.
---`ports` has one for each kind.
---@return support.Process
function node.origin(certificate, more)
  local arguments = certificate and { "--cert", certificate.chain, "--key", certificate.key } or {}
  for _, word in ipairs(more or {}) do arguments[#arguments + 1] = word end
  local program, said = node.start("origin.js", arguments)
  program.ports = said.ports
  return program
end

return node
