-- The examples that work on bodies, as they stand: on their own addresses, in a network of their own.
require "t.support.netspace"
local client = require "t.support.client"
local gateway = require "t.support.gateway"
local origin = require "t.support.origin"
local process = require "t.support.process"

-- The service that the examples name, at its address.
local SERVICE = [[
local tg = require "tidegate"
tg.settings { access_log = false }
tg.listen "127.0.0.1:9000"
tg.upstream "origin" { "127.0.0.1:${origin}" }
tg.route { path = "/*", upstream = "origin" }
]]

local edge, strict

local function start(name)
  strict = origin.start()
  gateway.start { config = SERVICE, variables = { origin = strict.port } }
  edge = gateway.start { config = process.read_file("examples/" .. name .. ".lua") }
  edge.port = 8080
end

before_each(gateway.begin_test)
after_each(gateway.end_test)
teardown(gateway.end_file)

describe("the example inspect_body", function()
  before_each(function() start "inspect_body" end)

  local function order(body)
    return edge:request { method = "POST", path = "/orders?text=taken", body = body }
  end

  it("looks into an order as a whole, and forwards it as it came", function()
    assert.equal("taken", order('{"items":[1,2,3]}').body)
    local request = strict:last_request()
    assert.equal("3", origin.field(request, "x-item-count"))
    assert.equal("17", origin.field(request, "content-length"))
    assert.equal(413, order(("x"):rep(33 * 1024)).status)
    assert.equal(400, order("{").status)
    assert.equal(422, order('{"items":1}').status)
  end)

  it("looks into an upload as it streams", function()
    local sent = client.pattern(1, 300000)
    local response = edge:request { method = "PUT", path = "/files/a?text=kept", body = sent }
    assert.equal("kept", response.body)
    local request = strict:last_request()
    assert.equal(300000, request.length)
    gateway.wait_until(function()
      return edge.process:output_text():find('"upload_sha256":"' .. request.sha256, 1, true)
    end, 5, "the digest in the access log")
    response = edge:request { method = "PUT", path = "/files/b?text=kept", body = "\127ELF" .. sent }
    assert.equal(415, response.status)
    assert.equal("no programs here\n", response.body)
  end)
end)

describe("the example rewrite_body", function()
  before_each(function() start "rewrite_body" end)

  it("replaces a text wherever the cuts are, in HTML alone", function()
    local page = "<a href=http://old.example/x>http://old.exampl</a>http://old.examplehttp://old.example"
    local wanted = page:gsub("http://old%.example", "https://new.example")
    local query = "&text=" .. page:gsub("[^%w]", function(byte) return ("%%%02X"):format(byte:byte()) end)
    for _, cut in ipairs { "", "&drip=1&every=1", "&drip=7&every=1", "&chunked=1&chunk=3" } do
      local response = edge:request { path = "/p?header=Content-Type:%20text/html" .. query .. cut,
        headers = { "Accept-Encoding: gzip" } }
      assert.equal(wanted, response.body, cut)
      assert.is_nil(origin.field(strict:last_request(), "accept-encoding"))
    end
    local response = edge:request { path = "/p?header=Content-Type:%20text/plain" .. query }
    assert.equal(page, response.body)
    assert.equal(tostring(#page), response:header "content-length")
  end)
end)

describe("the example server_sent_events", function()
  before_each(function() start "server_sent_events" end)

  it("tells every listener of each change, and lets it go when it leaves [J07]", function()
    local listeners = {}
    for i = 1, 3 do
      listeners[i] = edge:connect()
      listeners[i]:send "GET /events/news HTTP/1.0\r\nHost: a\r\n\r\n"
    end
    gateway.wait_until(function() return edge:status().counters.requests_active == 3 end, 5, "three listeners")
    assert.equal(204, edge:request({ method = "POST", path = "/events/news", body = "hello" }).status)
    for i = 1, 3 do
      local head = assert(listeners[i]:read_head())
      assert.equal("text/event-stream", head:header "content-type")
      local event = assert(listeners[i]:read_bytes(#'id: 1795531941625\ndata: "hello"\n\n'))
      assert.equal('data: "hello"', event:match "data: [^\n]+")
      listeners[i]:reset()
    end
    gateway.wait_until(function() return edge:status().counters.requests_active == 0 end, 5, "nobody")
    assert.equal(413, edge:request({ method = "POST", path = "/events/news", body = ("x"):rep(5000) }).status)
  end)
end)
