-- TLS toward clients: who gets which certificate and under which rules, as openssl s_client, curl and node see it.
local certificates = require "t.support.certificates"
local cjson = require "cjson.safe"
local client = require "t.support.client"
local gateway = require "t.support.gateway"
local node = require "t.support.node"
local process = require "t.support.process"
local s_client = require "t.support.s_client"

local CONFIG = [[
local tg = require "tidegate"
tg.settings { access_log = "${folder}/access.log", timeouts = { header = 2 } }
local alpha = { cert = { "${alpha_cert}", "${rsa_cert}" }, key = { "${alpha_key}", "${rsa_key}" }, ocsp = "${ocsp}" }
local wild = { cert = "${wild_cert}", key = "${wild_key}" }
local demand = { cert = "${demand_cert}", key = "${demand_key}", client_ca = "${ca}", client_auth = "require" }
local wish = { cert = "${wish_cert}", key = "${wish_key}", client_ca = "${ca}", client_auth = "optional" }
tg.listen { "127.0.0.1:${port}", tls = { alpha, wild, demand, wish } }
tg.listen { "127.0.0.1:${port_refuse}", tls = { alpha, unknown_names = "refuse" } }
tg.listen { "127.0.0.1:${port_modern}", tls = { alpha, policy = "modern" } }
tg.listen { "127.0.0.1:${port_h1}", tls = { alpha, http2 = false } }
tg.listen { "127.0.0.1:${port_short}", tls = { alpha, session_life = 2 } }
tg.route { path = "/*", request = function(req)
  local tls = req.client.tls
  local cert = tls.cert
  req:set_response_header("x-worker", tostring(tg.worker.id))
  return req:respond(200, tg.json.encode {
    version = tls.version, cipher = tls.cipher, sni = tls.sni, alpn = tls.alpn, ja3 = tls.ja3, ja4 = tls.ja4,
    host = req.host, scheme = req.scheme, http = req.version, worker = tg.worker.id,
    cert = cert and { verified = cert.verified, subject_cn = cert.subject_cn, sans = cert.sans, sha256 = cert.sha256 },
  })
end }
]]

local edge, shop
local made = {}

local function issue()
  made.alpha = shop:issue { names = { "alpha.example" } }
  made.rsa = shop:issue { names = { "alpha.example" }, kind = "rsa" }
  made.wild = shop:issue { names = { "wild.example", "*.wild.example" } }
  made.demand = shop:issue { names = { "demand.example", "*.demand.example" } }
  made.wish = shop:issue { names = { "wish.example" } }
  made.user = shop:issue { subject = "user one", names = { "user.example", "10.1.2.3" }, usage = "clientAuth" }
  made.stranger = certificates.new("Another Authority"):issue { names = { "user.example" }, usage = "clientAuth" }
end

local function start()
  shop = certificates.new()
  issue()
  local variables = { ca = shop.ca, ocsp = shop:ocsp(made.alpha) }
  for _, name in ipairs { "alpha", "rsa", "wild", "demand", "wish" } do
    variables[name .. "_cert"], variables[name .. "_key"] = made[name].chain, made[name].key
  end
  edge = gateway.start { config = CONFIG, variables = variables, workers = 2 }
end

local function port(name)
  return edge.variables[name and "port_" .. name or "port"]
end

local function served(name, more, which)
  local words = name and { "-servername", name } or { "-noservername" }
  for _, word in ipairs(more or {}) do words[#words + 1] = word end
  return s_client.certificate(port(which), words)
end

-- A GET by curl; gives what the handler said, or nil and curl's complaint.
local function get(host, more)
  local arguments = { "-sS", "--max-time", "10", "--cacert", shop.ca, "--resolve",
    ("%s:%d:127.0.0.1"):format(host, port()), "-w", "\n%{http_code} %{http_version}" }
  for _, word in ipairs(more or {}) do arguments[#arguments + 1] = word end
  arguments[#arguments + 1] = ("https://%s:%d/"):format(host, port())
  local _, output, errors = process.run { program = "curl", arguments = arguments }
  local body, status, version = output:match "^(.*)\n(%d+) ([%d.]+)$"
  return cjson.decode(body or ""), errors, tonumber(status), version
end

describe("TLS", function()
  setup(start)
  before_each(gateway.begin_test)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  it("serves the certificate of the name: exact, wildcard, else the first [T04]", function()
    for name, which in pairs {
      ["alpha.example"] = "alpha", ["wild.example"] = "wild", ["x.wild.example"] = "wild",
      ["DEMAND.example"] = "demand", ["X.Wild.EXAMPLE"] = "wild", ["a.b.wild.example"] = "alpha",
      ["nobody.example"] = "alpha",
    } do
      local got, text = served(name)
      assert.equal(made[which].sha256, got, name .. ": " .. text:sub(1, 2000))
    end
    assert.equal(made.alpha.sha256, (served(nil)))
  end)

  it("serves ECDSA and RSA to whom each suits", function()
    assert.equal(made.alpha.sha256, (served("alpha.example")))
    assert.equal(made.rsa.sha256, (served("alpha.example", { "-sigalgs", "RSA-PSS+SHA256" })))
    assert.equal(made.rsa.sha256, (served("alpha.example", { "-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256" })))
    assert.equal(made.alpha.sha256,
      (served("alpha.example", { "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256" })))
  end)

  it("refuses a name that it has no certificate for, where it is told to", function()
    assert.equal(made.alpha.sha256, (served("alpha.example", nil, "refuse")))
    local got, text = served("nobody.example", nil, "refuse")
    assert.is_nil(got)
    assert.is_truthy(text:find "unrecognized name", text)
  end)

  it("takes TLS 1.2 and 1.3 and nothing older; under 'modern' only 1.3", function()
    assert.equal(made.alpha.sha256, (served("alpha.example", { "-tls1_2" })))
    assert.equal(made.alpha.sha256, (served("alpha.example", { "-tls1_3" })))
    assert.is_nil((served("alpha.example", { "-tls1_1", "-cipher", "ALL:@SECLEVEL=0" })))
    assert.equal(made.alpha.sha256, (served("alpha.example", { "-tls1_3" }, "modern")))
    local got, text = served("alpha.example", { "-tls1_2" }, "modern")
    assert.is_nil(got)
    assert.is_truthy(text:find "protocol version", text)
  end)

  it("takes no cipher without forward secrecy", function()
    for _, cipher in ipairs { "AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA", "AES256-SHA" } do
      assert.is_nil((served("alpha.example", { "-tls1_2", "-cipher", cipher })), cipher)
    end
  end)

  it("agrees on h2 before http/1.1, and on nothing with a client that speaks neither [T09]", function()
    local function agreed(list, which)
      local _, text = served("alpha.example", list and { "-alpn", list }, which)
      return text:match "ALPN protocol: (%S+)", text
    end
    assert.equal("h2", (agreed "http/1.1,h2"))
    assert.equal("h2", (agreed "h2"))
    assert.equal("http/1.1", (agreed "http/1.1"))
    assert.equal("http/1.1", (agreed("h2,http/1.1", "h1")))
    assert.is_nil((agreed(nil)))
    for _, list in ipairs { "ftp", "h3,http/1.0,spdy/1" } do
      local none, text = agreed(list)
      assert.is_nil(none)
      assert.is_truthy(text:find "no application protocol", text)
    end
    assert.is_truthy(select(2, agreed("h2", "h1")):find "no application protocol")
  end)

  it("speaks HTTP/1 to a client without ALPN, and closes when the agreed protocol isn't spoken [T09]", function()
    local _, text = s_client.get(port(), { "-servername", "alpha.example" }, "alpha.example")
    assert.is_truthy(text:find("HTTP/1.1 200 OK", 1, true), text)
    _, text = s_client.get(port(), { "-servername", "alpha.example", "-alpn", "h2" }, "alpha.example")
    assert.is_nil(text:find("HTTP/1.1 200", 1, true), text)
  end)

  it("tells handlers what the handshake came to", function()
    local seen, errors, status, version = get("x.wild.example", { "--http2" })
    assert.equal(200, status, errors)
    assert.equal("2", version)
    assert.equal("2", seen.http)
    assert.equal("https", seen.scheme)
    assert.equal("TLSv1.3", seen.version)
    assert.equal("x.wild.example", seen.sni)
    assert.equal("h2", seen.alpn)
    assert.is_truthy(seen.cipher:find "^TLS_")
    assert.equal(32, #seen.ja3)
    assert.is_truthy(seen.ja3:find "^%x+$")
    assert.is_truthy(seen.ja4:find "^t13d%d%d%d%dh2_%x+_%x+$", seen.ja4)
    assert.is_nil(seen.cert)
    seen = get("alpha.example", { "--http1.1", "--tls-max", "1.2" })
    assert.equal("TLSv1.2", seen.version)
    assert.equal("1.1", seen.http)
    assert.is_truthy(seen.ja4:find "^t12d%d%d%d%dh1_%x+_%x+$", seen.ja4)
  end)

  it("resumes sessions on every worker, and lets nobody send early data [T12]", function()
    for _, version in ipairs { "-tls1_2", "-tls1_3" } do
      local file = edge.folder .. "/session" .. version
      local words = { version, "-servername", "wild.example", "-ign_eof" }
      local request = "GET / HTTP/1.1\r\nHost: wild.example\r\nConnection: close\r\n\r\n"
      local _, text = s_client.run(port(), { "-sess_out", file, unpack(words) }, request)
      assert.is_truthy(text:find("New, TLS", 1, true), text)
      local workers, resumed, held = {}, 0, {}
      -- connections that stay open, so that the next goes to the other worker
      for _ = 1, 12 do
        _, text = s_client.run(port(), { "-sess_in", file, unpack(words) }, request)
        if text:find("Reused, TLS", 1, true) then resumed = resumed + 1 end
        local worker = text:match '"worker":(%d+)'
        workers[worker] = true
        held[#held + 1] = edge:connect()
        assert.is_nil(text:find "Early data was accepted")
        assert.is_nil(text:find "Max Early Data: [1-9]", text)
      end
      assert.equal(12, resumed, version)
      assert(next(workers) and next(workers, next(workers)), "only one worker served")
      for _, connection in ipairs(held) do connection:close() end
    end
    assert.is_true(edge:status().counters.tls_resumed >= 24)
  end)

  it("resumes no session under another demand on the client's certificate [T01]", function()
    local file = edge.folder .. "/session.open"
    for _, version in ipairs { "-tls1_2", "-tls1_3" } do
      s_client.run(port(), { version, "-servername", "wild.example", "-sess_out", file, "-ign_eof" },
        "GET / HTTP/1.1\r\nHost: wild.example\r\nConnection: close\r\n\r\n")
      local _, text = s_client.get(port(), { version, "-servername", "demand.example", "-sess_in", file },
        "demand.example")
      assert.is_nil(text:find("HTTP/1.1 200", 1, true), text)
      assert.is_nil(text:find("Reused", 1, true), text)
    end
    -- and the session of one that had a certificate serves nobody without one elsewhere
    s_client.run(port(), { "-tls1_3", "-servername", "demand.example", "-sess_out", file, "-ign_eof", "-cert",
      made.user.cert, "-key", made.user.key }, "GET / HTTP/1.1\r\nHost: demand.example\r\nConnection: close\r\n\r\n")
    local _, text = s_client.run(port(), { "-tls1_3", "-servername", "wish.example", "-sess_in", file, "-ign_eof" },
      "GET / HTTP/1.1\r\nHost: wish.example\r\nConnection: close\r\n\r\n")
    assert.is_nil(text:find("Reused", 1, true), text)
    assert.is_nil(text:find("user one", 1, true), text)
  end)

  it("keeps the client's certificate in a resumed session", function()
    local file = edge.folder .. "/session.user"
    local request = "GET / HTTP/1.1\r\nHost: demand.example\r\nConnection: close\r\n\r\n"
    local words = { "-tls1_3", "-servername", "demand.example", "-ign_eof", "-cert", made.user.cert, "-key",
      made.user.key }
    s_client.run(port(), { "-sess_out", file, unpack(words) }, request)
    local _, text = s_client.run(port(), { "-sess_in", file, unpack(words) }, request)
    assert.is_truthy(text:find("Reused", 1, true), text)
    assert.is_truthy(text:find(made.user.sha256, 1, true), text)
  end)

  it("ends the life of a session at its limit from the first full handshake, however often it was resumed [T02]",
    function()
      local file = edge.folder .. "/session.short"
      local request = "GET / HTTP/1.1\r\nHost: alpha.example\r\nConnection: close\r\n\r\n"
      local words = { "-tls1_3", "-servername", "alpha.example", "-ign_eof", "-sess_out", file }
      s_client.run(port "short", words, request)
      words[#words + 1], words[#words + 2] = "-sess_in", file
      local began, reused = os.time(), 0
      gateway.wait_until(function()
        local _, text = s_client.run(port "short", words, request)
        if text:find("Reused", 1, true) then
          reused = reused + 1
          assert(os.time() - began <= 4, "resumed for longer than its life")
          return false
        end
        return true
      end, 15, "the session's end")
      assert.is_true(reused > 0)
    end)

  it("staples the OCSP response that it was given", function()
    local _, text = served("alpha.example", { "-status" })
    assert.is_truthy(text:find "OCSP Response Status: successful", text)
    assert.is_truthy(text:find "Cert Status: good", text)
    _, text = served("wild.example", { "-status" })
    assert.is_truthy(text:find "no response sent", text)
  end)

  it("demands a client's certificate, wishes for one, or wants none, and tells handlers of it", function()
    local with_user = { "--cert", made.user.cert, "--key", made.user.key }
    local seen, errors = get("demand.example", with_user)
    assert(seen, errors)
    assert.is_true(seen.cert.verified)
    assert.equal("user one", seen.cert.subject_cn)
    assert.equal(made.user.sha256, seen.cert.sha256)
    assert.same({ "user.example", "10.1.2.3" }, seen.cert.sans)
    assert.is_nil((get "demand.example"))
    assert.is_nil((get("demand.example", { "--cert", made.stranger.cert, "--key", made.stranger.key })))
    assert.is_nil(assert((get "wish.example")).cert)
    assert.equal("user one", assert((get("wish.example", with_user))).cert.subject_cn)
    assert.is_nil(assert((get("alpha.example", with_user))).cert)
  end)

  it("takes no client certificate that an unknown authority signed, wished for or demanded", function()
    local stranger = { "--cert", made.stranger.cert, "--key", made.stranger.key }
    local seen, _, status = get("wish.example", stranger)
    assert(not seen or seen.cert == nil or seen.cert.verified == false, status)
  end)

  it("answers 421 to a host with another demand on the client's certificate [T03]", function()
    for _, version in ipairs { "--http1.1", "--http2" } do
      local function status_of(sni, host)
        local _, errors, status = get(sni, { version, "-H", "Host: " .. host })
        return status, errors
      end
      assert.equal(421, (status_of("wild.example", "demand.example")), version)
      assert.equal(421, (status_of("wild.example", "x.demand.example")), version)
      assert.equal(421, (status_of("wild.example", "DEMAND.example:443")), version)
      assert.equal(200, (status_of("wild.example", "alpha.example")), version)
      assert.equal(200, (status_of("wild.example", "nobody.example")), version)
    end
  end)

  it("gives up on a handshake that stalls, at one limit from the accept on [T11]", function()
    -- a record of 512 bytes that says it is a ClientHello, byte by byte
    local hello = "\22\3\1\2\0\1\0\1\252\3\3"
    local stalled = edge:connect()
    local silent = edge:connect()
    for i = 1, #hello do
      if not stalled:send(hello:sub(i, i)) then break end
      require("socket").sleep(0.25)
    end
    local _, why = stalled:read_to_end(4)
    assert.is_truthy(why == "closed" or why == "reset", why)
    _, why = silent:read_to_end(4)
    assert.is_truthy(why == "closed" or why == "reset", why)
  end)

  it("reads a ClientHello in many small records", function()
    -- TLS 1.2 records of at most 64 bytes by s_client
    local got, text = served("x.wild.example", { "-max_send_frag", "512", "-split_send_frag", "512" })
    assert.equal(made.wild.sha256, got, text)
  end)

  it("tells somebody who speaks clear HTTP to its port, and serves nothing so", function()
    local connection = client.connect(port())
    connection:send(client.format { host = "alpha.example" })
    local text = connection:read_to_end(5) or ""
    assert.is_nil(text:find("200 OK", 1, true))
    assert.is_truthy(text == "" or text:find "^HTTP/1.1 400", text)
  end)

  it("is resumed by node's client too, over HTTP/2", function()
    local result = node.ask("h2", port(), { ca = shop.ca, servername = "alpha.example", authority = "alpha.example" })
    assert.equal(200, result.status, result.error)
    assert.equal("h2", cjson.decode(result.body).alpn)
  end)
end)

describe("a listener's certificates", function()
  local CERT = [[
local tg = require "tidegate"
tg.listen { "127.0.0.1:${port}", tls = { cert = "live.pem", key = "live.key" } }
tg.route { path = "/*", respond = { 200, "x" } }
]]
  local mine

  before_each(function()
    gateway.begin_test()
    mine = certificates.new()
    local one = mine:issue { names = { "alpha.example" }, fresh_key = true }
    edge = gateway.prepare { config = CERT }
    edge:write("live.pem", process.read_file(one.cert))
    edge:write("live.key", process.read_file(one.key))
    edge.first = one
  end)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  local function put(name, path) edge:write(name, process.read_file(path)) end

  local function put_another()
    put("live.pem", mine:issue({ names = { "alpha.example" }, fresh_key = true }).cert)
  end

  local BAD = {
    { "that isn't the key's", put_another, "live." },
    { "that is no PEM", function() edge:write("live.pem", "this is no certificate\n") end, "live.pem" },
    { "without a key file", function() os.remove(edge.folder .. "/live.key") end, "live.key" },
    { "that is empty", function() edge:write("live.pem", "") end, "live.pem" },
    { "cut in the middle", function() edge:write("live.pem", process.read_file(edge.first.cert):sub(1, 300)) end,
      "live.pem" },
  }

  for _, bad in ipairs(BAD) do
    it("aren't taken over by check and reload " .. bad[1] .. ": the file is named, and the old one keeps serving [T06]",
      function()
        edge:launch { workers = 1 }
        edge:wait_ready()
        bad[2]()
        for _, words in ipairs { { "check", "-c", edge.folder .. "/gateway.lua" }, { "reload" } } do
          local result = words[1] == "check" and gateway.run(words) or edge:command "reload"
          assert(result.code ~= 0, words[1])
          assert.is_truthy((result.errors .. result.output):find(bad[3], 1, true), result.errors .. result.output)
        end
        assert.equal(edge.first.sha256, (s_client.certificate(edge.port, { "-servername", "alpha.example" })))
      end)
  end

  it("are taken over by a reload from the disk, without dropping a connection", function()
    edge:launch { workers = 2 }
    edge:wait_ready()
    local next_one = mine:issue { names = { "alpha.example" }, fresh_key = true }
    put("live.pem", next_one.cert)
    put("live.key", next_one.key)
    edge:reload()
    assert.equal(next_one.sha256, (s_client.certificate(edge.port, { "-servername", "alpha.example" })))
  end)
end)
