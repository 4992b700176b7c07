-- Bodies and trailers, as handlers read, write and make them.
local cjson = require "cjson.safe"
local client = require "t.support.client"
local gateway = require "t.support.gateway"
local node = require "t.support.node"
local origin = require "t.support.origin"
local pieces = require "t.support.pieces"
local routes = require "t.support.body_routes"

local edge, strict
local field = origin.field

setup(function()
  strict = origin.start()
  local echo = node.origin()
  edge = gateway.start {
    config = routes, workers = 1,
    variables = { origin = strict.port, echo = echo.ports.h1, echo2 = echo.ports.h2c },
  }
end)
before_each(function()
  gateway.begin_test()
  strict:reset()
end)
after_each(function()
  local stats = strict:stats()
  gateway.end_test()
  assert.equal(0, stats.violations, table.concat(stats.texts, "; "))
end)
teardown(gateway.end_file)

local function post(path, body, options)
  options = options or {}
  options.method, options.path, options.body = options.method or "POST", path, body
  return edge:request(options)
end

local function get(path) return edge:request { path = path } end

-- Nothing that the gateway held for its requests is left.
local function wait_until_idle()
  gateway.wait_until(function()
    local status = edge:status()
    return status.counters.requests_active == 0
  end, 5, "the end of all requests")
end

describe("a body that streams", function()
  it("can be read in every way, in one piece and in many [J11]", function()
    local cases = {
      chunks = "abcdefg", read = "abc|def|g" .. ("|nil"):rep(17), peek = "ab|abcd|abcdefg|abc|de|d|[]",
      exactly = "abcd|ef|nil|end|g", discard = "de|nil", length = "7|nil|true|true", twice = "true|nil|nil",
    }
    for name, expected in pairs(cases) do
      local response = post("/f/" .. name, "abcdefg")
      assert.equal(200, response.status, response.body)
      assert.equal(expected, response.body, name)
    end
    assert.equal("abcdefg", post("/f/chunks", "abcdefg", { chunked = 1 }).body)
    assert.equal("nil|nil|true|true", post("/f/length", "abc", { chunked = 2 }).body)
    assert.equal("one|two|nil|too_large|three|4|nil|end|five",
      post("/f/lines", "one\r\ntwo\nthree4\nfive").body:gsub("|nil|nil", ""):gsub("|nil|end|$", ""))
  end)

  it("can be read whatever the cuts [J11]", function()
    for name, expected in pairs { exactly = "abcd|ef|nil|end|g", peek = "ab|abcd|abcdefg|abc|de|d|[]" } do
      local head = ("POST /f/%s HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n"):format(name)
      pieces.each_way(edge.port, head .. "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n", function(connection, what)
        local response = assert(connection:read_response())
        assert.equal(expected, response.body, what)
      end)
    end
    local head = "POST /f/lines HTTP/1.1\r\nHost: a.example\r\nContent-Length: 9\r\n\r\n"
    pieces.each_way(edge.port, head .. "a\r\n\nbcd\ne", function(connection, what)
      local response = assert(connection:read_response())
      assert.equal("a||bcd|nil|end|e|nil|end||nil|end|", (response.body:gsub("|nil|nil", "")), what)
    end)
  end)

  it("is empty where there is none, and then the head stays as it was [J04]", function()
    assert.equal("", get("/f/chunks").body)
    assert.equal("0|nil|false|true", get("/f/length").body)
    get "/both/origin?text=x"
    assert.equal("chunked", field(strict:last_request(), "transfer-encoding"))
    get "/error/none"
    local request = strict:last_request()
    assert.is_nil(field(request, "transfer-encoding"))
    assert.is_nil(field(request, "content-length"))
  end)

  it("goes on in parts, is dropped in parts, and ends where the handler says so", function()
    assert.equal("ab-(e)fgh.", post("/pass?echo=1", "abcdefgh").body)
    assert.equal("ab-(e)fgh.", post("/pass?echo=1", "abcdefgh", { chunked = 1 }).body)
    assert.equal("ab-().", post("/pass?echo=1", "ab").body)
    assert.equal("a+bcd", post("/rest?echo=1", "abcd").body)
    assert.equal("ab", post("/finish?echo=1", "abcd").body)
  end)

  it("that isn't touched keeps its length, also where the handler has waited or looked", function()
    for _, path in ipairs { "/untouched", "/looks" } do
      local response = post(path .. "?body=5000&seed=3", "abc")
      assert.equal(client.pattern(3, 5000), response.body)
      assert.equal("5000", response:header "content-length")
      assert.equal("3", field(strict:last_request(), "content-length"))
      if path == "/looks" then
        assert.equal(203, response.status)
        assert.equal("yes", response:header "x-looked")
      end
    end
  end)

  it("that is rewritten has no length any more, with every framing and both protocols upstream [J06]", function()
    for _, upstream in ipairs { "echo", "echo2" } do
      for _, chunked in ipairs { false, 1, 1000 } do
        local response = post("/both/" .. upstream .. "?echo=1", "abc", { chunked = chunked or nil })
        assert.equal("chunked", response:header "transfer-encoding")
        assert.is_nil(response:header "content-length")
        local expected = chunked == 1 and "<A><B><C>." or "<ABC>."
        assert.equal(expected:gsub("[<>]", ""), (response.body:gsub("[<>]", "")))
      end
    end
    local response = get "/both/origin?body=10&seed=1"
    assert.equal("10", response:header "x-length")
    assert.equal(client.pattern(1, 10):upper(), response.body)
    response = edge:request { path = "/both/origin?text=abc", version = "1.0" }
    assert.equal("ABC", response.body)
    assert.is_nil(response:header "transfer-encoding")
  end)

  it("is the same for clients of HTTP/2", function()
    for _, upstream in ipairs { "echo", "echo2" } do
      local result = node.ask("h2c", edge.port, { path = "/both/" .. upstream .. "?echo=1", method = "POST",
        body = "abc", times = 3 })
      assert.equal(200, result.status)
      assert.equal("ABC.", (result.body:gsub("[<>]", "")))
      assert.is_nil(result.headers["content-length"])
    end
  end)

  it("waits with its handler, in both directions", function()
    local lines = {}
    for i = 1, 30000 do lines[i] = ("LINE %d\n"):format(i) end
    local sent = table.concat(lines)
    local response = post("/slow?echo=1", sent)
    assert.equal("~~", response.body:sub(-2))
    assert.equal(sent:lower(), (response.body:sub(1, -3):gsub("[%[%]]", "")))
  end)

  it("passes through the handlers of a chain as through pipes", function()
    local response = post("/pipes?echo=1", "-")
    assert.equal("-abcCBA", response.body)
    assert.equal("c, b, a", table.concat(response:all "x-order", ", "))
  end)

  it("isn't shown where there can be none: HEAD, 204, 304 [J04]", function()
    local response = edge:request { path = "/both/origin?body=10", method = "HEAD" }
    assert.equal("10", response:header "content-length")
    assert.is_nil(response:header "x-length")
    for _, status in ipairs { 204, 304 } do
      response = get("/both/origin?text=&status=" .. status)
      assert.equal(status, response.status)
      assert.is_nil(response:header "x-length")
    end
    assert.equal("0", get("/both/origin?text="):header "x-length")
  end)

  it("is dead when its handler, or its request, is over [J05] [J08]", function()
    get "/keep?text=abc"
    wait_until_idle()
    assert.is_truthy(get("/kept").body:find "the request is over")
    assert.is_truthy(get("/other_phase?text=x"):header "x-why":find "the handler of this body is over")
  end)
end)

describe("trailers", function()
  it("are read and written in both directions", function()
    for _, upstream in ipairs { "echo", "echo2" } do
      local connection = edge:connect()
      connection:send(("POST /both/%s?echo=1 HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n"
        .. "3\r\nabc\r\n0\r\nfirst: one\r\nother: two\r\n\r\n"):format(upstream))
      local response = assert(connection:read_response())
      assert.equal("<ABC>.", response.body)
      assert.is_nil(response:trailer "first")
      assert.equal("one!", response:trailer "second")
      assert.equal("one!", response:trailer "third")
      assert.equal("two", response:trailer "other")
    end
  end)

  it("are changed by a phase behind the body, whoever asks", function()
    for _, upstream in ipairs { "echo", "echo2" } do
      local path = "/trailers/" .. upstream .. "?size=1000&trailers=1&length="
      local response = edge:request { path = path, headers = { "TE: trailers" } }
      assert.equal("200", response:trailer "x-status")
      assert.equal(32, #response:trailer "x-id")
      assert.is_truthy(response:trailer "x-sum")
      assert.is_nil(response:trailer "x-late")
      assert.equal(1000, #response.body)
      local result = node.ask("h2c", edge.port, { path = path, headers = { te = "trailers" } })
      assert.equal("200", result.trailers["x-status"])
      assert.is_nil(result.trailers["x-late"])
    end
    local plain = get "/trailers/origin?text=abc"
    assert.equal("abc", plain.body)
    assert.equal("3", plain:header "content-length")
    local asked = edge:request { path = "/trailers/origin?text=", headers = { "TE: trailers" } }
    assert.equal("", asked.body)
    assert.equal("200", asked:trailer "x-status")
    assert.equal(204, get("/trailers/origin?status=204&text=").status)
  end)
end)

describe("a failure", function()
  it("of a handler before it has touched the body is a 500, through the error phase [J13]", function()
    assert.equal("caught script request_body phase", post("/error/request?text=x", "abc").body)
    assert.equal(0, strict:stats().requests)
    local response = get "/error/response?text=x"
    assert.equal(500, response.status)
    assert.equal("caught script response_body phase", response.body)
    assert.equal(500, get("/error/result?text=x").status)
    edge:wait_error "response_body returned 5"
    assert.equal("x", get("/error/none?text=x").body)
  end)

  it("of a handler that has written breaks the message off [J13]", function()
    local connection = edge:connect()
    connection:send(client.format { path = "/error/response_late?body=100000&drip=1000&every=5" })
    local response, err = connection:read_response()
    assert.is_nil(response)
    assert.equal("closed", err)
    assert.equal(500, post("/error/request_late?silent=1", "abc").status)
  end)

  it("is passed over where the route says so and nothing was touched [J13]", function()
    for _, where in ipairs { "request", "response" } do
      local response = post("/continue/" .. where .. "?text=fine", "abc")
      assert.equal("fine", response.body)
      assert.equal("4", response:header "content-length")
    end
    local connection = edge:connect()
    connection:send(client.format { path = "/continue/late?body=1000&drip=100&every=5" })
    assert.is_nil((connection:read_response()))
  end)

  it("of the source ends the loop, and then the output is broken off", function()
    for query, word in pairs { ["cut=500"] = "cut", ["cut=500&reset=1"] = "reset" } do
      for _, framing in ipairs { "", "&chunked=1" } do
        local connection = edge:connect()
        connection:send(client.format { path = "/broken?body=1000&drip=250&every=5&" .. query .. framing })
        local response, err = connection:read_response()
        assert.is_nil(response)
        assert.equal("closed", err)
        edge:wait_log(function(line) return line.path == "/broken" and line.broke == word end)
      end
    end
  end)

  it("of the source is made good by a handler that says finish", function()
    local response = get "/mended?body=1000&seed=2&cut=500&chunked=1&drip=100&every=2"
    assert.equal(client.pattern(2, 500) .. "|500 cut", response.body)
    assert.equal("cut", response:trailer "x-failed")
    assert.equal(client.pattern(2, 1000) .. "|1000 whole", get("/mended?body=1000&seed=2").body)
  end)

  it("of upstream to go on is told to the handler in time", function()
    local response = get "/silent?body=20&drip=10&every=60000"
    assert.equal(10 + #"timeout", #response.body)
    assert.equal("timeout", response.body:sub(11))
  end)
end)

describe("a whole body", function()
  it("is read within a limit, and forwarded as it came, with its length [J05]", function()
    local response = post("/whole/read?echo=1", "abcdef")
    assert.equal("abcdef", response.body)
    assert.equal("abcdef", post("/whole/read?echo=1", "abcdef", { chunked = 1 }).body)
    assert.equal("", get("/whole/read?echo=1").body)
    for _, chunked in ipairs { false, 5 } do
      response = post("/whole/read", ("x"):rep(21), { chunked = chunked or nil })
      assert.equal(413, response.status)
      assert.equal("too_large", response.body)
    end
    post("/whole/on", ("x"):rep(1000))
    local request = strict:last_request()
    assert.equal("too_large", field(request, "x-read"))
    assert.equal("1000", field(request, "content-length"))
    post("/whole/on?check=7&expect=100000", client.pattern(7, 100000), { chunked = 3000 })
    assert.equal(100000, strict:last_request().length)
    post("/whole/big?check=7&expect=3000000", client.pattern(7, 3000000))
    assert.equal("3000000", field(strict:last_request(), "x-read"))
  end)

  it("is read whatever the cuts", function()
    local head = "POST /whole/json HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    pieces.each_way(edge.port, head .. "2\r\n[1\r\n3\r\n,2]\r\n0\r\n\r\n", function(connection, what)
      assert.equal('{"got":[1,2]}', assert(connection:read_response()).body, what)
    end)
  end)

  it("is decoded", function()
    assert.equal('{"got":{"a":1}}', post("/whole/json", '{"a":1}').body)
    assert.equal("invalid", post("/whole/json", '{"a":').body)
    assert.equal("too_large", post("/whole/json", ("x"):rep(101)).body)
    local form = cjson.decode(post("/whole/form", "a=1&b=two+words&c=%41%2b&a=2&d").body)
    assert.same({ a = "1", b = "two words", c = "A+", d = "" }, form)
    assert.equal("invalid", post("/whole/form", "a=%zz").body)
    assert.equal("invalid", post("/whole/form", "{}", { headers = { "Content-Type: application/json" } }).body)
  end)

  it("is replaced, lengths and all, also where there was none, or a larger one comes [J06]", function()
    assert.equal("NEW", post("/whole/set?echo=1&text=new", "something else").body)
    assert.equal("NEW", get("/whole/set?echo=1&text=new").body)
    assert.equal("", post("/whole/set?echo=1", "gone").body)
    for _, options in ipairs { {}, { chunked = 1000 } } do
      assert.equal("x", post("/whole/replace?text=x", ("y"):rep(200000), options).body)
      assert.equal("3", field(strict:last_request(), "content-length"))
      assert.equal(3, strict:last_request().length)
    end
  end)

  it("of a response is read and replaced in its phases", function()
    assert.equal("hello", get("/whole/response?text=hello"):header "x-read")
    local large = get "/whole/response?body=500&seed=1&limit=10"
    assert.equal("too_large", large:header "x-read")
    assert.equal(client.pattern(1, 500), large.body)
    assert.equal("500", large:header "content-length")
    assert.equal(502, get("/whole/response?body=50&cut=20").status)
    for _, query in ipairs { "set=new&body=100000", "set=new&text=old&read=1", "set=new&text=" } do
      local response = get("/whole/response_set?" .. query)
      assert.equal("new", response.body)
      assert.equal("3", response:header "content-length")
      assert.equal("new", response:header "x-now")
    end
    assert.equal("", get("/whole/response_set?text=old").body)
    assert.is_truthy(get("/whole/late?text=x").body:find("req:read_body works in the request phase only", 1, true))
  end)

  it("is asked of a client that waits for 100 (Continue) when somebody wants it", function()
    for _, path in ipairs { "/whole/on", "/both/origin", "/refuse" } do
      local connection = edge:connect()
      connection:send("POST " .. path .. "?text=x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
        .. "Expect: 100-continue\r\n\r\n")
      local head = assert(connection:read_head())
      assert.equal(100, head.status)
      connection:send "abc"
      assert.equal(200, assert(connection:read_response()).status)
    end
    local connection = edge:connect() -- nobody does: it is too large by its own word
    connection:send "POST /whole/json HTTP/1.1\r\nHost: a\r\nContent-Length: 300\r\nExpect: 100-continue\r\n\r\n"
    assert.equal(413, assert(connection:read_head()).status)
    connection = edge:connect() -- nor here: upstream's word decides
    connection:send("POST /looks?text=x&continue=0&early=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
      .. "Expect: 100-continue\r\n\r\n")
    assert.equal(203, assert(connection:read_head()).status)
  end)
end)

describe("an answer", function()
  it("of request_body takes the place of the attempt", function()
    local response = post("/refuse?text=x", "evil thing")
    assert.equal(415, response.status)
    assert.equal("no\n", response.body)
    assert.equal("evil", response:header "x-why")
    assert.equal("seen", response:header "x-response")
    assert.equal(0, strict:stats().requests)
    assert.equal("x", post("/refuse?text=x", "good thing").body)
  end)

  it("of request_body in the middle ends what upstream got as broken; the handler runs on without a body", function()
    local connection = edge:connect()
    connection:send(client.format { method = "POST", path = "/refuse_late?text=x", body = ("x"):rep(400000) })
    local response = assert(connection:read_response())
    assert.equal(413, response.status)
    assert.equal("too much\n", response.body)
    local line = edge:wait_log(function(one) return one.path == "/refuse_late" end)
    assert.equal("nil", line.after)
    assert.equal(1, strict:stats().cut_requests)
  end)

  it("is made by a function, as it waits", function()
    local response = get "/made/plain"
    assert.equal("one 2\nend", response.body)
    assert.equal("text/made", response:header "content-type")
    assert.equal("chunked", response:header "transfer-encoding")
    assert.equal("yes", get("/made/trailers"):trailer "x-made")
    assert.equal(4000 * 1000 + 9, #get("/made/long").body)
    assert.equal("one 2\nend", edge:request({ path = "/made/plain", version = "1.0" }).body)
    response = edge:request { path = "/made/plain", method = "HEAD" }
    assert.equal("", response.body)
    assert.equal("text/made", response:header "content-type")
    local result = node.ask("h2c", edge.port, { path = "/made/trailers" })
    assert.equal("one 2\nend", result.body)
    assert.equal("yes", result.trailers["x-made"])
    assert.equal(4000 * 1000 + 9, #node.ask("h2c", edge.port, { path = "/made/long" }).body)
  end)

  it("that a function makes is broken off by its error", function()
    local connection = edge:connect()
    connection:send(client.format { path = "/made/error" })
    local response, err = connection:read_response()
    assert.is_nil(response)
    assert.equal("closed", err)
    edge:wait_error "script error in a function that writes a body"
  end)

  it("passes through the handlers of bodies, whoever made it", function()
    assert.equal("<1><2><3>", get("/made_filtered").body)
    local response = get "/answer_filtered"
    assert.equal("a+bc", response.body)
    assert.equal("3", response:header "x-length")
    assert.equal("chunked", response:header "transfer-encoding")
  end)
end)

describe("a client that leaves", function()
  local WAITING = {
    { "/ever/read_body", "ab", 10 }, { "/ever/request_body", "abc", 3 }, { "/ever/request_read", "ab", 10 },
    { "/ever/response_body?text=x" }, { "/ever/response_late?body=100000" }, { "/ever/trailers?text=x" },
    { "/ever/made" }, { "/made/ever" }, { "/both/origin?body=1000&drip=1&every=100" },
  }

  it("ends what waits in each phase, and nothing of it is resumed [J07]", function()
    for _, case in ipairs(WAITING) do
      local before = edge:status().counters.script_cancels
      local connection = edge:connect()
      if case[2] then
        local head = "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s"
        connection:send(head:format(case[1], case[3], case[2]))
      else
        connection:send(client.format { path = case[1] })
      end
      gateway.wait_until(function() return edge:status().counters.requests_active >= 1 end, 5, case[1])
      get "/both/origin?text=x" -- by now it waits
      connection:reset()
      wait_until_idle()
      assert.is_true(edge:status().counters.script_cancels > before, case[1])
    end
  end)
end)

describe("a generation that was replaced", function()
  it("stays for what its handlers of bodies and trailers still have to do", function()
    local config = [[
local tg = require "tidegate"
tg.settings { workers = 1, access_log = false, generations = { detach = 0.05 } }
tg.listen "127.0.0.1:${port}"
tg.upstream "origin" { "127.0.0.1:${origin}" }
tg.route { path = "/filtered", upstream = "origin", response_body = function(_, _, body)
  for chunk in body:chunks() do body:write((chunk:gsub(".", "%0."))) end
end }
tg.route { path = "/passed", upstream = "origin", response_body = function(_, _, body) body:pass(1) end }
]]
    local own = gateway.start { config = config, workers = 1, variables = { origin = strict.port } }
    local filtered, passed = own:connect(), own:connect()
    filtered:send(client.format { path = "/filtered?text=abcdef&drip=1&every=150" })
    passed:send(client.format { path = "/passed?text=abcdef&drip=1&every=150" })
    assert.equal(200, assert(filtered:read_head()).status)
    assert.equal(200, assert(passed:read_head()).status)
    assert(own:reload())
    local first = own:generations().generations
    assert.is_true(#first >= 2)
    local text = ""
    repeat
      local size = tonumber(assert(filtered:read_bytes(3)):match "^%x", 16)
      if size > 0 then
        text = text .. filtered:read_bytes(size)
        filtered:read_bytes(2)
      end
    until size == 0
    assert.equal("a.b.c.d.e.f.", text)
  end)
end)
