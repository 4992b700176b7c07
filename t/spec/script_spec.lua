-- The Lua API as an operator meets it: handlers, phases, the request, headers, query, cookies, paths, answers.
local cjson = require "cjson.safe"
local client = require "t.support.client"
local gateway = require "t.support.gateway"
local origin = require "t.support.origin"
local socket = require "socket"

local HEAD = [[
local tg = require "tidegate"
tg.settings { access_log = "${folder}/access.log" }
tg.listen "127.0.0.1:${port}"
tg.upstream "origin" { "127.0.0.1:${origin}" }
tg.upstream "refused" { "127.0.0.1:${port_refused}" }
]]

local edge, strict
local field = origin.field

-- Each value is the text of a module in handlers/.
local HANDLERS = {}

HANDLERS.tracer = [[
local handler = { options = { name = { "string", required = true }, answer_in = "string" } }
local function note(req, o, phase)
  req.ctx.trace = (req.ctx.trace or "") .. o.name .. "." .. phase .. " "
end
function handler.request(req, o)
  note(req, o, "request")
  if o.answer_in == "request" then return req:respond(200, "answered by " .. o.name) end
end
function handler.upstream_request(req, out, o)
  note(req, o, "upstream_request")
end
function handler.upstream_response(req, res, o)
  note(req, o, "upstream_response")
  if o.answer_in == "upstream_response" then return req:respond(203, "instead") end
end
function handler.response(req, res, o)
  note(req, o, "response")
  res.headers["x-trace"] = req.ctx.trace
  if o.answer_in == "response" then return req:respond(203, "instead") end
end
function handler.log(req, res, o)
  note(req, o, "log")
  req.log.trace = req.ctx.trace
end
return handler
]]

HANDLERS.options = [[
local tg = require "tidegate"
local handler = {
  options = {
    number = { "number", min = 1, max = 10, default = 5 }, integer = { "integer", default = 2 }, text = "string",
    plan = { "string", one_of = { "free", "pro" }, default = "free" }, flag = { "boolean", default = true },
    list = { "list", of = "string", default = {} }, header = { "header", default = "X-Some" },
    size = { "bytes", default = 64 * tg.KB }, wait = { "seconds", default = 1.5 }, share = { "percent",
      default = 12.25 },
    target = { "upstream", default = "origin" }, even = { "integer", default = 2,
      check = function(value) if value % 2 ~= 0 then return nil, "must be even" end return true end },
  },
}
function handler.init(o)
  o.ready = "init ran, worker " .. tostring(tg.worker.id)
end
function handler.request(req, o)
  return req:respond(200, { number = o.number, integer = o.integer, text = o.text, plan = o.plan, flag = o.flag,
    list = table.concat(o.list, "+"), header = o.header, size = o.size, wait = o.wait, share = o.share,
    target = o.target, ready = o.ready })
end
return handler
]]

HANDLERS.failing = [[
local handler = { options = { phase = "string", must_run_note = "string" } }
local function fail(o, phase)
  if o.phase == phase then error("deliberate in " .. phase) end
end
function handler.request(req, o) fail(o, "request") end
function handler.upstream_request(req, out, o) fail(o, "upstream_request") end
function handler.upstream_response(req, res, o) fail(o, "upstream_response") end
function handler.response(req, res, o) fail(o, "response") end
handler["error"] = function(req, err, o) fail(o, "error") end
function handler.log(req, res, o) fail(o, "log") end
return handler
]]

HANDLERS.must = [[
return { must_run = true, request = function() error "a check that failed" end }
]]

HANDLERS.sleeper = [[
local tg = require "tidegate"
local handler = { options = { phase = { "string", required = true } } }
local function rest(req, o, phase)
  if o.phase ~= phase then return end
  local before = tg.clock()
  tg.sleep(0.05)
  req.ctx.slept = tg.clock() - before
end
function handler.request(req, o) rest(req, o, "request") end
function handler.upstream_request(req, out, o) rest(req, o, "upstream_request") end
function handler.upstream_response(req, res, o) rest(req, o, "upstream_response") end
function handler.response(req, res, o)
  rest(req, o, "response")
  res.headers["x-slept"] = string.format("%.3f", req.ctx.slept or 0)
end
handler["error"] = function(req, err, o)
  rest(req, o, "error")
  return req:respond(err.status, "slept " .. string.format("%.3f", req.ctx.slept or 0))
end
function handler.log(req, res, o)
  rest(req, o, "log")
  req.log.slept = req.ctx.slept or 0
end
return handler
]]

-- Each value is the body of a request phase; the path is /run/NAME.
local RUNS = {
  request_fields = [[
    return req:respond(200, {
      id = req.id, method = req.method, scheme = req.scheme, version = req.version, host = req.host, port = req.port,
      path = req.path, raw_path = req.raw_path, raw_query = req.raw_query, url = req.url, length = req.length,
      upgrade = req.upgrade, ip = req.client.ip, client_port = req.client.port, peer_ip = req.client.peer_ip,
      route = req.route.name, upstream = req.upstream, generation = req.generation, tls = req.client.tls,
    })]],
  header_reads = [[
    local h = req.headers
    local lines = {}
    for name, value in h:each() do lines[#lines + 1] = name .. "=" .. value end
    return req:respond(200, {
      single = h["x-single"], upper = h["X-SINGLE"], get = h:get "x-single", twice = h["x-twice"],
        absent = h["x-absent"] == nil,
      cookie = h.cookie, all = h:all "x-twice", has = h:has "x-twice", hasnt = h:has "x-absent", count = h:count(),
      any = h:any("x-list", "b"), any_not = h:any("x-list", "bb"), any_line = h:any("x-twice", "two"), lines = lines,
      add_named = h:get "add",
    })]],
  header_writes = [[
    local h = req.headers
    h["x-set"] = "one"
    h["X-Set"] = "two"
    h["x-number"] = 42
    h["x-list"] = { "a", "b" }
    h:add("x-added", "1")
    h:add("x-added", "2")
    h["x-twice"] = nil
    h:remove "x-single"
    req.upstream = "origin"]],
  changes_while_each = [[
    local seen = 0
    for name, value in req.headers:each() do
      seen = seen + 1
      req.headers[name == "host" and "x-none" or name] = nil
      req.headers:add("x-new", "1")
    end
    return req:respond(200, { seen = seen, left = req.headers:count() })]],
  query_reads = [[
    local q, pairs_seen = req.query, {}
    for name, value in q:each() do pairs_seen[#pairs_seen + 1] = name .. "=" .. value end
    return req:respond(200, { a = q.a, empty = q.empty, bare = q.bare, absent = q.absent == nil, all = q:all "a",
      seen = pairs_seen,
      decoded = q["d e"], raw = req.raw_query })]],
  query_writes = [[
    req.query.a = "x y&z"
    req.query.b = nil
    req.query:add("c", "ü/=")
    req.query:remove "gone"
    req.path = "/there"]],
  cookies = [[
    local fine, message = pcall(function() req.cookies.uid = "x" end)
    return req:respond(200, { uid = req.cookies.uid, other = req.cookies.other, absent = req.cookies.absent == nil,
      fine = fine,
      message = tostring(message) })]],
  set_cookies = [[
    req:set_cookie("uid", "abc", { max_age = 60 })
    req:set_cookie("theme", "dark", { path = "/x", domain = "shop.example", secure = true, http_only = false,
      same_site = "strict" })
    req:set_response_header("x-note", "from request")
    req.path = "/there"]],
  set_cookies_on_own = [[
    req:set_cookie("uid", "abc")
    req:set_response_header("x-note", "mine")
    return req:respond(200, "own")]],
  respond_status = [[return req:respond(404)]],
  respond_text = [[return req:respond(403, "no\n")]],
  respond_html = [[return req:respond(200, "<p>", { ["content-type"] = "text/html", ["x-a"] = { "1", "2" } })]],
  respond_table = [[return req:respond(401, { error = "no token", n = tg.null, list = tg.json.array {} }, { ["www-authenticate"] = "Bearer" })]],
  respond_goes_on = [[
    req:respond(200, "first")
    req.ctx.after = "the rest ran"
    req:set_response_header("x-after", req.ctx.after)]],
  respond_twice = [[
    req:respond(200, "first")
    local fine, message = pcall(req.respond, req, 200, "second")
    req:set_response_header("x-second", fine and "fine" or "raised")]],
  redirect = [[return req:redirect "/elsewhere?a=b"]],
  redirect_status = [[return req:redirect("https://b.example/", 308)]],
  reroute_name = [[return req:reroute "target"]],
  reroute_match = [[
    req.path = "/target/by/path"
    return req:reroute()]],
  reroute_loop = [[return req:reroute "run reroute_loop again"]],
  reroute_unknown = [[return req:reroute "nowhere"]],
  returns_number = [[return 403]],
  returns_text = [[return "no"]],
  changes_method = [[
    req.method = "PUT"
    req.path = "/changed/%C3%BC"
    req.host = "Inner.Example:81"]],
  sets_upstream_unknown = [[req.upstream = "nothing"]],
  line_feed_in_header = [[req.headers["x-evil"] = "a\r\nx-smuggled: b"]],
  line_feed_in_response_header = [[req:set_response_header("x-evil", "a\r\nx-smuggled: b")]],
  line_feed_in_respond = [[return req:respond(200, "x", { ["x-evil"] = "a\nb" })]],
  line_feed_in_cookie = [[req:set_cookie("uid", "a\r\nb: c")]],
  line_feed_in_path = [[req.path = "/a\r\nb"]],
  line_feed_in_method = [[req.method = "GET /\r\n"]],
  line_feed_in_host = [[req.host = "a\r\nb: c"]],
  line_feed_in_redirect = [[return req:redirect "/a\r\nx: y"]],
  bad_name = [[req.headers["x evil"] = "a"]],
  bad_boolean = [[req.headers["x-bool"] = true]],
  framing_length = [[req.headers["content-length"] = "5"]],
  framing_coding = [[req.headers["transfer-encoding"] = "chunked"]],
  framing_connection = [[req.headers["connection"] = "close"]],
  framing_upgrade = [[req.headers["upgrade"] = "h2c"]],
  framing_te = [[req.headers.te = "gzip"]],
  host_by_header = [[req.headers.host = "b.example"]],
  bad_path = [[req.path = "relative"]],
  bad_path_above = [[req.path = "/../x"]],
  bad_status = [[return req:respond(99)]],
  bad_body = [[return req:respond(200, true)]],
  log_fields = [[
    req.log.user = "me\n\"quoted\""
    req.log.number = 4.5
    req.log.flag = true
    return req:respond(200, "x")]],
  log_skip = [[
    req.log:skip()
    return req:respond(200, "x")]],
  spawned = [[
    local function work(n)
      tg.sleep(0.02)
      return n * 2, "done"
    end
    local before = tg.clock()
    local one, two = tg.spawn(work, 1), tg.spawn(work, 2)
    local a, text = one:wait()
    local b = two:wait()
    return req:respond(200, { a = a, text = text, b = b, time = tg.clock() - before })]],
  spawned_error = [[
    local task = tg.spawn(function() error "in the task" end)
    local value, err = task:wait()
    return req:respond(200, { value = tostring(value), err = tostring(err) })]],
  spawned_timeout = [[
    local task = tg.spawn(function() tg.sleep(5) end)
    local value, err = task:wait(0.02)
    return req:respond(200, { value = tostring(value), err = err })]],
  own_coroutine = [[
    local co = coroutine.wrap(function()
      tg.sleep(0.01)
      coroutine.yield "yielded"
      tg.sleep(0.01)
      return "returned"
    end)
    return req:respond(200, { first = co(), second = co() })]],
  sleep_in_pcall = [[
    local fine, message = pcall(function()
      tg.sleep(0.01)
      error("after sleep", 0)
    end)
    return req:respond(200, { fine = fine, message = message })]],
  keeps_request = [[
    KEPT.req, KEPT.headers = req, req.headers
    return req:respond(200, "kept")]],
  uses_kept = [[
    local fine, message = pcall(function() return KEPT.req.path end)
    local fine_headers, about_headers = pcall(function() return KEPT.headers.host end)
    return req:respond(200, { fine = fine, message = tostring(message), fine_headers = fine_headers,
      about_headers = tostring(about_headers) })]],
  library = [[
    return req:respond(200, {
      json = tg.json.decode '{"a":[1,2]}'.a[2], bad = select(2, tg.json.decode "{") ~= nil, crc = tg.hash.crc32 "hello",
      now = tg.now(), random = tg.random(), uuid = tg.uuid(), kb = tg.KB, mb = tg.MB, minute = tg.MINUTE, day = tg.DAY,
      version = tg.version, generation = tg.generation, worker = tg.worker.id, workers = tg.worker.count,
      encoded = tg.uri.encode "a b/ü", decoded = tg.uri.decode "a%20b", path = tg.uri.path("users", "a/b"),
    })]],
  uri_path_dots = [[return req:respond(200, tg.uri.path("users", ".."))]],
  late_word = [[tg.route { path = "/late", upstream = "origin" }]],
  global_write = [[accidental = 1]],
  set_cookie_header = [[
    local ok_read = pcall(function() return req.headers["set-cookie"] end)
    local ok_write = pcall(function() req.headers["set-cookie"] = "a=b" end)
    return req:respond(200, { read = ok_read, write = ok_write })]],
  no_upstream = [[req.ctx.x = 1]],
  reads_after = [[req.ctx.path = req.path]],
}

local function routes()
  local text = { HEAD, "local KEPT = {}\n" }
  local names = {}
  for name in pairs(RUNS) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local upstream = name == "no_upstream" and "" or 'upstream = "origin", '
    text[#text + 1] = ("tg.route { name = %q, path = %q, %srequest = function(req)\n%s\nend }\n"):format(
      "run " .. name, "/run/" .. name, upstream, RUNS[name])
  end
  text[#text + 1] = [[
tg.route { name = "run reroute_loop again", path = "/loop",
  request = function(req) return req:reroute "run reroute_loop" end }
tg.route { name = "target", path = "/target/*rest", request = function(req)
  return req:respond(200, "target, " .. tostring(req.params.rest) .. ", " .. req.route.name)
end }
tg.route { path = "/params/:id/*rest", request = function(req)
  return req:respond(200, { id = req.params.id, rest = req.params.rest })
end }
tg.route { path = "/star/*", request = function(req) return req:respond(200, tostring(req.params["*"])) end }
tg.route { path = "/trace/plain", upstream = "origin",
  handlers = { { "handlers.tracer", name = "a" }, { "handlers.tracer", name = "b" } } }
tg.route { path = "/trace/answered", upstream = "origin",
  handlers = { { "handlers.tracer", name = "a" }, { "handlers.tracer", name = "b", answer_in = "request" }, {
    "handlers.tracer", name = "c" } } }
tg.route { path = "/trace/instead", upstream = "origin",
  handlers = { { "handlers.tracer", name = "a" }, { "handlers.tracer", name = "b", answer_in = "upstream_response" } } }
tg.route { path = "/trace/late", upstream = "origin",
  handlers = { { "handlers.tracer", name = "a" }, { "handlers.tracer", name = "b", answer_in = "response" } } }
tg.group { path = "/grouped", handlers = { { "handlers.tracer", name = "group" } },
  tg.route { path = "/x", upstream = "origin", handlers = { { "handlers.tracer", name = "route" } },
    response = function(req, res) res.headers["x-inline"] = req.ctx.trace end },
}
tg.route { path = "/options", handlers = { { "handlers.options", text = "given", number = 7, list = { "a", "b" } } } }
tg.route { path = "/upstream/request", upstream = "origin", upstream_request = function(req, out)
  out.headers["x-out"] = "1"
  out.headers:remove "x-in"
  out.path = "/from/out"
  out.raw_query = "q=2"
  out.method = "POST"
  out.host = "out.example"
  req.ctx.attempt = out.attempt and out.attempt.number or out.attempt
end, response = function(req, res) res.headers["x-attempt"] = tostring(req.ctx.attempt) end }
tg.route { path = "/upstream/response", upstream = "origin", upstream_response = function(req, res)
  res.status = 202
  res.headers["x-from"] = res.from .. " " .. tostring(res.upstream) .. " " .. tostring(res.length)
  res.headers:remove "x-origin"
  res.headers.link = { "</a>; rel=x", "</b>; rel=y" }
  res.headers:add("set-cookie", "a=b")
  res.headers:add("set-cookie", "c=d")
end }
tg.route { path = "/res/cookies", upstream = "origin", response = function(req, res)
  local read = pcall(function() return res.headers["set-cookie"] end)
  local write = pcall(function() res.headers["set-cookie"] = "x=y" end)
  res.headers["x-cookies"] = table.concat(res.headers:all "set-cookie", "|") .. " " .. tostring(read) .. tostring(write)
end }
tg.route { path = "/res/own", request = function(req) return req:respond(200, "x") end,
  response = function(req, res) res.headers["x-from"] = res.from end }
tg.route { path = "/res/evil", upstream = "origin", response = function(req,
  res) res.headers["x-evil"] = "a\r\nb: c" end }
tg.route { path = "/res/framing", upstream = "origin", response = function(req,
  res) res.headers["content-length"] = 3 end }
tg.route { path = "/error/page", upstream = "refused", ["error"] = function(req, err)
  return req:respond(err.status, { code = err.code, status = err.status, detail = err.detail and #err.detail > 0 })
end, response = function(req, res) res.headers["x-from"] = res.from end }
tg.route { path = "/error/plain", upstream = "refused", response = function(req,
  res) res.headers["x-from"] = res.from end }
tg.route { path = "/error/script", request = function() error "for the page" end,
  ["error"] = function(req, err) return req:respond(err.status, err.code) end }
tg.route { path = "/late/set", upstream = "origin", upstream_request = function(req)
  local fine, message = pcall(function() req.path = "/x" end)
  req.ctx.message = fine and "fine" or tostring(message)
end, response = function(req, res) res.headers["x-message"] = req.ctx.message:gsub("[^%w%p ]", " ") end }
tg.route { path = "/log/res", upstream = "origin", log = function(req, res)
  req.log.seen = req.method .. " " .. req.path .. " " .. (res and res.status or "none") .. " "
    .. tostring(req.bytes_out > 0)
end }
tg.route { path = "/log/slow", upstream = "origin", log = function(req)
  tg.sleep(0.5)
  req.log.slow = true
end }
tg.route { path = "/left", upstream = "origin", request = function(req)
  KEPT.started = (KEPT.started or 0) + 1
  tg.sleep(30)
  KEPT.resumed = true
end, log = function(req, res)
  req.log.left = "res " .. tostring(res) .. ", resumed " .. tostring(KEPT.resumed)
end }
tg.route { path = "/left/started", request = function(req) return req:respond(200, tostring(KEPT.started)) end }
]]
  for _, phase in ipairs { "request", "upstream_request", "upstream_response", "response", "error", "log" } do
    local upstream = phase == "error" and "refused" or "origin"
    text[#text + 1] = ('tg.route { path = "/sleep/%s", upstream = "%s", handlers = { { "handlers.sleeper", phase = "%s" } } }\n')
      :format(phase, upstream, phase)
    text[#text + 1] = ('tg.route { path = "/fail/%s", upstream = "%s", handlers = { { "handlers.failing", phase = "%s" } } }\n')
      :format(phase, upstream, phase)
    text[#text + 1] = ('tg.route { path = "/continue/%s", upstream = "origin", on_script_error = "continue", '
      .. 'handlers = { { "handlers.failing", phase = "%s" } }, '
      .. 'response = function(req, res) res.headers["x-reached"] = "1" end }\n'):format(phase, phase)
  end
  text[#text + 1] = [[
tg.route { path = "/continue/must", upstream = "origin", on_script_error = "continue", handlers = { "handlers.must" } }
]]
  return table.concat(text)
end

local function handler_files()
  local files = {}
  for name, text in pairs(HANDLERS) do files["handlers/" .. name .. ".lua"] = text end
  return files
end

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

describe("a handler", function()
  setup(function()
    strict = origin.start()
    edge = gateway.start { config = routes(), files = handler_files(), variables = { origin = strict.port } }
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

  it("runs in the order of the chain, and in reverse on the way back", function()
    local response = edge:request { path = "/trace/plain" }
    assert.equal("a.request b.request a.upstream_request b.upstream_request b.upstream_response a.upstream_response "
      .. "b.response a.response ", response:header "x-trace")
    local line = edge:wait_log(function(one) return one.trace and one.trace:find "a.log b.log" end)
    assert.is_truthy(line.trace:find "a%.response a%.log b%.log")
  end)

  it("that answers ends the chain; later ones aren't entered, nor see the response or the log", function()
    local response = edge:request { path = "/trace/answered" }
    assert.equal("answered by b", response.body)
    assert.equal("a.request b.request b.response a.response ", response:header "x-trace")
    local line = edge:wait_log(function(one) return one.trace and not one.trace:find "upstream_request" end)
    assert.equal("a.request b.request b.response a.response a.log b.log ", line.trace)
    assert.equal(0, strict:stats().requests)
  end)

  it("may answer instead of the upstream, whose answer is dropped", function()
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
      .. "group.upstream_response ", response:header "x-inline")
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
  setup(function()
    strict = origin.start()
    edge = gateway.start { config = routes(), files = handler_files(), variables = { origin = strict.port } }
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
    for name in pairs(RUNS) do
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
    for name in pairs(RUNS) do
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
    edge = gateway.start { config = routes(), files = handler_files(), variables = { origin = strict.port } }
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
    edge = gateway.start { config = routes(), files = handler_files(), variables = { origin = strict.port } }
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
    assert.is_truthy(seen.err:find "in the task")
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

describe("a configuration", function()
  before_each(gateway.begin_test)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  local function check(config, files)
    local prepared = gateway.prepare {
      config = HEAD .. config, files = files or handler_files(), variables = { origin = 1 },
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
    refused('tg.settings { worker = 2 }', "gateway.lua:6")
  end)

  it("with an unknown upstream is refused with a suggestion", function()
    refused('tg.route { path = "/", upstream = "orign" }', "gateway.lua:6", "orign", 'did you mean "origin"?')
  end)

  it("with a name declared twice is refused with both places", function()
    refused('tg.upstream "origin" { "127.0.0.1:1" }', "gateway.lua:6", "gateway.lua:4")
  end)

  it("with two routes that tie is refused with both", function()
    refused('tg.route { name = "one", path = "/a", upstream = "origin" }\ntg.route { name = "two", path = "/a", upstream = "origin" }',
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
    refused('tg.route { path = "/", upstream = "origin", handlers = { { request_body = function() end } } }',
      "request_body")
    refused('tg.route { path = "/", upstream = "origin", response_body = function() end }', "response_body")
    refused('tg.route { path = "/", upstream = "origin", handlers = { { trailers = function() end } } }', "trailers")
    refused('tg.upstream "b" { "127.0.0.1:1", tls = true }', "tls")
    refused('tg.upstream "b" { "127.0.0.1:1", protocol = "h2" }', "protocol")
    refused('tg.upstream "b" { "127.0.0.1:1", health = { path = "/" } }', "health")
    refused('tg.upstream "b" { "127.0.0.1:1", balance = "p2c" }', "balance")
    refused('tg.upstream "b" { dynamic = true }', "dynamic")
    refused('tg.listen { "127.0.0.1:1", tls = {} }', "tls")
    refused('tg.shared "s" { size = 100000 }', "shared")
    refused('tg.timer.every(1, function() end)', "timer")
    refused('local h = tg.http', "http")
    refused('local r = tg.redis', "redis")
    refused('tg.settings { admin = "127.0.0.1:1" }', "admin")
  end)

  it("with an accidental global is refused at load", function()
    refused("oops = 1", "gateway.lua:6", "oops")
  end)

  it("with a syntax error, in itself or in a module, is refused with file and line", function()
    refused("tg.route {", "gateway.lua")
    local files = handler_files()
    files["handlers/broken.lua"] = "local x = \nreturn {"
    local result = check('tg.route { path = "/", handlers = { "handlers.broken" } }', files)
    assert.is_true(result.code ~= 0)
    assert.is_truthy((result.errors .. result.output):find "broken.lua:%d")
  end)

  it("may be spread over files: include, groups, file, env", function()
    local files = handler_files()
    files["team/a.lua"] = 'local tg = require "tidegate"\ntg.route { path = "/a", respond = { 200, tg.file "team/text.txt" } }\n'
    files["team/b.lua"] = 'local tg = require "tidegate"\ntg.route { path = "/b", respond = { 200, tg.env("TG_SPEC_NAME", "default") } }\n'
    files["team/text.txt"] = "from a file"
    local other = gateway.start {
      config = HEAD .. 'tg.group { path = "/team", include = "team/*.lua", name = "team" }\n', files = files,
      variables = { origin = 1 }, environment = { TG_SPEC_NAME = "from the environment" },
    }
    assert.equal("from a file", other:request({ path = "/team/a" }).body)
    assert.equal("from the environment", other:request({ path = "/team/b" }).body)
    assert.equal(404, other:request({ path = "/a" }).status)
  end)

  it("that lets a group's member widen its path doesn't exist: it is narrowed", function()
    local other = gateway.start {
      config = HEAD .. [[
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
      config = HEAD .. [[
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
      config = HEAD .. [[
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
