---The scripts that the specifications of the Lua API run: handlers as modules, and request phases at /run/NAME.
local scripted = {}

scripted.HEAD = [[
local tg = require "tidegate"
tg.settings { access_log = "${folder}/access.log" }
tg.listen "127.0.0.1:${port}"
tg.upstream "origin" { "127.0.0.1:${origin}" }
tg.upstream "refused" { "127.0.0.1:${port_refused}" }
]]

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
  res.headers["x-trace"] = req.ctx.trace:sub(1, -2)
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
scripted.RUNS = {
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
  respond_table = [[
    local body = { error = "no token", n = tg.null, list = tg.json.array {} }
    return req:respond(401, body, { ["www-authenticate"] = "Bearer" })]],
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
  reroute_loop = [[return req:reroute "hop 1"]],
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
    local value, err, detail = task:wait()
    return req:respond(200, { value = tostring(value), err = tostring(err), detail = tostring(detail) })]],
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

---The text of gateway.lua with a route for each.
function scripted.config()
  local text = { scripted.HEAD, "local KEPT = {}\n" }
  local names = {}
  for name in pairs(scripted.RUNS) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local upstream = name == "no_upstream" and "" or 'upstream = "origin", '
    text[#text + 1] = ("tg.route { name = %q, path = %q, %srequest = function(req)\n%s\nend }\n"):format(
      "run " .. name, "/run/" .. name, upstream, scripted.RUNS[name])
  end
  text[#text + 1] = [[
for hop = 1, 6 do
  tg.route { name = "hop " .. hop, path = "/hop/" .. hop, upstream = "origin",
    request = function(req) return req:reroute("hop " .. hop + 1) end }
end
tg.route { name = "hop 7", path = "/hop/7", respond = { 200, "the end" } }
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
    response = function(req, res) res.headers["x-inline"] = req.ctx.trace:sub(1, -2) end },
}
tg.route { path = "/options", handlers = { { "handlers.options", text = "given", number = 7, list = { "a", "b" } } } }
tg.route { path = "/upstream/request", upstream = "origin", upstream_request = function(req, out)
  out.headers["x-out"] = "1"
  out.headers:remove "x-in"
  out.path = "/from/out"
  out.raw_query = "q=2"
  out.method = "POST"
  out.host = "out.example"
  req.ctx.attempt = out.attempt
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
    text[#text + 1] = ('tg.route { path = "/sleep/%s", upstream = "%s", '
      .. 'handlers = { { "handlers.sleeper", phase = "%s" } } }\n')
      :format(phase, upstream, phase)
    text[#text + 1] = ('tg.route { path = "/fail/%s", upstream = "%s", '
      .. 'handlers = { { "handlers.failing", phase = "%s" } } }\n')
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

---The modules, as files of the configuration.
function scripted.files()
  local files = {}
  for name, text in pairs(HANDLERS) do files["handlers/" .. name .. ".lua"] = text end
  return files
end

return scripted
