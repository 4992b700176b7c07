--- The words of the configuration: what they accept, what they make of it, and what they say where something is wrong.
--- Needs no gateway: the host of the words is one of files in a table.

local config_host = require "config_host"

local LISTEN = 'local tg = require "tidegate" tg.listen "127.0.0.1:8080" tg.upstream "app" { "127.0.0.1:9001" } '

-- The words go on the first line after what most of them need, so errors name gateway.lua:1 unless they stand lower.
local function configure(text, files, environment)
  local all = { ["gateway.lua"] = LISTEN .. text }
  for name, content in pairs(files or {}) do all[name] = content end
  return config_host.configure(all, environment)
end

local function refused(expected, text, files)
  local plan, err = configure(text, files)
  assert.is_nil(plan, "accepted, though it should say " .. expected)
  assert.equal(expected, err)
end

local function refused_like(pattern, text, files)
  local plan, err = configure(text, files)
  assert.is_nil(plan, "accepted, though it should say " .. pattern)
  assert.matches(pattern, err)
end

local function plan_of(text, files, environment)
  local plan, config, host = configure(text, files, environment)
  assert(plan, config)
  return plan, config, host
end

local function route_of(fields)
  return plan_of("tg.route " .. fields).routes[1]
end

describe("listeners", function()
  it("are one entry for each address, named by the address or by the word", function()
    local plan = plan_of 'tg.listen { "0.0.0.0:81", "[::1]:81", name = "inside" }'
    assert.equal("127.0.0.1:8080", plan.listeners[1].name)
    assert.same({ name = "inside", address = "[::1]:81", at = "gateway.lua:1" }, plan.listeners[3])
  end)

  it("are refused without an IP address and a port", function()
    for _, address in ipairs { "8080", ":8080", "host.example:80", "127.0.0.1:0", "127.0.0.1:70000", "127.0.0.256:1",
      "::1:80", "[::1::2]:80" } do
      refused_like("tg.listen: %[1%]: an address and port", ("tg.listen %q"):format(address))
    end
  end)

  it("are refused twice, by address and by name", function()
    refused('gateway.lua:2: tg.listen: "127.0.0.1:8080" is declared twice, first at gateway.lua:1',
      '\ntg.listen "127.0.0.1:8080"')
    refused('gateway.lua:3: tg.listen: name "x" is declared twice, first at gateway.lua:2',
      '\ntg.listen { "127.0.0.1:1", name = "x" }\ntg.listen { "127.0.0.1:2", name = "x" }')
  end)

  it("are refused by name where this version lacks a field", function()
    for _, field in ipairs { "tls", "redirect_to", "proxy_protocol", "handlers" } do
      refused(('gateway.lua:1: tg.listen: %q is not available in this version of tidegate'):format(field),
        ('tg.listen { "127.0.0.1:1", %s = {} }'):format(field))
    end
  end)

  it("are needed", function()
    local plan, err = config_host.configure 'local _ = require "tidegate"'
    assert.is_nil(plan)
    assert.matches("no tg.listen", err)
  end)
end)

describe("upstreams", function()
  it("have peers with weights, and all timeouts filled in", function()
    local plan = plan_of('tg.upstream "b" { "unix:/run/b", { "[::1]:1", weight = 3, priority = 1 }, '
      .. 'timeouts = { connect = 1 } }')
    local app, b = plan.upstreams[1], plan.upstreams[2]
    assert.equal("app", app.name)
    assert.same({ { address = "unix:/run/b", weight = 1, priority = 0 },
      { address = "[::1]:1", weight = 3, priority = 1 } }, b.peers)
    assert.same({ connect = 1, send = 30, first_byte = 60, between_bytes = 60 }, b.timeouts)
    assert.equal("round_robin", b.balance)
    assert.same({ attempts = 3 }, b.retry)
  end)

  it("take false for no retry", function()
    assert.same({ attempts = 1 }, plan_of('tg.upstream "b" { "127.0.0.1:1", retry = false }').upstreams[2].retry)
  end)

  it("are refused twice, with both places", function()
    refused('gateway.lua:2: tg.upstream: "app" is declared twice, first at gateway.lua:1',
      '\ntg.upstream "app" { "127.0.0.1:1" }')
  end)

  it("are refused without their table, without peers, and with a peer twice", function()
    refused('gateway.lua:1: tg.upstream: "b" has no table: tg.upstream "b" { }', 'tg.upstream "b"')
    refused('gateway.lua:1: tg.upstream: "b" has no peers', 'tg.upstream "b" { }')
    refused('gateway.lua:1: tg.upstream: "b": peer "127.0.0.1:1" stands there twice: give it a weight instead',
      'tg.upstream "b" { "127.0.0.1:1", "127.0.0.1:1" }')
    refused('gateway.lua:1: tg.upstream: write it tg.upstream "b" { }', 'tg.upstream("b", {})')
  end)

  it("are refused with a peer that is wrong, and say which", function()
    refused_like("tg.upstream: %[2%]: an address such as", 'tg.upstream "b" { "127.0.0.1:1", "127.0.0.1" }')
    refused('gateway.lua:1: tg.upstream: [1].weight: an integer from 1 to 1000 expected, got "3"',
      'tg.upstream "b" { { "127.0.0.1:1", weight = "3" } }')
    refused_like("%[1%]: unknown field \"wieght\" %(did you mean \"weight\"%?%)",
      'tg.upstream "b" { { "127.0.0.1:1", wieght = 3 } }')
    refused_like("names of hosts are not available in this version", 'tg.upstream "b" { "app.example:80" }')
  end)

  it("are refused by name where this version lacks a field or a value", function()
    for _, field in ipairs { "tls", "health", "ejection", "breaker", "dynamic", "hash_key" } do
      refused(('gateway.lua:1: tg.upstream: %q is not available in this version of tidegate'):format(field),
        ('tg.upstream "b" { "127.0.0.1:1", %s = true }'):format(field))
    end
    refused('gateway.lua:1: tg.upstream: balance: "p2c" is not available in this version of tidegate',
      'tg.upstream "b" { "127.0.0.1:1", balance = "p2c" }')
    refused('gateway.lua:1: tg.upstream: retry: "budget" is not available in this version of tidegate',
      'tg.upstream "b" { "127.0.0.1:1", retry = { budget = 20 } }')
    refused('gateway.lua:1: tg.upstream: balance: "round_robin" expected, got "round-robin" '
      .. '(did you mean "round_robin"?)',
      'tg.upstream "b" { "127.0.0.1:1", balance = "round-robin" }')
  end)
end)

describe("settings", function()
  it("are whole where none are given", function()
    local settings = plan_of("").settings
    assert.equal(65536, settings.limits.head)
    assert.equal("stdout", settings.access_log.file)
    assert.same({ keep = 8, detach = 60 }, settings.generations)
  end)

  it("keep the defaults of what is not named", function()
    local settings = plan_of([[tg.settings {
      workers = 2, limits = { body = 10 * tg.MB }, timeouts = { total = false }, access_log = false,
      trusted_proxies = { "10.1.2.3", "fd00::/8" },
    }]]).settings
    assert.equal(10 * 2 ^ 20, settings.limits.body)
    assert.equal(200, settings.limits.fields)
    assert.equal(0, settings.timeouts.total)
    assert.is_true(settings.access_log.off)
    assert.same({ "10.1.2.3/32", "fd00::/8" }, settings.trusted_proxies)
  end)

  it("take a log by its file alone, and a rate of 0 for none", function()
    local settings = plan_of([[
      tg.settings { access_log = "a.log", error_log = "e.log", timeouts = { body_rate = 0 } }]]).settings
    assert.same({ "a.log", "e.log", 0 },
      { settings.access_log.file, settings.error_log.file, settings.timeouts.body_rate })
  end)

  it("are refused twice, and with what they don't know", function()
    refused("gateway.lua:2: tg.settings: stands there twice, first at gateway.lua:1",
      "tg.settings { }\ntg.settings { }")
    refused('gateway.lua:1: tg.settings: limits: unknown field "bodi" (did you mean "body"?)',
      "tg.settings { limits = { bodi = 1 } }")
    refused("gateway.lua:1: tg.settings: workers: an integer from 1 to 256 expected, got 0",
      "tg.settings { workers = 0 }")
    refused('gateway.lua:1: tg.settings: scripts: "cpu" is not available in this version of tidegate',
      "tg.settings { scripts = { cpu = 0.05 } }")
    refused('gateway.lua:1: tg.settings: "admin" is not available in this version of tidegate',
      'tg.settings { admin = "x" }')
    refused('gateway.lua:1: tg.settings: trusted_proxies[1]: a network such as "10.0.0.0/8" or "fd00::/8", expected, '
      .. 'got "10.0.0.0/33"', 'tg.settings { trusted_proxies = { "10.0.0.0/33" } }')
  end)

  it("refuse a configuration that needs a newer version", function()
    assert.truthy(configure 'tg.settings { needs = "0.1" }')
    refused("gateway.lua:1: tg.settings: needs: this is tidegate 0.1.0, the configuration needs 1.2",
      'tg.settings { needs = "1.2" }')
  end)
end)

describe("routes", function()
  it("have all fields, by default those of the API", function()
    local route = route_of '{ upstream = "app" }'
    assert.equal("/*", route.name)
    assert.same({ "/*" }, route.paths)
    assert.same({ {}, {}, {} }, { route.hosts, route.methods, route.listeners })
    assert.same({ "preserve", false, "answer", "fail" },
      { route.host_header, route.raw_path, route.half_close, route.on_script_error })
  end)

  it("are named by method, host and path", function()
    local route = route_of '{ host = "Shop.Example", method = { "GET", "POST" }, path = "/a/:id", upstream = "app" }'
    assert.equal("GET,POST shop.example/a/:id", route.name)
    assert.same({ "shop.example" }, route.hosts)
  end)

  it("have paths in the form that requests are matched in", function()
    local route = route_of '{ path = { "/%7ea%2fb", "/x/*rest", "/v1:batch" }, upstream = "app" }'
    assert.same({ "/~a%2Fb", "/x/*rest", "/v1:batch" }, route.paths)
  end)

  it("are refused with a path that no request can have", function()
    for path, why in pairs {
      ["x"] = "begins with", ["/a/../b"] = "can't be a segment", ["/%2e%2e/b"] = "can't be a segment",
      ["/a b"] = "percent%-encoded in a path", ["/a%2"] = "incomplete", ["/*/b"] = "last segment",
      ["/a?x=1"] = "before its query", ["/:"] = "no name", ["/:a/:a"] = "twice", ["/a%00"] = "no path may have",
      ["/a\\b"] = "no path may have",
    } do
      refused_like("tg.route: path: .*" .. why, ("tg.route { path = %q, upstream = 'app' }"):format(path))
    end
  end)

  it("are refused with a field they don't know, at the line of the word", function()
    refused('gateway.lua:2: tg.route: unknown field "upstrem" (did you mean "upstream"?)',
      '\ntg.route {\n  path = "/",\n  upstrem = "app",\n}')
  end)

  it("are refused with an upstream or listener that is not declared", function()
    refused('gateway.lua:1: tg.route: unknown upstream "ap" (did you mean "app"?)', 'tg.route { upstream = "ap" }')
    refused('gateway.lua:1: tg.route: unknown listener "inside"', 'tg.route { upstream = "app", listener = "inside" }')
  end)

  it("may name an upstream that is declared later", function()
    assert.truthy(configure 'tg.route { upstream = "late" } tg.upstream "late" { "127.0.0.1:1" }')
  end)

  it("are refused with a name twice, and with the same match twice", function()
    refused('gateway.lua:3: tg.route: name "x" is declared twice, first at gateway.lua:2',
      '\ntg.route { name = "x", path = "/a", upstream = "app" }\n' ..
      'tg.route { name = "x", path = "/b", upstream = "app" }')
    refused('gateway.lua:2: tg.route: "GET /a" is declared twice, first at gateway.lua:1',
      'tg.route { path = "/a", method = "GET", upstream = "app" }\n'
      .. 'tg.route { path = "/a", method = "GET", upstream = "app" }')
  end)

  it("are refused where they go nowhere, or to two places", function()
    refused_like('"/x" goes nowhere', 'tg.route { path = "/x" }')
    refused_like("upstream, respond and redirect: one of them", 'tg.route { upstream = "app", respond = { 200 } }')
    refused_like("rewrite is for what goes to an upstream", 'tg.route { rewrite = "/", respond = { 200 } }')
  end)

  it("take methods in upper case, and no CONNECT", function()
    refused('gateway.lua:1: tg.route: method: methods are upper case: "GET"',
      'tg.route { method = "get", upstream = "app" }')
    refused_like("CONNECT is refused", 'tg.route { method = "CONNECT", upstream = "app" }')
  end)

  it("answer by themselves, with a type for the body", function()
    assert.same({ status = 200, body = "pong\n", headers = { { "content-type", "text/plain; charset=utf-8" } } },
      route_of('{ respond = { 200, "pong\\n" } }').respond)
    assert.same({ status = 200, body = '{"a":[1,2]}', headers = { { "content-type", "application/json" }, { "x-a",
      "1" },
      { "x-a", "b" } } }, route_of('{ respond = { 200, { a = { 1, 2 } }, { ["X-A"] = { 1, "b" } } } }').respond)
    assert.same({ status = 404, body = "", headers = {} }, route_of('{ respond = { 404 } }').respond)
  end)

  it("[R07] are refused with an answer that a client couldn't read safely", function()
    refused_like("respond%[3%]: x%-a: control characters",
      'tg.route { respond = { 200, "", { ["x-a"] = "1\\r\\nx: 2" } } }')
    refused_like('respond%[3%]: "content%-length" belongs to the gateway',
      'tg.route { respond = { 200, "", { ["Content-Length"] = 5 } } }')
    refused_like("respond%[3%]: \"x a\" is no name of a header", 'tg.route { respond = { 200, "", { ["x a"] = 5 } } }')
    refused_like("respond%[2%]: an answer with status 204 has no body", 'tg.route { respond = { 204, "x" } }')
    refused_like("respond%[1%]: a status from 200 to 599 expected, got 100", 'tg.route { respond = { 100 } }')
    refused_like("respond: it is { status, body, headers }", 'tg.route { respond = { 200, header = {} } }')
    refused_like("redirect%[2%]: a character that no URL has", 'tg.route { redirect = "/a\\r\\nb" }')
  end)

  it("redirect and rewrite with the parameters of their paths only", function()
    assert.same({ status = 308, location = "https://x.example/new/*rest?a=1" },
      route_of('{ path = "/old/*rest", redirect = { 308, "https://x.example/new/*rest?a=1" } }').redirect)
    assert.equal("/v1/*", route_of('{ path = "/files/*", rewrite = "/v1/*", upstream = "app" }').rewrite)
    refused('gateway.lua:1: tg.route: rewrite: "/v1/:id": path "/b" has no parameter ":id"',
      'tg.route { path = { "/a/:id", "/b" }, rewrite = "/v1/:id", upstream = "app" }')
    refused_like('path "/%*" has no parameter ":id"', 'tg.route { redirect = "/login?next=/:id" }')
    refused_like("redirect%[1%]: 301, 302, 303, 307 or 308 expected, got 200", 'tg.route { redirect = { 200, "/" } }')
  end)

  it("carry timeouts and limits of their own over those of the settings", function()
    local plan = plan_of([[tg.settings { limits = { body = 100 }, timeouts = { tunnel_idle = 9 } }
      tg.route { upstream = "app", timeouts = { total = 5, first_byte = false }, retry = false }
      tg.route { path = "/b", upstream = "app", limits = { body = false } }]])
    assert.same({ total = 5, first_byte = 0, tunnel_idle = 9, body_rate = 500 }, plan.routes[1].timeouts)
    assert.same({ attempts = 1 }, plan.routes[1].retry)
    assert.equal(100, plan.routes[1].limits.body)
    assert.equal(0, plan.routes[2].limits.body)
    refused("gateway.lua:1: tg.route: limits.head: is the same for all routes: it belongs to tg.settings",
      'tg.route { upstream = "app", limits = { head = 1 } }')
  end)

  it("are refused with a phase that this version lacks", function()
    refused('gateway.lua:1: tg.route: "response_body" is not available in this version of tidegate',
      'tg.route { upstream = "app", response_body = function() end }')
  end)
end)

describe("groups", function()
  it("give their routes host, path, name, handlers and defaults, from outer to inner", function()
    local plan, config = plan_of([[
      tg.use { { request = function() return "use" end } }
      tg.group { name = "shop", host = "*.shop.example", path = "/api/", upstream = "app", half_close = "abort",
        timeouts = { total = 5, connect = 1 },
        handlers = { { request = function() return "outer" end } },
        tg.group { name = "v1", path = "/v1", handlers = { { request = function() return "inner" end } },
          { name = "cart", host = "a.shop.example", path = "/cart/:id", timeouts = { total = 9 },
            handlers = { { request = function() return "own" end } }, request = function() return "inline" end } } }]])
    local route = plan.routes[1]
    assert.equal("shop.v1.cart", route.name)
    assert.same({ "a.shop.example" }, route.hosts)
    assert.same({ "/api/v1/cart/:id" }, route.paths)
    assert.equal("abort", route.half_close)
    assert.equal(9, route.timeouts.total)
    assert.equal(1, route.timeouts.connect)
    local order = {}
    for i, number in ipairs(route.uses) do order[i] = config.use(number).handler.request() end
    assert.same({ "use", "outer", "inner", "own", "inline" }, order)
    assert.same({ 1 }, plan.global_uses)
  end)

  it("use a handler once for all their routes", function()
    local plan = plan_of([[tg.group { upstream = "app", handlers = { { request = function() end } },
      { path = "/a" }, { path = "/b" } }]])
    assert.same(plan.routes[1].uses, plan.routes[2].uses)
    assert.equal(1, #plan.uses)
  end)

  it("can't be widened by a route in them", function()
    refused('gateway.lua:2: tg.route: host "other.example" is outside of the '
      .. 'group\'s, which is "shop.example" (gateway.lua:1)',
      'tg.group { host = "shop.example",\ntg.route { host = "other.example", upstream = "app" } }')
    refused_like('host "%*.example" is outside of the group\'s',
      'tg.group { host = "*.shop.example", { host = "*.example", upstream = "app" } }')
    refused_like('listener "127.0.0.1:8080" is outside of the group\'s, which is "inside"',
      'tg.listen { "127.0.0.1:1", name = "inside" } tg.group { listener = "inside", '
      .. '{ listener = "127.0.0.1:8080", upstream = "app" } }')
    refused_like("can't be a segment", 'tg.group { path = "/a", { path = "/../b", upstream = "app" } }')
    refused_like('method "POST" is outside', 'tg.group { method = "GET", { method = "POST", upstream = "app" } }')
    assert.truthy(configure 'tg.group { method = "GET", { method = "HEAD", upstream = "app" } }')
  end)

  it("take a prefix as path, and no phase or answer of their own", function()
    refused_like('tg.group: path: "/a/%*": a group\'s path is a prefix', 'tg.group { path = "/a/*" }')
    refused_like("tg.group: respond: belongs to a route", 'tg.group { respond = { 200 } }')
    refused_like("tg.group: request: a phase by itself belongs to a route", 'tg.group { request = function() end }')
    refused_like('tg.group: unknown field "hots" %(did you mean "host"%?%)', 'tg.group { hots = "x" }')
  end)
end)

describe("includes", function()
  it("run in alphabetical order inside the group that includes them", function()
    local plan = plan_of('tg.group { path = "/team", name = "team", include = "team/*.lua" }', {
      ["team/b.lua"] = 'require("tidegate").route { path = "/b", upstream = "app" }',
      ["team/a.lua"] = 'local tg = require "tidegate"\ntg.route { path = "/a", upstream = "app" }\n'
        .. 'tg.include "team/x/c.lua"',
      ["team/x/c.lua"] = 'require("tidegate").route { path = "/c", upstream = "app" }',
    })
    local names = {}
    for i, route in ipairs(plan.routes) do names[i] = route.name .. " " .. route.at end
    assert.same({ "team./team/a team/a.lua:2", "team./team/c team/x/c.lua:1", "team./team/b team/b.lua:1" }, names)
  end)

  it("can't take another team's traffic, nor change what concerns all", function()
    for word, arguments in pairs {
      use = "{ { request = function() end } }", listen = '"0.0.0.0:99"', settings = "{ workers = 1 }",
    } do
      local why = "concerns the whole gateway, so it can't stand in a group (gateway.lua:1)"
      refused(("team.lua:1: tg.%s: %s"):format(word, why),
        'tg.group { host = "shop.example", include = "team.lua" }',
        { ["team.lua"] = ('require("tidegate").%s(%s)'):format(word, arguments) })
    end
  end)

  it("are refused where the file is missing, wrong or includes itself", function()
    refused('gateway.lua:1: tg.include: "x.lua": no such file', 'tg.include "x.lua"')
    refused_like("^x.lua:2: .* %(included at gateway.lua:1%)$", 'tg.include "x.lua"', { ["x.lua"] = "\nlocal = 1" })
    refused('x.lua:1: tg.include: "x.lua" includes itself', 'tg.include "x.lua"',
      { ["x.lua"] = 'require("tidegate").include "x.lua"' })
    assert.truthy(configure 'tg.include "none/*.lua"')
  end)
end)

describe("handlers", function()
  local AUDIT = [[return { options = {
    rate = { "number", min = 0.01, required = true }, plan = { "string", one_of = { "free", "pro" } },
    burst = { "integer", default = 20 }, note = "string", name = "header", to = "upstream", key = "secret",
    list = { "list", of = "seconds", default = { 1, 2 } }, even = { "integer", check = function(v)
      if v % 2 == 1 then return nil, "must be even" end
    end } }, request = function() end, log = function() end, must_run = true }]]

  local function use(options)
    return ('tg.route { upstream = "app", handlers = { { "handlers.audit", %s } } }'):format(options),
      { ["handlers/audit.lua"] = AUDIT }
  end

  local function wrong(expected, options)
    refused("gateway.lua:1: handlers.audit: " .. expected, use(options))
  end

  it("stand in a list by name, by table, each with options, or as a split", function()
    local plan = plan_of([[local h = { options = { a = "string" }, response = function() end }
      tg.route { upstream = "app", handlers = { "handlers.plain", h,
        { h, a = "x" }, tg.split "s" { arms = { a = 100 } } } }
    ]], { ["handlers/plain.lua"] = "return { error = function() end }" })
    local names = {}
    for i, entry in ipairs(plan.uses) do names[i] = entry.name .. ":" .. table.concat(entry.phases, ",") end
    assert.same({ "handlers.plain:error", "gateway.lua:1:response", "gateway.lua:1:response",
      "split.s:request" }, names)
    assert.equal("x", plan.uses[3].options.a)
  end)

  it("get their options checked, with defaults, each use its own", function()
    local plan, config = plan_of(use 'rate = 5, name = "X-Key", to = "app", key = "hidden"')
    local o = config.use(1).options
    assert.same({ 5, 20, "x-key", "app", "hidden" }, { o.rate, o.burst, o.name, o.to, o.key })
    assert.same({ 1, 2 }, o.list)
    assert.is_true(plan.uses[1].must_run)
    assert.is_nil(config.serialise(plan):find("hidden", 1, true))
  end)

  it("have defaults checked as given options are, each use with a copy of its own", function()
    local files = { ["h.lua"] = [[return { request = function() end,
      options = { name = { "header", default = "X-Some" }, list = { "list", default = {} } } }]] }
    local _, config = plan_of('tg.use { "h", "h" }', files)
    assert.equal("x-some", config.use(1).options.name)
    assert.are_not_equal(config.use(1).options.list, config.use(2).options.list)
    files["h.lua"] = 'return { request = function() end, options = { to = { "upstream", default = "nobody" } } }'
    refused('gateway.lua:1: h: option "to": its default: unknown upstream "nobody"', 'tg.use { "h" }', files)
  end)

  it("are refused with options that are unknown, missing or wrong", function()
    wrong('option "brust" unknown (did you mean "burst"?)', "rate = 1, brust = 2")
    wrong('option "rate" is required', "")
    wrong('option "rate": a number expected, got "5"', 'rate = "5"')
    wrong('option "rate": at least 0.01 expected, got 0', "rate = 0")
    wrong('option "plan": "free" or "pro" expected, got "por" (did you mean "pro"?)', 'rate = 1, plan = "por"')
    wrong('option "burst": an integer expected, got 1.5', "rate = 1, burst = 1.5")
    wrong('option "to": unknown upstream "ap" (did you mean "app"?)', 'rate = 1, to = "ap"')
    wrong('option "list": [2]: seconds, at least 0, expected, got -1', "rate = 1, list = { 1, -1 }")
    wrong('option "even": must be even', "rate = 1, even = 3")
    wrong('option "key": a string expected, got a number', "rate = 1, key = 12345")
  end)

  it("are refused with options they don't declare", function()
    refused('gateway.lua:1: handlers.plain: takes no options, got "rate"',
      'tg.use { { "handlers.plain", rate = 5 } }', { ["handlers/plain.lua"] = "return { request = function() end }" })
  end)

  it("are refused with a declaration of options that is wrong", function()
    local function declared(spec)
      return "tg.use { h }", { ["h.lua"] = ("return { options = { a = %s }, request = function() end }"):format(spec) }
    end
    local function wrong_spec(expected, spec)
      local _, files = declared(spec)
      refused("gateway.lua:1: h: options.a: " .. expected, 'tg.use { "h" }', files)
    end
    wrong_spec('unknown option type "nubmer" (did you mean "number"?)', '"nubmer"')
    wrong_spec('unknown check "requird" (did you mean "required"?)', '{ "number", requird = true }')
    wrong_spec('option type "regex" is not available in this version of tidegate', '"regex"')
    wrong_spec('option type "ip_set" is not available in this version of tidegate', '{ "list", of = "ip_set" }')
  end)

  it("are refused with a key that is no phase, and with a phase that this version lacks", function()
    refused('gateway.lua:1: gateway.lua:1: "reqest" is no phase (misspelt phase? did you mean "request"?)',
      "tg.use { { reqest = function() end, log = function() end } }")
    refused('gateway.lua:1: h: phase "response_body" is not available in this version of tidegate',
      'tg.use { "h" }', { ["h.lua"] = "return { response_body = function() end }" })
    refused("gateway.lua:1: h: has no phase", 'tg.use { "h" }', { ["h.lua"] = "return { _private = 1 }" })
    refused("gateway.lua:1: h: a handler is a table of phase functions, the module returned true",
      'tg.use { "h" }', { ["h.lua"] = "" })
  end)

  it("are refused with file and line of the mistake, and where they are used", function()
    refused_like("^h.lua:2: .* %(h, used at gateway.lua:1%)$", 'tg.use { "h" }', { ["h.lua"] = "\nlocal = 1" })
    refused_like("^h.lua:1: oops %(h, used at gateway.lua:1%)$", 'tg.use { "h" }', { ["h.lua"] = 'error "oops"' })
    refused_like('^gateway.lua:1: tg.use: "handlers.nobody": .*not found', 'tg.use { "handlers.nobody" }')
  end)

  it("are refused where options stand in the list itself", function()
    refused_like('handlers: "rate" stands in the list; .*{ "h", rate = ... }', 'tg.use { "h", rate = 5 }')
    refused_like('handlers: a list expected, got "h"', 'tg.route { upstream = "app", handlers = "h" }')
  end)
end)

describe("the words", function()
  it("raise at run time", function()
    local plan = plan_of 'tg.route { upstream = "app", request = function() tg.route { upstream = "app" } end }'
    assert.truthy(plan)
    local _, config = configure 'tg.route { upstream = "app", request = function() tg.route { upstream = "app" } end }'
    local good, err = pcall(config.use(1).handler.request)
    assert.is_false(good)
    assert.equal("gateway.lua:1: tg.route declares and works at load only", err)
    for _, word in ipairs { "listen", "settings", "group", "use", "include", "file", "env", "upstream", "split" } do
      local _, later = configure(("tg.use { { request = function() tg.%s 'x' end } }"):format(word))
      assert.matches("works at load only", select(2, pcall(later.use(1).handler.request)))
    end
  end)

  it("read files and the environment", function()
    local plan = plan_of('tg.route { respond = { 200, tg.file "page.html" .. tg.env("A") .. tg.env("B", "b") } }',
      { ["page.html"] = "page" }, { A = "a" })
    assert.equal("pageab", plan.routes[1].respond.body)
    refused('gateway.lua:1: tg.file: "x": no such file', 'tg.file "x"')
    refused("gateway.lua:1: tg.env: NOPE is not set, and no default is given", 'tg.env "NOPE"')
  end)

  it("of later versions are refused by name, and unknown ones with a suggestion", function()
    for _, name in ipairs { "shared", "timer", "tcp", "udp", "dns", "redis", "cache", "limit", "base64", "bytes",
      "crypto",
      "jwt", "re", "cookie", "ip", "time", "metrics" } do
      refused(("gateway.lua:1: tg.%s is not available in this version of tidegate"):format(name), "local _ = tg."
        .. name)
    end
    refused("gateway.lua:1: tg.http.get is not available in this version of tidegate", 'tg.http.get "http://x"')
    refused("gateway.lua:1: tg.hash.sha256 is not available in this version of tidegate", 'tg.hash.sha256 "x"')
    refused('gateway.lua:1: tg.rout: there is no such name (did you mean "route"?)', "tg.rout {}")
    refused("gateway.lua:1: tg is read only: tg.mine", "tg.mine = 1")
  end)
end)

describe("the plan", function()
  local TEXT = [[
    local h = { options = { a = "map" }, request = function() end }
    tg.route { path = "/x", upstream = "app", handlers = { { h, a = { z = 1, y = 2, ["x y"] = "\n" } } } }
    tg.split "s" { arms = { c = 50, b = 25, a = 25 } }]]

  it("is the same text in every VM", function()
    local texts = {}
    for i = 1, 3 do
      local plan, config = plan_of(TEXT)
      texts[i] = config.serialise(plan)
    end
    assert.equal(texts[1], texts[2])
    assert.equal(texts[1], texts[3])
    local lines = select(2, texts[1]:gsub("\n", ""))
    assert.equal(lines, select(2, texts[1]:gsub("[^\n]+ = [^\n]+\n", "")))
  end)

  it("says what differs first", function()
    local plan, config = plan_of(TEXT)
    local text = config.serialise(plan)
    assert.is_nil(config.difference(text, text))
    plan.routes[1].upstream = "other"
    assert.equal('routes[1].upstream = "other" differs from routes[1].upstream = "app"',
      config.difference(text, config.serialise(plan)))
  end)
end)

describe("the demo", function()
  it("is a configuration that works as it stands", function()
    local plan, err = config_host.configure(config_host.read("scripts/demo", { "gateway.lua",
      "handlers/greeting.lua" }))
    assert(plan, err)
    assert.equal("visitors", plan.routes[1].name)
  end)
end)
