-- tg.metrics, and what Prometheus reads.
local client = require "t.support.client"
local gateway = require "t.support.gateway"
local scripting = require "t.support.scripting"

local edge, port

local function config(declared, settings)
  return scripting.config(('tg.settings { metrics = %s }\n'):format(settings or ('"127.0.0.1:%d"'):format(port))
    .. declared .. '\ntg.route { name = "own", path = "/own", respond = { 200, "x" } }')
end

local DECLARED = [[share = {
  c = tg.metrics.counter("some_total", "Things.", { "a", "b" }), g = tg.metrics.gauge("depth", "How deep."),
  h = tg.metrics.histogram("wait_seconds", "Waits.", { "a" }, { 1, 2 }),
}
share.bound = share.c:with("bound", "x")]]

local function start(declared, workers)
  port = gateway.free_port()
  edge = gateway.start { workers = workers or 2, config = config(declared or DECLARED) }
end

local function get(options)
  return client.request(port, options or { path = "/metrics" })
end

local function value(line)
  local text = "\n" .. get().body
  local at, last = text:find("\n" .. line .. " ", 1, true)
  return at and tonumber(text:match("^%S+", last + 1))
end

local function eval(code) return scripting.eval(edge, code) end

describe("metrics", function()
  before_each(gateway.begin_test)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  it("of scripts are summed over workers and go on over a reload", function()
    start()
    for _ = 1, 20 do
      eval [[share.c:inc(nil, "p", 7) share.bound:inc(2) share.g:inc() share.h:observe(1.5, "w")]]
    end
    assert.equal(20, value 'some_total{a="p",b="7"}')
    assert.equal(40, value 'some_total{a="bound",b="x"}')
    assert.equal(20, value "depth")
    assert.equal(20, value 'wait_seconds_bucket{a="w",le="2"}')
    assert.equal(30, value 'wait_seconds_sum{a="w"}')
    edge:reload()
    eval [[share.c:inc(1, "p", 7) share.g:set(-3)]]
    assert.equal(21, value 'some_total{a="p",b="7"}')
    assert.equal(-3, value "depth")
  end)

  it("that count what clients sent pass promtool", function()
    start()
    for _ = 1, 7 do assert.equal(200, edge:request({ path = "/own" }).status) end
    for _ = 1, 3 do assert.equal(404, edge:request({ path = "/nothing" }).status) end
    eval [[share.c:inc(1, "a\\\"} 1\nevil 1\n", "\255\27")]]
    gateway.wait_until(function()
      return value 'tidegate_route_requests_total{route="own",upstream="",status="2xx"}' == 7
        and value 'tidegate_route_requests_total{route="none",upstream="",status="4xx"}' == 3
    end)
    assert.equal(7, value 'tidegate_route_request_duration_seconds_count{route="own",upstream=""}')
    assert.equal(11, value "tidegate_requests_total")
    assert.is_nil(value "evil")
    local name = os.tmpname()
    local file = assert(io.open(name, "wb"))
    file:write(get().body)
    file:close()
    local pipe = io.popen("promtool check metrics < " .. name .. " 2>&1; echo $?")
    local said = pipe:read "*a"
    pipe:close()
    os.remove(name)
    assert.equal("0\n", said)
  end)

  it("are bounded: what is too much is counted as other", function()
    start(nil, 1)
    eval [[for i = 1, 1500 do share.c:inc(1, tostring(i), "") end]]
    assert.equal(500, value 'some_total{a="other",b="other"}')
    assert.equal(500, value "tidegate_metrics_over_limit_total")
  end)

  it("can't become others at a reload, and mistakes are named", function()
    start()
    for declared, expected in pairs {
      [ [[tg.metrics.counter("some_total", "Things.", { "z" })]] ] = "with the labels a, b, not z",
      [ [[tg.metrics.gauge("some_total", "Things.", { "a", "b" })]] ] = "as a counter",
      [ [[tg.metrics.counter("wait_seconds_sum", "x")]] ] = "a histogram has series of this name",
      [ [[tg.metrics.counter("tidegate_x", "x")]] ] = "the gateway's own",
      [ [[tg.metrics.counter("a-b", "x")]] ] = "no digit first",
      [ [[tg.metrics.counter("ab", "x", { "le" })]] ] = "Prometheus' own",
    } do
      edge:write("gateway.lua", (config(declared):gsub("${port}", tostring(edge.port))))
      local good, said = pcall(edge.reload, edge)
      assert(not good and said:find(expected, 1, true), said)
    end
    assert.has_error(function() eval [[share.c:inc(-1, "a", "b")]] end)
    assert.has_error(function() eval [[share.c:inc(1, "a")]] end)
  end)

  it("are answered at one path, to GET", function()
    start()
    assert.equal("text/plain; version=0.0.4; charset=utf-8", get():header "content-type")
    assert.equal(404, get({ path = "/" }).status)
    assert.equal(405, get({ path = "/metrics", method = "POST", body = "x" }).status)
  end)

  it("are shown to this machine alone, unless the settings say otherwise", function()
    start()
    local text = config(DECLARED, '"0.0.0.0:9100"'):gsub("${port}", tostring(edge.port))
    edge:write("gateway.lua", text)
    local good, said = pcall(edge.reload, edge)
    assert(not good and said:find("public = true", 1, true), said)
    assert.equal(0, value "depth")
  end)
end)
