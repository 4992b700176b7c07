-- Every wait can be the last: clients and origins that leave at each byte and at each wait. Afterwards nothing is left
-- running, nothing is mixed up, and (under the sanitizers) no memory was touched that was gone.
local client = require "t.support.client"
local gateway = require "t.support.gateway"
local origin = require "t.support.origin"
local scripted = require "t.support.scripted"
local socket = require "socket"

local CONFIG = [[
for _, phase in ipairs { "request", "upstream_request", "upstream_response", "response" } do
  tg.route { path = "/all/" .. phase, upstream = "origin", handlers = { { "handlers.sleeper", phase = phase } },
    log = function(req) tg.sleep(0.01) req.log.done = true end }
end
tg.route { path = "/task", upstream = "origin", request = function(req)
  local one, two = tg.spawn(tg.sleep, 0.05), tg.spawn(tg.sleep, 5)
  one:wait()
  two:wait(0.05)
end }
tg.route { path = "/plain/*", upstream = "origin" }
tg.route { path = "/filtered/*", upstream = "origin",
  request = function(req) req.ctx.a = 1 end, upstream_request = function(req, out) out.headers["x-a"] = "1" end,
  upstream_response = function(req, res) res.headers["x-b"] = "1" end, response = function(req,
    res) res.headers["x-c"] = "1" end,
  ["error"] = function(req, err) return req:respond(err.status, err.code) end,
    log = function(req) req.log.code = req.ctx.a end }
]]

local UPGRADE = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
  .. "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

local REQUESTS = {
  { "with a length", "POST %s?a=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" },
  { "in chunks",
    "POST %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\n" },
  { "that expects 100", "POST %s HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello" },
  { "pipelined", "GET %s HTTP/1.1\r\nHost: a\r\n\r\nGET /plain/2 HTTP/1.1\r\nHost: a\r\n\r\n" },
  { "for an upgrade", "GET %s?tunnel=echo&first=abc HTTP/1.1\r\nHost: a\r\n" .. UPGRADE .. "\r\nearly" },
}

local ANSWERS = {
  { "with a length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nA: b\r\n\r\nhelloworld" },
  { "in chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nworld\r\n0\r\nA: b\r\n\r\n" },
  { "to the end of the connection", "HTTP/1.1 200 OK\r\nA: b\r\n\r\nhelloworld", ends = true },
  { "after others",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: a\r\n\r\n"
    .. "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhelloworld" },
  { "without a body", "HTTP/1.1 204 None\r\nA: b\r\n\r\n" },
}

local edge, strict

local function escape(bytes)
  return (bytes:gsub("[^%w]", function(byte) return ("%%%02x"):format(byte:byte()) end))
end

-- Nothing runs any more, and the next request is answered as if nothing had been.
local function expect_calm()
  gateway.wait_until(function()
    local counters = edge:status().counters
    return counters.requests_active == 0 and counters.tunnels_open == 0 and counters.connections_open == 0
  end, 20, "all requests to end")
  assert.equal("calm", edge:request({ path = "/plain/?text=calm" }).body)
  assert.equal("calm", edge:request({ path = "/filtered/?text=calm" }).body)
  local stats = strict:stats()
  assert.equal(0, stats.violations, table.concat(stats.texts, "; "))
end

describe("a peer that leaves", function()
  setup(function()
    strict = origin.start()
    edge = gateway.start {
      config = scripted.HEAD .. CONFIG, files = scripted.files(), variables = { origin = strict.port }, workers = 2,
    }
  end)
  before_each(gateway.begin_test)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  local WAYS = {
    close = function(connection) connection:close() end,
    reset = function(connection) connection:reset() end,
    ["half-close"] = function(connection)
      connection:half_close()
      connection:read_to_end(10)
      connection:close()
    end,
  }

  for _, route in ipairs { "/plain/x", "/filtered/x" } do
    for way, leave in pairs(WAYS) do
      for _, request in ipairs(REQUESTS) do
        it(("as a client, by %s, at each byte of a request %s to %s, leaves nothing behind"):format(way, request[1],
          route),
          function()
            local bytes = request[2]:format(route)
            local connections = {}
            for cut = 1, #bytes do
              connections[cut] = edge:connect()
              connections[cut]:send(bytes:sub(1, cut))
            end
            for cut = 1, #bytes do
              if cut % 3 == 0 then socket.sleep(0.0005) end
              leave(connections[cut])
            end
            expect_calm()
          end)
      end
    end

    for _, answer in ipairs(ANSWERS) do
      it(("as an origin, at each byte of an answer %s on %s, becomes 502 or a cut"):format(answer[1], route), function()
        local head_end = select(2, answer[2]:find("200 OK.-\r\n\r\n")) or #answer[2]
        for cut = 0, #answer[2] - 1 do
          for _, more in ipairs { "", "&reset=1", "&drip=40&every=1" } do
            local connection = edge:connect()
            connection:send(client.format { method = "POST", path = route .. "?raw=" .. escape(answer[2]:sub(1, cut))
              .. more })
            local response, _, partial = connection:read_response()
            local whole_anyway = answer.ends and cut >= head_end and more == ""
            if response and response.status ~= 502 then
              assert(answer.ends and cut >= head_end, ("whole at byte %d%s"):format(cut, more))
            elseif not response then
              assert(not partial:find("world", 1, true) or cut >= head_end, partial)
            else
              assert(not whole_anyway, "502 at byte " .. cut)
            end
            connection:close()
          end
        end
        expect_calm()
      end)
    end
  end

  for _, path in ipairs { "/all/request", "/all/upstream_request", "/all/upstream_response", "/all/response",
    "/sleep/error",
    "/sleep/log", "/task" } do
    for _, way in ipairs { "close", "reset", "half-close" } do
      it(("as a client, by %s, while %s waits, leaves nothing behind"):format(way, path), function()
        for round = 1, 12 do
          local connection = edge:connect()
          connection:send(client.format { path = path .. "?body=100000", method = round % 2 == 0 and "POST" or "GET",
            body = round % 2 == 0 and "hello" or nil })
          socket.sleep(round * 0.005)
          WAYS[way](connection)
        end
        expect_calm()
      end)
    end
  end

  it("as a client in the middle of a long answer frees the origin's connection", function()
    for _, more in ipairs { "", "&chunked=1", "&close=1", "&drip=5000&every=1" } do
      for _, route in ipairs { "/plain/", "/filtered/" } do
        local connection = edge:connect()
        connection:send(client.format { path = route .. "?body=50000000" .. more })
        connection:read_head()
        connection:reset()
      end
    end
    expect_calm()
  end)

  it("as a client, with another way of leaving each time, for some seconds, leaves nothing behind", function()
    local seed = os.time() % 100000
    math.randomseed(seed)
    local deadline, connections = socket.gettime() + 4, {}
    while socket.gettime() < deadline do
      local request = REQUESTS[math.random(#REQUESTS)][2]
      local routes = { "/plain/x", "/filtered/x", "/all/request", "/all/response", "/task", "/plain/x?delay=20&text=x",
        "/plain/x?body=300000&drip=10000&every=3", "/plain/x?early=1&text=early", "/plain/x?hangup=reset" }
      local bytes = request:gsub("%%s", (routes[math.random(#routes)]:gsub("%%", "%%%%")), 1)
      local connection = edge:connect()
      connection:send(bytes:sub(1, math.random() < 0.5 and #bytes or math.random(#bytes)))
      connections[#connections + 1] = connection
      if #connections > 40 then
        local leaving = table.remove(connections, math.random(#connections))
        local how = math.random(4)
        if how == 1 then leaving:reset()
        elseif how == 2 then leaving:half_close()
        elseif how == 3 then leaving:close()
        else
          leaving.handle:settimeout(0)
          leaving.handle:receive(math.random(300))
          leaving:close()
        end
      end
    end
    for _, connection in ipairs(connections) do connection:close() end
    client.close_all()
    local fine, problem = pcall(expect_calm)
    assert(fine, "seed " .. seed .. ": " .. tostring(problem))
  end)
end)
