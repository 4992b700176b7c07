-- One stuck script, one blocked log, one greedy client: the others don't notice.
local client = require "t.support.client"
local gateway = require "t.support.gateway"
local cjson = require "cjson.safe"
local origin = require "t.support.origin"
local process = require "t.support.process"
local socket = require "socket"

local CONFIG = [[
local tg = require "tidegate"
tg.settings { access_log = "${folder}/access.log", limits = { body = 20 * tg.GB } }
tg.listen "127.0.0.1:${port}"
tg.upstream "origin" { "127.0.0.1:${origin}" }
tg.route { path = "/stuck", request = function(req)
  local stop = tg.clock() + 0.3
  while tg.clock() < stop do end
  return req:respond(200, "stuck for a while")
end }
tg.route { path = "/quick", respond = { 200, "quick" } }
tg.route { path = "/*", upstream = "origin" }
]]

local edge, strict

describe("a gateway", function()
  before_each(function()
    gateway.begin_test()
    strict = origin.start()
  end)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  local function start(workers, options)
    options = options or {}
    options.config, options.workers = options.config or CONFIG, workers
    options.variables = { origin = strict.port }
    edge = gateway.start(options)
  end

  it("with a worker that is stuck for 300 ms delays no new connection", function()
    start(4)
    for _ = 1, 5 do
      local stuck = edge:connect()
      stuck:send(client.format { path = "/stuck" })
      local worst = 0
      local until_ = socket.gettime() + 0.25
      while socket.gettime() < until_ do
        local before = socket.gettime()
        assert.equal("quick", edge:request({ path = "/quick" }).body)
        worst = math.max(worst, socket.gettime() - before)
        socket.sleep(0.002)
      end
      assert.equal(200, stuck:read_response().status)
      assert(worst < 0.2, ("a new connection waited %.0f ms"):format(worst * 1000))
    end
  end)

  it("whose log goes to a pipe that nobody reads delays no request, and counts what it drops", function()
    local folder = process.folder()
    local pipe = folder .. "/log.pipe"
    os.execute("mkfifo " .. pipe)
    local holder = process.start { program = "sh", arguments = { "-c", "exec 3<>" .. pipe .. "; sleep 600" } }
    strict = strict or origin.start()
    edge = gateway.prepare { config = "", variables = { origin = strict.port, pipe = pipe } }
    edge:write("gateway.lua", (CONFIG:gsub("${folder}/access.log", "${pipe}")))
    edge:launch { workers = 2 }
    edge:wait_ready()
    local code, output = process.run {
      program = process.program "load",
      arguments = { "--port", edge.port, "--connections", 8, "--count", 60000, "--path", "/quick" }, timeout = 60,
    }
    local result = cjson.decode(output)
    assert.equal(0, code, output)
    assert.equal(60000, result.requests)
    local worst = 0
    for _ = 1, 200 do
      local before = socket.gettime()
      assert.equal("quick", edge:request({ path = "/quick" }).body)
      worst = math.max(worst, socket.gettime() - before)
    end
    assert(worst < 0.5, ("a request took %.0f ms"):format(worst * 1000))
    local dropped = 0
    local function find(value)
      for name, inner in pairs(value) do
        if type(inner) == "table" then
          find(inner)
        elseif type(name) == "string" and name:find "drop" and type(inner) == "number" then
          dropped = dropped + inner
        end
      end
    end
    find(edge:status())
    assert(dropped > 0, "no dropped lines in " .. cjson.encode(edge:status()))
    holder:kill()
  end)

  it("reopens its log on SIGUSR1", function()
    start(1)
    edge:request { path = "/quick?one" }
    edge:wait_log(function(line) return cjson.encode(line):find "one" end)
    os.rename(edge.folder .. "/access.log", edge.folder .. "/old.log")
    edge.process:signal(10)
    gateway.wait_until(function()
      edge:request { path = "/quick?two" }
      return #edge:access_log() > 0
    end)
    assert.is_true(#edge:access_log "old.log" >= 1)
  end)

  it("that runs out of descriptors stops accepting without spinning, and recovers [E08]", function()
    start(1, { descriptors = 64 })
    local connections, answered = {}, 0
    for i = 1, 120 do
      connections[i] = edge:connect()
      connections[i]:send(client.format { path = "/quick" })
    end
    for i = 1, 120 do
      if connections[i]:read_response { timeout = i < 40 and 5 or 0.05 } then answered = answered + 1 end
    end
    assert(answered > 20 and answered < 120, answered .. " answers")
    local function ticks()
      local stat = process.read_file("/proc/" .. edge.process.pid .. "/stat"):match "%) (.*)"
      local fields = {}
      for word in stat:gmatch "%S+" do fields[#fields + 1] = word end
      return tonumber(fields[12]) + tonumber(fields[13])
    end
    local before = ticks()
    socket.sleep(1)
    assert(ticks() - before < 20, "it spins")
    for i = 1, 110 do connections[i]:close() end
    gateway.wait_until(function()
      local probe = edge:connect()
      probe:send(client.format { path = "/quick" })
      local response = probe:read_response { timeout = 1 }
      probe:close()
      return response and response.body == "quick"
    end, 15, "accepting again")
  end)

  it("answers others while one client trickles its head, and one its body [E01] [E02]", function()
    start(1)
    local slow, slower = edge:connect(), edge:connect()
    slow:send "GET / HTTP/1.1\r\nHo"
    slower:send(client.format { method = "POST", path = "/", headers = { "Content-Length: 100" } } .. "x")
    for _ = 1, 50 do
      slow:send "s"
      slower:send "x"
      assert.equal("quick", edge:request({ path = "/quick" }).body)
    end
  end)

  it("ends a body that is slower than the least rate, either way [E01] [E02] [E03]", function()
    start(1, { config = CONFIG:gsub("limits =", "timeouts = { body_rate = 100000 }, limits =") })
    local slow, reader = edge:connect(), edge:connect()
    slow:send(client.format { method = "POST", path = "/", headers = { "Content-Length: 100000" } } .. "x")
    reader:send(client.format { path = "/?body=1000000000" })
    local response = slow:read_response { timeout = 30 }
    assert(response == nil or response.status == 408, response and response.status)
    gateway.wait_until(function()
      local stats = strict:stats()
      return stats.open == 0
    end, 40, "both origins to be released")
  end)

  it("takes no memory for idle connections to speak of", function()
    start(2)
    local before = edge.process:memory "VmRSS"
    local connections = {}
    for i = 1, 2000 do
      connections[i] = edge:connect()
      if i % 2 == 0 then assert.equal("quick", client.request(connections[i], { path = "/quick" }).body) end
    end
    local each = (edge.process:memory "VmRSS" - before) / 2000
    assert(each < 8192, each .. " bytes a connection")
  end)
end)
