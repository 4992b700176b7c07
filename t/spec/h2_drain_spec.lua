-- Reload and drain with streams open: what runs finishes under its generation, idle connections are told, nothing is
-- lost.
local cjson = require "cjson.safe"
local gateway = require "t.support.gateway"
local node = require "t.support.node"

local GRPC = [[
local tg = require "tidegate"
local NUMBER = "@NUMBER@"
tg.settings { access_log = "${folder}/access.log", stop = { grace = 1, deadline = 20 } }
tg.listen "127.0.0.1:${port}"
tg.upstream "service" { "127.0.0.1:${service}", protocol = "h2" }
tg.route { path = "/*", upstream = "service",
  response = function(req, res) res.headers["x-generation"] = NUMBER end,
  log = function(req) req.log.number = NUMBER end }
]]

local PLAIN = [[
local tg = require "tidegate"
tg.settings { access_log = "${folder}/access.log", stop = { grace = 1, deadline = 20 } }
tg.listen "127.0.0.1:${port}"
tg.upstream "origin" { "127.0.0.1:${origin}", protocol = "h2" }
tg.route { path = "/quick", upstream = "origin", rewrite = "/x" }
tg.route { path = "/slow", upstream = "origin", request = function(req) req.raw_query = "delay=1500&size=3000" end }
]]

local STREAMS = 60

local edge

-- Tells the program to do something; gives what it says of it.
local function order(program, word)
  local before = #program:output_text()
  program:send(word)
  local line = gateway.wait_until(function()
    return program:output_text():sub(before + 1):match "^([^\n]+)\n" or not program:running()
  end, 30, "an answer to " .. word)
  assert(line ~= true, program:errors_text())
  local said = cjson.decode(line)
  assert.is_nil(said.error)
  return said
end

describe("with gRPC streams open", function()
  before_each(function()
    gateway.begin_test()
    local _, service = node.start("grpc.js", { "serve" })
    edge = gateway.start {
      config = (GRPC:gsub("@NUMBER@", "1")), variables = { service = service.ports.clear }, workers = 2,
    }
  end)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  it("reloads: the streams go on and finish under their generation, new calls run under the new one", function()
    local streams, said = node.start("grpc_streams.js", { "127.0.0.1:" .. edge.port, STREAMS })
    assert.equal(STREAMS, said.open)
    assert.same({ "1" }, said.generations)
    for number = 2, 6 do
      edge:write("gateway.lua", (GRPC:gsub("@NUMBER@", tostring(number))))
      edge:reload()
      assert.equal(STREAMS, order(streams, "round").echoed)
      local call = order(streams, "call")
      assert.equal(0, call.code, call.details)
      assert.equal(tostring(number), call.generation)
    end
    local ended = order(streams, "end")
    assert.same({ ["0"] = STREAMS }, ended.codes)
    gateway.wait_until(function()
      local counted = 0
      for _, line in ipairs(edge:access_log()) do
        if line.path == "/test.Service/Hold" then
          assert.equal("1", line.number)
          counted = counted + 1
        end
      end
      return counted == STREAMS
    end, 10, "the streams' log lines")
  end)

  it("stops: the streams go on until they end by themselves, and none is lost", function()
    local streams, said = node.start("grpc_streams.js", { "127.0.0.1:" .. edge.port, STREAMS })
    assert.equal(STREAMS, said.open)
    edge.process:signal(15)
    assert.equal(STREAMS, order(streams, "round").echoed)
    assert(order(streams, "call").code ~= 0, "a new connection was taken")
    assert.equal(STREAMS, order(streams, "round").echoed)
    assert.same({ ["0"] = STREAMS }, order(streams, "end").codes)
    assert.equal(0, edge.process:wait(20))
  end)
end)

describe("a gateway that stops", function()
  before_each(function()
    gateway.begin_test()
    local origin = node.origin()
    edge = gateway.start { config = PLAIN, variables = { origin = origin.ports.h2c }, workers = 2 }
  end)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  it("says GOAWAY to all, and answers what was sent before that was heard [W02]", function()
    local program = node.start("drain.js", { edge.port })
    edge.process:signal(15)
    assert.equal(0, edge.process:wait(25), "the gateway does not end")
    assert.equal(0, program:wait(25), program:errors_text())
    local outcome = cjson.decode(program:output_text():match "\n({.*})")
    assert(outcome.busy.sent > 10)
    assert.equal(outcome.busy.sent, outcome.busy.whole + outcome.busy.refused, outcome.busy.why)
    local served = 0
    for _, line in ipairs(edge:access_log()) do
      if line.path == "/quick" and line.status == 200 then served = served + 1 end
    end
    -- with that of the idle connection
    assert.equal(outcome.busy.whole + 1, served)
    assert.equal(200, outcome.slow.status, outcome.slow.error)
    assert.is_true(outcome.slow.whole)
    for _, name in ipairs { "idle", "busy", "slow" } do
      local goaways = outcome[name].goaways
      assert(#goaways >= 1, name .. " heard no GOAWAY")
      for _, one in ipairs(goaways) do assert.equal(0, one.code, name) end
    end
  end)
end)

describe("uploads that are given up", function()
  local CONFIG = [[
local tg = require "tidegate"
tg.settings { access_log = false, limits = { body = 20 * tg.MB }, @HTTP2@ }
tg.listen "127.0.0.1:${port}"
tg.upstream "h1" { "127.0.0.1:${origin_h1}", protocol = "h1" }
tg.upstream "h2" { "127.0.0.1:${origin_h2c}", protocol = "h2" }
tg.route { path = "/asleep", request = function(req) tg.sleep(30) return req:respond(200, "x") end }
tg.route { path = "/h1", upstream = "h1", rewrite = "/x" }
tg.route { path = "/h2", upstream = "h2", rewrite = "/x" }
tg.route { path = "/*", upstream = "h2" }
]]
  before_each(gateway.begin_test)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  local function give_up(http2, count)
    local origin = node.origin()
    edge = gateway.start {
      config = (CONFIG:gsub("@HTTP2@", http2)), workers = 1,
      variables = { origin_h1 = origin.ports.h1, origin_h2c = origin.ports.h2c },
    }
    return node.run("cancelled_uploads.js", { edge.port, count, 10 * 2 ^ 20, "/asleep", "/h1?sink=1", "/h2?sink=1" },
      150)[1]
  end

  it("10,000 times with raised limits leave the connection its whole window: 10 MB arrive after them [W09]", function()
    local outcome = give_up("http2 = { resets = 1000000, control = 1000000 }", 10000)
    assert.equal(10000, outcome.cancelled, outcome.error)
    assert.is_nil(outcome.goaway)
    -- far more than the connection's window before the last one
    assert(edge:status().counters.bytes_from_clients > 2 * 10 * 2 ^ 20)
    assert.equal(200, outcome.status, outcome.error)
    assert.equal(10 * 2 ^ 20, outcome.length)
    assert.is_true(outcome.same)
  end)

  it("10,000 times are too many by default: GOAWAY says ENHANCE_YOUR_CALM [F01]", function()
    local outcome = give_up("", 10000)
    assert.equal(11, outcome.goaway)
    assert(outcome.cancelled < 5000, outcome.cancelled .. " were let through")
  end)
end)
