---The strict test origin (t/support/origin.c) as a test sees it.
local cjson = require "cjson.safe"
local client = require "t.support.client"
local process = require "t.support.process"

local origin = {}

---@class support.Origin
---@field port integer
---@field ports integer[]
local Origin = {}
Origin.__index = Origin

---@param options? table ports = how many, idle = milliseconds after which idle connections are closed, unix = path
---@return support.Origin
function origin.start(options)
  options = options or {}
  local arguments = { "--ports", options.ports or 1 }
  for _, name in ipairs { "idle", "unix" } do
    if options[name] then
      arguments[#arguments + 1] = "--" .. name
      arguments[#arguments + 1] = options[name]
    end
  end
  local self = setmetatable({}, Origin)
  self.process = process.start { program = process.program "origin", arguments = arguments, name = "origin" }
  local line = process.wait_until(function()
    return self.process:output_text():match "^[^\n]+\n" or not self.process:running()
  end, 10, "the origin's ports")
  assert(line ~= true, "the origin ended: " .. self.process:errors_text())
  self.ports = cjson.decode(line).ports
  self.port = self.ports[1]
  return self
end

local function ask(self, path)
  local response = client.request(self.port, { path = "/origin/" .. path })
  return assert(cjson.decode(response.body))
end

---Counts since the last reset: accepted, open, requests, violations, texts, cut_requests, left_early, resets,
---tunnel_bytes, accepted_on.
function Origin:stats()
  return ask(self, "stats")
end

---The last requests as the origin read them: connection, request, line, headers, length, sha256, trailers.
function Origin:requests()
  return ask(self, "requests")
end

function Origin:last_request()
  local all = self:requests()
  return all[#all]
end

function Origin:reset()
  return ask(self, "reset")
end

function Origin:close_idle()
  return ask(self, "close")
end

---The value of a field of a described request; several lines in a list.
function origin.field(request, name)
  local found = {}
  for _, field in ipairs(request.headers) do
    if field[1]:lower() == name then found[#found + 1] = field[2] end
  end
  return #found > 1 and found or found[1]
end

function Origin:stop()
  self.process:kill()
end

return origin
