-- What gateway.lua says of TLS, HTTP/2 and the handlers of listeners: what is taken, what is refused and how, and what
-- a reload does with changed certificates.
local certificates = require "t.support.certificates"
local client = require "t.support.client"
local config_host = require "config_host"
local gateway = require "t.support.gateway"
local process = require "t.support.process"
local s_client = require "t.support.s_client"
local socket = require "socket"
local ssl = require "ssl"

local HEAD = 'local tg = require "tidegate"\ntg.listen "127.0.0.1:1"\n'

-- Files by name, for words that are read without the gateway: what is in them doesn't matter there.
local FILES = {
  ["a.pem"] = "a", ["a.key"] = "ak", ["b.pem"] = "b", ["b.key"] = "bk", ["a.ocsp"] = "o", ["b.ocsp"] = "o2",
  ["ca.pem"] = "c", ["staff.pem"] = "s",
}

local function configure(text)
  local files = { ["gateway.lua"] = HEAD .. text }
  for name, content in pairs(FILES) do files[name] = content end
  return config_host.configure(files)
end

local function planned(text)
  local plan, why = configure(text)
  assert(plan, why)
  return plan, why
end

local function refused(text, ...)
  local plan, why = configure(text)
  assert.is_nil(plan, "it was accepted: " .. text)
  for _, part in ipairs { "gateway.lua:3: ", ... } do
    assert(why:find(part, 1, true), ("no %q in: %s"):format(part, why))
  end
end

local function listener(fields) return ('tg.listen { "127.0.0.1:2", %s }'):format(fields) end
local function certificate(fields) return listener(('tls = { cert = "a.pem", key = "a.key", %s }'):format(fields)) end
local function upstream(fields) return ('tg.upstream "u" { "127.0.0.1:3", %s }'):format(fields) end

describe("tls of a listener", function()
  it("is one certificate, with all that belongs to it and to the list", function()
    local plan = planned(listener [[tls = {
      cert = { "a.pem", "b.pem" }, key = { "a.key", "b.key" }, ocsp = { "a.ocsp", "b.ocsp" }, name = "first",
      client_ca = "ca.pem", client_auth = "require", client_cas = { "staff.pem" }, policy = "modern", http2 = false,
      unknown_names = "refuse", session_life = 3600,
    }]])
    local tls = plan.listeners[2].tls
    local first = tls.certificates[1]
    assert.equal(1, #tls.certificates)
    assert.same({ "first", "a.pem", "a.key", "b.pem", "b.key", "a.ocsp", "b.ocsp", "ca.pem", "require" }, {
      first.name, first.cert.path, first.key.path, first.cert2.path, first.key2.path, first.ocsp.path,
      first.ocsp2.path, first.client_ca.path, first.client_auth,
    })
    assert.same({ "staff.pem", "modern", false, "refuse", 3600 },
      { tls.client_cas[1].path, tls.policy, tls.http2, tls.unknown_names, tls.session_life })
  end)

  it("is a list, whose defaults are those of one", function()
    local plan = planned(listener [[tls = {
      { cert = "a.pem", key = "a.key" }, { cert = "b.pem", key = "b.key", client_ca = "ca.pem" }, http2 = true,
    }]])
    local tls = plan.listeners[2].tls
    assert.same({ "none", "optional" }, { tls.certificates[1].client_auth, tls.certificates[2].client_auth })
    assert.same({ "intermediate", true, "default", 86400, {} },
      { tls.policy, tls.http2, tls.unknown_names, tls.session_life, tls.client_cas })
    assert.is_nil(plan.listeners[1].tls)
  end)

  it("is refused where it says something wrong, with the line of the word", function()
    refused(listener "tls = true", 'tg.listen: tls: { cert = "a.pem"')
    refused(listener "tls = {}", "tls: a certificate is missing")
    refused(listener 'tls = { cert = "a.pem" }', "tls: the certificate's key is missing")
    refused(listener 'tls = { { cert = "a.pem", key = "a.key" }, { key = "b.key" } }',
      "tls[2]: a certificate is missing")
    refused(listener 'tls = { cert = "none.pem", key = "a.key" }', "tls.cert: none.pem: no such file")
    refused(listener 'tls = { cert = { "a.pem", "b.pem" }, key = "a.key" }', "cert has 2 and key 1")
    refused(listener 'tls = { cert = { "a.pem", "b.pem", "ca.pem" }, key = "a.key" }', "tls.cert: at most two")
    refused(listener 'tls = { cert = 3, key = "a.key" }', "tls.cert: the path of a file expected, got 3")
    refused(certificate 'ocsp = { "a.ocsp", "b.ocsp" }', "ocsp has more files than cert")
    refused(certificate 'client_auth = "require"', 'client_auth = "require" needs client_ca')
    refused(certificate 'client_auth = "optional"', 'client_auth = "optional" needs client_ca')
    refused(certificate 'client_auth = "required", client_ca = "ca.pem"', 'did you mean "require"?')
    refused(certificate 'client_ca = "none.pem"', "tls.client_ca: none.pem: no such file")
    refused(certificate 'client_cas = { "ca.pem", "none.pem" }', "tls.client_cas[2]: none.pem: no such file")
    refused(certificate 'polcy = "modern"', 'unknown field "polcy" (did you mean "policy"?)')
    refused(certificate 'policy = "old"', '"intermediate" or "modern" expected, got "old"')
    refused(certificate "http2 = 1", "tls.http2: true or false expected, got 1")
    refused(certificate 'unknown_names = "drop"', "tls.unknown_names: ")
    refused(certificate "session_life = 604801", "tls.session_life: ")
    refused(certificate "session_life = 0", "tls.session_life: ")
    refused(listener 'tls = { { cert = "a.pem", key = "a.key", policy = "modern" } }',
      "tls[1].policy: belongs to the whole list")
    refused(listener 'tls = { { cert = "a.pem", key = "a.key" }, client_ca = "ca.pem" }',
      "tls.client_ca: belongs to a certificate")
  end)

  it("tells two contents of a file apart in the plan, and keeps them out of it", function()
    local text = certificate "name = 'x'"
    local plan, config = planned(text)
    local before = config.serialise(plan)
    assert.is_nil(before:find("ak", 1, true))
    FILES["a.key"] = "another"
    local again, other = planned(text)
    FILES["a.key"] = "ak"
    assert.truthy(config.difference(before, other.serialise(again)):find "key%.sha256")
  end)
end)

describe("a listener", function()
  it("may redirect, name senders of PROXY headers and have handlers", function()
    local plan = planned [[
local h = { accept = function() end }
tg.listen { "127.0.0.1:2", redirect_to = "https" }
tg.listen { "127.0.0.1:3", "[::1]:3", redirect_to = "https:8443", handlers = { h } }
tg.listen { "127.0.0.1:4", proxy_protocol = { "10.0.0.0/8", "::1" }, handlers = { h, { accept = h.accept } } }]]
    local ports = {}
    for i, entry in ipairs(plan.listeners) do ports[i] = entry.redirect_port or 0 end
    assert.same({ 0, 443, 8443, 8443, 0 }, ports)
    assert.same({ "10.0.0.0/8", "::1/128" }, plan.listeners[5].proxy_protocol)
    assert.same({ {}, {}, { 1 }, { 1 }, { 2, 3 } }, {
      plan.listeners[1].uses, plan.listeners[2].uses, plan.listeners[3].uses, plan.listeners[4].uses,
      plan.listeners[5].uses,
    })
    assert.same({ "accept" }, plan.uses[1].phases)
  end)

  it("is refused where these are wrong", function()
    refused(listener 'redirect_to = "http"', 'redirect_to: "https" or "https:8443" expected')
    refused(listener 'redirect_to = "https:0"', "redirect_to: ")
    refused(listener "redirect_to = true", "redirect_to: ")
    refused(certificate "}, redirect_to = 'https', name = { ", "name: ")
    refused('tg.listen { "127.0.0.1:2", redirect_to = "https", tls = { cert = "a.pem", key = "a.key" } }',
      "redirect_to is for a listener without tls")
    refused(listener "proxy_protocol = {}", "proxy_protocol: an empty list")
    refused(listener "proxy_protocol = true", "proxy_protocol: a list of networks")
    refused(listener 'proxy_protocol = { "10.0.0.0/33" }', "proxy_protocol[1]: ")
    refused(listener "accept = function() end", "accept: a phase by itself goes into handlers")
    refused(listener "redirekt_to = 'https'", 'did you mean "redirect_to"?')
    refused(listener 'redirect_to = "https", name = "r"' .. ' tg.route { listener = "r", respond = 200 }',
      'listener "r" redirects all requests')
    refused('tg.listen "127.0.0.1:1"', "declared twice")
  end)

  it("has handlers of its own, and routes have theirs", function()
    refused(listener "handlers = { { request = function() end } }",
      'phase "request" belongs to the handlers of routes: a listener\'s have "accept" and "client_hello"')
    refused(listener "handlers = { { accept = function() end, log = function() end } }", 'phase "log" belongs to')
    refused(listener "handlers = { { init = function() end } }", 'a listener\'s handler has "accept" or "client_hello"')
    refused(listener "handlers = { { acept = function() end } }", 'did you mean "accept"?')
    refused(listener "handlers = { { client_hello = function() end } }", ": handlers: client_hello never comes",
      "has no tls")
    refused('tg.route { handlers = { { accept = function() end, request = function() end } } }',
      'phase "accept" belongs to the handlers of tg.listen')
    refused('tg.use { { client_hello = function() end } }', 'phase "client_hello" belongs to the handlers of tg.listen')
    refused("tg.route { respond = 200, accept = function() end }", "accept: belongs to the handlers of tg.listen")
    refused("tg.group { client_hello = function() end }", "client_hello: belongs to the handlers of tg.listen")
    local plan = planned(listener [[tls = { cert = "a.pem", key = "a.key" },
      handlers = { { accept = function() end, client_hello = function() end } }]])
    assert.same({ "accept", "client_hello" }, plan.uses[1].phases)
  end)
end)

describe("an upstream", function()
  it("speaks TLS and HTTP/2 where it is told to", function()
    local plan = planned [[
tg.upstream "a" { "127.0.0.1:3" }
tg.upstream "b" { "127.0.0.1:3", tls = true, protocol = "h2", timeouts = { tls = 2 },
  pool = { streams = 7, connections = 9 } }
tg.upstream "c" { "unix:/run/x", protocol = "h1",
  tls = { sni = "X.example", ca = "ca.pem", cert = "a.pem", key = "a.key" } }
tg.upstream "d" { "unix:/run/x", tls = { verify = false } }
tg.upstream "e" { "127.0.0.1:3", tls = false, protocol = "auto" }
tg.route { timeouts = { tls = 3 }, upstream = "a" }]]
    local a, b, c, d, e = unpack(plan.upstreams)
    assert.same({ "auto", nil, 5, 100, 32 }, { a.protocol, a.tls, a.timeouts.tls, a.pool.streams, a.pool.connections })
    assert.same({ "h2", true, 2, 7, 9 },
      { b.protocol, b.tls.verify, b.timeouts.tls, b.pool.streams, b.pool.connections })
    assert.same({ "h1", true, "x.example", "ca.pem", "a.pem", "a.key" },
      { c.protocol, c.tls.verify, c.tls.sni, c.tls.ca.path, c.tls.cert.path, c.tls.key.path })
    assert.is_false(d.tls.verify)
    assert.is_nil(e.tls)
    assert.equal(3, plan.routes[1].timeouts.tls)
  end)

  it("is refused where that is wrong", function()
    refused(upstream 'tls = "yes"', "tls: true or { sni, ca, cert, key, verify } expected")
    refused(upstream 'tls = { cert = "a.pem" }', "tls: cert and key: one of them is missing")
    refused(upstream 'tls = { key = "a.key" }', "tls: cert and key: one of them is missing")
    refused(upstream 'tls = { ca = "none.pem" }', "tls.ca: none.pem: no such file")
    refused(upstream 'tls = { ca = "ca.pem", verify = false }', "tls: ca has no use where verify = false")
    refused(upstream 'tls = { sni = "*.example" }', "tls.sni: a name such as")
    refused(upstream 'tls = { verfy = false }', 'tls: unknown field "verfy" (did you mean "verify"?)')
    refused(upstream 'tls = { verify = 0 }', "tls.verify: true or false expected")
    refused('tg.upstream "u" { "unix:/run/x", tls = true }', '"unix:/run/x" has no name', "give sni")
    refused(upstream 'protocol = "h3"', '"auto" or "h1" or "h2" expected, got "h3"')
    refused(upstream "pool = { streams = 0 }", "pool.streams: ")
    refused(upstream "pool = { connections = 4097 }", "pool.connections: ")
    refused(upstream "timeouts = { tls = false }", "timeouts.tls: ")
  end)
end)

describe("the settings", function()
  it("say what HTTP/2 may do, how tickets are kept and whether FIPS is asked for", function()
    local plan = planned [[tg.settings { fips = true, tls = { ticket_rotation = 60, key_log = "keys" },
      http2 = { streams = 1000, window = 2 * tg.MB, connection_window = 4 * tg.MB, resets = 20000, control = 1,
        idle_frames = 2, continuations = 3, queued = 4 } }]]
    assert.is_true(plan.settings.fips)
    assert.same({ ticket_rotation = 60, key_log = "keys" }, plan.settings.tls)
    assert.same({ streams = 1000, window = 2 ^ 21, connection_window = 2 ^ 22, resets = 20000, control = 1,
      idle_frames = 2, continuations = 3, queued = 4 }, plan.settings.http2)
    local usual = planned("").settings
    assert.same({ false, 28800, 128 }, { usual.fips, usual.tls.ticket_rotation, usual.http2.streams })
  end)

  it("are refused where that is wrong", function()
    local function settings(fields, ...) refused(("tg.settings { %s }"):format(fields), ...) end
    settings("http2 = { strems = 1 }", 'http2: unknown field "strems" (did you mean "streams"?)')
    for _, field in ipairs { "streams", "window", "connection_window", "resets", "control", "idle_frames",
      "continuations", "queued" } do
      settings(("http2 = { %s = 0 }"):format(field), "http2." .. field .. ": an integer from ")
      settings(("http2 = { %s = 1e12 }"):format(field), "http2." .. field .. ": an integer from ")
      settings(("http2 = { %s = false }"):format(field), "http2." .. field .. ": an integer from ")
    end
    settings("http2 = { window = 2 * tg.MB }", "connection_window (1048576) is smaller than window (2097152)")
    settings("tls = { ticket_rotation = 0 }", "tls.ticket_rotation: ")
    settings("tls = { key_log = true }", "tls.key_log: ")
    settings("fips = 1", "fips: true or false expected, got 1")
    refused("tg.route { timeouts = { tls = 0 }, respond = 200 }", "timeouts.tls: ")
  end)
end)

local CONFIG = [[
local tg = require "tidegate"
tg.settings { access_log = "${folder}/access.log" }
tg.listen { "127.0.0.1:${port}", tls = { { cert = "tls/a.pem", key = "tls/a.key" } } }
tg.route { respond = { 200, "one" } }
]]

local SNI = { "-servername", "a.example" }

describe("certificates of the gateway", function()
  local shop

  before_each(function()
    gateway.begin_test()
    shop = certificates.new()
  end)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  local function take_in(self, name, issued)
    self:write("tls/" .. name .. ".pem", process.read_file(issued.cert))
    self:write("tls/" .. name .. ".key", process.read_file(issued.key))
  end

  local function prepare(config)
    local self = gateway.prepare { config = config or CONFIG }
    local issued = shop:issue { names = { "a.example", "*.a.example" }, fresh_key = true }
    take_in(self, "a", issued)
    return self, issued
  end

  local function start(config, arguments)
    local self, issued = prepare(config)
    self:launch { workers = 2, arguments = arguments }
    return self:wait_ready(), issued
  end

  local function check(self, ...)
    return gateway.run { "check", "-c", self.folder .. "/gateway.lua", ... }
  end

  local function assert_served(self, issued)
    assert.equal(issued.sha256, s_client.certificate(self.port, SNI))
  end

  it("are read from the folder of gateway.lua; what is wrong with them is said with file, line and reason [T06]",
    function()
      local self = prepare()
      local result = check(self)
      assert.equal(0, result.code, result.errors)
      local function refuses(...)
        local bad = check(self)
        assert.equal(1, bad.code)
        for _, part in ipairs { "gateway.lua:3: tg.listen: tls", ... } do
          assert(bad.errors:find(part, 1, true), part .. " isn't in " .. bad.errors)
        end
      end
      local other = shop:issue { names = { "b.example" }, fresh_key = true }
      self:write("tls/a.key", process.read_file(other.key))
      refuses("tls/a.key: doesn't belong to tls/a.pem")
      os.remove(self.folder .. "/tls/a.key")
      refuses(".key: tls/a.key: No such file or directory")
      self:write("tls/a.key", "no key at all\n")
      refuses "tls/a.key"
      take_in(self, "a", other)
      self:write("gateway.lua", (CONFIG:gsub("{ cert", '{ client_ca = "tls/ca.pem", cert')))
      self:write("tls/ca.pem", "no authority\n")
      refuses "tls/ca.pem"
      os.remove(self.folder .. "/tls/ca.pem")
      refuses(".client_ca: tls/ca.pem: No such file or directory")
    end)

  it("that are wrong refuse a reload, and the old ones go on serving; a good one serves at once", function()
    local self, first = start()
    assert_served(self, first)
    local second = shop:issue { names = { "a.example" }, fresh_key = true }
    self:write("tls/a.pem", process.read_file(second.cert))
    local result = self:command "reload"
    assert.equal(1, result.code)
    assert.truthy(result.errors:find("gateway.lua:3: tg.listen: tls: tls/a.key: doesn't belong to", 1, true),
      result.errors)
    assert_served(self, first)
    self:write("tls/a.key", process.read_file(second.key))
    self:reload()
    assert_served(self, second)
  end)

  it("come back with a rollback, though the files are others by now", function()
    local self, first = start()
    local second = shop:issue { names = { "a.example" }, fresh_key = true }
    take_in(self, "a", second)
    self:reload()
    take_in(self, "a", shop:issue { names = { "c.example" }, fresh_key = true })
    assert.equal(0, self:command("rollback").code)
    assert_served(self, first)
    assert.equal(0, self:command("rollback").code)
    assert_served(self, second)
  end)

  it("stay with a generation whose VMs are built again", function()
    local self, first = start()
    take_in(self, "a", shop:issue { names = { "a.example" }, fresh_key = true })
    assert.equal(0, self:command("debug-drop-vm").code)
    assert_served(self, first)
  end)

  it("are watched by --watch", function()
    local self, first = start(CONFIG, { "--watch" })
    assert_served(self, first)
    local second = shop:issue { names = { "a.example" }, fresh_key = true }
    take_in(self, "a", second)
    gateway.wait_until(function() return s_client.certificate(self.port, SNI) == second.sha256 end, 20,
      "the new certificate")
  end)

  it("that end soon are warned of, as is an upstream that isn't verified", function()
    local self = prepare(CONFIG .. 'tg.upstream "u" { "127.0.0.1:1", tls = { verify = false } }\n')
    take_in(self, "a", shop:issue { names = { "a.example" }, ends = 3 * 86400 })
    local result = check(self)
    assert.equal(0, result.code, result.errors)
    assert.truthy(result.errors:find("gateway.lua:3: tg.listen: tls: tls/a.pem: ", 1, true), result.errors)
    assert.truthy(result.errors:find('gateway.lua:5: tg.upstream: "u": tls: verify = false', 1, true), result.errors)
    assert.truthy(check(self, "--json").output:find("verify = false", 1, true))
    self:launch { workers = 1 }
    self:wait_ready()
    self:wait_error 'warn loader: gateway.lua:5: tg.upstream: "u": tls: verify = false'
  end)

  it("that have expired are warned of, and called so by status", function()
    local self = prepare()
    take_in(self, "a", shop:issue { names = { "a.example" }, begins = -20 * 86400, ends = -86400 })
    self:launch { workers = 1 }
    self:wait_ready()
    self:wait_error "has expired"
    local shown = self:command("status").output
    assert.truthy(shown:find "\n    expired 20%d%d%-%d%d%-%d%d: a%.example\n", shown)
    take_in(self, "a", shop:issue { names = { "a.example" } })
    self:reload()
    shown = self:command("status").output
    assert.truthy(shown:find "\n    until 20%d%d%-%d%d%-%d%d: a%.example\n", shown)
  end)

  it("are shown by status, beside upstream's peers, which protocol and TLS tell apart [X01] [X02]", function()
    local self = start(CONFIG .. [[
tg.listen { "127.0.0.1:${port_clear}", redirect_to = "https:8443", name = "clear" }
tg.upstream "a" { "127.0.0.1:9", tls = true, protocol = "h2" }
tg.upstream "b" { "127.0.0.1:9", protocol = "h2" }
tg.upstream "c" { "127.0.0.1:9" }
tg.upstream "d" { "127.0.0.1:9", protocol = "h1" }
tg.upstream "e" { "127.0.0.1:9", tls = { sni = "e.example" } }
]])
    local status = self:status()
    local by_name = {}
    for _, entry in ipairs(status.listeners) do by_name[entry.name] = entry end
    local served = by_name["127.0.0.1:" .. self.port].certificates[1]
    assert.same({ "a.example", "*.a.example" }, served.names)
    assert.truthy(served.ends_at:find "^20%d%d%-%d%d%-%d%dT")
    assert.equal(8443, by_name.clear.redirect_port)
    local peers = {}
    for i, peer in ipairs(status.upstreams) do peers[i] = peer.protocol .. (peer.tls and " tls" or " clear") end
    table.sort(peers)
    assert.same({ "auto tls", "h1 clear", "h2 clear", "h2 tls" }, peers) -- "auto" without TLS is "h1": one peer
    assert.truthy(status.libraries.openssl:find "^3%.")
    assert.truthy(status.libraries.nghttp2:find "^1%.")
    assert.is_false(status.libraries.fips)
    local shown = self:command("status").output
    assert.truthy(shown:find("redirects to https at port 8443", 1, true), shown)
    assert.truthy(shown:find("a.example, *.a.example", 1, true), shown)
    assert.truthy(shown:find("h2 over TLS", 1, true), shown)
    assert.truthy(gateway.run({ "--version" }).output:find "OpenSSL 3%.[%d.]+, nghttp2 1%.%d+")
  end)

  local function ask(connection)
    connection:send "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
    return connection:read_response().body
  end

  it("come to a listener that had none, without another socket; its old connections stay clear", function()
    local clear = CONFIG:gsub(", tls = .-} }", "")
    local self, issued = start(clear)
    local connection = self:connect()
    assert.equal("one", ask(connection))
    self:write("gateway.lua", CONFIG)
    self:reload()
    assert.equal("one", ask(connection))
    assert_served(self, issued)
    self:write("gateway.lua", clear)
    self:reload()
    assert.equal("one", self:request({ path = "/" }).body)
  end)

  -- A connection that stays open; `shown`: the client's certificate.
  local function connect_secure(self, shown)
    local handle = assert(socket.connect("127.0.0.1", self.port))
    local wrapped = assert(ssl.wrap(handle, {
      mode = "client", protocol = "any", verify = "none", certificate = shown and shown.cert, key = shown and shown.key,
    }))
    wrapped:settimeout(10)
    wrapped:sni "a.example"
    assert(wrapped:dohandshake())
    return wrapped
  end

  local function status_over(wrapped)
    assert(wrapped:send "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
    local status = tonumber(assert(wrapped:receive "*l"):match "^HTTP/1.1 (%d+)")
    local length = 0
    for line in function() return wrapped:receive "*l" end do
      if line == "" then break end
      length = tonumber(line:match "^[Cc]ontent%-[Ll]ength: (%d+)") or length
    end
    assert.equal(length, #assert(wrapped:receive(length)))
    return status
  end

  it("that a listener asks of clients from a reload on are asked of those who came before, too [T03]", function()
    local asks = CONFIG:gsub("a.key\" }", "a.key\", client_ca = \"tls/ca.pem\" }")
    local self = prepare(asks)
    self:write("tls/ca.pem", process.read_file(shop.ca))
    self:launch()
    self:wait_ready()
    local user = shop:issue { subject = "user", names = { "user.example" }, usage = "clientAuth" }
    local known, nobody = connect_secure(self, user), connect_secure(self)
    assert.equal(200, status_over(known))
    assert.equal(200, status_over(nobody))
    self:write("gateway.lua", (asks:gsub("client_ca =", "client_auth = \"require\", client_ca =")))
    self:reload()
    assert.equal(200, status_over(known))
    assert.equal(421, status_over(nobody))
    known:close()
    nobody:close()
  end)

  it("guard those, too, who wait in the queue of a listener that a reload takes away", function()
    local config = CONFIG:gsub("tg.listen", 'tg.listen "127.0.0.1:${port_clear}"\n%0', 1)
    config = config:gsub("access.log\"", "access.log\", limits = { connections = 1 }")
    local self = prepare(config)
    self:launch { workers = 1 }
    self:wait_ready()
    local holder = client.connect(self.variables.port_clear)
    assert.equal("one", ask(holder))
    local queued = client.connect(self.variables.port)
    queued:send "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    self:write("gateway.lua", (config:gsub("tg.listen {[^\n]+", "")))
    self:reload()
    holder:close()
    assert.equal("", (queued:read_to_end(10)))
  end)

  it("are waited for at an upstream no longer than its limit, or the route's, says: 504", function()
    local silent = assert(socket.bind("127.0.0.1", 0))
    local _, silent_port = silent:getsockname()
    local self = start(CONFIG:gsub("tg.route.*", "") .. ([[
tg.listen { "127.0.0.1:${port_clear}" }
tg.upstream "u" { "127.0.0.1:%d", tls = { verify = false }, timeouts = { connect = 0.2, tls = 2 }, retry = false }
tg.route { path = "/upstream", upstream = "u", timeouts = { total = 20 } }
tg.route { path = "/route", upstream = "u", timeouts = { tls = 0.1, total = 20 } }
]]):format(silent_port))
    local function seconds_of(path)
      local began = socket.gettime()
      assert.equal(504, client.request(self.variables.port_clear, { path = path }).status)
      return socket.gettime() - began
    end
    local of_upstream, of_route = seconds_of "/upstream", seconds_of "/route"
    silent:close()
    assert.is_true(of_upstream >= 1.9, "too soon: " .. of_upstream)
    assert.is_true(of_route < 1.9, "too late: " .. of_route)
  end)

  it("leave their secrets in the file that the settings name, and nowhere else", function()
    local self = start((CONFIG:gsub("settings {", 'settings { tls = { key_log = "keys.log" },')))
    s_client.get(self.port, SNI, "a.example")
    gateway.wait_until(function()
      return process.read_file(self.folder .. "/keys.log"):find "SERVER_HANDSHAKE_TRAFFIC_SECRET"
    end, 10, "the secrets")
  end)

  it("have sessions that are resumed until the keys of tickets have changed twice", function()
    local self = start((CONFIG:gsub("settings {", "settings { tls = { ticket_rotation = 3 },")))
    local session = self.folder .. "/session.pem"
    local words = { "-servername", "a.example", "-tls1_2" }
    local function run(...)
      local all = { unpack(words) }
      for _, word in ipairs { ... } do all[#all + 1] = word end
      local _, text = s_client.run(self.port, all, "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
      return text
    end
    assert.truthy(run("-sess_out", session):find "New, TLSv1.2")
    assert.truthy(run("-sess_in", session):find "Reused, TLSv1.2")
    gateway.wait_until(function() return run("-sess_in", session):find "New, TLSv1.2" end, 20, "a new session")
  end)

  it("need a FIPS provider where the settings ask for it; another choice needs a restart", function()
    local self = prepare()
    self:write("gateway.lua", (CONFIG:gsub("settings {", "settings { fips = true,")))
    local result = check(self)
    if result.code == 0 then return pending "a FIPS provider is installed here" end
    assert.equal(1, result.code)
    assert.truthy(result.errors:find("gateway.lua:2: tg.settings: fips: ", 1, true), result.errors)
    result = gateway.run { "run", "-c", self.folder .. "/gateway.lua", "--socket", self.socket }
    assert.equal(1, result.code)
    assert.truthy(result.errors:find("gateway.lua:2: tg.settings: fips: ", 1, true), result.errors)
    local running, issued = start()
    running:write("gateway.lua", (CONFIG:gsub("settings {", "settings { fips = true,")))
    result = running:command "reload"
    assert.equal(1, result.code)
    assert.truthy(result.errors:find("gateway.lua:2: tg.settings: fips = true needs a restart", 1, true), result.errors)
    assert_served(running, issued)
  end)
end)
