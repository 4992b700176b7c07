-- gRPC end to end, with a real client and a real service (@grpc/grpc-js) on both sides of the gateway.
local certificates = require "t.support.certificates"
local gateway = require "t.support.gateway"
local node = require "t.support.node"

local CONFIG = [[
local tg = require "tidegate"
tg.settings { access_log = "${folder}/access.log" }
tg.listen { "127.0.0.1:${port}", name = "clear" }
tg.listen { "127.0.0.1:${port_tls}", name = "tls", tls = { cert = "${cert}", key = "${key}" } }
tg.listen { "127.0.0.1:${port_down}", name = "down" }
tg.listen { "127.0.0.1:${port_nowhere}", name = "nowhere" }
tg.listen { "127.0.0.1:${port_short}", name = "short" }
tg.listen { "127.0.0.1:${port_origin}", name = "origin" }
tg.upstream "clear" { "127.0.0.1:${service}", protocol = "h2" }
tg.upstream "tls" { "127.0.0.1:${service_tls}", tls = { ca = "${ca}", sni = "grpc.example" } }
tg.upstream "down" { "127.0.0.1:${nobody}", protocol = "h2" }
tg.upstream "origin" { "127.0.0.1:${origin}", protocol = "h2" }
tg.upstream "origin_h1" { "127.0.0.1:${origin_h1}", protocol = "h1" }
tg.route { path = "/test.Service/*", listener = "clear", upstream = "clear" }
tg.route { path = "/test.Service/*", listener = "tls", upstream = "tls" }
tg.route { path = "/*", listener = "down", upstream = "down" }
tg.route { path = "/test.Service/*", listener = "short", upstream = "clear", timeouts = { total = 0.4 } }
tg.route { path = "/h1/*", listener = "origin", upstream = "origin_h1" }
tg.route { path = "/*", listener = "origin", upstream = "origin" }
]]

local CHECKS = {
  { "unary", "a call comes back as it went, with messages of many sizes" },
  { "client_stream", "a client streams" },
  { "server_stream", "a service streams" },
  { "bidi", "each message of both directions goes on in the turn it comes" },
  { "big", "a message of 4 MB passes whole" },
  { "deadline", "the client's deadline ends the call on both sides, and the service knows what is left of it" },
  { "cancel", "the service sees that the client has cancelled" },
  { "metadata", "metadata passes both ways, in order, and binary metadata untouched" },
  { "failure", "a status passes with its message and details, with messages before it and without" },
  { "missing", "a method that the service lacks is unimplemented" },
  { "thousand", "a thousand streams are open at a time" },
  { "keepalive", "a quiet stream lives on by the client's pings" },
  { "parallel", "two hundred calls share a channel" },
}

local edge
local outcomes = {}

local function start()
  local shop = certificates.new()
  local one = shop:issue { names = { "grpc.example" } }
  local _, service = node.start("grpc.js", { "serve", "--cert", one.chain, "--key", one.key })
  local origin = node.origin()
  edge = gateway.start {
    config = CONFIG, workers = 2,
    variables = { cert = one.chain, key = one.key, ca = shop.ca, service = service.ports.clear,
      service_tls = service.ports.tls, nobody = gateway.free_port(), origin = origin.ports.h2c,
      origin_h1 = origin.ports.h1 },
  }
  edge.variables.authority = shop.ca
end

local function call(port, checks, more)
  local arguments = { "call", "127.0.0.1:" .. port }
  for _, word in ipairs(more or {}) do arguments[#arguments + 1] = word end
  for _, word in ipairs(checks) do arguments[#arguments + 1] = word end
  return node.run("grpc.js", arguments, 120)[1]
end

local function all_names()
  local names = {}
  for _, check in ipairs(CHECKS) do names[#names + 1] = check[1] end
  return names
end

-- All checks run in one process; each has a test that shows what came of it.
local function outcome_of(kind, name)
  if not outcomes[kind] then
    local under_tls = kind == "tls"
    outcomes[kind] = call(under_tls and edge.variables.port_tls or edge.variables.port, all_names(),
      under_tls and { "--ca", edge.variables.authority, "--name", "grpc.example" })
  end
  return outcomes[kind][name]
end

local function raw(path, headers, kind)
  local all = { ["content-type"] = "application/grpc", te = "trailers" }
  for name, value in pairs(headers or {}) do all[name] = value end
  return node.ask("h2c", edge.variables[kind or "port_origin"], { path = path, method = "POST", headers = all,
    body = "\0\0\0\0\0" })
end

local function status_of(result)
  return result.headers["grpc-status"] or result.trailers and result.trailers["grpc-status"]
end

describe("gRPC", function()
  setup(start)
  before_each(gateway.begin_test)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  for _, kind in ipairs { "clear", "tls" } do
    for _, check in ipairs(CHECKS) do
      it((kind == "tls" and "under TLS: " or "in clear: ") .. check[2], function()
        assert.equal("ok", outcome_of(kind, check[1]), edge:errors():sub(-1500))
      end)
    end
  end

  it("tells of an upstream that is down as unavailable", function()
    assert.equal("ok", call(edge.variables.port_down, { "expect=14" }).expect)
  end)

  it("tells of a route that isn't there as unimplemented", function()
    assert.equal("ok", call(edge.variables.port_nowhere, { "expect=12" }).expect)
  end)

  it("tells of the gateway's own time limit as a deadline that passed", function()
    local result = raw("/test.Service/Wait", { ["x-call"] = "short" }, "port_short")
    assert.equal(200, result.status)
    assert.equal("4", status_of(result))
  end)

  it("ends a call without an answer by the time that the client gave it", function()
    local result = raw("/x?silent=1", { ["grpc-timeout"] = "200m" })
    assert.equal(200, result.status)
    assert.equal("4", status_of(result))
  end)

  it("refuses a malformed grpc-timeout", function()
    for _, value in ipairs { "5", "123456789S", "5s", "S", "-1S", "1 S" } do
      local result = raw("/x?size=5", { ["grpc-timeout"] = value })
      assert(status_of(result) ~= "0" and (status_of(result) or result.status ~= 200), value)
    end
  end)

  it("maps the status of an answer that isn't gRPC, and never to 0", function()
    local codes = { [400] = "13", [401] = "16", [403] = "7", [404] = "12", [429] = "14", [502] = "14", [503] = "14",
      [504] = "14", [500] = "2", [418] = "2", [200] = "2" }
    for _, from in ipairs { "/x", "/h1/x" } do
      for status, code in pairs(codes) do
        local result = raw(from .. "?size=0&status=" .. status)
        assert.equal(code, status_of(result), from .. ": grpc-status for " .. status)
      end
    end
  end)

  it("adds a grpc-status that isn't 0 where an answer with messages ends without one", function()
    local result = raw "/x?size=5000"
    assert.is_true(result.whole, result.error)
    assert.is_truthy(result.trailers and result.trailers["grpc-status"])
    assert(result.trailers["grpc-status"] ~= "0")
  end)

  it("tells of an answer that breaks off: never a status of 0", function()
    local result = raw "/x?size=50000&reset=2"
    local status = result.trailers and result.trailers["grpc-status"]
    assert(not result.whole or status and status ~= "0")
  end)
end)
