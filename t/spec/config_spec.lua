-- What gateway.lua may say, what is refused and how, and which route takes a request.
local gateway = require "t.support.gateway"
local scripted = require "t.support.scripted"

describe("a configuration", function()
  before_each(gateway.begin_test)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  local function check(config, files)
    local prepared = gateway.prepare {
      config = scripted.HEAD .. config, files = files or scripted.files(), variables = { origin = 1 },
    }
    return gateway.run { "check", "-c", prepared.folder .. "/gateway.lua" }
  end

  local function refused(config, ...)
    local result = check(config)
    assert.is_true(result.code ~= 0, "it was accepted: " .. config)
    local text = result.errors .. result.output
    for _, part in ipairs { ... } do assert(text:find(part, 1, true), "no " .. part .. " in: " .. text) end
  end

  it("that is right is accepted", function()
    local result = check [[tg.route { upstream = "origin", handlers = { { "handlers.options", number = 3 } } }]]
    assert.equal(0, result.code, result.errors)
  end)

  it("with an unknown field is refused at its line, with a suggestion", function()
    refused('tg.route { path = "/", upstrem = "origin" }', "gateway.lua:6", 'unknown field "upstrem"',
      'did you mean "upstream"?')
    refused('tg.upstream "b" { "127.0.0.1:1", balanc = "x" }', "gateway.lua:6", "balanc")
    refused('tg.listen { "127.0.0.1:1", nam = "x" }', "gateway.lua:6", "nam")
  end)

  it("with an unknown upstream is refused with a suggestion", function()
    refused('tg.route { path = "/", upstream = "orign" }', "gateway.lua:6", "orign", 'did you mean "origin"?')
  end)

  it("with a name declared twice is refused with both places", function()
    refused('tg.upstream "origin" { "127.0.0.1:1" }', "gateway.lua:6", "gateway.lua:4")
  end)

  it("with a module that isn't there is refused with the place where it was looked for", function()
    refused('tg.route { path = "/", handlers = { "handlers.nothing" } }', "gateway.lua:6", "no handlers/nothing.lua")
  end)

  it("with two routes that tie is refused with both", function()
    refused('tg.route { name = "one", path = "/a", upstream = "origin" }\n'
      .. 'tg.route { name = "two", path = "/a", upstream = "origin" }',
      "one", "two")
  end)

  it("with a wrong option is refused with file, line, handler and option", function()
    refused('tg.route { path = "/a", handlers = { { "handlers.options", nuber = 1 } } }',
      "gateway.lua:6", "handlers.options", "nuber", 'did you mean "number"?')
    refused('tg.route { path = "/a", handlers = { { "handlers.options", number = 11 } } }', "gateway.lua:6", "number")
    refused('tg.route { path = "/a", handlers = { { "handlers.options", number = "x" } } }', "gateway.lua:6", "number")
    refused('tg.route { path = "/a", handlers = { { "handlers.options", plan = "gold" } } }', "plan", "free", "pro")
    refused('tg.route { path = "/a", handlers = { { "handlers.options", even = 3 } } }', "even", "must be even")
    refused('tg.route { path = "/a", handlers = { { "handlers.options", target = "nowhere" } } }', "target", "nowhere")
    refused('tg.route { path = "/a", handlers = { "handlers.tracer" } }', "name")
    refused('tg.route { path = "/a", handlers = { { "handlers.must", x = 1 } } }', "handlers.must")
  end)

  it("with a misspelt phase is refused", function()
    refused('tg.route { path = "/a", handlers = { { reqest = function() end } } }', "reqest")
  end)

  it("with what belongs to later versions is refused by name, never ignored", function()
    refused('tg.route { path = "/", upstream = "origin", handlers = { { mirrored = function() end } } }', "mirrored")
    refused('tg.upstream "b" { "127.0.0.1:1", health = { path = "/" } }', "health")
    refused('tg.upstream "b" { "127.0.0.1:1", balance = "p2c" }', "balance")
    refused('tg.upstream "b" { dynamic = true }', "dynamic")
    refused('tg.http.get "http://a/"', "http")
    refused('tg.redis.new {}', "redis")
    local prepared = gateway.prepare { config = 'require("tidegate").settings { admin = "127.0.0.1:1" }\n' }
    local result = gateway.run { "check", "-c", prepared.folder .. "/gateway.lua" }
    assert.equal(1, result.code)
    assert.is_truthy(result.errors:find("admin", 1, true))
  end)

  it("with an accidental global is refused at load", function()
    refused("oops = 1", "gateway.lua:6", "oops")
  end)

  it("with a syntax error, in itself or in a module, is refused with file and line", function()
    refused("tg.route {", "gateway.lua")
    local files = scripted.files()
    files["handlers/broken.lua"] = "local x = \nreturn {"
    local result = check('tg.route { path = "/", handlers = { "handlers.broken" } }', files)
    assert.is_true(result.code ~= 0)
    assert.is_truthy((result.errors .. result.output):find "broken.lua:%d")
  end)

  it("may be spread over files: include, groups, file, env", function()
    local files = scripted.files()
    files["team/a.lua"] = [[
local tg = require "tidegate"
tg.route { path = "/a", respond = { 200, tg.file "team/text.txt" } }
]]
    files["team/b.lua"] = [[
local tg = require "tidegate"
tg.route { path = "/b", respond = { 200, tg.env("TG_SPEC_NAME", "default") } }
]]
    files["team/text.txt"] = "from a file"
    local other = gateway.start {
      config = scripted.HEAD .. 'tg.group { path = "/team", include = "team/*.lua", name = "team" }\n', files = files,
      variables = { origin = 1 }, environment = { TG_SPEC_NAME = "from the environment" },
    }
    assert.equal("from a file", other:request({ path = "/team/a" }).body)
    assert.equal("from the environment", other:request({ path = "/team/b" }).body)
    assert.equal(404, other:request({ path = "/a" }).status)
  end)

  it("that lets a group's member widen its path doesn't exist: it is narrowed", function()
    local other = gateway.start {
      config = scripted.HEAD .. [[
tg.group { host = "*.team.example", path = "/t",
  tg.route { path = "/x", respond = { 200, "team" } },
}
]], variables = { origin = 1 },
    }
    assert.equal("team", other:request({ path = "/t/x", host = "a.team.example" }).body)
    assert.equal(404, other:request({ path = "/x", host = "a.team.example" }).status)
    assert.equal(404, other:request({ path = "/t/x", host = "b.example" }).status)
  end)

  it("runs tg.use for requests that no route takes too", function()
    local other = gateway.start {
      config = scripted.HEAD .. [[
tg.use { { request = function(req) req:set_response_header("x-route", req.route.name) end } }
tg.route { path = "/a", respond = { 200, "a" } }
]], variables = { origin = 1 },
    }
    local response = other:request { path = "/nowhere" }
    assert.equal(404, response.status)
    assert.equal("none", response:header "x-route")
    assert.is_not_nil(other:request({ path = "/a" }):header "x-route")
  end)

  it("routes by the most specific match: host, then path segment by segment, then method", function()
    local other = gateway.start {
      config = scripted.HEAD .. [[
tg.route { path = "/*", respond = { 200, "any" } }
tg.route { path = "/a/*", respond = { 200, "a rest" } }
tg.route { path = "/a/:id", respond = { 200, "a id" } }
tg.route { path = "/a/b", respond = { 200, "a b" } }
tg.route { path = "/a/b", method = "POST", respond = { 200, "post a b" } }
tg.route { path = "/a/:id/c", respond = { 200, "a id c" } }
tg.route { host = "x.example", path = "/*", respond = { 200, "x" } }
tg.route { host = "*.example", path = "/a/b", respond = { 200, "wild a b" } }
tg.route { host = "*.y.example", path = "/*", respond = { 200, "wild y" } }
]], variables = { origin = 1 },
    }
    local function at(host, path, method)
      return other:request({ host = host, path = path, method = method }).body
    end
    assert.equal("any", at("h", "/"))
    assert.equal("a rest", at("h", "/a"))
    assert.equal("a rest", at("h", "/a/x/y"))
    assert.equal("a id", at("h", "/a/x"))
    assert.equal("a b", at("h", "/a/b"))
    assert.equal("post a b", at("h", "/a/b", "POST"))
    assert.equal("a id c", at("h", "/a/x/c"))
    assert.equal("a rest", at("h", "/a/b/d"))
    assert.equal("x", at("x.example", "/a/b"))
    assert.equal("wild a b", at("z.example", "/a/b"))
    assert.equal("wild y", at("q.y.example", "/a/b"))
  end)
end)
