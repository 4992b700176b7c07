-- HTTP/2 and TLS on both sides with several workers, under reloads: nothing fails, and no thread races another.
local certificates = require "t.support.certificates"
local gateway = require "t.support.gateway"
local node = require "t.support.node"
local process = require "t.support.process"

local CONFIG = [[
local tg = require "tidegate"
tg.settings { access_log = "${folder}/access.log", tls = { ticket_rotation = 1 } }
tg.listen { "127.0.0.1:${port}", tls = { cert = "${cert}", key = "${key}" } }
tg.listen "127.0.0.1:${port_clear}"
tg.upstream "h1s" { "127.0.0.1:${origin_h1s}", protocol = "h1", tls = { ca = "${ca}", sni = "load.example" } }
tg.upstream "h2" { "127.0.0.1:${origin_h2}", tls = { ca = "${ca}", sni = "load.example" }, pool = { streams = 5 } }
tg.upstream "h2c" { "127.0.0.1:${origin_h2c}", protocol = "h2" }
for _, name in ipairs { "h1s", "h2", "h2c" } do
  tg.route { path = "/" .. name .. "/*", upstream = name,
    response = function(req, res) res.headers["x-generation"] = tostring(tg.generation) end }
end
]]

local REQUESTS = 1200

local edge

local function start_load(url)
  return process.start {
    program = "h2load", arguments = { "-n", REQUESTS, "-c", 6, "-m", 8, url },
  }
end

describe("HTTP/2 under TLS with several workers", function()
  before_each(function()
    gateway.begin_test()
    local shop = certificates.new()
    local one = shop:issue { names = { "load.example", "127.0.0.1" } }
    local origin = node.origin(one)
    edge = gateway.start {
      config = CONFIG, workers = 3,
      variables = { cert = one.chain, key = one.key, ca = shop.ca, origin_h1s = origin.ports.h1s,
        origin_h2 = origin.ports.h2, origin_h2c = origin.ports.h2c },
    }
  end)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  it("answers every request of every stream while it reloads", function()
    local loads = {}
    for _, name in ipairs { "h1s", "h2", "h2c" } do
      loads[#loads + 1] = start_load(("https://127.0.0.1:%d/%s/x?size=2000"):format(edge.port, name))
      loads[#loads + 1] = start_load(("http://127.0.0.1:%d/%s/x?size=100"):format(edge.variables.port_clear, name))
    end
    local reloads = 0
    gateway.wait_until(function()
      edge:reload()
      reloads = reloads + 1
      for _, load in ipairs(loads) do
        if load:running() then return false end
      end
      return true
    end, 120, "the load's end")
    for _, load in ipairs(loads) do
      local text = load:output_text()
      assert.is_truthy(text:find(REQUESTS .. " succeeded, 0 failed, 0 errored, 0 timeout", 1, true), text)
      assert.is_truthy(text:find("status codes: " .. REQUESTS .. " 2xx", 1, true), text)
    end
    assert(reloads > 3, reloads .. " reloads only")
  end)
end)
