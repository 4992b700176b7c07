---A gateway whose route runs what a specification sends it: `eval` gives the results of a piece of Lua that ran in the
---request phase, beside what the configuration defines.
local cjson = require "cjson.safe"
local client = require "t.support.client"
local gateway = require "t.support.gateway"

local scripting = {}

local ROUTE = [[
local function results(good, ...)
  if not good then return { error = tostring((...)) } end
  local list = { n = select("#", ...) }
  for i = 1, list.n do
    local item = select(i, ...)
    if item == nil then item = tg.null end
    if item ~= item or item == math.huge then item = tostring(item) end
    list["r" .. i] = item
  end
  return list
end

tg.route { name = "eval", path = "/eval", request = function(req)
  local f, why = load("local req, share = ... " .. req.query.code, "=eval")
  if not f then return req:respond(400, why) end
  return req:respond(200, results(pcall(f, req, share)))
end }
]]

---The text of a gateway.lua. `lines`: what stands before the route; a local `share` there is seen by the pieces.
function scripting.config(lines)
  return 'local tg = require "tidegate"\ntg.listen "127.0.0.1:${port}"\nlocal share\n' .. lines .. "\n" .. ROUTE
end

local function encode(text)
  return (text:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end))
end

local function unpacked(body)
  local list = assert(cjson.decode(body), body)
  if list.error then error(list.error, 0) end
  local values = {}
  for i = 1, list.n do
    local item = list["r" .. i]
    if item == cjson.null then item = nil end
    values[i] = item
  end
  return unpack(values, 1, list.n)
end

---What a piece of Lua returned; raises what it raised.
function scripting.eval(edge, code)
  local response = edge:request { path = "/eval?code=" .. encode(code) }
  assert(response.status == 200, ("%d: %s"):format(response.status, response.body))
  return unpacked(response.body)
end

---Begins one; the function that is returned waits for its results.
function scripting.begin(edge, code)
  local connection = edge:connect()
  connection:send(client.format { path = "/eval?code=" .. encode(code) })
  return function() return unpacked(connection:read_response().body) end, connection
end

scripting.gateway = gateway

return scripting
