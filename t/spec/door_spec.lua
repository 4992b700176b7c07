-- What comes before a connection's first request: PROXY headers, and the handlers of listeners.
local certificates = require "t.support.certificates"
local client = require "t.support.client"
local gateway = require "t.support.gateway"
local process = require "t.support.process"
local s_client = require "t.support.s_client"
local socket = require "socket"
local ssl = require "ssl"

local CONFIG = [[
local tg = require "tidegate"
tg.settings { access_log = "${folder}/access.log", timeouts = { header = 2 } }

local kept, respond, refuse

local accept = { accept = function(conn, o)
  tg.log.info("accepts", { ip = conn.ip, peer = conn.peer_ip, name = conn.listener, port = type(conn.port), o = o.word,
    header = conn.proxy_header or "none" })
  if conn.ip == "127.0.0.2" then return conn:refuse() end
  if conn.ip == "127.0.0.3" then error "the handler broke" end
  if conn.ip == "127.0.0.4" then return "no" end
  if conn.ip == "127.0.0.5" then kept = conn end
  if conn.ip == "127.0.0.6" then return kept.ip == "" end
  if conn.ip == "127.0.0.7" then conn.ip = "1.1.1.1" end
  if conn.ip == "127.0.0.8" then return conn.refuse() end
  if conn.ip == "127.0.0.11" then refuse = conn.refuse end
  if conn.ip == "127.0.0.12" then respond(conn, 200, "no request") end
  if conn.ip == "127.0.0.9" then tg.spawn(function() tg.sleep(30) tg.log.info "the task went on" end) end
end, options = { word = "string" } }

local second = { accept = function(conn)
  tg.log.info("the second is asked", { ip = conn.ip })
end }

local waiter = { accept = function(conn)
  tg.log.info("waits", { ip = conn.ip })
  tg.sleep(conn.ip == "127.0.0.2" and 30 or conn.ip == "127.0.0.3" and 1.5 or 0.3)
  tg.log.info("has waited", { ip = conn.ip })
end }

local hello = { client_hello = function(hello)
  local sni = hello.sni
  tg.log.info("hello", { sni = sni, ja3 = hello.ja3, ja4 = hello.ja4, alpn = table.concat(hello.alpn, " "),
    versions = table.concat(hello.versions, " "), cipher = hello.ciphers[1], ip = hello.client.ip,
    name = hello.listener })
  if hello.ja4:sub(1, 3) == "t12" then hello:use_certificate "old" end
  if sni == "by.name" then hello:use_certificate "second" end
  if sni == "by.dns" then hello:use_certificate "b.example" end
  if sni == "unknown.name" then hello:use_certificate "third" end
  if sni == "unknown.ca" then hello:ask_client_certificate "other.pem" end
  if sni == "own.ca" then hello:use_certificate "second" hello:ask_client_certificate() end
  if sni == "no.ca" then hello:ask_client_certificate() end
  if sni == "named.ca" then hello:ask_client_certificate "${extra_ca}" end
  if sni == "only.h1" then hello.alpn = "http/1.1" end
  if sni == "h1.first" then hello.alpn = { "http/1.1", "h2" } end
  if sni == "bad.alpn" then hello.alpn = { "h3" } end
  if sni == "refuse.me" then return hello:refuse() end
  if sni == "wait.me" then tg.sleep(0.2) hello:use_certificate "second" end
  if sni == "wait.long" then tg.sleep(30) tg.log.info "has waited long" end
end }

tg.listen { "127.0.0.1:${port}", name = "main", handlers = { { accept, word = "abc" }, second } }
tg.listen { "127.0.0.1:${port_wait}", handlers = { waiter } }
tg.listen { "127.0.0.1:${port_proxy}", name = "proxied", proxy_protocol = { "127.0.0.1" },
  handlers = { { accept, word = "proxied" } } }
tg.listen { "127.0.0.1:${port_tls}", name = "secure", handlers = { hello }, tls = {
  { cert = "${a_cert}", key = "${a_key}", name = "first" },
  { cert = "${b_cert}", key = "${b_key}", name = "second", client_ca = "${ca}" },
  { cert = "${c_cert}", key = "${c_key}", name = "old" },
  client_cas = { "${extra_ca}" },
} }
tg.route { request = function(req)
  local tls = req.client.tls
  local cert = tls and tls.cert
  respond = req.respond
  if req.path == "/stray" then refuse(req) end
  return req:respond(200, ("%s %s %s %s %s"):format(req.scheme, req.version, req.client.ip, req.client.peer_ip,
    cert and cert.subject_cn or "-"))
end }
]]

local edge, shop, other
local made = {}

local function start(options)
  shop, other = certificates.new(), certificates.new "Extra Authority"
  local variables = { ca = shop.ca, extra_ca = other.ca }
  for _, name in ipairs { "a", "b", "c" } do
    made[name] = shop:issue { names = { name .. ".example" } }
    variables[name .. "_cert"], variables[name .. "_key"] = made[name].chain, made[name].key
  end
  made.user = shop:issue { subject = "user", names = { "user.example" }, usage = "clientAuth" }
  made.guest = other:issue { subject = "guest", names = { "guest.example" }, usage = "clientAuth" }
  edge = gateway.start { config = CONFIG, variables = variables, workers = options and options.workers or 1 }
end

local function port(name)
  return edge.variables["port_" .. name]
end

local GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

local function counter(name)
  return edge:status().counters[name]
end

-- How much the counters change while `what` runs.
local function growth(names, what)
  local before, after = edge:status().counters, nil
  what()
  gateway.wait_until(function()
    after = edge:status().counters
    return after.connections_open == 0
  end)
  local result = {}
  for i, name in ipairs(names) do result[i] = after[name] - before[name] end
  return unpack(result)
end

-- No connection is left, and a request is answered as if nothing had been.
local function expect_calm()
  client.close_all()
  gateway.wait_until(function() return counter "connections_open" == 0 end)
  assert.equal(200, edge:request { path = "/" }.status)
end

local function from(ip, name)
  return client.connect(name and port(name) or edge.port, ip)
end

local function expect_closed_without_a_word(connection)
  assert.equal("", (connection:read_to_end(10)))
end

describe("accept", function()
  setup(start)
  before_each(gateway.begin_test)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  it("sees the connection, and the options of its use", function()
    local connection = edge:connect "127.0.0.10"
    edge:wait_error "accepts header=none ip=127.0.0.10 name=main o=abc peer=127.0.0.10 port=number"
    assert.equal(200, connection:send(GET) and connection:read_response().status)
  end)

  it("refuses, and those behind it aren't asked", function()
    local refused = growth({ "connections_refused" }, function()
      local connection = from "127.0.0.2"
      expect_closed_without_a_word(connection)
    end)
    assert.equal(1, refused)
    assert.is_nil(edge:errors():find("the second is asked ip=127.0.0.2", 1, true))
    edge:wait_error "the second is asked"
    expect_calm()
  end)

  it("refuses where the handler fails, and says where", function()
    local errors, refused = growth({ "script_errors", "connections_refused" }, function()
      expect_closed_without_a_word(from "127.0.0.3")
    end)
    assert.equal(1, errors)
    assert.equal(1, refused)
    edge:wait_error "script error in the accept phase"
    local text = edge:errors()
    assert.is_truthy(text:find("gateway.lua:%d+: the handler broke"))
    assert.is_truthy(text:find("stack traceback", 1, true))
    expect_calm()
  end)

  it("returns nothing, or what refuse gave", function()
    expect_closed_without_a_word(from "127.0.0.4")
    edge:wait_error "accept returned a string; a phase returns nothing, or what conn:refuse gave"
  end)

  it("has a handle that ends with it", function()
    local connection = from "127.0.0.5"
    assert.equal(200, connection:send(GET) and connection:read_response().status)
    expect_closed_without_a_word(from "127.0.0.6")
    edge:wait_error "the accept phase is over"
  end)

  it("says what can't be set, and how methods are called", function()
    expect_closed_without_a_word(from "127.0.0.7")
    edge:wait_error "conn.ip can't be set"
    expect_closed_without_a_word(from "127.0.0.8")
    edge:wait_error "methods are called with a colon, as in conn:refuse()"
  end)

  it("has methods of its own, which are no request's, and the other way round", function()
    local connection = from "127.0.0.11"
    assert.equal(200, connection:send(GET) and connection:read_response().status)
    assert.equal(500, edge:request { path = "/stray" }.status)
    edge:wait_error "a method of another kind of object: methods are called with a colon, as in conn:refuse()"
    expect_closed_without_a_word(from "127.0.0.12")
    edge:wait_error "a method of another kind of object: methods are called with a colon, as in req:respond(...)"
    expect_calm()
  end)

  it("ends its tasks with the phase", function()
    local connection = from "127.0.0.9"
    assert.equal(200, connection:send(GET) and connection:read_response().status)
    expect_calm()
    assert.is_nil(edge:errors():find("the task went on", 1, true))
  end)

  it("may wait, while others are served and what the client sends is kept", function()
    local waiting = from("127.0.0.5", "wait")
    waiting:send(GET)
    edge:wait_error "waits ip=127.0.0.5"
    assert.equal(200, edge:request { path = "/" }.status)
    waiting:send(GET)
    assert.equal(200, waiting:read_response().status)
    assert.equal(200, waiting:read_response().status)
  end)

  it("answers a client that ended its direction while the handler waited", function()
    local waiting = from("127.0.0.4", "wait")
    waiting:send "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    waiting:half_close()
    assert.equal(200, waiting:read_response().status)
  end)

  it("is cancelled when the client leaves", function()
    for _, how in ipairs { "close", "reset", "half_close" } do
      local cancels = growth({ "script_cancels" }, function()
        local connection = from("127.0.0.2", "wait")
        gateway.wait_until(function() return counter "connections_open" == 1 end)
        connection[how](connection)
      end)
      assert.equal(1, cancels, how)
    end
    assert.is_nil(edge:errors():find("has waited ip=127.0.0.2", 1, true))
    expect_calm()
  end)

  it("is cancelled when the time from the accept on is over [T11]", function()
    local cancels = growth({ "script_cancels" }, function()
      local connection = from("127.0.0.2", "wait")
      connection:send(GET)
      expect_closed_without_a_word(connection)
    end)
    assert.equal(1, cancels)
  end)

  it("fails where its VM is dropped under it", function()
    local waiting = from("127.0.0.2", "wait")
    gateway.wait_until(function() return counter "connections_open" == 1 end)
    edge:ask { command = "debug-drop-vm" }
    expect_closed_without_a_word(waiting)
    edge:wait_error "a handler of a connection was waiting in a VM that was dropped"
    expect_calm()
  end)
end)

describe("The PROXY header", function()
  setup(start)
  before_each(gateway.begin_test)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  local V1 = "PROXY TCP4 10.1.2.3 127.0.0.1 12345 80\r\n"

  it("says who the client is [N06]", function()
    local connection = from("127.0.0.1", "proxy")
    connection:send(V1 .. GET)
    assert.equal("http 1.1 10.1.2.3 10.1.2.3 -", connection:read_response().body)
    edge:wait_error([[accepts header="PROXY TCP4 10.1.2.3 127.0.0.1 12345 80\13\n" ip=10.1.2.3 name=proxied o=proxied ]]
      .. "peer=127.0.0.1 port=number")
    edge:wait_log(function(line) return line.ip == "10.1.2.3" and line.listener == "proxied" end)
  end)

  it("lets a handler refuse whom it names", function()
    local connection = from("127.0.0.1", "proxy")
    connection:send "PROXY TCP4 127.0.0.2 127.0.0.1 12345 80\r\n"
    expect_closed_without_a_word(connection)
  end)

  it("is taken byte by byte [N08]", function()
    local connection = from("127.0.0.1", "proxy")
    connection:send_byte_by_byte(V1 .. GET)
    assert.equal("http 1.1 10.1.2.3 10.1.2.3 -", connection:read_response().body)
  end)

  it("is demanded of a sender, and no header of anybody else [N06]", function()
    local sender = from("127.0.0.1", "proxy")
    sender:send(GET)
    expect_closed_without_a_word(sender)
    local stranger = from("127.0.0.20", "proxy")
    stranger:send(V1 .. GET)
    assert.equal(400, stranger:read_response().status)
    local plain = from("127.0.0.20", "proxy")
    plain:send(GET)
    assert.equal("http 1.1 127.0.0.20 127.0.0.20 -", plain:read_response().body)
  end)
end)

describe("client_hello", function()
  setup(start)
  before_each(gateway.begin_test)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  local function served(name, more)
    return s_client.certificate(port "tls", { "-servername", name, unpack(more or {}) })
  end

  -- A GET by curl: the body, the version of HTTP and curl's complaint.
  local function get(host, more)
    local arguments = { "-sSk", "--max-time", "10", "--resolve", ("%s:%d:127.0.0.1"):format(host, port "tls"), "-w",
      "\n%{http_version}" }
    for _, word in ipairs(more or {}) do arguments[#arguments + 1] = word end
    arguments[#arguments + 1] = ("https://%s:%d/"):format(host, port "tls")
    local _, output, errors = process.run { program = "curl", arguments = arguments }
    local body, version = output:match "^(.+)\n([%d.]+)$"
    return body, version, errors
  end

  it("sees what the client says of itself", function()
    served("look.example", { "-tls1_3", "-alpn", "h2,http/1.1" })
    edge:wait_error "hello"
    local line = edge:errors():match "hello ([^\n]*sni=look.example[^\n]*)"
    assert.is_truthy(line, edge:errors())
    assert.is_truthy(line:find([[alpn="h2 http/1.1"]], 1, true), line)
    assert.is_truthy(line:find("versions=TLSv1.3", 1, true), line)
    assert.is_truthy(line:find("cipher=TLS_AES_256_GCM_SHA384", 1, true), line)
    assert.is_truthy(line:find("ja3=" .. ("%x"):rep(32)), line)
    assert.is_truthy(line:find("ja4=t13d%d%d%d%dh2_" .. ("%x"):rep(12) .. "_" .. ("%x"):rep(12)), line)
    assert.is_truthy(line:find("ip=127.0.0.1 ", 1, true) and line:find("name=secure", 1, true), line)
  end)

  it("chooses the certificate by SNI, by name or DNS name, and by JA4", function()
    assert.equal(made.a.sha256, (served "nothing.special"))
    assert.equal(made.b.sha256, (served "by.name"))
    assert.equal(made.b.sha256, (served "by.dns"))
    assert.equal(made.c.sha256, (served("nothing.special", { "-tls1_2" })))
  end)

  it("says which certificates and authorities there are, where one is unknown", function()
    assert.is_nil((served "unknown.name"))
    edge:wait_error [[hello:use_certificate: unknown certificate "third": there are "first", "second", "old"]]
    assert.is_nil((served "unknown.ca"))
    edge:wait_error [[hello:ask_client_certificate: unknown CA "other.pem": there are ]]
    assert.is_nil((served "no.ca"))
    edge:wait_error "the certificate that is served has no client_ca"
  end)

  it("asks for a client's certificate: of the certificate's own CA, or of another", function()
    local user, guest = { "--cert", made.user.cert, "--key", made.user.key },
      { "--cert", made.guest.cert, "--key", made.guest.key }
    assert.is_nil((get "own.ca"))
    assert.is_nil((get("own.ca", guest)))
    assert.equal("https 2 127.0.0.1 127.0.0.1 user", (get("own.ca", user)))
    assert.is_nil((get("named.ca", user)))
    assert.equal("https 2 127.0.0.1 127.0.0.1 guest", (get("named.ca", guest)))
    assert.equal("https 2 127.0.0.1 127.0.0.1 -", (get "nothing.special"))
  end)

  it("decides for the name that it saw, and for no other host [T03]", function()
    for _, version in ipairs { "--http1.1", "--http2" } do
      local function of(sni, host) return (get(sni, { version, "-H", "Host: " .. host })) end
      for _, host in ipairs { "own.ca", "named.ca", "refuse.me", "some.other", "127.0.0.1" } do
        assert.is_truthy((of("nothing.special", host) or ""):find("^421"), host)
      end
      assert.is_truthy(of("nothing.special", "Nothing.Special.:443"):find("^https "))
      assert.is_truthy(of("127.0.0.1", "own.ca"):find("^421"))
      assert.is_truthy(of("127.0.0.1", "127.0.0.1"):find("^https "))
    end
  end)

  it("chooses the protocol", function()
    assert.equal("1.1", select(2, get "only.h1"))
    assert.equal("1.1", select(2, get "h1.first"))
    assert.equal("2", select(2, get "nothing.special"))
    assert.is_nil((get "bad.alpn"))
    edge:wait_error [[hello.alpn: "h2", "http/1.1" or a list of both expected, got h3]]
  end)

  it("refuses with an alert", function()
    local refused = growth({ "connections_refused" }, function()
      local found, text = served "refuse.me"
      assert.is_nil(found)
      assert.is_truthy(text:find "alert", text)
    end)
    assert.equal(1, refused)
  end)

  it("may wait, and its decision holds, also after a HelloRetryRequest", function()
    assert.equal(made.b.sha256, (served "wait.me"))
    assert.equal(made.b.sha256, (served("wait.me", { "-tls1_3", "-groups", "P-521:P-256:X25519" })))
    assert.equal(made.b.sha256, (served("wait.me", { "-tls1_2" })))
  end)

  -- A client in the middle of its handshake, whose ClientHello is there.
  local function greet(name)
    local handle = assert(socket.tcp())
    handle:settimeout(10)
    assert(handle:connect("127.0.0.1", port "tls"))
    local wrapped = assert(ssl.wrap(handle, { mode = "client", protocol = "any", verify = "none" }))
    wrapped:sni(name)
    wrapped:settimeout(0)
    wrapped:dohandshake()
    return wrapped
  end

  local function finish(wrapped, name)
    wrapped:settimeout(10)
    assert(wrapped:dohandshake())
    assert(wrapped:send("GET / HTTP/1.1\r\nHost: " .. name .. "\r\nConnection: close\r\n\r\n"))
    local text = wrapped:receive "*a"
    wrapped:close()
    return text
  end

  it("is cancelled when the client leaves, and when the time is over [T11]", function()
    local cancels = growth({ "script_cancels" }, function()
      local waiting = greet "wait.long"
      edge:wait_error "sni=wait.long"
      waiting:close()
    end)
    assert.equal(1, cancels)
    cancels = growth({ "script_cancels" }, function() greet "wait.long" end)
    assert.equal(1, cancels)
    assert.is_nil(edge:errors():find("has waited long", 1, true))
  end)

  it("waits for a hundred clients at once and leaks nothing", function()
    local cancels = growth({ "script_cancels" }, function()
      local waiting = {}
      for i = 1, 100 do waiting[i] = greet(i % 2 == 0 and "wait.me" or "wait.long") end
      for i = 2, 100, 2 do assert.is_truthy(finish(waiting[i], "wait.me"):find("https 1.1", 1, true)) end
      for i = 1, 100, 4 do waiting[i]:close() end
    end)
    assert.equal(50, cancels)
    expect_calm()
  end)

  it("tells the other requests nothing of it: clear text gets an answer that says what the port takes", function()
    local answer = client.request(port "tls", { path = "/" })
    assert.equal(400, answer.status)
    assert.is_truthy(answer.body:find("https://", 1, true))
  end)

  it("notes the version of TLS in the access log", function()
    get("nothing.special", { "--http1.1", "-A", "log" })
    local line = edge:wait_log(function(one) return one.tls ~= nil end)
    assert.is_truthy(line.tls:find "^TLSv1%.[23]$")
    edge:request { path = "/clear" }
    line = edge:wait_log(function(one) return one.path == "/clear" end)
    assert.is_nil(line.tls)
  end)
end)

describe("A reload while handlers wait", function()
  before_each(gateway.begin_test)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  local function is_there(generation)
    for _, one in ipairs(edge:generations().generations) do
      if one.generation == generation then return true end
    end
    return false
  end

  it("lets them end under their generation, which then goes", function()
    start()
    local waiting = from("127.0.0.3", "wait")
    waiting:send(GET)
    edge:wait_error "waits ip=127.0.0.3"
    edge:reload()
    edge:reload()
    assert.is_true(is_there(1))
    assert.is_nil(edge:errors():find "has waited ip=127.0.0.3")
    assert.equal(200, waiting:read_response().status)
    edge:wait_error "has waited ip=127.0.0.3"
    assert.is_truthy(edge:errors():find "has waited ip=127.0.0.3 %(request %-, handler gateway.lua:%d+, generation 1%)")
    gateway.wait_until(function() return not is_there(1) end)
  end)

  it("ends them where more generations came than are kept", function()
    start()
    local waiting = from("127.0.0.2", "wait")
    waiting:send(GET)
    edge:wait_error "waits ip=127.0.0.2"
    edge:write("gateway.lua", (CONFIG:gsub("tg.settings {", "tg.settings { generations = { keep = 2 },")))
    for _ = 1, 4 do edge:reload() end
    expect_closed_without_a_word(waiting)
    expect_calm()
  end)

  it("doesn't keep a stop from ending", function()
    start()
    local waiting = from("127.0.0.2", "wait")
    waiting:send(GET)
    edge:wait_error "waits ip=127.0.0.2"
    edge:stop()
    assert.is_truthy(waiting:is_closed())
  end)
end)
