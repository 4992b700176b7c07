-- Idle upstream connections serve every worker, and carry nothing but whole messages.
local cjson = require "cjson.safe"
local client = require "t.support.client"
local gateway = require "t.support.gateway"
local origin = require "t.support.origin"
local process = require "t.support.process"
local socket = require "socket"

local CONFIG = [[
local tg = require "tidegate"
tg.settings { access_log = false }
tg.listen "127.0.0.1:${port}"
tg.upstream "origin" { "127.0.0.1:${origin}" }
tg.route { path = "/*", upstream = "origin" }
]]

local edge, strict

local function start(workers, options)
  strict = origin.start(options)
  edge = gateway.start { config = CONFIG, variables = { origin = strict.port }, workers = workers }
end

local function run_load(...)
  local code, output, errors = process.run {
    program = process.program "load", arguments = { "--port", edge.port, ... }, timeout = 120,
  }
  local result = assert(cjson.decode(output), errors)
  assert.equal(0, result.failed, table.concat(result.errors, "\n"))
  assert.equal(0, code)
  local stats = strict:stats()
  assert.equal(0, stats.violations, table.concat(stats.texts, "; "))
  return result
end

describe("the pool", function()
  before_each(gateway.begin_test)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  it("carries 10,000 mixed requests through four workers without one difference", function()
    start(4)
    for seed = 1, 2 do
      local result = run_load("--connections", 16, "--count", 10000, "--mixed", seed)
      assert.is_true(result.requests >= 10000)
    end
    local stats = strict:stats()
    assert.equal(0, stats.cut_requests)
    assert.equal(0, stats.left_early)
  end)

  it("lets 2,000 sequential requests, each on a new client connection, over eight workers cost three connections",
    function()
    start(8)
    run_load("--new", "--count", 2000, "--path", "/?text=hello")
    local stats = strict:stats()
    assert.equal(2000, stats.requests)
    assert(stats.accepted <= 3, "the origin accepted " .. stats.accepted)
  end)

  it("keeps three connections at most for 60 s at eight requests a second, though the origin closes after 1 s idle",
    function()
    start(8, { idle = 1000 })
    run_load("--new", "--even", "--rate", 8, "--seconds", 60, "--path", "/?text=hello")
    local stats = strict:stats()
    assert.is_true(stats.requests > 400)
    assert(stats.accepted <= 3, "the origin accepted " .. stats.accepted)
  end)

  it("reuses 99.9 % with 200 origins that close after 10 s idle, two requests a second each, over eight workers",
    function()
    strict = origin.start { ports = 200, idle = 10000 }
    local text = {
      'local tg = require "tidegate"\ntg.settings { access_log = false }\ntg.listen "127.0.0.1:${port}"\n' }
    for i, port in ipairs(strict.ports) do
      text[#text + 1] = ('tg.upstream "o%d" { "127.0.0.1:%d" }\n'):format(i - 1, port)
      text[#text + 1] = ('tg.route { path = "/o%d/*", upstream = "o%d" }\n'):format(i - 1, i - 1)
    end
    edge = gateway.start { config = table.concat(text), workers = 8 }
    run_load("--new", "--rate", 400, "--paths", 200, "--connections", 200, "--seconds", 30, "--path", "/?text=hello")
    local stats = strict:stats()
    local opened, first = 0, 0
    for _, count in ipairs(stats.accepted_on) do
      opened = opened + math.max(0, count - 1)
      first = first + math.min(1, count)
    end
    local counted = stats.requests - first
    local reused = 100 * (counted - opened) / counted
    assert.is_true(counted > 10000)
    assert(reused >= 99.9, ("%.2f %% of %d reused"):format(reused, counted))
  end)

  it("closes idle connections after its own time, and keeps no more than its size", function()
    strict = origin.start()
    edge = gateway.start {
      config = CONFIG:gsub('"127.0.0.1:${origin}"', '%0, pool = { size = 4, idle = 1 }'), variables = {
        origin = strict.port },
      workers = 2,
    }
    local connections = {}
    for i = 1, 20 do
      connections[i] = edge:connect()
      connections[i]:send(client.format { path = "/?text=x&delay=100" })
    end
    for i = 1, 20 do assert.equal("x", connections[i]:read_response().body) end
    gateway.wait_until(function() return strict:stats().open <= 4 end, 10, "no more than four idle connections")
    gateway.wait_until(function() return strict:stats().open == 0 end, 10, "idle connections to be closed")
  end)

  it("never hands a connection on that is in doubt, under clients that come and go [D03] [D13]", function()
    start(4)
    local deadline = socket.gettime() + 5
    local round = 0
    while socket.gettime() < deadline do
      round = round + 1
      local kinds = {
        function(c) c:send(client.format { method = "POST", path = "/", headers = { "Content-Length: 100" } }
          .. "part") c:reset() end,
        function(c) c:send(client.format { path = "/?body=1000000&chunked=1" }) c:read_head() c:close() end,
        function(c) c:send(client.format { path = "/?delay=50&text=x" }) c:reset() end,
        function(c) c:send(client.format { path = "/?text=x&extra=junk" }) c:read_response() c:close() end,
        function(c) c:send(client.format { method = "POST", path = "/", chunked = true, body = "hello" }) c:close() end,
        function(c) c:send(client.format { path = "/?body=100&cut=50" }) c:read_response() c:close() end,
      }
      kinds[round % #kinds + 1](edge:connect())
      local response = edge:request { path = "/?text=round" .. round, method = "POST", body = ("y"):rep(round % 100) }
      assert.equal("round" .. round, response.body)
    end
    local stats = strict:stats()
    assert.equal(0, stats.violations, table.concat(stats.texts, "; "))
  end)
end)
