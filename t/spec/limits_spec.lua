-- Limits, timeouts, logs and listeners: what an operator sets, and what a client then meets.
local cjson = require "cjson.safe"
local client = require "t.support.client"
local gateway = require "t.support.gateway"
local origin = require "t.support.origin"
local process = require "t.support.process"
local socket = require "socket"

local HEAD = 'local tg = require "tidegate"\n'
local LISTEN = [[
tg.listen "127.0.0.1:${port}"
tg.upstream "origin" { "127.0.0.1:${origin}" }
]]

local strict

local function start(config, options)
  options = options or {}
  options.config = HEAD .. config
  options.variables = options.variables or {}
  options.variables.origin = strict.port
  return gateway.start(options)
end

describe("a gateway's limits", function()
  before_each(function()
    gateway.begin_test()
    strict = origin.start()
  end)
  after_each(function()
    local stats = strict:stats()
    gateway.end_test()
    assert.equal(0, stats.violations, table.concat(stats.texts, "; "))
  end)
  teardown(gateway.end_file)

  it("bound the connections of a worker; it takes new ones when others have gone", function()
    local edge = start('tg.settings { limits = { connections = 10 } }\n' .. LISTEN
      .. 'tg.route { respond = { 200, "x" } }\n')
    local connections, answered = {}, 0
    for i = 1, 20 do
      connections[i] = edge:connect()
      connections[i]:send(client.format {})
      if connections[i]:read_response { timeout = 0.3 } then answered = answered + 1 end
    end
    assert.equal(10, answered)
    for _, connection in ipairs(connections) do connection:close() end
    gateway.wait_until(function()
      local connection = edge:connect()
      connection:send(client.format {})
      local response = connection:read_response { timeout = 0.5 }
      connection:close()
      return response and response.body == "x"
    end, 10, "room for another connection")
  end)

  it("of a route win over the settings'", function()
    local edge = start('tg.settings { limits = { body = 10 } }\n' .. [[
tg.listen "127.0.0.1:${port}"
tg.upstream "origin" { "127.0.0.1:${origin}", timeouts = { first_byte = 0.2, total = 0.4 } }
tg.route { path = "/more/*", upstream = "origin", limits = { body = 20 }, timeouts = { first_byte = 5, total = 10 } }
tg.route { path = "/short/*", upstream = "origin", timeouts = { first_byte = 5 } }
tg.route { path = "/*", upstream = "origin" }
]])
    assert.equal(413, edge:request({ method = "POST", path = "/", body = ("x"):rep(15) }).status)
    assert.equal(200, edge:request({ method = "POST", path = "/more/", body = ("x"):rep(15) }).status)
    assert.equal(413, edge:request({ method = "POST", path = "/more/", body = ("x"):rep(25) }).status)
    assert.equal(504, edge:request({ path = "/?delay=600&text=x" }).status)
    assert.equal(200, edge:request({ path = "/more/?delay=600&text=x" }).status)
    assert.equal(504, edge:request({ path = "/short/?delay=600&text=x" }).status)
  end)

  it("give up on a peer that doesn't take the connection, and go to the next", function()
    -- a listener with no room left answers no SYN
    local full = assert(socket.tcp())
    assert(full:bind("127.0.0.1", 0))
    assert(full:listen(0))
    local _, port = full:getsockname()
    local fillers = {}
    for i = 1, 4 do
      fillers[i] = socket.tcp()
      fillers[i]:settimeout(0)
      fillers[i]:connect("127.0.0.1", port)
    end
    local edge = start(LISTEN .. [[
tg.upstream "full" { "127.0.0.1:${full}", timeouts = { connect = 0.3 } }
tg.upstream "half full" { "127.0.0.1:${full}", "127.0.0.1:${origin}", timeouts = { connect = 0.3 } }
tg.route { path = "/full", upstream = "full" }
tg.route { path = "/half", upstream = "half full" }
]], { variables = { full = port } })
    assert.equal(504, edge:request({ path = "/full" }).status)
    for _ = 1, 4 do assert.equal("x", edge:request({ path = "/half?text=x", method = "POST", body = "y" }).body) end
    for _, filler in ipairs(fillers) do filler:close() end
    full:close()
  end)

  it("end a tunnel through which nothing has gone for long", function()
    local edge = start(LISTEN .. 'tg.route { upstream = "origin", timeouts = { tunnel_idle = 0.3 } }\n')
    local connection = edge:connect()
    connection:send(client.format { path = "/?tunnel=echo", headers = { "Connection: upgrade", "Upgrade: websocket" } })
    assert.equal(101, connection:read_head().status)
    for _ = 1, 5 do
      socket.sleep(0.1)
      connection:send "x"
      assert.equal("x", connection:read_bytes(1))
    end
    assert.is_not_nil(connection:read_to_end(5))
    gateway.wait_until(function() return strict:stats().open == 0 end)
  end)

  it("keep no body for a retry that is larger than what may be kept", function()
    local edge = start(LISTEN .. 'tg.route { upstream = "origin" }\n')
    assert.equal("x", edge:request({ path = "/?text=x" }).body)
    assert.equal(200, edge:request({ method = "PUT", path = "/?hangup=stale&text=x", body = ("y"):rep(1000) }).status)
    strict:reset()
    assert.equal(502, edge:request({ method = "PUT", path = "/?hangup=stale&text=x", body = ("y"):rep(300000) }).status)
    assert.equal(1, strict:stats().requests)
  end)
end)

describe("the logs", function()
  before_each(function()
    gateway.begin_test()
    strict = origin.start()
  end)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  it("tell of each request who, what, where to and how long, once", function()
    local edge = start('tg.settings { access_log = "${folder}/access.log" }\n' .. LISTEN .. [[
tg.route { name = "all", upstream = "origin", request = function(req) req:set_response_header("x-id", req.id) end }
]])
    local response = edge:request { method = "POST", path = "/a%20b?body=1000&delay=20", body = "hello",
      host = "A.example:81" }
    local line = edge:wait_log(function(one) return one.id == response:header "x-id" end)
    assert.equal("127.0.0.1", line.ip)
    assert.equal("POST", line.method)
    assert.equal("a.example:81", line.host)
    assert.equal("/a%20b", line.path)
    assert.equal("body=1000&delay=20", line.query)
    assert.equal(200, line.status)
    assert.equal(1000, line.bytes_out)
    assert.equal(5, line.bytes_in)
    assert.equal("origin", line.upstream)
    assert.equal("127.0.0.1:" .. strict.port, line.peer)
    assert.equal(1, line.attempts)
    assert.equal("all", line.route)
    assert.equal(1, line.generation)
    assert.is_true(line.ms.first_byte >= 15 and line.ms.total >= line.ms.first_byte)
    assert.is_truthy(line.time:find "^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d")
    assert.equal(1, #edge:access_log())
  end)

  it("tell of requests that could not be read, too", function()
    local edge = start('tg.settings { access_log = "${folder}/access.log" }\n' .. LISTEN
      .. 'tg.route { upstream = "origin" }\n')
    local connection = edge:connect()
    connection:send "GET / HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n"
    assert.equal(400, connection:read_response().status)
    gateway.wait_until(function()
      return #edge:access_log() > 0 or edge:errors():find "400" or edge:errors():find "field name"
        or edge:status().counters.requests_rejected > 0
    end)
  end)

  it("go to standard output where nothing else is said", function()
    local edge = start(LISTEN .. 'tg.route { respond = { 200, "x" } }\n')
    edge:request { path = "/seen" }
    gateway.wait_until(function()
      for line in edge.process:output_text():gmatch "[^\n]+" do
        local decoded = cjson.decode(line)
        if decoded and decoded.path == "/seen" then return true end
      end
    end)
  end)

  it("of errors begin at the level that is asked for, and a reload moves it", function()
    local text = LISTEN .. [[
tg.settings { error_log = { file = "${folder}/error.log", level = "%s" } }
tg.route { path = "/*", upstream = "origin", request = function(req)
  tg.log.debug("a detail")
  tg.log.warn("a warning")
  return req:respond(204)
end }
]]
    local edge = start(text:format "debug")
    local function written()
      local file = assert(io.open(edge.folder .. "/error.log"))
      local all = file:read "*a"
      file:close()
      return all
    end
    assert.equal(204, edge:request({ path = "/" }).status)
    gateway.wait_until(function() return written():find("a warning", 1, true) end, 5, "the warning")
    assert.is_truthy(written():find("a detail", 1, true))
    edge:write("gateway.lua", HEAD .. text:format "warn")
    assert.equal(0, edge:command("reload").code)
    local before = #written()
    assert.equal(204, edge:request({ path = "/" }).status)
    gateway.wait_until(function() return written():sub(before + 1):find("a warning", 1, true) end, 5, "the warning")
    assert.is_nil(written():sub(before + 1):find("a detail", 1, true))
  end)

  it("of errors go to a file where one is named, with the script's line and the request's id", function()
    local edge = start('tg.settings { error_log = "${folder}/error.log", access_log = false }\n' .. LISTEN .. [[
tg.route { request = function(req)
  req:set_response_header("x-id", req.id)
  tg.log.warn("from the script", { a = 1 })
  error "on purpose"
end }
]])
    local response = edge:request { path = "/" }
    assert.equal(500, response.status)
    local id = response:header "x-id"
    gateway.wait_until(function()
      local text = process.read_file(edge.folder .. "/error.log")
      return text:find("on purpose", 1, true) and text:find("gateway.lua:8", 1, true) and text:find("from the script",
        1, true)
        and text:find(id, 1, true)
    end)
  end)
end)

describe("several listeners, several peers", function()
  before_each(function()
    gateway.begin_test()
    strict = origin.start { ports = 3 }
  end)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  it("may have routes of their own", function()
    local edge = start(LISTEN .. [[
tg.listen { "127.0.0.1:${port_inner}", name = "inner" }
tg.route { path = "/*", respond = { 200, "any" } }
tg.route { path = "/*", listener = "inner", respond = { 200, "inner" } }
]])
    assert.equal("any", edge:request({ path = "/" }).body)
    assert.equal("inner", client.request(edge.variables.port_inner, { path = "/" }).body)
  end)

  it("get requests in proportion to their weights, from any position", function()
    local edge = start(LISTEN .. [[
tg.upstream "weighted" { "127.0.0.1:${one}", { "127.0.0.1:${two}", weight = 3 }, { "127.0.0.1:${three}", weight = 4 } }
tg.route { upstream = "weighted" }
]], { variables = { one = strict.ports[1], two = strict.ports[2], three = strict.ports[3] }, workers = 2 })
    local counts = {}
    for _ = 1, 400 do
      local port = cjson.decode(edge:request({ path = "/" }).body).port
      counts[port] = (counts[port] or 0) + 1
    end
    assert.is_true(math.abs(counts[strict.ports[1]] - 50) <= 4)
    assert.is_true(math.abs(counts[strict.ports[2]] - 150) <= 8)
    assert.is_true(math.abs(counts[strict.ports[3]] - 200) <= 8)
  end)

  it("of which one refuses are asked without it, until it comes back", function()
    local edge = gateway.prepare { config = "", variables = { origin = strict.port, gone = gateway.free_port() } }
    edge:write("gateway.lua", HEAD .. LISTEN .. [[
tg.upstream "pair" { "127.0.0.1:${gone}", "127.0.0.1:${origin}" }
tg.route { upstream = "pair" }
]])
    edge:launch { workers = 1 }
    edge:wait_ready()
    for _ = 1, 20 do assert.equal("x", edge:request({ path = "/?text=x", method = "POST", body = "y" }).body) end
    assert.equal(20, strict:stats().requests)
  end)
end)
