-- Bodies of 100 MB through handlers that change every piece: the memory that they take doesn't grow with them.
local client = require "t.support.client"
local gateway = require "t.support.gateway"
local origin = require "t.support.origin"
local process = require "t.support.process"

local SIZE, PIECE = 100 * 1000 * 1000, 1000 * 1000
local ROOM = 16 * 1024 * 1024 -- beside what the gateway has in memory before: buffers, and strings not yet collected

local CONFIG = [[
local tg = require "tidegate"
tg.settings { workers = 1, access_log = false }
tg.listen "127.0.0.1:${port}"
tg.upstream "origin" { "127.0.0.1:${origin}" }
local lower = {
  request_body = function(_, body) for chunk in body:chunks() do body:write(chunk:lower()) end end,
  response_body = function(_, _, body) for chunk in body:chunks() do body:write(chunk:lower()) end end,
}
tg.route { path = "/lower", upstream = "origin", handlers = { lower } }
tg.route { path = "/twice", upstream = "origin", handlers = { lower, lower } }
tg.route { path = "/pass", upstream = "origin", response_body = function(_, _, body) body:pass() end }
tg.route { path = "/made", request = function(req)
  return req:respond(200, function(out)
    local text = ("made by a script "):rep(5000)
    for _ = 1, 1200 do out:write(text) end
  end)
end }
]]

local edge, strict, before

local function grown() return edge.process:memory "VmHWM" - before end

before_each(function()
  gateway.begin_test()
  strict = origin.start()
  edge = gateway.start { config = CONFIG, variables = { origin = strict.port }, workers = 1 }
  for _, path in ipairs { "/lower?text=x", "/twice?text=x", "/pass?text=x" } do edge:request { path = path } end
  before = edge.process:memory "VmRSS"
end)
after_each(gateway.end_test)
teardown(gateway.end_file)

local function download(path, change)
  local connection = edge:connect()
  connection:send(client.format { path = path .. "?seed=3&body=" .. SIZE, version = "1.0" })
  assert.equal(200, assert(connection:read_head()).status)
  for offset = 0, SIZE - 1, PIECE do
    local expected = client.pattern(3, PIECE, offset)
    if connection:read_bytes(PIECE, 30) ~= (change and expected:lower() or expected) then
      error("another byte after " .. offset)
    end
  end
  assert.is_true(connection:is_closed())
end

local function upload(path)
  local digest = process.folder() .. "/sha256"
  local hash = io.popen("sha256sum > " .. process.quote(digest), "w")
  local connection = edge:connect()
  connection:send("POST " .. path .. "?text=done HTTP/1.1\r\nHost: a\r\nContent-Length: " .. SIZE .. "\r\n\r\n")
  for offset = 0, SIZE - 1, PIECE do
    local piece = client.pattern(4, PIECE, offset)
    hash:write((piece:lower()))
    assert(connection:send(piece, 30))
  end
  hash:close()
  assert.equal("done", assert(connection:read_response { timeout = 30 }).body)
  local request = strict:last_request()
  assert.equal(SIZE, request.length)
  assert.equal(process.read_file(digest):match "%x+", request.sha256)
end

describe("100 MB in constant memory", function()
  it("comes down through a handler that changes every piece", function()
    download("/lower", true)
    assert.is_true(grown() < ROOM, "grown by " .. grown())
  end)

  it("comes down through two, one after another", function()
    download("/twice", true)
    assert.is_true(grown() < ROOM, "grown by " .. grown())
  end)

  it("comes down through one that lets it pass", function()
    download("/pass", false)
    assert.is_true(grown() < ROOM / 4, "grown by " .. grown())
  end)

  it("goes up through a handler that changes every piece", function()
    upload "/lower"
    assert.is_true(grown() < ROOM, "grown by " .. grown())
  end)

  it("goes up through two, one after another", function()
    upload "/twice"
    assert.is_true(grown() < ROOM, "grown by " .. grown())
  end)

  it("is made by a function, whose client reads late", function()
    local connection = edge:connect()
    connection:send(client.format { path = "/made", version = "1.0" })
    assert.equal(200, assert(connection:read_head()).status)
    edge:request { path = "/lower?text=x" } -- by now it waits
    local expected = ("made by a script "):rep(5000)
    for i = 1, 1200 do
      if connection:read_bytes(#expected, 30) ~= expected then error("another byte in piece " .. i) end
    end
    assert.is_true(connection:is_closed())
    assert.is_true(grown() < ROOM, "grown by " .. grown())
  end)
end)
