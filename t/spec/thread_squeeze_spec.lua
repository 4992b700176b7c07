-- Generations that end by themselves while they are told to end: the two words cross between control and the workers.
local gateway = require "t.support.gateway"
local process = require "t.support.process"

describe("generations beyond the cap", function()
  before_each(gateway.begin_test)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  it("go, whoever is faster: their last request or the word to end it", function()
    local edge = gateway.start {
      config = [[
local tg = require "tidegate"
tg.settings { generations = { keep = 2 }, access_log = "${folder}/access.log" }
tg.listen "127.0.0.1:${port}"
tg.route { path = "/*", request = function(req)
  tg.sleep(tg.random() * 0.1)
  return req:respond(200, "x")
end }
]], workers = 4,
    }
    local load = process.start {
      program = process.program "load",
      arguments = { "--port", edge.port, "--connections", 16, "--new", "--path", "/x" },
    }
    for _ = 1, 150 do assert.equal(true, edge:ask({ command = "reload" }).ok) end
    load:send "stop"
    assert(load:wait(60), "the load does not end")
    gateway.wait_until(function() return #edge:generations().generations == 2 end, 20, "old generations to end")
    assert.equal("x", edge:request({}).body)
  end)
end)
