-- The command line, as an operator and a program meet it.
local cjson = require "cjson.safe"
local client = require "t.support.client"
local gateway = require "t.support.gateway"
local process = require "t.support.process"
local socket = require "socket"
local lfs = require "lfs"

local CONFIG = [[
local tg = require "tidegate"
tg.settings { access_log = "${folder}/access.log" }
tg.listen "127.0.0.1:${port}"
tg.route { path = "/*", respond = { 200, "one" } }
]]

local COMMANDS = { "run", "check", "reload", "rollback", "generations", "status", "stop", "types" }

describe("the command line", function()
  before_each(gateway.begin_test)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  it("prints its version", function()
    local result = gateway.run { "--version" }
    assert.equal(0, result.code)
    assert.is_truthy(result.output:find "^tidegate %d+%.%d+")
  end)

  it("prints help on standard output, also for each command", function()
    local result = gateway.run { "--help" }
    assert.equal(0, result.code)
    for _, command in ipairs(COMMANDS) do assert.is_truthy(result.output:find(command, 1, true), command) end
    for _, command in ipairs(COMMANDS) do
      result = gateway.run { command, "--help" }
      assert.equal(0, result.code, command)
      assert.is_truthy(result.output:find(command, 1, true), command)
    end
  end)

  it("refuses what it doesn't know with 2 and a hint on standard error", function()
    for _, words in ipairs { {}, { "relod" }, { "run", "--wrkers", "2" }, { "status", "extra" }, { "run", "--workers",
      "none" } } do
      local result = gateway.run(words)
      assert.equal(2, result.code, table.concat(words, " "))
      assert.is_true(#result.errors > 0)
    end
    assert.is_truthy(gateway.run({ "relod" }).errors:find "reload")
    assert.is_truthy(gateway.run({ "check", "gateway.lua" }).errors:find("named with -c", 1, true))
  end)

  it("checks a configuration and says what is wrong with 1", function()
    local edge = gateway.prepare { config = CONFIG }
    assert.equal(0, gateway.run({ "check", "-c", edge.folder .. "/gateway.lua" }).code)
    edge:write("gateway.lua", CONFIG .. "tg.rute {}\n")
    local result = gateway.run { "check", "-c", edge.folder .. "/gateway.lua" }
    assert.equal(1, result.code)
    assert.is_truthy(result.errors:find("gateway.lua:5", 1, true), result.errors)
    result = gateway.run { "check", "-c", edge.folder .. "/absent.lua" }
    assert.equal(1, result.code)
    assert.is_truthy(result.errors:find "absent.lua")
  end)

  it("checks without opening listeners, while a gateway runs on them", function()
    local edge = gateway.start { config = CONFIG }
    assert.equal(0, gateway.run({ "check", "-c", edge.folder .. "/gateway.lua" }).code)
    assert.equal("one", edge:request({ path = "/" }).body)
  end)

  it("refuses to run with a broken configuration", function()
    local edge = gateway.prepare { config = CONFIG .. "error 'broken'\n" }
    local result = gateway.run { "run", "-c", edge.folder .. "/gateway.lua", "--socket", edge.socket }
    assert.equal(1, result.code)
    assert.is_truthy(result.errors:find("gateway.lua:5", 1, true), result.errors)
  end)

  it("says which port is in use", function()
    local taken = socket.bind("127.0.0.1", 0)
    local _, port = taken:getsockname()
    local edge = gateway.prepare { config = CONFIG, variables = { port = port } }
    local result = gateway.run { "run", "-c", edge.folder .. "/gateway.lua", "--socket", edge.socket }
    assert.equal(1, result.code)
    assert.is_truthy(result.errors:find("127.0.0.1:" .. port, 1, true), result.errors)
    assert.is_truthy(result.errors:find "in use", result.errors)
    taken:close()
  end)

  it("won't start a second gateway on the same socket", function()
    local edge = gateway.start { config = CONFIG }
    local other = gateway.prepare { config = CONFIG }
    local result = gateway.run { "run", "-c", other.folder .. "/gateway.lua", "--socket", edge.socket }
    assert.equal(1, result.code)
    assert.is_truthy(result.errors:find "another gateway", result.errors)
    assert.equal("one", edge:request({ path = "/" }).body)
    assert.equal(0, edge:command("status").code)
  end)

  it("starts over the stale socket of a gateway that was killed", function()
    local edge = gateway.start { config = CONFIG }
    edge.process.on_end = nil
    edge.process:kill()
    assert.is_not_nil(lfs.attributes(edge.socket))
    edge:launch { workers = 1 }
    edge:wait_ready()
    gateway.wait_until(function() return edge:command("status").code == 0 end)
  end)

  it("opens its socket to its user only, and removes it at the end", function()
    local edge = gateway.start { config = CONFIG }
    assert.equal("rw-------", lfs.attributes(edge.socket, "permissions"))
    edge:stop()
    assert.is_nil(lfs.attributes(edge.socket))
  end)

  it("uses a folder of the user's own where no socket is named", function()
    local folder = process.folder()
    os.execute("chmod 700 " .. folder)
    local environment = { XDG_RUNTIME_DIR = folder }
    local edge = gateway.prepare { config = CONFIG }
    local started = process.start {
      program = gateway.is_instrumented and "setarch" or gateway.binary,
      arguments = gateway.is_instrumented and { "-R", gateway.binary, "run", "-c", edge.folder .. "/gateway.lua",
        "--workers", 1 }
        or { "run", "-c", edge.folder .. "/gateway.lua", "--workers", 1 },
      environment = environment,
    }
    gateway.wait_until(function() return started:errors_text():find "listening on" end, 20)
    assert.equal(0, gateway.run({ "status" }, { environment = environment }).code)
    assert.equal(0, gateway.run({ "stop" }, { environment = environment }).code)
    assert.equal(0, started:wait(20))
  end)

  it("says with 1 that no gateway runs", function()
    local folder = process.folder()
    for _, command in ipairs { "reload", "rollback", "generations", "status", "stop" } do
      local result = gateway.run { command, "--socket", folder .. "/nothing.sock" }
      assert.equal(1, result.code, command)
      assert.is_true(#result.errors > 0)
    end
  end)

  it("shows status for people and for programs", function()
    local edge = gateway.start { config = CONFIG, workers = 2 }
    edge:request { path = "/" }
    assert.is_truthy(edge:command("status").output:find "generation")
    local status = edge:status()
    assert.equal(1, status.current)
    assert.equal(2, #status.workers)
    local text = cjson.encode(status)
    for _, word in ipairs { "connections_open", "requests", "upstream_reuses", "generations" } do
      assert(text:find(word, 1, true), word)
    end
  end)

  it("shows the generations with files, digests and what holds them", function()
    local edge = gateway.start { config = CONFIG }
    edge:reload("--name", "second", "--note", "a note")
    assert.is_truthy(edge:command("generations").output:find "second")
    local text = cjson.encode(edge:generations())
    for _, word in ipairs { "second", "a note", "gateway.lua", "loaded" } do assert(text:find(word, 1, true), word
      .. " in " .. text) end
    assert.is_truthy(text:find(("%x"):rep(16)), "a digest")
  end)

  it("takes --workers, and says in scripts how many there are", function()
    local edge = gateway.start {
      config = CONFIG .. [[
tg.route { path = "/count", request = function(req) return req:respond(200, tostring(tg.worker.count)) end }
]], workers = 3,
    }
    assert.equal("3", edge:request({ path = "/count" }).body)
  end)

  it("runs from any folder, and finds modules beside gateway.lua", function()
    local edge = gateway.prepare {
      config = CONFIG .. 'tg.route { path = "/m", request = require("handlers.m").request }\n',
      files = { ["handlers/m.lua"] = 'return { request = function(req) return req:respond(200, "module") end }\n' },
    }
    edge:launch { workers = 1 }
    edge:wait_ready()
    assert.equal("module", edge:request({ path = "/m" }).body)
    local result = gateway.run({ "check" }, { folder = edge.folder })
    assert.equal(0, result.code, result.errors)
  end)

  it("writes annotations and an editor's settings", function()
    local folder = process.folder()
    local result = gateway.run { "types", folder }
    assert.equal(0, result.code, result.errors)
    assert.is_truthy(cjson.decode(process.read_file(folder .. "/.luarc.json")))
    local found = false
    local function search(path)
      for name in lfs.dir(path) do
        local inner = path .. "/" .. name
        if name ~= "." and name ~= ".." then
          if lfs.attributes(inner, "mode") == "directory" then search(inner)
          elseif process.read_file(inner):find("tidegate.Request", 1, true) then found = true end
        end
      end
    end
    search(folder)
    assert.is_true(found, "no annotation of tidegate.Request")
  end)

  it("ends with 0 on SIGTERM and SIGINT", function()
    for _, signal in ipairs { 15, 2 } do
      local edge = gateway.start { config = CONFIG }
      assert.equal("one", client.request(edge.port, { path = "/" }).body)
      edge.process.on_end = nil
      edge.process:signal(signal)
      assert.equal(0, edge.process:wait(20))
    end
  end)

  it("takes a library folder before what is inside the binary, where --lua-path names one", function()
    local library = process.folder()
    assert(lfs.mkdir(library .. "/scripts"))
    local file = assert(io.open(library .. "/scripts/greet.lua", "w"))
    file:write 'return { response = function(_, res) res.headers["x-greet"] = "from the folder" end }\n'
    file:close()
    local edge = gateway.start {
      config = 'local tg = require "tidegate"\ntg.listen "127.0.0.1:${port}"\n'
        .. 'tg.route { path = "/*", respond = { 200, "x" }, handlers = { "scripts.greet" } }\n',
      arguments = { "--lua-path", library },
    }
    assert.equal("from the folder", edge:request({ path = "/" }):header "x-greet")
  end)
end)
