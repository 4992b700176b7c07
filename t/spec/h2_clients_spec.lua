-- HTTP/2 as clients in use speak it: curl, nghttp, h2load, node and Chromium.
local certificates = require "t.support.certificates"
local cjson = require "cjson.safe"
local gateway = require "t.support.gateway"
local node = require "t.support.node"
local process = require "t.support.process"
local socket = require "socket"

local CONFIG = [[
local tg = require "tidegate"
tg.settings { access_log = "${folder}/access.log" }
tg.listen "127.0.0.1:${port}"
tg.listen { "127.0.0.1:${port_tls}", tls = { cert = "${cert}", key = "${key}" } }
tg.upstream "h1" { "127.0.0.1:${origin_h1}", protocol = "h1" }
tg.upstream "h2" { "127.0.0.1:${origin_h2}", tls = { ca = "${ca}", sni = "browser.example" } }
tg.upstream "nghttpd" { "127.0.0.1:${nghttpd}", tls = { ca = "${ca}", sni = "browser.example" }, protocol = "h2" }
tg.upstream "socket" { "127.0.0.1:${socket}", protocol = "h1" }
tg.route { path = "/h2/*", upstream = "h2" }
tg.route { path = "/files/*rest", upstream = "nghttpd", rewrite = "/*rest" }
tg.route { path = "/ws", upstream = "socket", rewrite = "/" }
tg.route { path = "/text", respond = { 200, "from the gateway\n" } }
tg.route { path = "/*", upstream = "h1" }
]]

local edge, origin, one

local function socket_is_open(port)
  local handle = socket.tcp()
  local open = handle:connect("127.0.0.1", port)
  handle:close()
  return open ~= nil
end

-- nghttp2's own server, with files of a folder.
local function start_nghttpd()
  local folder, port = process.folder(), gateway.free_port()
  process.write_file(folder .. "/megabyte", ("0123456789abcdef"):rep(65536))
  local server = process.start {
    program = "nghttpd", arguments = { "-d", folder, "-a", "127.0.0.1", "--trailer", "x-late: yes", port, one.key,
      one.chain },
  }
  gateway.wait_until(function() return socket_is_open(port) or not server:running() end, 10, "nghttpd")
  return port
end

local function start()
  local shop = certificates.new()
  one = shop:issue { names = { "browser.example", "127.0.0.1" } }
  origin = node.origin(one)
  local _, echo = node.start "ws_echo.js"
  edge = gateway.start {
    config = CONFIG, workers = 2,
    variables = { cert = one.chain, key = one.key, ca = shop.ca, origin_h1 = origin.ports.h1,
      origin_h2 = origin.ports.h2, socket = echo.port, nghttpd = start_nghttpd() },
  }
  edge.ca = shop.ca
end

local function url(scheme, path)
  return ("%s://127.0.0.1:%d%s"):format(scheme, scheme == "https" and edge.variables.port_tls or edge.port, path)
end

local function run(program, arguments, timeout)
  local code, output, errors = process.run { program = program, arguments = arguments, timeout = timeout or 60 }
  assert(code == 0, ("%s ended with %s: %s%s"):format(program, tostring(code), output:sub(-500), errors:sub(-1500)))
  return output, errors
end

describe("HTTP/2 by", function()
  setup(start)
  before_each(gateway.begin_test)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  for _, way in ipairs { { "https", "--http2", "ALPN" }, { "http", "--http2-prior-knowledge", "prior knowledge" } } do
    it("curl through " .. way[3] .. ": answers, uploads, trailers and HEAD", function()
      local function curl(path, ...)
        local output = run("curl", { "-sS", way[2], "--cacert", edge.ca, "--max-time", "20", "-w",
          "\n%{http_code} %{http_version}", url(way[1], path), ... })
        local body, status, version = output:match "^(.*)\n(%d+) ([%d.]+)$"
        assert.equal("2", version)
        assert.equal("200", status)
        return body
      end
      for _, where in ipairs { "", "/h2" } do
        assert.equal(70000, #curl(where .. "/x?size=70000"))
        local file = edge.folder .. "/upload"
        process.write_file(file, ("0123456789abcdef"):rep(65536))
        assert.equal(process.read_file(file), curl(where .. "/x?echo=1", "--data-binary", "@" .. file))
        assert.equal(70000, #curl(where .. "/x?size=70000&trailers=1"))
        assert.is_truthy(curl(where .. "/x?size=1234&length=1", "--head"):find "content%-length: 1234")
      end
      assert.equal("from the gateway\n", curl "/text")
    end)
  end

  it("many requests of one curl share a connection", function()
    local before = edge:status().counters.connections_accepted
    local urls = {}
    for i = 1, 40 do urls[i] = url("https", "/x?size=" .. i) end
    run("curl", { "-sS", "--http2", "--cacert", edge.ca, "--parallel", "-o", "/dev/null", unpack(urls) })
    assert(edge:status().counters.connections_accepted - before <= 3)
  end)

  it("nghttp: many streams, an upload, trailers", function()
    for _, scheme in ipairs { "http", "https" } do
      local output = run("nghttp", { "-nv", "--no-verify-peer", "-m", "20", url(scheme, "/x?size=50000&trailers=1") })
      local _, statuses = output:gsub(":status: 200", "")
      assert.equal(20, statuses, output:sub(-2000))
      local _, trailers = output:gsub("x%-late: yes", "")
      assert.equal(20, trailers)
      local file = edge.folder .. "/upload"
      process.write_file(file, ("x"):rep(300000))
      output = run("nghttp", { "-v", "--no-verify-peer", "-d", file, "--trailer", "x-up: here",
        url(scheme, "/h2/x?sink=1") })
      assert.is_truthy(output:find('"length":300000', 1, true), output:sub(-2000))
      assert.is_truthy(output:find('"x-up":"here"', 1, true), output:sub(-2000))
    end
  end)

  it("h2load: thousands of requests on few connections, none failed", function()
    for _, scheme in ipairs { "http", "https" } do
      for _, path in ipairs { "/text", "/x?size=100", "/h2/x?size=100" } do
        local output = run("h2load", { "-n", "2000", "-c", "4", "-m", "16", url(scheme, path) }, 120)
        assert.is_truthy(output:find "2000 succeeded, 0 failed, 0 errored, 0 timeout", output)
        assert.is_truthy(output:find "status codes: 2000 2xx", output)
      end
    end
  end)

  it("nghttpd behind it, by nghttp and h2load before it", function()
    local output = run("nghttp", { "-nv", "--no-verify-peer", "-m", "5", url("https", "/files/megabyte") })
    local _, trailers = output:gsub("x%-late: yes", "")
    assert.equal(5, trailers, output:sub(-1000))
    output = run("h2load", { "-n", "200", "-c", "4", "-m", "10", url("http", "/files/megabyte") }, 120)
    assert.is_truthy(output:find "200 succeeded, 0 failed, 0 errored, 0 timeout", output)
    -- bytes of DATA; h2load says how many
    assert.is_truthy(output:find("%(" .. 200 * 1048576 .. "%) data"), output)
  end)

  it("node: many requests one after the other, with trailers", function()
    local _, all = node.ask("h2", edge.variables.port_tls, { ca = edge.ca, servername = "browser.example",
      path = "/h2/x?size=3000&trailers=1", times = 50, headers = { te = "trailers" } })
    assert.equal(50, #all)
    for _, result in ipairs(all) do
      assert.equal(200, result.status, result.error)
      assert.equal(3000, result.length)
      assert.equal("yes", result.trailers["x-late"])
    end
  end)

  it("Chromium: fetches, uploads, and a WebSocket on the same connection", function()
    local _, hash = process.run {
      program = "sh", arguments = { "-c", "openssl x509 -in '" .. one.cert .. "' -pubkey -noout | openssl pkey -pubin "
        .. "-outform der | openssl dgst -sha256 -binary | base64 -w0" },
    }
    local page = ("https://browser.example:%d/text"):format(edge.variables.port_tls)
    local result = node.run("browser.js", { page, hash }, 90)[1]
    assert.is_nil(result.error)
    assert.equal(200, result.status)
    assert.equal(100000, result.length)
    assert.is_true(result.echoed)
    assert.is_true(result.many)
    assert.equal("hello", result.socket)
    assert.same({ "h2" }, result.protocols)
  end)

  it("all of them leaves only whole requests in the log", function()
    edge:stop()
    for _, line in ipairs(edge:access_log()) do
      -- the browser is ended with its WebSocket open
      assert(line.status == 200 or line.path == "/ws", cjson.encode(line))
    end
  end)
end)
