-- Certificates that change on the disk under load: fifty times, without a failed handshake or a lost request.
local certificates = require "t.support.certificates"
local cjson = require "cjson.safe"
local gateway = require "t.support.gateway"
local node = require "t.support.node"
local process = require "t.support.process"
local socket = require "socket"
local ssl = require "ssl"

local SWAPS = 50

local CONFIG = [[
local tg = require "tidegate"
tg.settings { access_log = false }
tg.listen { "127.0.0.1:${port}", tls = { cert = "live.pem", key = "live.key" } }
tg.route { path = "/*", respond = { 200, "x" } }
]]

local edge, shop

-- As a deployment does it: file by file, each in one step.
local function swap()
  local one = shop:issue { names = { "swap.example" }, fresh_key = true }
  edge:write("live.pem", process.read_file(one.chain))
  edge:write("live.key", process.read_file(one.key))
  return one
end

local function served()
  local handle = socket.tcp()
  handle:settimeout(5)
  assert(handle:connect("127.0.0.1", edge.port))
  local under_tls = assert(ssl.wrap(handle, { mode = "client", protocol = "any", verify = "none" }))
  under_tls:sni "swap.example"
  assert(under_tls:dohandshake())
  local digest = under_tls:getpeercertificate():digest "sha256"
  under_tls:close()
  return digest
end

describe("certificates on the disk", function()
  before_each(function()
    gateway.begin_test()
    shop = certificates.new()
    edge = gateway.prepare { config = CONFIG }
    swap()
    edge:launch { workers = 2 }
    edge:wait_ready()
  end)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  it("change fifty times under load: no handshake fails, no request is lost, and each serves right after its reload",
    function()
      local load = node.start("handshakes.js", { edge.port, "swap.example", shop.ca })
      for round = 1, SWAPS do
        local one = swap()
        edge:reload()
        for _ = 1, 4 do assert.equal(one.sha256, served(), "swap " .. round) end
      end
      load:send "stop"
      assert.equal(0, load:wait(30))
      local result = cjson.decode(load:output_text():match "\n({.*})")
      assert.equal(0, result.failed, result.why)
      assert.equal(0, result.lost, result.why)
      assert.equal(1, result.sessions)
      assert(result.handshakes > SWAPS * 2, result.handshakes .. " handshakes only")
      assert(result.requests > SWAPS, result.requests .. " requests only")
    end)
end)
