-- The Lua API as an operator meets it: handlers, phases, the request, headers, query, cookies, paths, answers.
local cjson = require "cjson.safe"
local client = require "t.support.client"
local gateway = require "t.support.gateway"
local origin = require "t.support.origin"
local scripted = require "t.support.scripted"
local socket = require "socket"

local edge, strict
local field = origin.field

local function run(name, options)
  options = options or {}
  options.path = "/run/" .. name .. (options.query or "")
  return edge:request(options)
end

local function run_json(name, options)
  local response = run(name, options)
  assert.equal(200, response.status, response.body)
  return assert(cjson.decode(response.body))
end

-- One gateway and one origin for a group of tests, none of which may break a rule toward the origin.
local function before_a_strict_origin()
  setup(function()
    strict = origin.start()
    edge = gateway.start { config = scripted.config(), files = scripted.files(), variables = { origin = strict.port } }
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
end

describe("a handler", function()
  before_a_strict_origin()

  it("runs in the order of the chain, and in reverse on the way back", function()
    local response = edge:request { path = "/trace/plain" }
    assert.equal("a.request b.request a.upstream_request b.upstream_request b.upstream_response a.upstream_response "
      .. "b.response a.response", response:header "x-trace")
    local line = edge:wait_log(function(one) return one.trace and one.trace:find "a.log b.log" end)
    assert.is_truthy(line.trace:find "a%.response a%.log b%.log")
  end)

  it("that answers ends the chain; later ones aren't entered, nor see the response or the log", function()
    local response = edge:request { path = "/trace/answered" }
    assert.equal("answered by b", response.body)
    assert.equal("a.request b.request b.response a.response", response:header "x-trace")
    local line = edge:wait_log(function(one) return one.trace and not one.trace:find "upstream_request" end)
    assert.equal("a.request b.request b.response a.response a.log b.log ", line.trace)
    assert.equal(0, strict:stats().requests)
  end)

  it("may answer instead of the upstream, whose answer is dropped [M01]", function()
    local response = edge:request { path = "/trace/instead?body=100000" }
    assert.equal(203, response.status)
    assert.equal("instead", response.body)
    response = edge:request { path = "/trace/late?body=100000" }
    assert.equal(203, response.status)
    assert.equal("instead", response.body)
    assert.equal("x", edge:request({ path = "/trace/plain?text=x" }).body)
  end)

  it("of a group runs before those of the route, and inline phases last", function()
    local response = edge:request { path = "/grouped/x" }
    assert.equal("group.request route.request group.upstream_request route.upstream_request route.upstream_response "
      .. "group.upstream_response", response:header "x-inline")
  end)

  it("gets its checked options, with defaults and what init added", function()
    local o = cjson.decode(edge:request({ path = "/options" }).body)
    assert.equal(7, o.number)
    assert.equal(2, o.integer)
    assert.equal("given", o.text)
    assert.equal("free", o.plan)
    assert.is_true(o.flag)
    assert.equal("a+b", o.list)
    assert.equal("x-some", o.header)
    assert.equal(65536, o.size)
    assert.equal(1.5, o.wait)
    assert.equal(12.25, o.share)
    assert.equal("origin", o.target)
    assert.is_truthy(o.ready:find "^init ran, worker %d")
  end)

  for _, phase in ipairs { "request", "upstream_request", "upstream_response", "response" } do
    it("may sleep in " .. phase, function()
      local response = edge:request { path = "/sleep/" .. phase }
      assert.equal(200, response.status)
      assert.is_true(tonumber(response:header "x-slept") >= 0.045)
    end)
  end

  it("may sleep in error and log", function()
    local response = edge:request { path = "/sleep/error" }
    assert.equal(502, response.status)
    assert.is_true(tonumber(response.body:match "slept (.*)") >= 0.045)
    edge:request { path = "/sleep/log" }
    edge:wait_log(function(line) return line.slept and line.slept >= 0.045 end)
  end)

  it("doesn't delay the connection's next request with its log phase", function()
    local connection = edge:connect()
    client.request(connection, { path = "/log/slow?text=x" })
    local before = socket.gettime()
    assert.equal("y", client.request(connection, { path = "/log/res?text=y" }).body)
    assert.is_true(socket.gettime() - before < 0.4)
    edge:wait_log(function(line) return line.slow end)
  end)

  for _, phase in ipairs { "request", "upstream_request", "upstream_response", "response" } do
    it("that raises in " .. phase .. " is 500, logged with its line and the request's id [J13]", function()
      local response = edge:request { path = "/fail/" .. phase }
      assert.equal(500, response.status)
      assert.is_nil(response.body:find "deliberate")
      edge:wait_error("deliberate in " .. phase)
      local text = edge:errors()
      assert.is_truthy(text:find("failing.lua:%d+"))
      assert.is_truthy(text:find "traceback")
      assert.is_truthy(text:find "%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x")
    end)

    it("that raises in " .. phase .. " is passed over where the route says so", function()
      local response = edge:request { path = "/continue/" .. phase .. "?text=x" }
      assert.equal(200, response.status)
      assert.equal("x", response.body)
      assert.equal("1", response:header "x-reached")
    end)
  end

  it("that raises in error or log ends only that phase", function()
    assert.equal(502, edge:request({ path = "/fail/error" }).status)
    assert.equal("x", edge:request({ path = "/fail/log?text=x" }).body)
    edge:wait_error "deliberate in log"
  end)

  it("that must run is never passed over", function()
    local response = edge:request { path = "/continue/must" }
    assert.equal(500, response.status)
    assert.equal(0, strict:stats().requests)
  end)

  it("is cancelled where it waits when the client leaves, and only its log runs [J07]", function()
    local connection = edge:connect()
    connection:send(client.format { path = "/left" })
    gateway.wait_until(function() return edge:request({ path = "/left/started" }).body == "1" end)
    connection:reset()
    local line = edge:wait_log(function(one) return one.left end)
    assert.equal("res nil, resumed nil", line.left)
    assert.equal(499, line.status)
    assert.equal(0, strict:stats().requests)
  end)

  it("that keeps a request beyond its end gets an error, not another client's request [J08]", function()
    assert.equal("kept", run("keeps_request").body)
    for _ = 1, 3 do
      local seen = run_json "uses_kept"
      assert.is_false(seen.fine)
      assert.is_truthy(seen.message:find "the request is over")
      assert.is_false(seen.fine_headers)
      assert.is_truthy(seen.about_headers:find "the request is over")
    end
  end)

  it("that returns anything but nothing or true is told what it meant", function()
    assert.equal(500, run("returns_number").status)
    edge:wait_error "req:respond(403)"
    assert.equal(500, run("returns_text").status)
  end)
end)

describe("a request", function()
  before_a_strict_origin()

  it("has the fields that the reference names", function()
    local seen = run_json("request_fields", { query = "?a=%20b", host = "Shop.Example:8081", method = "POST",
      body = "hello" })
    assert.is_truthy(seen.id:find("^" .. ("%x"):rep(32) .. "$"))
    assert.equal("POST", seen.method)
    assert.equal("http", seen.scheme)
    assert.equal("1.1", seen.version)
    assert.equal("shop.example", seen.host)
    assert.equal(8081, seen.port)
    assert.equal("/run/request_fields", seen.path)
    assert.equal("/run/request_fields", seen.raw_path)
    assert.equal("a=%20b", seen.raw_query)
    assert.equal("http://shop.example:8081/run/request_fields?a=%20b", seen.url)
    assert.equal(5, seen.length)
    assert.is_nil(seen.upgrade)
    assert.equal("127.0.0.1", seen.ip)
    assert.equal("127.0.0.1", seen.peer_ip)
    assert.is_true(seen.client_port > 0)
    assert.equal("run request_fields", seen.route)
    assert.equal("origin", seen.upstream)
    assert.equal(1, seen.generation)
    assert.is_nil(seen.tls)
    assert.is_nil(run_json("request_fields").raw_query)
    assert.equal("", run_json("request_fields", { query = "?" }).raw_query)
  end)

  it("has its route's parameters, decoded", function()
    local seen = cjson.decode(edge:request({ path = "/params/a%2Fb%20c/d/e%2ff" }).body)
    assert.equal("a/b c", seen.id)
    assert.equal("d/e/f", seen.rest)
    assert.equal("x/y", edge:request({ path = "/star/x/y" }).body)
    assert.equal("", edge:request({ path = "/star" }).body)
  end)

  it("joins several lines of a field, and names them in wire order [J15]", function()
    local seen = run_json("header_reads", {
      headers = { "X-Single: s", "X-Twice: one", "x-twice: two", "Cookie: a=b", "Cookie: c=d", "X-List: a, b ,c",
        "Add: named" },
    })
    assert.equal("s", seen.single)
    assert.equal("s", seen.upper)
    assert.equal("s", seen.get)
    assert.equal("one, two", seen.twice)
    assert.is_true(seen.absent)
    assert.equal("a=b; c=d", seen.cookie)
    assert.same({ "one", "two" }, seen.all)
    assert.is_true(seen.has)
    assert.is_false(seen.hasnt)
    assert.is_true(seen.any)
    assert.is_false(seen.any_not)
    assert.is_true(seen.any_line)
    assert.equal("named", seen.add_named)
    assert.same({ "host=test.example", "x-single=s", "x-twice=one", "x-twice=two", "cookie=a=b", "cookie=c=d",
      "x-list=a, b ,c", "add=named" }, seen.lines)
  end)

  it("gives upstream the headers that the script set", function()
    local response = run("header_writes", { headers = { "X-Single: s", "X-Twice: 1", "X-Twice: 2", "X-Set: old" } })
    local seen = cjson.decode(response.body)
    assert.equal("two", field(seen, "x-set"))
    assert.equal("42", field(seen, "x-number"))
    assert.same({ "a", "b" }, field(seen, "x-list"))
    assert.same({ "1", "2" }, field(seen, "x-added"))
    assert.is_nil(field(seen, "x-twice"))
    assert.is_nil(field(seen, "x-single"))
  end)

  it("may be changed while its headers are gone through", function()
    local seen = run_json("changes_while_each", { headers = { "A: 1", "B: 2" } })
    assert.equal(3, seen.seen)
  end)

  it("has its query decoded, its order and bytes kept where untouched", function()
    local seen = run_json("query_reads", { query = "?a=1&empty=&bare&a=%32&d%20e=x+y" })
    assert.equal("1", seen.a)
    assert.equal("", seen.empty)
    assert.equal("", seen.bare)
    assert.is_true(seen.absent)
    assert.same({ "1", "2" }, seen.all)
    assert.equal(5, #seen.seen)
    local line = cjson.decode(run("query_writes", { query = "?z=%41&a=1&b=2&gone=3&b=4&y=%7e" }).body).line
    assert.is_truthy(line:find("^GET /there%?z=%%41&"), line)
    assert.is_truthy(line:find("&y=%7e", 1, true), line)
    assert.is_nil(line:find("b=2", 1, true))
    assert.is_nil(line:find("gone", 1, true))
    assert.is_truthy(line:find("c=%C3%BC%2F%3D", 1, true), line)
  end)

  it("has its cookies, to read only", function()
    local seen = run_json("cookies", { headers = { "Cookie: uid=a%20b; other=2; uid=later" } })
    assert.equal("a%20b", seen.uid)
    assert.equal("2", seen.other)
    assert.is_true(seen.absent)
    assert.is_false(seen.fine)
  end)

  it("sets cookies and headers on the answer to come, whoever makes it", function()
    local response = run "set_cookies"
    local cookies = response:all "set-cookie"
    assert.equal(2, #cookies)
    assert.is_truthy(cookies[1]:find "^uid=abc;")
    assert.is_truthy(cookies[1]:lower():find "max%-age=60")
    assert.is_truthy(cookies[1]:lower():find "path=/")
    assert.is_truthy(cookies[1]:lower():find "httponly")
    assert.is_truthy(cookies[1]:lower():find "samesite=lax")
    assert.is_nil(cookies[1]:lower():find "secure")
    assert.is_truthy(cookies[2]:lower():find "domain=shop.example")
    assert.is_truthy(cookies[2]:lower():find "secure")
    assert.is_truthy(cookies[2]:lower():find "samesite=strict")
    assert.is_nil(cookies[2]:lower():find "httponly")
    assert.equal("from request", response:header "x-note")
    response = run "set_cookies_on_own"
    assert.equal("mine", response:header "x-note")
    assert.equal(1, #response:all "set-cookie")
  end)

  it("adds to cookies that the origin sets, and never replaces them [J16]", function()
    local response = run("set_cookies", { query = "?text=x&header=Set-Cookie:%20mine%3d1" })
    assert.equal(3, #response:all "set-cookie")
    response = edge:request { path = "/res/cookies?text=x&header=Set-Cookie:%20a%3d1&header=Set-Cookie:%20b%3d2" }
    assert.equal("a=1|b=2 falsefalse", response:header "x-cookies")
    assert.equal(2, #response:all "set-cookie")
    local seen = run_json "set_cookie_header"
    assert.is_false(seen.read)
    assert.is_false(seen.write)
  end)

  it("may have its method, path and host changed", function()
    local seen = cjson.decode(run("changes_method", { query = "?q=1" }).body)
    assert.equal("PUT /changed/%C3%BC?q=1 HTTP/1.1", seen.line)
    assert.equal("inner.example:81", field(seen, "host"))
  end)

  it("can be changed for one attempt in upstream_request", function()
    local response = edge:request { path = "/upstream/request?q=1", headers = { "X-In: 1" } }
    local seen = cjson.decode(response.body)
    assert.equal("POST /from/out?q=2 HTTP/1.1", seen.line)
    assert.equal("1", field(seen, "x-out"))
    assert.is_nil(field(seen, "x-in"))
    assert.equal("out.example", field(seen, "host"))
    assert.equal("1", response:header "x-attempt")
  end)

  it("raises when it is changed too late, and says where to do it", function()
    assert.is_truthy(edge:request({ path = "/late/set?text=x" }):header("x-message"):find "out%.path")
  end)

  it("is refused with 500 where a script sets what no client may send [J01] [R07]", function()
    for name in pairs(scripted.RUNS) do
      if name:find "^line_feed" or name:find "^bad_" then
        local response = run(name)
        assert.equal(500, response.status, name)
        assert.is_nil(response:header "x-smuggled", name)
        assert.is_nil(response:header "x-evil", name)
      end
    end
    assert.equal(500, edge:request({ path = "/res/evil?text=x" }).status)
    assert.equal(0, #strict:requests() > 1 and 1 or 0)
  end)

  it("keeps its framing whatever a script sets [J02]", function()
    for name in pairs(scripted.RUNS) do
      if name:find "^framing_" then assert.equal(500, run(name).status, name) end
    end
    assert.equal(500, edge:request({ path = "/res/framing?text=hello" }).status)
  end)

  it("writes fields of the script into the access log, or no line at all", function()
    run "log_skip"
    run "log_fields"
    local line = edge:wait_log(function(one) return one.user end)
    assert.equal('me\n"quoted"', line.user)
    assert.equal(4.5, line.number)
    assert.is_true(line.flag)
    for _, one in ipairs(edge:access_log()) do assert.is_nil(cjson.encode(one):find "log_skip") end
  end)

  it("can be read to the end, log included", function()
    edge:request { path = "/log/res?text=x" }
    assert.equal("GET /log/res 200 true", edge:wait_log(function(one) return one.seen end).seen)
  end)
end)

describe("an answer", function()
  setup(function()
    strict = origin.start()
    edge = gateway.start { config = scripted.config(), files = scripted.files(), variables = { origin = strict.port } }
  end)
  before_each(gateway.begin_test)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  it("may be a status, a text, a table, with headers", function()
    local response = run "respond_status"
    assert.equal(404, response.status)
    assert.equal("", response.body)
    response = run "respond_text"
    assert.equal("no\n", response.body)
    assert.equal("text/plain; charset=utf-8", response:header "content-type")
    response = run "respond_html"
    assert.equal("text/html", response:header "content-type")
    assert.same({ "1", "2" }, response:all "x-a")
    response = run "respond_table"
    assert.equal(401, response.status)
    assert.equal("application/json", response:header("content-type"):match "^[^;]+")
    assert.equal("Bearer", response:header "www-authenticate")
    local decoded = cjson.decode(response.body)
    assert.equal("no token", decoded.error)
    assert.equal(cjson.null, decoded.n)
    assert.is_truthy(response.body:find "%[%]")
  end)

  it("has no body on the wire for HEAD [J04]", function()
    local connection = edge:connect()
    for _ = 1, 3 do
      local response = client.request(connection, { method = "HEAD", path = "/run/respond_text" })
      assert.equal(403, response.status)
      assert.equal("3", response:header "content-length")
    end
    assert.equal("no\n", client.request(connection, { path = "/run/respond_text" }).body)
  end)

  it("is decided by respond, which doesn't jump, and holds without return", function()
    local response = run "respond_goes_on"
    assert.equal("first", response.body)
    assert.equal("the rest ran", response:header "x-after")
    response = run "respond_twice"
    assert.equal("first", response.body)
    assert.equal("raised", response:header "x-second")
  end)

  it("may be a redirect", function()
    local response = run "redirect"
    assert.equal(302, response.status)
    assert.equal("/elsewhere?a=b", response:header "location")
    assert.equal(308, run("redirect_status").status)
  end)

  it("may come from another route", function()
    assert.equal("target, nil, target", (run("reroute_name").body:gsub("target, [^,]*,", "target, nil,")))
    assert.equal("target, by/path, target", run("reroute_match").body)
    assert.equal(500, run("reroute_loop").status)
    assert.equal(500, run("reroute_unknown").status)
    assert.equal(500, run("sets_upstream_unknown").status)
  end)

  it("of an upstream can be changed: status, headers, cookies", function()
    local response = edge:request { path = "/upstream/response?text=hello&header=X-Origin:%201&header=Link:%20old" }
    assert.equal(202, response.status)
    assert.equal("upstream origin 5", response:header "x-from")
    assert.is_nil(response:header "x-origin")
    assert.same({ "</a>; rel=x", "</b>; rel=y" }, response:all "link")
    assert.same({ "a=b", "c=d" }, response:all "set-cookie")
  end)

  it("says who made it", function()
    assert.equal("script", edge:request({ path = "/res/own" }):header "x-from")
    assert.equal("gateway", edge:request({ path = "/error/plain" }):header "x-from")
  end)

  it("of the gateway itself can be made by an error phase", function()
    local response = edge:request { path = "/error/page" }
    assert.equal(502, response.status)
    local page = cjson.decode(response.body)
    assert.equal("upstream_failed", page.code)
    assert.equal(502, page.status)
    assert.equal("script", edge:request({ path = "/error/script" }).body)
    assert.equal(500, edge:request({ path = "/error/script" }).status)
    assert.equal(500, run("no_upstream").status)
  end)
end)

describe("waiting and the library", function()
  setup(function()
    strict = origin.start()
    edge = gateway.start { config = scripted.config(), files = scripted.files(), variables = { origin = strict.port } }
  end)
  before_each(gateway.begin_test)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  it("runs tasks beside each other", function()
    local seen = run_json "spawned"
    assert.equal(2, seen.a)
    assert.equal("done", seen.text)
    assert.equal(4, seen.b)
    assert.is_true(seen.time < 0.2 and seen.time >= 0.018)
    seen = run_json "spawned_error"
    assert.equal("nil", seen.value)
    assert.is_truthy(seen.detail:find "in the task")
    assert.equal("timeout", run_json("spawned_timeout").err)
  end)

  it("passes through user coroutines and pcall", function()
    assert.same({ first = "yielded", second = "returned" }, run_json "own_coroutine")
    assert.same({ fine = false, message = "after sleep" }, run_json "sleep_in_pcall")
  end)

  it("lets a hundred requests sleep beside each other on one worker", function()
    local connections, before = {}, socket.gettime()
    for i = 1, 100 do
      connections[i] = edge:connect()
      connections[i]:send(client.format { path = "/sleep/request?text=x" })
    end
    for i = 1, 100 do assert.equal("x", connections[i]:read_response().body) end
    assert.is_true(socket.gettime() - before < 2.5)
  end)

  it("has what the reference lists", function()
    local seen = run_json "library"
    assert.equal(2, seen.json)
    assert.is_true(seen.bad)
    assert.equal(0x3610a686, seen.crc)
    assert.is_true(math.abs(seen.now - os.time()) < 5)
    assert.is_true(seen.random >= 0 and seen.random < 1)
    assert.is_truthy(seen.uuid:find "^%x+%-%x+%-4%x+%-%x+%-%x+$")
    assert.equal(1024, seen.kb)
    assert.equal(60, seen.minute)
    assert.equal(86400, seen.day)
    assert.equal(1, seen.workers)
    assert.equal("a%20b%2F%C3%BC", seen.encoded)
    assert.equal("a b", seen.decoded)
    assert.equal("/users/a%2Fb", seen.path)
    assert.equal(500, run("uri_path_dots").status)
  end)

  it("refuses words that declare at run time, and accidental globals", function()
    assert.equal(500, run("late_word").status)
    assert.equal(500, run("global_write").status)
  end)
end)
