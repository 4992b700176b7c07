-- What a second reading found: fields that were taken and not heeded, and handlers that saw what they should not.
local client = require "t.support.client"
local gateway = require "t.support.gateway"
local origin = require "t.support.origin"
local process = require "t.support.process"

local HEAD = [[
local tg = require "tidegate"
tg.listen "127.0.0.1:${port}"
tg.upstream "origin" { "127.0.0.1:${origin}" }
]]

local strict

local function start(config, options)
  options = options or {}
  options.config = HEAD .. config
  options.variables = options.variables or {}
  options.variables.origin = strict.port
  return gateway.start(options)
end

describe("what the configuration says", function()
  before_each(function()
    gateway.begin_test()
    strict = origin.start { ports = 2 }
  end)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  it("about the priority of a peer holds: a later one serves only where the earlier ones can't", function()
    local edge = start([[
tg.upstream "tiers" { { "127.0.0.1:${second}", priority = 1 }, "127.0.0.1:${origin}" }
tg.upstream "fallen" { { "127.0.0.1:${second}", priority = 1 }, "127.0.0.1:${nobody}" }
tg.route { path = "/tiers", upstream = "tiers" }
tg.route { path = "/fallen", upstream = "fallen" }
]], { variables = { second = strict.ports[2], nobody = gateway.free_port() } })
    for _ = 1, 6 do
      assert.equal(200, edge:request({ path = "/tiers?text=x", headers = { "Connection: close" } }).status)
    end
    for _, request in ipairs(strict:requests()) do
      assert.is_nil(request.line:find("fallen", 1, true))
    end
    local peers = {}
    for _, upstream in ipairs(edge:status().upstreams) do peers[upstream.peer] = upstream.idle end
    assert.is_true(peers["127.0.0.1:" .. strict.ports[1]] > 0)
    assert.equal(0, peers["127.0.0.1:" .. strict.ports[2]])
    assert.equal(200, edge:request({ path = "/fallen?text=x" }).status)
  end)

  it("about bodies without a limit holds, for all routes and for one", function()
    local edge = start([[
tg.settings { limits = { body = false } }
tg.route { path = "/any", upstream = "origin" }
tg.route { path = "/small", upstream = "origin", limits = { body = 3 } }
]])
    assert.equal(200, edge:request({ method = "POST", path = "/any", body = ("x"):rep(100) }).status)
    assert.equal(413, edge:request({ method = "POST", path = "/small", body = "four" }).status)
    edge:write("gateway.lua", HEAD .. [[
tg.settings { limits = { body = 3 } }
tg.route { path = "/any", upstream = "origin", limits = { body = false } }
]])
    edge:reload()
    assert.equal(200, edge:request({ method = "POST", path = "/any", body = ("x"):rep(100) }).status)
  end)

  it("about the total time of an upstream holds where a handler chooses it", function()
    local edge = start([[
tg.upstream "hasty" { "127.0.0.1:${origin}", timeouts = { total = 0.3 } }
tg.route { path = "/*", upstream = "origin", request = function(req)
  if req.query.to then req.upstream = req.query.to end
end }
]])
    assert.equal(200, edge:request({ path = "/?delay=600&text=x" }).status)
    assert.equal(504, edge:request({ path = "/?delay=600&text=x&to=hasty" }).status)
    assert.equal(200, edge:request({ path = "/?text=x&to=hasty" }).status)
  end)

  it("may depend on the number of workers", function()
    local edge = start([[
local share = 100 / tg.worker.count
tg.route { respond = { 200, tostring(share) } }
]], { workers = 4 })
    assert.equal("25", edge:request({}).body)
  end)

  it("about a stop without patience holds", function()
    local edge = start([[
tg.settings { stop = { grace = 0, deadline = 0 } }
tg.route { path = "/*", request = function(req) tg.log.warn "it waits" tg.sleep(3600) return req:respond(200) end }
]])
    local connection = edge:connect()
    connection:send(client.format {})
    edge:wait_error "it waits"
    assert.equal(0, edge:command("stop").code)
    gateway.wait_until(function() return not edge.process:running() end, 5, "the end of the gateway")
  end)
end)

describe("a handler", function()
  before_each(function()
    gateway.begin_test()
    strict = origin.start()
  end)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  it("whose request phase a refused request never reached doesn't see the answer", function()
    local edge = start([[
tg.settings { limits = { body = 3 }, access_log = "${folder}/access.log" }
tg.use { {
  response = function(req, res) res.headers["x-seen"] = tostring(res.status) end,
  log = function(req) req.log.seen = true end,
} }
tg.route { path = "/*", upstream = "origin",
  request = function(req) req.ctx["inline.user"] = { name = "someone" } end,
  response = function(req, res) res.headers["x-user"] = req.ctx["inline.user"].name end,
  log = function(req) req.log.user = req.ctx["inline.user"].name end,
}
]])
    local response = edge:request { method = "POST", path = "/", body = "four" }
    assert.equal(413, response.status)
    assert.equal("413", response:header "x-seen")
    assert.is_nil(response:header "x-user")
    local line = edge:wait_log(function(one) return one.status == 413 end)
    assert.is_true(line.seen)
    assert.is_nil(line.user)
    response = edge:request { path = "/?text=x" }
    assert.equal("someone", response:header "x-user")
    assert.is_nil(edge:errors():find("script error", 1, true))
  end)

  it("goes over as many pairs of the query as a target can have", function()
    local edge = start [[
tg.route { path = "/*", request = function(req)
  local count, all = 0, req.query:all "a"
  for name, value in req.query:each() do
    if name == "a" and value == all[count % #all + 1] then count = count + 1 end
  end
  return req:respond(200, count .. " " .. #all .. " " .. all[#all])
end }
]]
    assert.equal("4000 4000 ", edge:request({ path = "/?" .. ("a&"):rep(4000) }).body)
    assert.equal("2 2 y+", edge:request({ path = "/?&&a=x&&%61=y%2B&" }).body)
  end)

  it("can't have a task wait for itself, or cancel itself", function()
    local edge = start [[
tg.route { path = "/*", request = function(req)
  local task
  task = tg.spawn(function()
    local _, waiting = pcall(task.wait, task)
    local _, cancelling = pcall(task.cancel, task)
    return waiting .. "; " .. cancelling
  end)
  return req:respond(200, (task:wait()))
end }
]]
    local body = edge:request({}).body
    assert.is_truthy(body:find("can't wait for itself", 1, true) or body:find("can a task wait for itself", 1, true))
    assert.is_truthy(body:find("can't cancel itself", 1, true))
  end)

  it("is told at its line of a list of header lines with something else in it", function()
    local edge = start [[
tg.route { path = "/*", request = function(req)
  local good, why = pcall(function() req.headers["x-list"] = { "a", b = "c" } end)
  return req:respond(200, tostring(good) .. " " .. tostring(why))
end }
]]
    assert.is_truthy(edge:request({}).body:find("^false gateway.lua:%d+: req.headers: header \"x%-list\""))
  end)
end)

describe("the admin socket", function()
  before_each(gateway.begin_test)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  it("answers many requests of one connection in order, one after the other", function()
    local edge = gateway.start { config = [[
local tg = require "tidegate"
tg.listen "127.0.0.1:${port}"
tg.route { respond = 200 }
]] }
    local handle = assert(require "socket.unix"())
    handle:settimeout(20)
    assert(handle:connect(edge.socket))
    assert(handle:send(('{"command":"nothing"}\n'):rep(500) .. '{"command":"generations"}\n'))
    for _ = 1, 500 do assert.is_truthy(handle:receive("*l"):find("unknown command", 1, true)) end
    assert.is_truthy(handle:receive("*l"):find('"current":1', 1, true))
    handle:close()
    process.wait_until(function() return edge:status().pid end)
  end)
end)
