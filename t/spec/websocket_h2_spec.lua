-- WebSocket between HTTP/1.1 and HTTP/2, in every pairing: what one has in fields the other has in its frames.
local cjson = require "cjson.safe"
local client = require "t.support.client"
local gateway = require "t.support.gateway"
local origin = require "t.support.origin"
local process = require "t.support.process"

local CONFIG = [[
local tg = require "tidegate"
tg.settings { access_log = "${folder}/access.log" }
tg.listen "127.0.0.1:${port}"
tg.upstream "h1" { "127.0.0.1:${origin}" }
tg.upstream "h2" { "127.0.0.1:${h2}", protocol = "h2" }
tg.upstream "plain" { "127.0.0.1:${plain}", protocol = "h2" }
tg.route { path = "/h1/*", upstream = "h1" }
tg.route { path = "/h2/*", upstream = "h2" }
tg.route { path = "/plain/*", upstream = "plain" }
tg.route { path = "/own/*", respond = { 200, "mine" } }
]]

local HANDSHAKE = { "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol: chat" }

local edge, strict, h2, plain
local field = origin.field

local function serve(...)
  local server = process.start { program = "node", arguments = { "t/node/ws_h2.js", "server", ... } }
  local line = gateway.wait_until(function() return server:output_text():match "^[^\n]+\n" end, 20, "the h2 server")
  return { process = server, port = cjson.decode(line).port }
end

-- The head of the last request that the server printed.
local function last_head(server)
  local last = gateway.wait_until(function()
    return server.process:output_text():match '.*\n({"headers".-)\n$'
  end, 10, "a request's head")
  return cjson.decode(last).headers
end

local function connect(path)
  local _, output, errors = process.run {
    program = "node", arguments = { "t/node/ws_h2.js", "client", edge.port, path }, timeout = 30,
  }
  return assert(cjson.decode(output), errors)
end

local function upgrade(path, body)
  local connection = edge:connect()
  connection:send(client.format { path = path, headers = HANDSHAKE, body = body })
  return connection
end

describe("WebSocket", function()
  setup(function()
    strict, h2, plain = origin.start(), serve(), serve "plain"
    edge = gateway.start { config = CONFIG, variables = { origin = strict.port, h2 = h2.port, plain = plain.port } }
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

  it("from HTTP/2 to HTTP/1.1 gets its key and loses the answer to it [U04]", function()
    local result = connect "/h1/a?tunnel=echo&bye=bye"
    assert.is_true(result.promised)
    assert.equal(200, result.status)
    assert.equal("hellobye", result.data)
    assert.is_true(result.ended)
    assert.is_nil(result.error)
    for _, name in ipairs { "sec-websocket-accept", "upgrade", "connection" } do assert.is_nil(result.headers[name]) end
    local seen = strict:last_request()
    assert.equal("websocket", field(seen, "upgrade"))
    assert.equal("13", field(seen, "sec-websocket-version"))
    assert.equal("chat", field(seen, "sec-websocket-protocol"))
    assert.equal(24, #field(seen, "sec-websocket-key"))
    assert.truthy(seen.line:find "^GET ")
    assert.equal(101, edge:wait_log(function(line) return line.path == "/h1/a" end).status)
  end)

  it("from HTTP/2 whose HTTP/1.1 upstream answers another key is 502 [U04]", function()
    local raw = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
      .. "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    raw = raw:gsub("[^%w]", function(c) return ("%%%02x"):format(c:byte()) end)
    assert.equal(502, connect("/h1/wrong?raw=" .. raw).status)
  end)

  it("from HTTP/1.1 to HTTP/2 loses its key and gets the answer to it [U04]", function()
    local connection = upgrade "/h2/a?b=c"
    local head = connection:read_head()
    assert.equal(101, head.status)
    assert.equal("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", head:header "sec-websocket-accept")
    assert.equal("websocket", head:header "upgrade")
    assert.equal("origin", head:header "x-from")
    connection:send "hello"
    assert.equal("hello", connection:read_bytes(5))
    connection:half_close()
    assert.equal("", (connection:read_to_end()))
    local seen = last_head(h2)
    assert.equal("CONNECT", seen[":method"])
    assert.equal("websocket", seen[":protocol"])
    assert.equal("/h2/a?b=c", seen[":path"])
    assert.equal("13", seen["sec-websocket-version"])
    assert.is_nil(seen["sec-websocket-key"])
  end)

  it("from HTTP/2 to HTTP/2 passes through [U04]", function()
    local result = connect "/h2/both"
    assert.equal(200, result.status)
    assert.equal("hello", result.data)
    assert.is_true(result.ended)
  end)

  it("to an HTTP/2 upstream that knows none of it is no tunnel [U04] [U05]", function()
    assert.equal(502, connect("/plain/a").status)
    local connection = upgrade "/plain/b"
    local response = connection:read_response()
    assert.equal(502, response.status)
    assert.is_nil(response:header "upgrade")
    assert.equal("no tunnel", client.request(connection, { path = "/plain/c" }).body)
  end)

  it("with a body to an HTTP/2 upstream never becomes a tunnel [U04]", function()
    local response = upgrade("/h2/body", "smuggled"):read_response()
    assert.is_true(response ~= nil and response.status ~= 101)
  end)

  it("that upstream refuses is refused, and that the gateway answers is no tunnel [U02] [U05]", function()
    local result = connect "/h1/?status=403&text=no"
    assert.equal(403, result.status)
    assert.equal("no", result.data)
    assert.equal(502, connect("/h1/?text=plain").status)
    assert.equal(501, connect("/own/a").status)
  end)
end)
