-- What gRPC means to the gateway where both sides speak HTTP/1.1: deadlines, statuses, ends.
local cjson = require "cjson.safe"
local client = require "t.support.client"
local gateway = require "t.support.gateway"
local origin = require "t.support.origin"

local CONFIG = [[
local tg = require "tidegate"
tg.settings { access_log = "${folder}/access.log" }
tg.listen "127.0.0.1:${port}"
tg.upstream "origin" { "127.0.0.1:${origin}" }
tg.upstream "refused" { "127.0.0.1:${port_refused}" }
tg.route { path = "/refused/*", upstream = "refused",
  error = function(req, err) req.log.seen = err.status end }
tg.route { path = "/own/error/*", upstream = "refused",
  error = function(req, err) return req:respond(err.status, "mine\n") end }
tg.route { path = "/forbidden/*", upstream = "origin", request = function(req) return req:respond(403, "no\n") end }
tg.route { path = "/said/*", upstream = "origin", request = function(req)
  return req:respond(200, "", { ["content-type"] = "application/grpc", ["grpc-status"] = "16",
    ["grpc-message"] = "no token" })
end }
tg.route { path = "/broken/*", upstream = "origin", request = function() error "deliberate" end }
tg.route { path = "/limited/*", upstream = "origin", limits = { body = 10 } }
tg.route { path = "/total/*", upstream = "origin", timeouts = { total = 0.3 } }
tg.route { path = "/up/*", upstream = "origin" }
]]

local MESSAGE = "\0\0\0\0\3abc"
local WIRE = "%00%00%00%00%03abc"
local GRPC = "header=Content-Type:%20application/grpc"

local edge, strict
local field = origin.field

local function call(path, options)
  options = options or {}
  local headers = { "Content-Type: application/grpc+proto", "TE: trailers", "Connection: te" }
  for _, line in ipairs(options.headers or {}) do headers[#headers + 1] = line end
  return { method = "POST", path = path, headers = headers, body = options.body or MESSAGE, chunked = options.chunked }
end

local function send(path, options)
  return edge:request(call(path, options))
end

local function logged(path)
  return edge:wait_log(function(line) return line.path == path end)
end

-- An answer without a body whose head says it all.
local function assert_status(response, status)
  assert.equal(200, response.status)
  assert.equal(status, response:header "grpc-status")
  assert.equal("application/grpc+proto", response:header "content-type")
  assert.equal("", response.body)
end

describe("a gRPC request over HTTP/1.1", function()
  setup(function()
    strict = origin.start()
    edge = gateway.start { config = CONFIG, variables = { origin = strict.port } }
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

  it("that no route takes is unimplemented", function()
    local response = send "/nowhere"
    assert_status(response, "12")
    local message = response:header "grpc-message"
    assert.truthy(message:find "^Not Found; request %x+$")
    local line = logged "/nowhere"
    assert.equal(200, line.status)
    assert.equal(12, line.grpc_status)
    assert.equal("no_route", line.error)
    assert.equal(line.id, message:match "request (%x+)")
  end)

  it("whose upstream refuses is unavailable, and the error phase sees 502 [Q02]", function()
    assert_status(send "/refused/a", "14")
    local line = logged "/refused/a"
    assert.equal(502, line.seen)
    assert.equal(14, line.grpc_status)
  end)

  it("is answered by a handler as the handler says", function()
    for path, status in pairs { ["/forbidden/a"] = 403, ["/own/error/a"] = 502 } do
      local response = send(path)
      assert.equal(status, response.status)
      assert.is_nil(response:header "grpc-status")
      assert.is_nil(logged(path).grpc_status)
    end
  end)

  it("gets the status that a handler says, and nothing else", function()
    local response = send "/said/a"
    assert.equal("16", response:header "grpc-status")
    assert.equal("no token", response:header "grpc-message")
    assert.equal("", response.body)
    assert.equal(16, logged("/said/a").grpc_status)
  end)

  it("on which a script fails is an internal error", function()
    assert_status(send "/broken/a", "13")
  end)

  it("with too large a body has exhausted a resource", function()
    assert_status(send("/limited/a", { body = ("x"):rep(11) }), "8")
    assert_status(send("/limited/b", { body = ("x"):rep(11), chunked = 4 }), "8")
  end)

  it("has its own deadline, and what remains of it goes up", function()
    local response = send("/up/late?delay=5000", { headers = { "grpc-timeout: 400m" } })
    assert_status(response, "4")
    assert.equal("timeout", logged("/up/late").error)
    gateway.wait_until(function() return strict:stats().open == 0 end)
    local seen = cjson.decode(send("/up/told", { headers = { "grpc-timeout: 2S" } }).body)
    local left = assert(field(seen, "grpc-timeout"):match "^(%d+)u$")
    assert.is_true(tonumber(left) <= 2000000 and tonumber(left) > 0)
  end)

  it("has the route's deadline where that is narrower, and tells upstream", function()
    assert_status(send("/total/a?delay=5000", { headers = { "grpc-timeout: 1H" } }), "4")
    local seen = cjson.decode(send("/total/b").body)
    assert.truthy(field(seen, "grpc-timeout"):find "^%d+[un]$")
  end)

  it("with a malformed deadline is an internal error and doesn't go up", function()
    for i, text in ipairs { "1", "5s", "123456789S", "-1S", "1.5S" } do
      assert_status(send("/up/bad" .. i, { headers = { "grpc-timeout: " .. text } }), "13")
    end
    assert.equal(0, strict:stats().requests)
  end)

  it("asks upstream for trailers, and no status of the client's goes up [Q04]", function()
    local seen = cjson.decode(edge:request { method = "POST", path = "/up/x", body = MESSAGE,
      headers = { "content-type: application/grpc", "Grpc-Status: 0", "grpc-message: fine", "grpc-encoding: gzip" },
    }.body)
    assert.equal("trailers", field(seen, "te"))
    assert.is_nil(field(seen, "grpc-status"))
    assert.is_nil(field(seen, "grpc-message"))
    assert.equal("gzip", field(seen, "grpc-encoding"))
  end)

  it("gets upstream's status, from trailers or from the head [Q01]", function()
    local response = send("/up/a?chunked=1&" .. GRPC .. "&trailer=grpc-status:%205&text=" .. WIRE)
    assert.equal(MESSAGE, response.body)
    assert.equal("5", response:trailer "grpc-status")
    assert.equal(5, logged("/up/a").grpc_status)
    response = send("/up/b?body=0&" .. GRPC .. "&header=grpc-status:%203")
    assert.equal("3", response:header "grpc-status")
    assert.is_nil(response:header "grpc-message")
    assert.equal("", response.body)
    response = send("/up/c?body=0&chunked=1&" .. GRPC .. "&trailer=grpc-status:%200")
    assert.equal("0", response:trailer "grpc-status")
    assert.equal(0, logged("/up/c").grpc_status)
  end)

  it("gets a status, never 0, where upstream says none [Q02]", function()
    local response = send "/up/none/a?text=plain"
    assert.equal("plain", response.body)
    assert.equal("chunked", response.framing)
    assert.equal("2", response:trailer "grpc-status")
    response = send "/up/none/b?status=503&text=sorry"
    assert.equal(503, response.status)
    assert.equal("sorry", response.body)
    assert.equal("14", response:trailer "grpc-status")
    response = send "/up/none/c?status=401&body=0"
    assert.equal("16", response:header "grpc-status")
    assert.equal(16, logged("/up/none/c").grpc_status)
  end)

  it("gets a status where upstream dies between messages, and no end inside one [Q02]", function()
    local head = "?chunked=1&pause=100&" .. GRPC .. "&text=" .. WIRE .. WIRE
    local response = send("/up/between" .. head .. "&cut=8")
    assert.equal(MESSAGE, response.body)
    assert.equal("14", response:trailer "grpc-status")
    local line = logged "/up/between"
    assert.equal("cut", line.ended)
    assert.equal(14, line.grpc_status)
    local connection = edge:connect()
    connection:send(client.format(call("/up/inside" .. head .. "&cut=10")))
    assert.is_nil(connection:read_response())
    assert.equal("cut", logged("/up/inside").ended)
  end)

  it("is one only as POST and with its content type", function()
    for _, options in ipairs {
      { method = "POST", body = "x", headers = { "content-type: application/grpc-web+proto" } },
      { method = "POST", body = "x", headers = { "content-type: application/json" } },
      { method = "PUT", body = "x", headers = { "content-type: application/grpc" } },
    } do
      options.path = "/refused/plain"
      assert.equal(502, edge:request(options).status)
    end
  end)
end)
