-- Handlers of listeners that wait in all workers while generations come and go.
local certificates = require "t.support.certificates"
local gateway = require "t.support.gateway"
local process = require "t.support.process"
local socket = require "socket"
local ssl = require "ssl"

describe("handlers of listeners", function()
  before_each(gateway.begin_test)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  it("wait in all workers through reloads, and no connection is lost", function()
    local shop = certificates.new()
    local made = shop:issue { names = { "a.example" } }
    local edge = gateway.start {
      config = [[
local tg = require "tidegate"
tg.settings { access_log = "${folder}/access.log" }
local handler = {}
function handler.accept(conn) tg.sleep(tg.random() * 0.05) end
local greeter = { accept = handler.accept }
function greeter.client_hello(hello)
  tg.sleep(tg.random() * 0.05)
  hello:use_certificate(hello.ciphers[1] and "a" or "b")
end
tg.listen { "127.0.0.1:${port}", handlers = { handler } }
tg.listen { "127.0.0.1:${port_tls}", handlers = { greeter },
  tls = { { cert = "${cert}", key = "${key}", name = "a" } } }
tg.route { path = "/*", request = function(req) return req:respond(200, "x") end }
]], variables = { cert = made.cert, key = made.key }, workers = 4,
    }
    local load = process.start {
      program = process.program "load",
      arguments = { "--port", edge.port, "--connections", 16, "--new", "--path", "/x" },
    }
    local function shake_hands()
      local handle = assert(socket.connect("127.0.0.1", edge.variables.port_tls))
      local wrapped = assert(ssl.wrap(handle, { mode = "client", protocol = "any", verify = "none" }))
      wrapped:settimeout(20)
      assert(wrapped:dohandshake())
      wrapped:close()
    end
    for _ = 1, 30 do
      shake_hands()
      assert.equal(true, edge:ask({ command = "reload" }).ok)
    end
    load:send "stop"
    assert.equal(0, load:wait(60))
    gateway.wait_until(function() return edge:status().counters.connections_open == 0 end)
    assert.equal(0, edge:status().counters.script_errors)
  end)
end)
