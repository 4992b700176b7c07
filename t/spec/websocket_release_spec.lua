-- A gigabyte through a tunnel each way, with a slow reader: the memory of the gateway stays small.
local client = require "t.support.client"
local gateway = require "t.support.gateway"
local origin = require "t.support.origin"
local process = require "t.support.process"
local socket = require "socket"

local CONFIG = [[
local tg = require "tidegate"
tg.settings { access_log = "${folder}/access.log", limits = { body = 20 * tg.GB } }
tg.listen "127.0.0.1:${port}"
tg.upstream "origin" { "127.0.0.1:${origin}" }
tg.route { path = "/*", upstream = "origin" }
]]

local GIGABYTE = 2 ^ 30
local LIMIT = 40 * 2 ^ 20
local HANDSHAKE = { "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==" }

local edge, strict

-- Reads `length` bytes with a pause after every few megabytes, and compares samples of them.
local function read_slowly(connection, length, seed)
  local have, since = 0, 0
  while have < length do
    local piece = assert(connection:read_bytes(math.min(262144, length - have), 20))
    if have % (64 * 262144) == 0 then assert.is_true(piece == client.pattern(seed, #piece, have)) end
    have, since = have + #piece, since + #piece
    if since > 8 * 2 ^ 20 then
      since = 0
      socket.sleep(0.01)
    end
  end
end

describe("a gigabyte", function()
  before_each(function()
    gateway.begin_test()
    strict = origin.start()
    edge = gateway.start { config = CONFIG, variables = { origin = strict.port } }
  end)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  local function expect_small()
    local most = edge.process:memory "VmHWM"
    assert(most < LIMIT, ("%.1f MB resident"):format(most / 2 ^ 20))
  end

  it("comes down a tunnel to a slow reader in constant memory", function()
    local connection = edge:connect()
    connection:send(client.format { path = ("/?tunnel=generate&body=%d&seed=4"):format(GIGABYTE), headers = HANDSHAKE })
    assert.equal(101, connection:read_head().status)
    read_slowly(connection, GIGABYTE, 4)
    expect_small()
  end)

  it("goes up a tunnel to an origin in constant memory", function()
    local connection = edge:connect()
    connection:send(client.format { path = "/?tunnel=sink", headers = HANDSHAKE })
    assert.equal(101, connection:read_head().status)
    local piece = ("x"):rep(2 ^ 20)
    for _ = 1, 1024 do assert(connection:send(piece, 20)) end
    connection:half_close()
    assert.equal(("%d"):format(GIGABYTE), (connection:read_to_end(20)))
    expect_small()
  end)

  it("comes down as a body to a slow reader in constant memory", function()
    local connection = edge:connect()
    connection:send(client.format { path = ("/?body=%d&seed=4"):format(GIGABYTE) })
    assert.equal(200, connection:read_head().status)
    read_slowly(connection, GIGABYTE, 4)
    expect_small()
  end)

  it("goes up as a body to a slow origin in constant memory", function()
    local code, output = process.run {
      program = "sh", arguments = { "-c", ("head -c %d /dev/zero | curl -s -S -T - -H 'Expect:' "
        .. "'http://127.0.0.1:%d/?sha=0&slow=262144&every=1&expect=%d'"):format(GIGABYTE, edge.port, GIGABYTE) },
      timeout = 120,
    }
    assert.equal(0, code)
    assert.is_truthy(output:find(("%d"):format(GIGABYTE), 1, true), output)
    assert.equal(0, strict:stats().violations)
    expect_small()
  end)
end)
