-- A VM that is dropped while traffic flows, and built again from its generation's bytecode.
local cjson = require "cjson.safe"
local client = require "t.support.client"
local gateway = require "t.support.gateway"
local generations = require "t.support.generations"
local origin = require "t.support.origin"
local process = require "t.support.process"

local edge, strict

describe("a VM that is dropped", function()
  before_each(function()
    gateway.begin_test()
    strict = origin.start { ports = 2 }
    edge = gateway.start {
      config = generations.config, files = generations.files(), variables = generations.variables(strict, 1),
      workers = 2,
    }
  end)
  after_each(function()
    local stats = strict:stats()
    gateway.end_test()
    assert.equal(0, stats.violations, table.concat(stats.texts, "; "))
  end)
  teardown(gateway.end_file)

  local function drop()
    local reply = edge:ask { command = "debug-drop-vm" }
    assert.is_true(reply.ok, cjson.encode(reply))
  end

  it("fails only the requests that are suspended in it", function()
    local sleeping, streaming = {}, {}
    for i = 1, 10 do
      sleeping[i] = edge:connect()
      sleeping[i]:send(client.format { path = "/sleep?wait=20&text=x" })
      streaming[i] = edge:connect()
      streaming[i]:send(client.format { path = "/sleep?wait=0&seed=2&body=400000&drip=20000&every=20" })
      assert.equal(200, streaming[i]:read_head().status)
    end
    local function counters() return edge:status().counters end
    process.wait_until(function() return counters().requests_active == 20 end, 10, "all of them under way")
    local load = process.start {
      program = process.program "load",
      arguments = { "--port", edge.port, "--connections", 16, "--path", "/fixed" },
    }
    process.wait_until(function() return counters().connections_accepted >= 36 end, 10, "the load beside them")
    drop()
    for i = 1, 10 do
      local response = assert(sleeping[i]:read_response { timeout = 5 })
      assert.is_true(response.status == 500 or response.status == 503, "status " .. response.status)
    end
    for i = 1, 10 do assert.is_true(streaming[i]:read_bytes(400000) == client.pattern(2, 400000)) end
    load:send "stop"
    assert.is_truthy(load:wait(20))
    local result = cjson.decode(load:output_text():match "{.*")
    assert.equal(0, result.failed, table.concat(result.errors, "\n"))
    assert.equal(16, result.connects)
    assert.is_true(edge:status().counters.vms_rebuilt >= 2)
  end)

  it("comes back with its generation's code, whatever the disk says by now", function()
    generations.write(edge, 2)
    generations.spoil(edge, generations.BREAKS[1])
    for _ = 1, 5 do
      drop()
      local response = edge:request { path = "/x" }
      for _, name in ipairs { "x-gen", "x-handler", "x-echo", "x-ctx" } do assert.equal("1", response:header(name)) end
    end
    generations.write(edge, 3)
    edge:reload()
    drop()
    assert.equal("3", edge:request({ path = "/x" }):header "x-gen")
    assert.equal(0, edge:command("rollback").code)
    assert.equal("1", edge:request({ path = "/x" }):header "x-gen")
  end)

  it("may be dropped a hundred times under load with no request lost that didn't wait in it", function()
    -- not x-ctx: what a request kept in ctx goes with the VM
    local load = process.start {
      program = process.program "load",
      arguments = { "--port", edge.port, "--connections", 16, "--path", "/x", "--same", "x-gen,x-handler,x-echo" },
    }
    for _ = 1, 100 do drop() end
    load:send "stop"
    assert.is_truthy(load:wait(20))
    local result = cjson.decode(load:output_text():match "{.*")
    assert.equal(0, result.failed, table.concat(result.errors, "\n"))
  end)
end)
