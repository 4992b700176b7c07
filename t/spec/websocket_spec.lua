-- Upgrades: a tunnel after the upstream's 101 and never before, with a real client and a real server.
local cjson = require "cjson.safe"
local client = require "t.support.client"
local gateway = require "t.support.gateway"
local origin = require "t.support.origin"
local process = require "t.support.process"

local CONFIG = [[
local tg = require "tidegate"
tg.settings { access_log = "${folder}/access.log" }
tg.listen "127.0.0.1:${port}"
tg.upstream "origin" { "127.0.0.1:${origin}" }
tg.upstream "echo" { "127.0.0.1:${echo}" }
tg.route { path = "/ws/*rest", upstream = "echo", rewrite = "/*rest",
  request = function(req)
    if req.query.token ~= "good" then return req:respond(401, "no token\n") end
    req.headers["x-from-gateway"] = req.upgrade
  end,
  response = function(req, res)
    res.headers["x-phase"] = "response ran"
  end,
  log = function(req, res) req.log.upgraded = res and res.status end }
tg.route { path = "/*", upstream = "origin" }
]]

local HANDSHAKE = { "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==" }

local edge, strict, echo

local function start_node(script, arguments)
  return process.start { program = "node", arguments = { "t/node/" .. script, unpack(arguments or {}) } }
end

local function run_client(path, mode)
  local code, output, errors = process.run {
    program = "node", arguments = { "t/node/ws_client.js", "ws://127.0.0.1:" .. edge.port .. path, mode }, timeout = 60,
  }
  return code, assert(cjson.decode(output), errors)
end

local function handshake(path, headers)
  return client.format { path = path, headers = headers or HANDSHAKE }
end

describe("an upgrade", function()
  setup(function()
    strict = origin.start()
    local server = start_node("ws_echo.js")
    local line = gateway.wait_until(function() return server:output_text():match "^[^\n]+\n" end, 20, "the echo server")
    echo = cjson.decode(line).port
    edge = gateway.start { config = CONFIG, variables = { origin = strict.port, echo = echo }, workers = 2 }
  end)
  before_each(function()
    gateway.begin_test()
    strict:reset()
  end)
  after_each(function()
    local stats = strict:stats()
    gateway.end_test()
    assert.equal(0, stats.violations, table.concat(stats.texts, "; "))
  end)
  teardown(gateway.end_file)

  it("lets a real client and server echo messages of all sizes", function()
    local code, result = run_client("/ws/?token=good", "echo")
    assert.equal(0, code, result.error)
    assert.equal(10, result.echoed)
    assert.equal(1000, result.code)
  end)

  it("passes the server's close frame on", function()
    local code, result = run_client("/ws/?token=good", "close")
    assert.equal(0, code, result.error)
    assert.equal(4001, result.code)
    assert.equal("as asked", result.reason)
  end)

  it("runs the request phases first, which may refuse it or change the head", function()
    local code, result = run_client("/ws/greeting?token=good", "greeting")
    assert.equal(0, code, result.error)
    assert.equal("welcome websocket", result.text)
    code, result = run_client("/ws/?token=bad", "refused")
    assert.equal(0, code, result.error)
    assert.equal(401, result.status)
  end)

  it("keeps its connection as HTTP when a handler refuses it [U05] [D08]", function()
    local connection = edge:connect()
    connection:send(handshake "/ws/?token=bad" .. client.format { path = "/?text=next" })
    assert.equal(401, connection:read_response().status)
    local response = connection:read_response()
    assert.equal("next", response.body)
  end)

  it("tells its handlers of the response, and the log of its end", function()
    local connection = edge:connect()
    connection:send(handshake "/ws/?token=good")
    local head = connection:read_head()
    assert.equal(101, head.status)
    assert.equal("response ran", head:header "x-phase")
    assert.equal("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", head:header "sec-websocket-accept")
    connection:close()
    edge:wait_log(function(line) return line.upgraded == 101 end)
  end)

  it("delivers bytes that come in one write with the 101 [U03]", function()
    local connection = edge:connect()
    connection:send(handshake "/?tunnel=echo&first=hello")
    assert.equal(101, connection:read_head().status)
    assert.equal("hello", connection:read_bytes(5))
    connection:send "abc"
    assert.equal("abc", connection:read_bytes(3))
  end)

  it("holds the client's early bytes until the 101 comes [D08]", function()
    local connection = edge:connect()
    connection:send(handshake "/?tunnel=echo" .. "early")
    assert.equal(101, connection:read_head().status)
    assert.equal("early", connection:read_bytes(5))
  end)

  it("goes on in one direction when the client has finished the other [U03]", function()
    local connection = edge:connect()
    connection:send(handshake "/?tunnel=echo&bye=last%20words")
    assert.equal(101, connection:read_head().status)
    connection:send "abc"
    connection:half_close()
    local rest, how = connection:read_to_end()
    assert.equal("abclast words", rest)
    assert.equal("closed", how)
  end)

  it("goes on in the other direction when the origin has finished its own [U03]", function()
    local connection = edge:connect()
    connection:send(handshake "/?tunnel=sink&fin=1&first=hello&check=3")
    assert.equal(101, connection:read_head().status)
    local rest, how = connection:read_to_end()
    assert.equal("hello", rest)
    assert.equal("closed", how)
    connection:send(client.pattern(3, 300000))
    gateway.wait_until(function() return strict:stats().tunnel_bytes == 300000 end)
    connection:close()
    gateway.wait_until(function() return strict:stats().open == 0 end)
  end)

  it("ends both sides when one is reset", function()
    local connection = edge:connect()
    connection:send(handshake "/?tunnel=echo")
    assert.equal(101, connection:read_head().status)
    connection:reset()
    gateway.wait_until(function() return strict:stats().open == 0 end)
  end)

  it("that the upstream answers with 200 and an Upgrade field is a response like any other [D09]", function()
    local connection = edge:connect()
    connection:send(handshake "/?text=plain&header=Upgrade:%20websocket&header=Connection:%20Upgrade")
    local response = connection:read_response()
    assert.equal(200, response.status)
    assert.equal("plain", response.body)
    assert.is_nil(response:header "upgrade")
    assert.equal("x", client.request(connection, { path = "/?text=x" }).body)
  end)

  it("that the upstream refuses leaves HTTP as it was [U02]", function()
    for _, status in ipairs { 400, 426 } do
      local connection = edge:connect()
      connection:send(handshake("/?text=no&status=" .. status))
      assert.equal(status, connection:read_response().status)
      assert.equal("x", client.request(connection, { path = "/?text=x" }).body)
    end
  end)

  it("that the upstream answers for another key is 502, and its connection isn't used again [U04] [U05]", function()
    local head = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
    for i, accept in ipairs { "", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOp=\r\n" } do
      local connection = edge:connect()
      local raw = (head .. accept .. "\r\nearly"):gsub("[^%w]", function(c) return ("%%%02x"):format(c:byte()) end)
      connection:send(handshake("/wrong/" .. i .. "?keep=1&raw=" .. raw))
      local response = connection:read_response()
      assert.equal(502, response.status)
      assert.is_nil(response:header "upgrade")
      local line = edge:wait_log(function(line) return line.path == "/wrong/" .. i end)
      assert.equal("101 with a sec-websocket-accept that doesn't answer the key", line.detail)
      assert.equal("x", client.request(connection, { path = "/?text=x" }).body)
    end
  end)

  it("with a wrong version or key is the upstream's to refuse [U02]", function()
    local connection = edge:connect()
    connection:send(client.format {
      path = "/ws/?token=good", headers = { "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 7" },
    })
    local response = connection:read_response()
    assert.is_true(response.status == 400 or response.status == 426)
  end)

  it("field without Connection, or the reverse, is no upgrade: both are removed [D11]", function()
    for _, headers in ipairs { { "Upgrade: websocket" }, { "Connection: upgrade" } } do
      local response = edge:request { path = "/?tunnel=echo", headers = headers }
      assert.equal(200, response.status)
      local seen = cjson.decode(response.body)
      assert.is_nil(origin.field(seen, "upgrade"))
      assert.not_equal("upgrade", origin.field(seen, "connection"))
    end
  end)

  it("to h2c is never passed on, in whatever list or line it hides [D12] [U01]", function()
    for _, headers in ipairs {
      { "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__" },
      { "Connection: Upgrade", "Upgrade: websocket, h2c" },
      { "Connection: Upgrade", "Upgrade: websocket", "Upgrade: h2c" },
      { "Connection: Upgrade", "Upgrade: H2C" },
    } do
      local connection = edge:connect()
      connection:send(client.format { path = "/?tunnel=echo", headers = headers })
      connection:read_response { timeout = 5 }
      for _, request in ipairs(strict:requests()) do
        local upgrade = origin.field(request, "upgrade")
        assert(upgrade == nil or not upgrade:lower():find "h2c", tostring(upgrade))
        assert.is_nil(origin.field(request, "http2-settings"))
      end
    end
  end)

  it("carries bodies of megabytes unchanged both ways at once", function()
    local connection = edge:connect()
    connection:send(handshake "/?tunnel=generate&body=3000000&seed=8&check=9")
    assert.equal(101, connection:read_head().status)
    local up = client.pattern(9, 3000000)
    local sent, received = 0, {}
    local have = 0
    while sent < #up or have < 3000000 do
      if sent < #up then
        local done, _, upto = connection:send(up:sub(sent + 1, sent + 65536), 0.01)
        sent = done and math.min(#up, sent + 65536) or upto and sent + upto or sent
      end
      if have < 3000000 then
        local piece, _, partial = connection:read_bytes(math.min(65536, 3000000 - have), 0.01)
        received[#received + 1] = piece or partial or ""
        have = have + #received[#received]
      end
    end
    assert.is_true(table.concat(received) == client.pattern(8, 3000000))
    gateway.wait_until(function() return strict:stats().tunnel_bytes == 3000000 end)
  end)
end)
