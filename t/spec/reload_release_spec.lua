-- Reloading under load for as long as it takes to believe it.
local cjson = require "cjson.safe"
local client = require "t.support.client"
local gateway = require "t.support.gateway"
local generations = require "t.support.generations"
local origin = require "t.support.origin"
local process = require "t.support.process"
local socket = require "socket"

local SECONDS = tonumber(os.getenv "RELOAD_SECONDS") or 20
local HANDSHAKE = { "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==" }

local edge, strict, number

local function start(workers)
  strict = origin.start { ports = 2 }
  number = 1
  edge = gateway.start {
    config = generations.config, files = generations.files(), variables = generations.variables(strict, 1),
      workers = workers,
  }
end

local function next_generation()
  number = number + 1
  generations.write(edge, number)
  return edge:reload()
end

local function start_load(connections)
  return process.start {
    program = process.program "load",
    arguments = { "--port", edge.port, "--connections", connections, "--path", "/x", "--same", generations.SAME },
  }
end

local function end_load(load)
  load:send "stop"
  assert(load:wait(30), "the load does not end")
  local result = cjson.decode(load:output_text():match "{.*")
  assert.equal(0, result.failed, table.concat(result.errors, "\n"))
  return result
end

local function new_floor(load)
  load:send("floor " .. number)
  gateway.wait_until(function() return load:output_text():find("floor " .. number .. "\n", 1, true) end, 10,
    "all connections to see generation " .. number)
end

-- Requests that sleep across three reloads.
local function start_sleeper()
  local connection = edge:connect()
  connection:send(client.format { path = "/sleep?wait=0.7&text=x" })
  return { connection = connection, number = number }
end

local function end_sleeper(sleeper)
  local response = assert(sleeper.connection:read_response())
  assert.equal(200, response.status)
  assert.equal(tostring(sleeper.number), response:header "x-gen")
  sleeper.connection:close()
end

-- `broken`: every second reload is.
local function reload_under_load(broken)
  local load = start_load(64)
  local sleepers, memory = {}, {}
  local deadline = socket.gettime() + SECONDS
  local round = 0
  while socket.gettime() < deadline do
    local next_at = socket.gettime() + 0.2
    round = round + 1
    if broken and round % 2 == 0 then
      local break_ = generations.BREAKS[round / 2 % #generations.BREAKS + 1]
      generations.write(edge, 0)
      generations.spoil(edge, break_)
      local result = edge:command "reload"
      assert.is_true(result.code ~= 0, break_.name)
      for _, text in ipairs(break_.says) do
        assert((result.errors .. result.output):find(text, 1, true), result.errors .. result.output)
      end
    else
      next_generation()
      new_floor(load)
    end
    sleepers[#sleepers + 1] = start_sleeper()
    if #sleepers > 4 then end_sleeper(table.remove(sleepers, 1)) end
    memory[#memory + 1] = edge.process:memory "VmRSS"
    socket.sleep(math.max(0, next_at - socket.gettime()))
  end
  while #sleepers > 0 do end_sleeper(table.remove(sleepers, 1)) end
  local result = end_load(load)
  assert.equal(64, result.connects)
  assert.equal(0, strict:stats().violations)
  return round, memory, result
end

describe("reloading", function()
  before_each(gateway.begin_test)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  it("each 200 ms under 64 busy connections fails nothing, mixes nothing, and takes no more memory", function()
    start(2)
    local rounds, memory, result = reload_under_load(false)
    assert.is_true(rounds > SECONDS * 2, rounds .. " reloads only")
    assert.is_true(result.requests > SECONDS * 500)
    local middle, last = memory[math.min(15, #memory)], memory[#memory]
    assert(last < middle + 10 * 2 ^ 20, ("%.1f MB after 15 reloads, %.1f at the end"):format(middle / 2 ^ 20,
      last / 2 ^ 20))
  end)

  it("with every second reload broken is the same, and each refusal says file, line and reason", function()
    start(2)
    local rounds = reload_under_load(true)
    assert.is_true(rounds > 10)
  end)

  it("200 times drops none of 1,000 open WebSockets, and keeps generations and memory bounded", function()
    start(2)
    local tunnels = {}
    for i = 1, 1000 do
      tunnels[i] = edge:connect()
      tunnels[i]:send(client.format { path = "/ws?tunnel=echo", headers = HANDSHAKE })
      assert.equal(101, tunnels[i]:read_head().status)
    end
    local middle
    for round = 1, 200 do
      next_generation()
      if round % 10 == 0 then
        local kept = edge:generations()
        kept = kept.generations or kept
        assert(#kept <= 9, #kept .. " generations")
      end
      for i = round % 20 + 1, 1000, 20 do
        tunnels[i]:send("hello" .. i)
        assert.equal("hello" .. i, tunnels[i]:read_bytes(#("hello" .. i)))
      end
      if round == 40 then middle = edge.process:memory "VmRSS" end
    end
    for i = 1, 1000 do
      tunnels[i]:send("last" .. i)
      assert.equal("last" .. i, tunnels[i]:read_bytes(#("last" .. i)))
    end
    local last = edge.process:memory "VmRSS"
    assert(last < middle + 10 * 2 ^ 20, ("%.1f MB, then %.1f MB"):format(middle / 2 ^ 20, last / 2 ^ 20))
  end)

  it("refused 1,000 times leaks nothing [A06]", function()
    start(1)
    generations.spoil(edge, generations.BREAKS[2])
    local early, descriptors
    for round = 1, 1000 do
      assert.is_true(edge:command("reload").code ~= 0)
      if round == 100 then early, descriptors = edge.process:memory "VmRSS", edge.process:open_descriptors() end
    end
    assert.is_true(edge.process:memory "VmRSS" < early + 6 * 2 ^ 20)
    assert.is_true(edge.process:open_descriptors() <= descriptors + 2)
    next_generation()
    assert.equal("2", edge:request({ path = "/fixed" }).body)
  end)
end)
