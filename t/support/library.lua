---The Lua library inside the real binary: a gateway that runs code of the specification in a request phase, or when it
---loads. A specification begins with
---
---    local library = require "t.support.library"
---    setup(library.start)
---    before_each(library.begin_test)
---    after_each(library.end_test)
---    teardown(library.end_file)
local gateway = require "t.support.gateway"

local library = {}

-- Values as Lua text: for arguments on their way in, and results on their way out. Runs on both sides.
local WRITTEN = [==[
local function written(value, depth)
  local kind = type(value)
  if kind == "string" then return ("%q"):format(value) end
  if kind == "number" then return ("%.17g"):format(value) end
  if kind ~= "table" or depth == 0 then
    return (kind == "nil" or kind == "boolean") and tostring(value) or ("%q"):format(kind)
  end
  local parts = {}
  for key, item in pairs(value) do
    parts[#parts + 1] = ("[%s]=%s"):format(written(key, 0), written(item, depth - 1))
  end
  return "{" .. table.concat(parts, ",") .. "}"
end
local function all_written(...)
  local parts = {}
  for i = 1, select("#", ...) do parts[i] = written((select(i, ...)), 8) end
  return table.concat(parts, ",")
end
]==]

local all_written = assert(loadstring(WRITTEN .. "return all_written"))()

local CONFIG = [==[
local tg = require "tidegate"
tg.settings { limits = { head = 900 * tg.KB }, error_log = { level = "warn" } }
tg.listen "127.0.0.1:${port}"
]==] .. WRITTEN .. [==[
local function answer(good, ...)
  if good then return "return " .. all_written(...) end
  return "raises " .. tostring((...))
end
local function arguments_of(req)
  return load("return " .. tg.uri.decode(req.headers["x-arguments"]))()
end
tg.route { path = "/eval", request = function(req)
  local code = assert(load(tg.uri.decode(req.headers["x-code"]), "=spec.lua"))
  return req:respond(200, answer(pcall(code, tg, req, arguments_of(req))))
end }
]==]

local function encoded(text)
  return (text:gsub("[^%w._~-]", function(c) return ("%%%02X"):format(c:byte()) end))
end

local function pack(...)
  return { n = select("#", ...), ... }
end

local edge

---Starts the gateway, for a `setup`.
function library.start()
  edge = gateway.start { config = CONFIG }
end

library.begin_test, library.end_test, library.end_file = gateway.begin_test, gateway.end_test, gateway.end_file

local function ask(code, headers, ...)
  headers = headers or {}
  local fields = { { "x-code", encoded("local tg, req = ...\n" .. code) },
    { "x-arguments", encoded(all_written(...) == "" and "nil" or all_written(...)) } }
  for _, field in ipairs(headers) do fields[#fields + 1] = field end
  local response = edge:request { path = "/eval", headers = fields }
  assert(response.status == 200, response.body)
  return response.body
end

---What the code returns in a request phase, where it has `tg`, `req` and these arguments as `...` from the third on.
---Tables come as copies.
function library.eval(code, ...)
  return library.eval_with(nil, code, ...)
end

---The same, of a request that has these headers too.
function library.eval_with(headers, code, ...)
  local body = ask(code, headers, ...)
  if body:sub(1, 7) == "raises " then error(body:sub(8), 2) end
  local values = pack(assert(loadstring(body))())
  return unpack(values, 1, values.n)
end

---The message that the code raises, without its place, which must be in the code itself.
function library.raised(code, ...)
  local body = ask(code, nil, ...)
  local message = body:match "^raises spec%.lua:%d+: (.*)$"
  if not message then error("expected an error at spec.lua, got: " .. body, 2) end
  return message
end

---What the top level of a configuration with this code in it prints; or nil and why it is refused.
function library.load(code, files)
  local prepared = gateway.prepare {
    config = "local tg = require 'tidegate'\ntg.listen '127.0.0.1:${port}'\n" .. code ..
      "\ntg.route { path = '/*', respond = { 200, 'x' } }\n",
    files = files,
  }
  local result = gateway.run { "check", "-c", prepared.folder .. "/gateway.lua" }
  if result.code ~= 0 then return nil, result.errors .. result.output end
  return result.errors .. result.output
end

return library
