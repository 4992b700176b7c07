-- Everything that threads share, used by all of them at once: accepting, the pool, reloads, logs, status.
local cjson = require "cjson.safe"
local client = require "t.support.client"
local gateway = require "t.support.gateway"
local generations = require "t.support.generations"
local origin = require "t.support.origin"
local process = require "t.support.process"

describe("four workers", function()
  before_each(gateway.begin_test)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  local function load_on(edge, ...)
    return process.start { program = process.program "load", arguments = { "--port", edge.port, ... } }
  end

  local function expect_no_failure(load)
    assert(load:wait(60), "the load does not end")
    local result = cjson.decode(load:output_text():match "{.*")
    assert.equal(0, result.failed, table.concat(result.errors, "\n"))
  end

  it("serve kept and new connections while generations change and status is asked", function()
    local strict = origin.start { ports = 2, idle = 50 }
    local edge = gateway.start {
      config = generations.config, files = generations.files(), variables = generations.variables(strict, 1),
        workers = 4,
    }
    local kept = load_on(edge, "--connections", 8, "--path", "/x", "--same", generations.SAME)
    local fresh = load_on(edge, "--connections", 8, "--new", "--rate", 200, "--path", "/x", "--same", generations.SAME)
    for number = 2, 8 do
      generations.write(edge, number)
      edge:reload()
      if number % 3 == 0 then edge:command "rollback" end
      edge:status()
      edge:generations()
      edge.process:signal(10)
    end
    for _, load in ipairs { kept, fresh } do
      load:send "stop"
      expect_no_failure(load)
    end
    assert.equal(0, strict:stats().violations)
  end)

  it("carry mixed requests over a shared pool", function()
    local strict = origin.start()
    local edge = gateway.start {
      config = [[
local tg = require "tidegate"
tg.settings { access_log = "${folder}/access.log" }
tg.listen "127.0.0.1:${port}"
tg.upstream "origin" { "127.0.0.1:${origin}" }
tg.route { path = "/*", upstream = "origin" }
]], variables = { origin = strict.port }, workers = 4,
    }
    expect_no_failure(load_on(edge, "--connections", 12, "--count", 1500, "--mixed", 5))
    expect_no_failure(load_on(edge, "--connections", 12, "--new", "--count", 500, "--path", "/?text=hello"))
    local stats = strict:stats()
    assert.equal(0, stats.violations, table.concat(stats.texts, "; "))
    assert.equal("x", client.request(edge.port, { path = "/?text=x" }).body)
  end)
end)
