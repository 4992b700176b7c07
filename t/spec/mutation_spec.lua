-- Messages with bytes changed at random: whatever comes in, what goes on is right in every byte, and the gateway lives.
-- A failure names the seed; MUTATION_SEED=N runs it again, MUTATION_SECONDS=N longer.
local client = require "t.support.client"
local gateway = require "t.support.gateway"
local origin = require "t.support.origin"
local socket = require "socket"

local CONFIG = [[
local tg = require "tidegate"
tg.settings { access_log = "${folder}/access.log", timeouts = { header = 2, idle = 2 } }
tg.listen "127.0.0.1:${port}"
tg.upstream "origin" { "127.0.0.1:${origin}", timeouts = { first_byte = 0.3, between_bytes = 0.3 } }
tg.route { path = "/a/:b/*c", upstream = "origin", request = function(req)
  req.ctx.seen = req.path .. tostring(req.params.b) .. tostring(req.query.q) .. tostring(req.cookies.u)
    .. req.headers:count()
end, response = function(req, res) res.headers["x-count"] = res.headers:count() end }
tg.route { path = "/*", upstream = "origin" }
]]

local REQUESTS = {
  "GET /a/b/c?q=1 HTTP/1.1\r\nHost: a.example:80\r\nAccept: */*\r\nCookie: u=v; w=x\r\n\r\n",
  "POST /a/b%20/../c HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world",
  "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n"
    .. "5\r\nhello\r\n6;a=\"b\"\r\n world\r\n0\r\nA: b\r\n\r\n",
  "PUT http://b.example/x?y HTTP/1.1\r\nHost: a\r\nConnection: X-A, close\r\nX-A: 1\r\nExpect: 100-continue\r\n"
    .. "Content-Length: 2\r\n\r\nhi",
  "OPTIONS * HTTP/1.1\r\nHost: [::1]:8080\r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\n\r\n",
  "GET /?tunnel=sink HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    .. "Sec-WebSocket-Key: abc\r\n\r\nxyz",
  "GET /a/b/c HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /x HTTP/1.0\r\n\r\n",
}

local ANSWERS = {
  "HTTP/1.1 200 OK\r\nContent-Length: 11\r\nSet-Cookie: a=b\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\nhello world",
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n"
    .. "5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nA: b\r\n\r\n",
  "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    .. "HTTP/1.1 404 Not Found\r\n"
    .. "Connection: close, X-A\r\nX-A: b\r\nContent-Length: 2\r\n\r\nno",
  "HTTP/1.0 200 OK\r\nServer: x\r\n\r\nto the end",
  "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n",
}

local SPECIAL = { "\r", "\n", "\r\n", "\0", " ", "\t", ":", ";", ",", "0", "1", "9", "f", "-", "\127", "\128", "\255",
  "/", "..", "%",
  "%2f", "%00", "?", "#", "@", "Host: b\r\n", "Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n", "\r\n\r\n",
    "0\r\n\r\n",
  "chunked", "Connection: close\r\n", "HTTP/1.1", "\r\n ", "Upgrade: h2c\r\n" }

local edge, strict

local function mutate(bytes)
  for _ = 1, math.random(3) do
    local at = math.random(#bytes)
    local how = math.random(4)
    if how == 1 then
      bytes = bytes:sub(1, at) .. SPECIAL[math.random(#SPECIAL)] .. bytes:sub(at + 1)
    elseif how == 2 then
      bytes = bytes:sub(1, at - 1) .. bytes:sub(at + math.random(4))
    elseif how == 3 then
      bytes = bytes:sub(1, at - 1) .. string.char(math.random(0, 255)) .. bytes:sub(at + 1)
    else
      local from = math.random(#bytes)
      bytes = bytes:sub(1, at) .. bytes:sub(from, from + math.random(20)) .. bytes:sub(at + 1)
    end
    if bytes == "" then return "\r\n" end
  end
  return bytes
end

local function escape(bytes)
  return (bytes:gsub("[^%w]", function(byte) return ("%%%02x"):format(byte:byte()) end))
end

local function show(bytes)
  return (bytes:gsub("[^\32-\126]", function(byte) return ("\\x%02x"):format(byte:byte()) end))
end

-- Reads answers to the end of the connection. An answer that is no HTTP is an error in the client.
local function read_all(connection, methods)
  for _ = 1, 20 do
    local response = connection:read_response { timeout = 8, method = methods }
    if not response then return end
    if response.status == 101 then
      connection:read_to_end(8)
      return
    end
  end
end

-- Calls `one` on a batch of connections at a time until the seconds are over.
local function for_some_seconds(make, check)
  local seed = tonumber(os.getenv "MUTATION_SEED") or math.floor(socket.gettime() * 1000) % 1000000
  math.randomseed(seed)
  local deadline = socket.gettime() + (tonumber(os.getenv "MUTATION_SECONDS") or 5)
  local rounds = 0
  while socket.gettime() < deadline do
    local batch = {}
    for i = 1, 30 do
      local connection = edge:connect()
      local bytes = make()
      batch[i] = { connection = connection, bytes = bytes }
      connection:send(bytes)
      if check == read_all then connection:half_close() end
    end
    for _, one in ipairs(batch) do
      local fine, problem = pcall(check, one.connection, one.bytes:match "^HEAD" and "HEAD" or nil)
      assert(fine, ("seed %d: %s\n%s"):format(seed, tostring(problem), show(one.bytes)))
      one.connection:close()
      rounds = rounds + 1
    end
    assert(edge.process:running(), "seed " .. seed .. ": the gateway ended\n" .. edge:errors():sub(-3000))
  end
  local stats = strict:stats()
  assert(stats.violations == 0, "seed " .. seed .. ": " .. table.concat(stats.texts, "; "))
  assert.is_true(rounds > 100)
end

describe("a message changed at random", function()
  before_each(function()
    gateway.begin_test()
    strict = origin.start()
    edge = gateway.start { config = CONFIG, variables = { origin = strict.port }, workers = 2 }
  end)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  it("as a request reaches the origin in a right form or not at all", function()
    for_some_seconds(function() return mutate(REQUESTS[math.random(#REQUESTS)]) end, read_all)
  end)

  it("as several requests on one connection is answered in a right form", function()
    for_some_seconds(function()
      return REQUESTS[math.random(2)] .. mutate(REQUESTS[math.random(#REQUESTS)]) .. REQUESTS[math.random(#REQUESTS)]
    end, read_all)
  end)

  it("as an answer reaches the client in a right form, or as 502, or cut", function()
    for_some_seconds(function()
      local answer = escape(mutate(ANSWERS[math.random(#ANSWERS)]))
      return client.format {
        path = "/a/b/c?raw=" .. answer .. (math.random(10) == 1 and "&keep=1" or ""),
        method = math.random(5) == 1 and "HEAD" or "GET",
      }
    end, function(connection, method)
      connection:read_response { timeout = 8, method = method }
    end)
  end)
end)
