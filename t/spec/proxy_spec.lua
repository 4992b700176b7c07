-- What passes between a client and an origin, and what the gateway does where one of them misbehaves.
local cjson = require "cjson.safe"
local client = require "t.support.client"
local gateway = require "t.support.gateway"
local origin = require "t.support.origin"
local socket = require "socket"

local CONFIG = [[
local tg = require "tidegate"
tg.settings {
  access_log = "${folder}/access.log",
  trusted_proxies = { "127.0.0.2/32", "10.0.0.0/8" },
}
tg.listen "127.0.0.1:${port}"
tg.listen { "127.0.0.1:${port_clear}", redirect_to = "https:8443" }
tg.upstream "origin" { "127.0.0.1:${origin}" }
tg.upstream "half refused" { "127.0.0.1:${port_refused}", "127.0.0.1:${origin}" }
tg.upstream "refused" { "127.0.0.1:${port_refused}" }
tg.upstream "unix" { "unix:${folder}/origin.sock" }
tg.upstream "slow" { "127.0.0.1:${origin}", timeouts = { first_byte = 0.3, between_bytes = 0.3 } }
tg.route { path = "/half/*", upstream = "half refused" }
tg.route { path = "/refused/*", upstream = "refused" }
tg.route { path = "/unix/*", upstream = "unix" }
tg.route { path = "/slow/*", upstream = "slow" }
tg.route { path = "/total/*", upstream = "origin", timeouts = { total = 0.3 } }
tg.route { path = "/abort/*", upstream = "origin", half_close = "abort" }
tg.route { path = "/limited/*", upstream = "origin", limits = { body = 1000 } }
tg.route { path = "/own/*", respond = { 403, "no\n", { ["x-why"] = "because" } } }
tg.route { path = "/moved/*rest", redirect = "/new/*rest" }
tg.route { path = "/gone/:id", redirect = { 308, "/new/:id" } }
tg.route { path = "/rewritten/:user/*rest", upstream = "origin", rewrite = "/v1/:user/x/*rest" }
tg.route { path = "/raw/*", upstream = "origin", raw_path = true }
tg.route { path = "/host/own/*", upstream = "origin", host_header = "inner.example" }
tg.route { path = "/host/upstream/*", upstream = "origin", host_header = "upstream" }
tg.route { path = "/posts", method = "POST", upstream = "origin" }
tg.route { path = "/gets", method = "GET", upstream = "origin" }
tg.route { host = "*.wild.example", path = "/*", respond = { 200, "wild" } }
tg.route { host = "exact.wild.example", path = "/*", respond = { 200, "exact" } }
tg.route { path = "/*", upstream = "origin" }
]]

local QUICK = [[
local tg = require "tidegate"
tg.settings {
  access_log = "${folder}/access.log",
  timeouts = { header = 0.4, idle = 0.4, body_rate = 0 },
}
tg.listen "127.0.0.1:${port}"
tg.upstream "origin" { "127.0.0.1:${origin}" }
tg.route { path = "/own/*", respond = { 403, "no\n" } }
tg.route { path = "/*", upstream = "origin" }
]]

local edge, quick, strict
local field = origin.field

local function seen_by_origin(response)
  assert.equal(200, response.status)
  return assert(cjson.decode(response.body))
end

local function send(options)
  return seen_by_origin(edge:request(options))
end

local function begin()
  gateway.begin_test()
  strict:reset()
end

local function ending()
  local stats = strict:stats()
  gateway.end_test()
  assert.equal(0, stats.violations, table.concat(stats.texts, "; "))
end

local function start()
  strict = origin.start()
  edge = gateway.prepare { config = "", variables = { origin = strict.port } }
  edge.variables.port_refused = gateway.free_port()
  edge:write("gateway.lua", CONFIG)
  edge:launch { workers = 2 }
  edge:wait_ready()
end

describe("a proxied exchange", function()
  setup(start)
  before_each(begin)
  after_each(ending)
  teardown(gateway.end_file)

  it("keeps the client's connection for the next request", function()
    local connection = edge:connect()
    for i = 1, 20 do
      local response = client.request(connection, { path = "/?text=answer" .. i })
      assert.equal("answer" .. i, response.body)
      assert.is_nil(response:header "connection")
    end
    assert.equal(1, strict:stats().accepted)
  end)

  it("sends clients of a listener that is there for it to https", function()
    local connection = client.connect(edge.variables.port_clear)
    for _, method in ipairs { "GET", "POST" } do
      local response = client.request(connection, { method = method, path = "/a%20b/?c=d", host = "shop.example:8080",
        body = method == "POST" and "x" or nil })
      assert.equal(308, response.status)
      assert.equal("https://shop.example:8443/a%20b/?c=d", response:header "location")
    end
    assert.equal(400, client.request(connection, { version = "1.0", host = false }).status)
    assert.equal(0, strict:stats().requests)
  end)

  it("answers pipelined requests in their order", function()
    local connection, bytes = edge:connect(), {}
    for i = 1, 50 do
      bytes[i] = client.format { path = "/?text=answer" .. i .. "&delay=" .. (i % 3),
        method = i % 5 == 0 and "POST" or "GET",
        body = i % 5 == 0 and "body" or nil }
    end
    connection:send(table.concat(bytes))
    for i = 1, 50 do assert.equal("answer" .. i, connection:read_response().body) end
  end)

  it("stands ten thousand pipelined requests in one go while others are served [E04]", function()
    local connection, other = edge:connect(), edge:connect()
    local bytes = client.format { path = "/own/x" }
    local count, sent = 10000, 0
    local all = bytes:rep(count)
    while sent < #all do
      local done, _, upto = connection:send(all:sub(sent + 1, sent + 100000), 0.05)
      sent = done and math.min(#all, sent + 100000) or sent + (upto or 0)
      if not done then break end
    end
    assert.equal("x", client.request(other, { path = "/?text=x" }).body)
    local answered = 0
    local pending = all:sub(sent + 1)
    while answered < count do
      if #pending > 0 then
        local done, _, upto = connection:send(pending:sub(1, 100000), 0.01)
        pending = pending:sub((done and math.min(100000, #pending) or upto or 0) + 1)
      end
      for _ = 1, math.min(500, count - answered) do
        local response, err = connection:read_response { timeout = #pending > 0 and 0.5 or 10 }
        if not response then
          assert(#pending > 0, err)
          break
        end
        assert.equal(403, response.status)
        answered = answered + 1
      end
    end
    assert.equal(count, answered)
  end)

  it("passes bodies of all sizes and framings unchanged, both ways", function()
    local connection = edge:connect()
    for _, size in ipairs { 0, 1, 127, 4096, 65535, 65536, 65537, 1000000 } do
      for _, chunked in ipairs { false, 1000, 70000 } do
        local seen = seen_by_origin(client.request(connection, {
          method = "POST", path = "/?check=7&expect=" .. size, body = client.pattern(7, size), chunked = chunked,
        }))
        assert.equal(size, seen.length)
        local how = chunked and "&chunked=1&chunk=" .. chunked or ""
        local response = client.request(connection, { path = "/?seed=9&body=" .. size .. how })
        if size > 100000 then assert.equal(chunked and "chunked" or "length", response.framing) end
        assert.is_true(response.body == client.pattern(9, size))
      end
    end
  end)

  it("gives a close-delimited answer to an HTTP/1.1 client as chunked [L15]", function()
    local connection = edge:connect()
    for _ = 1, 3 do
      local response = client.request(connection, { path = "/?seed=3&body=100000&close=1" })
      assert.equal("chunked", response.framing)
      assert.is_true(response.body == client.pattern(3, 100000))
    end
  end)

  it("removes chunk extensions and passes trailers on, both ways", function()
    local response = edge:request {
      path = "/?seed=1&body=5000&chunked=1&chunk=100&ext=1&trailer=X-Sum:%20abc&trailer=X-B:%20d" }
    assert.equal(5000, #response.body)
    assert.equal("abc", response:trailer "x-sum")
    assert.equal("d", response:trailer "x-b")
    local connection = edge:connect()
    connection:send("POST / HTTP/1.1\r\nHost: a\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
      .. "5;ext=1\r\nhello\r\n0;last\r\nX-Sum: abc\r\n\r\n")
    local seen = seen_by_origin(connection:read_response())
    assert.equal("abc", field({ headers = seen.trailers }, "x-sum"))
  end)

  it("answers HEAD, 204 and 304 without a body, and keeps the connection", function()
    local connection = edge:connect()
    local response = client.request(connection, { method = "HEAD", path = "/?body=1234" })
    assert.equal("1234", response:header "content-length")
    response = client.request(connection, { method = "HEAD", path = "/?body=1234&chunked=1" })
    assert.equal(200, response.status)
    assert.equal(204, client.request(connection, { path = "/?status=204&text=" }).status)
    response = client.request(connection, { path = "/?status=304&text=&header=ETag:%20%22a%22" })
    assert.equal(304, response.status)
    assert.equal('"a"', response:header "etag")
    response = client.request(connection, { method = "HEAD", path = "/own/x" })
    assert.equal("3", response:header "content-length")
    assert.equal("x", client.request(connection, { path = "/?text=x" }).body)
  end)

  it("passes 100 (Continue) from the origin, and the body only after it", function()
    local connection = edge:connect()
    connection:send(client.format { method = "POST", path = "/", headers = { "Expect: 100-continue",
      "Content-Length: 5" } })
    assert.equal(100, connection:read_head().status)
    connection:send "hello"
    local seen = seen_by_origin(connection:read_response())
    assert.equal(5, seen.length)
    assert.equal("100-continue", field(seen, "expect"))
  end)

  it("tells a client that waits for 100 the final answer at once, and doesn't mix up the next request [D06]", function()
    local connection = edge:connect()
    connection:send(client.format {
      method = "POST", path = "/?early=1&status=417&text=no",
      headers = { "Expect: 100-continue", "Content-Length: 5" },
    })
    local response = connection:read_response { timeout = 5 }
    assert.equal(417, response.status)
    if response:header "connection" ~= "close" then
      connection:send "hello"
      assert.equal("x", client.request(connection, { path = "/?text=x" }).body)
    end
    assert.equal("y", edge:request({ path = "/?text=y" }).body)
  end)

  it("sends no 100 to a client that expects it from an answer of the gateway's own", function()
    local connection = edge:connect()
    connection:send(client.format { method = "POST", path = "/own/x", headers = { "Expect: 100-continue",
      "Content-Length: 5" } })
    local response = connection:read_response()
    assert.equal(403, response.status)
    assert.equal(0, #response.informational)
  end)

  it("sends at most one 100 [D07]", function()
    local response = edge:request { method = "POST", path = "/?delay=20", headers = { "Expect: 100-continue" },
      body = "hello" }
    assert.is_true(#response.informational <= 1)
    assert.equal(200, response.status)
  end)

  it("serves HTTP/1.0 clients: close-delimited, and kept alive only where both say so", function()
    local connection = edge:connect()
    local response = client.request(connection, { version = "1.0", path = "/?seed=4&body=50000&chunked=1" })
    assert.equal("close", response.framing)
    assert.is_true(response.body == client.pattern(4, 50000))
    connection = edge:connect()
    response = client.request(connection, { version = "1.0", path = "/?text=x" })
    assert.equal("x", response.body)
    assert.is_true(connection:is_closed())
    connection = edge:connect()
    for _ = 1, 3 do
      response = client.request(connection, { version = "1.0", path = "/?text=x", headers = {
        "Connection: keep-alive" } })
      assert.equal("keep-alive", response:header "connection")
      assert.equal("x", response.body)
    end
  end)

  it("takes a request of HTTP/1.0 without Host", function()
    local response = edge:request { version = "1.0", host = false, path = "/?text=x" }
    assert.equal(200, response.status)
  end)

  it("closes after an answer when the client asks for it", function()
    local connection = edge:connect()
    local response = client.request(connection, { path = "/?text=x", headers = { "Connection: close" } })
    assert.equal("close", response:header "connection")
    assert.is_true(connection:is_closed())
  end)

  it("refuses CONNECT [D10]", function()
    local connection = edge:connect()
    connection:send "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n"
    local response = connection:read_response()
    assert.is_true(response.status == 405 or response.status == 501)
    assert.equal(0, strict:stats().requests)
  end)

  it("delivers an answer that comes before the body is through, and keeps nothing of it [D01]", function()
    local connection = edge:connect()
    connection:send(client.format { method = "POST", path = "/?early=1&text=early", headers = { "Content-Length: 10" } }
      .. "hello")
    local response = connection:read_response { timeout = 5 }
    assert.equal("early", response.body)
    for i = 1, 3 do assert.equal("x" .. i, edge:request({ path = "/?text=x" .. i }).body) end
  end)

  it("reuses both connections when the body came whole after an early answer", function()
    local connection = edge:connect()
    connection:send(client.format { method = "POST", path = "/?early=1&text=early", headers = { "Content-Length: 10" } }
      .. "hello")
    local response = connection:read_response { timeout = 5 }
    assert.equal("early", response.body)
    connection:send "world"
    if response:header "connection" ~= "close" then
      assert.equal("x", client.request(connection, { path = "/?text=x" }).body)
    end
  end)

  it("removes hop-by-hop fields and those that Connection names, in any case, twice [H02]", function()
    local seen = send {
      headers = {
        "Connection: X-One, x-TWO", "X-One: 1", "X-Two: 2", "Connection: keep-alive, x-three", "X-Three: 3",
          "X-Four: 4",
        "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive", "TE: gzip, trailers", "Proxy-Authorization: x",
        "HTTP2-Settings: AAMAAABk",
      },
    }
    for _, name in ipairs { "x-one", "x-two", "x-three", "keep-alive", "proxy-connection", "http2-settings" } do
      assert.is_nil(field(seen, name), name)
    end
    assert.equal("4", field(seen, "x-four"))
  end)

  it("doesn't let framing and end-to-end fields be listed away [L14] [H03]", function()
    local seen = send {
      method = "POST", body = "hello",
      headers = {
        "Connection: Content-Length, Host, Cookie, Authorization, X-Forwarded-For", "Cookie: a=b", "Authorization: c",
      },
    }
    assert.equal("5", field(seen, "content-length"))
    assert.equal("test.example", field(seen, "host"))
    assert.equal("a=b", field(seen, "cookie"))
    assert.equal("c", field(seen, "authorization"))
    assert.equal("127.0.0.1", field(seen, "x-forwarded-for"))
    seen = send { method = "POST", body = "hello", chunked = true, headers = { "Connection: Transfer-Encoding" } }
    assert.equal(5, seen.length)
  end)

  it("sets the X-Forwarded family although Connection lists it [H01]", function()
    local seen = send { headers = { "Connection: x-forwarded-for, X-Forwarded-Proto, x-FORWARDED-host, forwarded" } }
    assert.equal("127.0.0.1", field(seen, "x-forwarded-for"))
    assert.equal("http", field(seen, "x-forwarded-proto"))
    assert.equal("test.example", field(seen, "x-forwarded-host"))
    assert.is_truthy(field(seen, "forwarded"):find "for=127.0.0.1")
  end)

  it("overwrites the whole family that an untrusted client sends [H09] [H06]", function()
    local seen = send {
      headers = {
        "x-FORWARDED-for: 6.6.6.6", "X-Forwarded-For: 7.7.7.7", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil",
        "X-Forwarded-Port: 1", "X-Forwarded-Prefix: /evil", "X-Forwarded-Uri: /evil", "X-Real-IP: 6.6.6.6",
        "Forwarded: for=6.6.6.6;host=evil",
      },
    }
    for _, pair in ipairs(seen.headers) do
      assert(not pair[2]:find "evil" and not pair[2]:find "[67]%.[67]%.", pair[1] .. ": " .. pair[2])
    end
    assert.equal("127.0.0.1", field(seen, "x-forwarded-for"))
    assert.equal(tostring(edge.port), field(seen, "x-forwarded-port"))
  end)

  it("continues what a trusted proxy says about the client", function()
    local connection = edge:connect "127.0.0.2"
    local seen = seen_by_origin(client.request(connection, {
      headers = { "X-Forwarded-For: 6.6.6.6, 8.8.8.8, 10.1.1.1", "X-Forwarded-Proto: https" },
    }))
    assert.equal("6.6.6.6, 8.8.8.8, 10.1.1.1, 127.0.0.2", field(seen, "x-forwarded-for"))
    assert.equal("https", field(seen, "x-forwarded-proto"))
    edge:wait_log(function(line) return line.ip == "8.8.8.8" end)
  end)

  it("doesn't pass on a name that only looks like one of the trusted ones [H04]", function()
    local seen = send { headers = { "X_Forwarded_For: 6.6.6.6", "X_Real_IP: 6.6.6.6" } }
    for _, pair in ipairs(seen.headers) do assert(not pair[2]:find "6%.6", pair[1]) end
  end)

  it("preserves Host, or sends what the route says", function()
    assert.equal("shop.example:81", field(send { host = "Shop.Example:81" }, "host"))
    assert.equal("inner.example", field(send { path = "/host/own/x" }, "host"))
    assert.equal("127.0.0.1:" .. strict.port, field(send { path = "/host/upstream/x" }, "host"))
  end)

  it("checks each request of a connection by itself [D14]", function()
    local connection = edge:connect()
    assert.equal("wild", client.request(connection, { host = "a.wild.example" }).body)
    assert.equal("exact", client.request(connection, { host = "exact.wild.example" }).body)
    assert.equal("x", client.request(connection, { path = "/?text=x" }).body)
    assert.equal(403, client.request(connection, { path = "/own/x" }).status)
  end)

  it("starts each request of a connection clean [D15]", function()
    local connection = edge:connect()
    local first = seen_by_origin(client.request(connection, { path = "/?a=1", headers = { "X-First: 1",
      "Cookie: a=b" } }))
    local second = seen_by_origin(client.request(connection, { path = "/" }))
    assert.equal("1", field(first, "x-first"))
    assert.is_nil(field(second, "x-first"))
    assert.is_nil(field(second, "cookie"))
  end)

  it("sends Date and no Server of its own, and keeps the origin's Date", function()
    local response = edge:request { path = "/own/x" }
    assert.is_truthy(response:header("date"):find "^%a%a%a, %d%d %a%a%a %d%d%d%d %d%d:%d%d:%d%d GMT$")
    assert.is_nil(response:header "server")
    assert.equal("because", response:header "x-why")
    response = edge:request {
      path = "/?text=x&header=Date:%20Thu,%2001%20Jan%201970%2000:00:00%20GMT&header=Server:%20mine" }
    assert.equal("Thu, 01 Jan 1970 00:00:00 GMT", response:header "date")
    assert.equal("mine", response:header "server")
    assert.is_not_nil(edge:request({ path = "/?text=x" }):header "date")
  end)

  it("redirects and rewrites with the route's parameters, encoded again [P10] [P11]", function()
    assert.equal("/new/a/b%20c", edge:request({ path = "/moved/a/b%20c" }):header "location")
    local response = edge:request { path = "/gone/x%2Fy" }
    assert.equal(308, response.status)
    assert.equal("/new/x%2Fy", response:header "location")
    assert.equal("GET /v1/me/x/a/b?q=1 HTTP/1.1", send({ path = "/rewritten/me/a/b?q=1" }).line)
    assert.equal("GET /v1/a%0Db/x/c HTTP/1.1", send({ path = "/rewritten/a%0db/c" }).line)
    assert.equal("GET /raw/%7Ea/b HTTP/1.1", send({ path = "/raw/%7Ea/b" }).line)
  end)

  it("never redirects to another site [P13]", function()
    for _, path in ipairs { "/moved//evil.example", "/moved/%2F/evil.example", "/moved/%5Cevil.example" } do
      local response = edge:request { path = path }
      if response.status < 400 then
        assert.is_truthy(response:header("location"):find "^/new/")
      end
    end
  end)

  it("answers 404 where no route takes the request, 405 or 404 for another method, and HEAD where GET is", function()
    assert.equal(200, edge:request({ method = "POST", path = "/posts?text=x" }).status)
    assert.equal(200, edge:request({ method = "HEAD", path = "/gets?text=x" }).status)
  end)

  it("goes to an origin on a Unix socket", function()
    local other = origin.start { unix = edge.folder .. "/origin.sock" }
    assert.equal("x", edge:request({ path = "/unix/?text=x" }).body)
    other:stop()
    assert.equal(502, edge:request({ path = "/unix/?text=x" }).status)
  end)
end)

describe("a failing upstream", function()
  setup(start)
  before_each(begin)
  after_each(ending)
  teardown(gateway.end_file)

  it("that refuses is passed over: the others get the request, bodies included", function()
    for i = 1, 20 do
      assert.equal("x" .. i, edge:request({ path = "/half/?text=x" .. i }).body)
      assert.equal(5, seen_by_origin(edge:request { method = "POST", path = "/half/", body = "hello" }).length)
    end
  end)

  it("that refuses alone is 502, not a silent close [O04]", function()
    local response = edge:request { path = "/refused/" }
    assert.equal(502, response.status)
    response = edge:request { path = "/refused/", method = "POST", body = "hello" }
    assert.equal(502, response.status)
  end)

  it("that closed a kept connection meanwhile is asked again once on a fresh one", function()
    for _ = 1, 10 do
      assert.equal("x", edge:request({ path = "/?text=x" }).body)
      assert.equal("y", edge:request({ path = "/?text=y&hangup=stale" }).body)
      assert.equal(5, seen_by_origin(edge:request { method = "PUT", path = "/?hangup=stale", body = "hello" }).length)
    end
  end)

  it("isn't asked again with a method that isn't idempotent, nor more than once", function()
    assert.equal("x", edge:request({ path = "/?text=x" }).body)
    strict:reset()
    local response = edge:request { method = "POST", path = "/?hangup=1", body = "hello" }
    assert.equal(502, response.status)
    assert.equal(1, strict:stats().requests)
    strict:reset()
    response = edge:request { path = "/?hangup=1" }
    assert.equal(502, response.status)
    assert.is_true(strict:stats().requests <= 2)
    response = edge:request { path = "/?hangup=reset" }
    assert.equal(502, response.status)
  end)

  it("whose idle connections were closed is noticed before they are used [D13]", function()
    for _ = 1, 10 do
      assert.equal("x", edge:request({ path = "/?text=x" }).body)
      strict:close_idle()
      local response = edge:request { method = "POST", path = "/?text=y", body = "hello" }
      assert.equal("y", response.body)
    end
  end)

  it("that is silent is 504, and its connection isn't used again", function()
    local response = edge:request { path = "/slow/?silent=1" }
    assert.equal(504, response.status)
    assert.equal("x", edge:request({ path = "/slow/?text=x" }).body)
    gateway.wait_until(function() return strict:stats().left_early >= 1 end)
  end)

  it("that stops in the middle of a body breaks the answer off", function()
    local connection = edge:connect()
    connection:send(client.format { path = "/slow/?body=100&drip=50&every=5000" })
    assert.equal(200, connection:read_head().status)
    local rest = connection:read_to_end(5)
    assert.equal(50, #rest)
  end)

  it("that takes longer than the total time is 504", function()
    assert.equal(504, edge:request({ path = "/total/?delay=5000" }).status)
  end)

  it("is not waited for when the client has left: the work is cancelled and 499 logged", function()
    local connection = edge:connect()
    connection:send(client.format { path = "/?silent=1&left=1" })
    gateway.wait_until(function() return strict:stats().requests == 1 end)
    connection:reset()
    gateway.wait_until(function() return strict:stats().left_early == 1 end)
    assert.equal(499, edge:wait_log(function(line) return line.query == "silent=1&left=1" end).status)
  end)

  it("is still waited for when the client only half-closed [half-close]", function()
    local connection = edge:connect()
    connection:send(client.format { path = "/?delay=200&text=x" })
    connection:half_close()
    local response = connection:read_response()
    assert.equal("x", response.body)
    assert.is_true(connection:is_closed())
  end)

  it("is not waited for after a half-close where the route says abort", function()
    local connection = edge:connect()
    connection:send(client.format { path = "/abort/?silent=1" })
    gateway.wait_until(function() return strict:stats().requests == 1 end)
    connection:half_close()
    gateway.wait_until(function() return strict:stats().left_early == 1 end)
    edge:wait_log(function(line) return line.status == 499 and line.path == "/abort/" end)
  end)

  it("costs no processor while a half-closed client, or one with pipelined bytes, waits", function()
    local function spent()
      local stat = io.open("/proc/" .. edge.process.pid .. "/stat"):read "*a"
      local fields = {}
      for word in stat:match("%) (.*)"):gmatch "%S+" do fields[#fields + 1] = word end
      return tonumber(fields[12]) + tonumber(fields[13])
    end
    local one, two = edge:connect(), edge:connect()
    one:send(client.format { path = "/?delay=1000&text=x" })
    one:half_close()
    two:send(client.format { path = "/?delay=1000&text=x" } .. client.format { path = "/?text=y" } .. ("x"):rep(1000))
    gateway.wait_until(function() return strict:stats().requests == 2 end)
    local before = spent()
    assert.equal("x", one:read_response().body)
    assert.is_true(spent() - before < 30, "a busy loop")
    assert.equal("x", two:read_response().body)
  end)
end)

describe("a client connection", function()
  setup(function()
    strict = origin.start()
    quick = gateway.start { config = QUICK, variables = { origin = strict.port } }
    edge = gateway.start {
      config = CONFIG:gsub("${port_refused}", "1"), variables = { origin = strict.port }, workers = 2,
    }
  end)
  before_each(begin)
  after_each(ending)
  teardown(gateway.end_file)

  it("gets 408 when the head takes longer than allowed in all, however it drips [E01]", function()
    local connection = quick:connect()
    local started = socket.gettime()
    for i = 1, 100 do
      if not connection:send(("GET / HTTP/1.1\r\nHost: a\r\nX: " .. ("y"):rep(100)):sub(i, i)) then break end
      if socket.gettime() - started > 1 then break end
      socket.sleep(0.02)
    end
    local response = connection:read_response { timeout = 3 }
    assert.equal(408, response.status)
    assert.is_true(connection:is_closed())
  end)

  it("is closed without a word when idle, before and between requests", function()
    local connection = quick:connect()
    assert.equal("", (connection:read_to_end(5)))
    connection = quick:connect()
    assert.equal(200, client.request(connection, { path = "/?text=x" }).status)
    assert.equal("", (connection:read_to_end(5)))
  end)

  it("that pauses in the head longer than allowed is closed; what comes then is no request [D05]", function()
    local connection = quick:connect()
    connection:send "GET /first HTTP/1.1\r\nHost: a\r\n"
    local response = connection:read_response { timeout = 3 }
    assert.equal(408, response.status)
    connection:send "\r\nGET /second HTTP/1.1\r\nHost: a\r\n\r\n"
    assert.equal("", (connection:read_to_end(5)))
    assert.equal(0, strict:stats().requests)
  end)

  it("never has the leftover of a body taken for a request [D02]", function()
    local smuggled = client.format { path = "/smuggled" }
    for _, path in ipairs { "/own/x", "/refused/x", "/moved/x" } do
      local connection = edge:connect()
      connection:send(client.format { method = "POST", path = path, body = smuggled } .. client.format {
        path = "/?text=next" })
      local response = connection:read_response()
      assert.is_true(response.status >= 300)
      if response:header "connection" ~= "close" then
        assert.equal("next", connection:read_response().body)
      else
        assert.is_true(connection:is_closed())
      end
      connection = edge:connect()
      connection:send(client.format { method = "POST", path = path, body = smuggled, chunked = 7 })
      assert.is_true(connection:read_response().status >= 300)
    end
    for _, request in ipairs(strict:requests()) do assert(not request.line:find "smuggled") end
  end)

  it("gets its answer although its body is large and nobody reads it: the close lingers", function()
    for _ = 1, 10 do
      local connection = edge:connect()
      connection:send(client.format { method = "POST", path = "/own/x", headers = { "Content-Length: 100000000" } })
      for _ = 1, 20 do
        if not connection:send(("x"):rep(50000), 0.05) then break end
      end
      local response, err = connection:read_response { timeout = 5 }
      assert(response, err)
      assert.equal(403, response.status)
    end
  end)

  it("gets 413 for a body beyond the limit, told or untold", function()
    local connection = edge:connect()
    connection:send(client.format { method = "POST", path = "/limited/x", headers = { "Content-Length: 1001" } })
    assert.equal(413, connection:read_response().status)
    connection = edge:connect()
    connection:send(client.format { method = "POST", path = "/limited/x", body = ("x"):rep(2000), chunked = 100 })
    assert.equal(413, connection:read_response().status)
    assert.equal(1000, seen_by_origin(edge:request { method = "POST", path = "/limited/x",
      body = ("x"):rep(1000) }).length)
  end)

  it("in both directions at once full doesn't deadlock [E07]", function()
    local connection = edge:connect()
    local size = 3000000
    connection:send(client.format {
      method = "POST",
      path = ("/?early=1&drip=60000&every=5&slow=60000&body=%d&seed=5&check=6&expect=%d"):format(size, size),
      headers = { "Content-Length: " .. size },
    })
    local body = client.pattern(6, size)
    local sent, received = 0, 0
    assert.equal(200, connection:read_head().status)
    while sent < size or received < size do
      if sent < size then
        local done, err, upto = connection:send(body:sub(sent + 1, sent + 65536), 0.005)
        assert.not_equal("closed", err)
        sent = done and math.min(size, sent + 65536) or sent + (upto or 0)
      end
      if received < size then
        local piece, err, partial = connection:read_bytes(math.min(65536, size - received), 0.005)
        assert.not_equal("closed", err)
        received = received + #(piece or partial or "")
      end
    end
    assert.equal(size, received)
  end)

  it("lets the log escape what a client wrote, and stay JSON [A01] [A02]", function()
    for _, value in ipairs { 'a"b\\c', "tab\there", "\226\130\172 \255\254", "\127" } do
      local connection = edge:connect()
      connection:send("GET /own/log HTTP/1.1\r\nHost: a\r\nUser-Agent: " .. value .. "\r\nReferer: " .. value
        .. "\r\n\r\n")
      connection:read_response()
    end
    gateway.wait_until(function()
      local count = 0
      for _, line in ipairs(edge:access_log()) do
        if line.path == "/own/log" then count = count + 1 end
      end
      return count >= 3
    end)
  end)
end)
