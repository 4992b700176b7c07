-- Reload, rollback, and what they leave alone.
local cjson = require "cjson.safe"
local client = require "t.support.client"
local gateway = require "t.support.gateway"
local generations = require "t.support.generations"
local origin = require "t.support.origin"
local process = require "t.support.process"

local edge, strict

local function start(workers)
  strict = origin.start { ports = 2 }
  edge = gateway.start {
    config = generations.config, files = generations.files(), variables = generations.variables(strict, 1),
      workers = workers,
  }
end

local function reload_to(number)
  generations.write(edge, number)
  return edge:reload()
end

local function current()
  return edge:request({ path = "/fixed" }).body
end

describe("a reload", function()
  before_each(function()
    gateway.begin_test()
    start(2)
  end)
  after_each(function()
    local stats = strict:stats()
    gateway.end_test()
    assert.equal(0, stats.violations, table.concat(stats.texts, "; "))
  end)
  teardown(gateway.end_file)

  it("shows in the next request of every connection once its reply has come, and closes none", function()
    local connections = {}
    for i = 1, 20 do
      connections[i] = edge:connect()
      assert.equal("1", client.request(connections[i], { path = "/x" }):header "x-gen")
    end
    for number = 2, 6 do
      reload_to(number)
      for _, connection in ipairs(connections) do
        local response = client.request(connection, { path = "/x" })
        for _, name in ipairs { "x-gen", "x-handler", "x-echo", "x-ctx" } do
          assert.equal(tostring(number), response:header(name), name)
        end
      end
    end
  end)

  it("leaves requests in flight to their own generation, across three reloads", function()
    local connection = edge:connect()
    connection:send(client.format { path = "/sleep?wait=1&text=x" })
    gateway.wait_until(function()
      local status = edge:status()
      return cjson.encode(status):find "x" ~= nil
    end)
    for number = 2, 4 do
      reload_to(number)
      assert.equal(tostring(number), current())
    end
    local response = connection:read_response()
    assert.equal("1", response:header "x-gen")
    assert.equal("4", client.request(connection, { path = "/sleep?wait=0&text=x" }):header "x-gen")
  end)

  for _, break_ in ipairs(generations.BREAKS) do
    it("is refused for " .. break_.name .. ", with file, line and reason, and changes nothing [A06]", function()
      local connection = edge:connect()
      assert.equal("1", client.request(connection, { path = "/x" }):header "x-gen")
      for _ = 1, 3 do
        generations.write(edge, 2)
        generations.spoil(edge, break_)
        local result = edge:command "reload"
        assert.is_true(result.code ~= 0, "it was accepted")
        for _, text in ipairs(break_.says) do
          assert((result.errors .. result.output):find(text, 1, true), "no " .. text .. " in: " .. result.errors
            .. result.output)
        end
        assert.equal("1", client.request(connection, { path = "/x" }):header "x-gen")
      end
      reload_to(3)
      assert.equal("3", client.request(connection, { path = "/x" }):header "x-gen")
    end)
  end

  it("can be rolled back, at once and without the disk", function()
    reload_to(2)
    generations.spoil(edge, generations.BREAKS[1])
    local result = edge:command "rollback"
    assert.equal(0, result.code, result.errors)
    assert.equal("1", current())
    assert.equal("1", edge:request({ path = "/x" }):header "x-handler")
  end)

  it("that has nothing to go back to is refused", function()
    assert.is_true(edge:command("rollback").code ~= 0)
    assert.equal("1", current())
  end)

  it("comes with SIGHUP too", function()
    generations.write(edge, 2)
    edge.process:signal(1)
    gateway.wait_until(function() return current() == "2" end)
    generations.spoil(edge, generations.BREAKS[1])
    edge.process:signal(1)
    edge:wait_error "unused.lua:1"
    assert.equal("2", current())
    generations.write(edge, 3)
    edge.process:signal(1)
    gateway.wait_until(function() return current() == "3" end)
  end)

  it("carries a name and a note", function()
    generations.write(edge, 2)
    edge:reload("--name", "spring", "--note", "more for b")
    local text = cjson.encode(edge:generations())
    assert.is_truthy(text:find "spring")
    assert.is_truthy(text:find "more for b")
    assert.is_truthy(text:find "unused.lua")
    assert.is_truthy(cjson.encode(edge:status()):find "spring")
  end)

  it("leaves open tunnels alone, and doesn't keep their old generation for long", function()
    local tunnels = {}
    for i = 1, 10 do
      tunnels[i] = edge:connect()
      tunnels[i]:send(client.format {
        path = "/ws?tunnel=echo",
        headers = { "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==" },
      })
      assert.equal(101, tunnels[i]:read_head().status)
    end
    for number = 2, 12 do reload_to(number) end
    for i, tunnel in ipairs(tunnels) do
      tunnel:send("hello" .. i)
      assert.equal("hello" .. i, tunnel:read_bytes(#("hello" .. i)))
    end
    gateway.wait_until(function() return #(edge:generations().generations or edge:generations()) <= 3 end, 15,
      "old generations to go")
    for i, tunnel in ipairs(tunnels) do
      tunnel:send("again" .. i)
      assert.equal("again" .. i, tunnel:read_bytes(#("again" .. i)))
    end
  end)

  it("opens new listeners, closes gone ones after draining, and doesn't touch the others", function()
    local second, third = gateway.free_port(), gateway.free_port()
    local function config(number, port)
      generations.write(edge, number)
      edge:write("gateway.lua", generations.config .. ('tg.listen "127.0.0.1:%d"\n'):format(port))
    end
    config(2, second)
    edge:reload()
    local kept, going = edge:connect(), client.connect(second)
    assert.equal("2", client.request(kept, { path = "/fixed" }).body)
    going:send(client.format { path = "/sleep?wait=0.5&text=x" })
    gateway.wait_until(function() return client.request(second, { path = "/fixed" }).body == "2" end)
    config(3, third)
    edge:reload()
    assert.equal("3", client.request(third, { path = "/fixed" }).body)
    assert.equal("3", client.request(kept, { path = "/fixed" }).body)
    assert.equal("x", going:read_response().body)
    gateway.wait_until(function() return not pcall(client.connect, second) end)
  end)

  it("to a listener whose port is in use is refused", function()
    local taken = require "socket".bind("127.0.0.1", 0)
    local _, port = taken:getsockname()
    edge:write("gateway.lua", generations.config .. ('tg.listen "127.0.0.1:%d"\n'):format(port))
    local result = edge:command "reload"
    assert.is_true(result.code ~= 0)
    assert.is_truthy((result.errors .. result.output):find(tostring(port), 1, true))
    assert.equal("1", current())
    taken:close()
  end)

  it("under load fails no request and mixes no generations, every second one broken", function()
    local load = process.start {
      program = process.program "load",
      arguments = { "--port", edge.port, "--connections", 16, "--path", "/x", "--same", generations.SAME },
    }
    local number = 1
    for round = 1, 14 do
      if round % 2 == 0 then
        generations.write(edge, 0)
        local break_ = generations.BREAKS[round / 2 % #generations.BREAKS + 1]
        generations.spoil(edge, break_)
        assert.is_true(edge:command("reload").code ~= 0, break_.name)
      else
        number = number + 1
        reload_to(number)
        load:send("floor " .. number)
        gateway.wait_until(function() return load:output_text():find("floor " .. number .. "\n", 1, true) end)
      end
    end
    load:send "stop"
    assert.is_truthy(load:wait(20))
    local result = cjson.decode(load:output_text():match "{.*")
    assert.equal(0, result.failed, table.concat(result.errors, "\n"))
    assert.is_true(result.requests > 100)
    assert.equal(16, result.connects)
  end)

  it("is made by --watch when a file changes, once for many changes", function()
    edge:stop()
    edge:launch { workers = 2, arguments = { "--watch" } }
    edge:wait_ready()
    gateway.wait_until(function() return current() == "1" end)
    generations.write(edge, 2)
    gateway.wait_until(function() return current() == "2" end)
    generations.write(edge, 3)
    generations.spoil(edge, generations.BREAKS[1])
    edge:wait_error "unused.lua:1"
    assert.equal("2", current())
    generations.write(edge, 3)
    gateway.wait_until(function() return current() == "3" end)
  end)
end)

describe("a stop", function()
  before_each(function()
    gateway.begin_test()
    start(2)
  end)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  it("is at once where nothing runs", function()
    local before = require "socket".gettime()
    local result = edge:command "stop"
    assert.equal(0, result.code, result.errors)
    assert.equal(0, edge.process:wait(5))
    assert.is_true(require "socket".gettime() - before < (gateway.is_instrumented and 4 or 1))
  end)

  it("finishes what runs, closes its connection, and lets idle ones ask once more", function()
    local running, idle = edge:connect(), edge:connect()
    assert.equal(200, client.request(idle, { path = "/fixed" }).status)
    running:send(client.format { path = "/sleep?wait=0.5&text=x" })
    gateway.wait_until(function() return edge:request({ path = "/fixed" }).status == 200 end)
    edge.process:signal(15)
    gateway.wait_until(function() return not pcall(client.connect, edge.port) end)
    local response = client.request(idle, { path = "/fixed" })
    assert.equal("1", response.body)
    assert.equal("close", response:header "connection")
    response = running:read_response()
    assert.equal("x", response.body)
    assert.equal("close", response:header "connection")
    assert.equal(0, edge.process:wait(20))
  end)
end)
