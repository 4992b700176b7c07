-- tg.tcp: the specification is the server that the scripts of a gateway talk to.
local certificates = require "t.support.certificates"
local gateway = require "t.support.gateway"
local lfs = require "lfs"
local process = require "t.support.process"
local scripting = require "t.support.scripting"
local socket = require "socket"
local ssl = require "ssl"

local edge, server, port

local USE = 'local tg = require "tidegate" '

local function begin(code) return scripting.begin(edge, USE .. code) end

-- A piece with a socket `s` to the server.
local function begin_connected(code, options)
  return begin(('local s, err, detail = tg.tcp.connect("127.0.0.1:%d"%s) if not s then return nil, err, detail end %s')
    :format(port, options and ", " .. options or "", code))
end

local function accept()
  local peer = assert(server:accept())
  peer:settimeout(8)
  return peer
end

-- The rest, after closing: a list with a nil in it has no length to unpack it by.
local function closing(peer, ...)
  peer:close()
  return ...
end

-- What a connected piece returns when the server does this.
local function talk(code, serve, options)
  local results = begin_connected(code, options)
  local peer = accept()
  serve(peer)
  return closing(peer, results())
end

local function eval(code) return scripting.eval(edge, USE .. code) end

local function raises(code, text)
  local good, err = pcall(eval, code)
  assert.is_false(good, code)
  assert(err:find(text, 1, true), err)
end

local function descriptors()
  local count = 0
  for _ in lfs.dir("/proc/" .. edge.process.pid .. "/fd") do count = count + 1 end
  return count
end

describe("tg.tcp", function()
  setup(function()
    server = assert(socket.bind("127.0.0.1", 0, 2000))
    server:settimeout(8)
    port = select(2, server:getsockname())
    edge = gateway.start { config = scripting.config(([[
      local late = tg.tcp.connect("127.0.0.1:%d", { timeout = 5 })
      share = { late = late }
      tg.route { path = "/wait", request = function(req)
        local s = assert(tg.tcp.connect("127.0.0.1:%d"))
        s:send "here\n"
        local what = req.query.what
        if what == "receive" then s:receive(10) end
        if what == "line" then s:receive_line() end
        if what == "send" then s:send(("x"):rep(20e6)) end
        if what == "task" then
          tg.spawn(function() s:receive(1) end)
          tg.sleep(100)
        end
        return req:respond(200)
      end }]]):format(port, port)), workers = 1 }
    eval "return 1"
  end)
  before_each(gateway.begin_test)
  after_each(gateway.end_test)
  teardown(function()
    server:close()
    gateway.end_file()
  end)

  it("receives exact counts, lines, texts and all there is, byte by byte or at once", function()
    local TEXT = "12345line\r\n\nname=value;some\0bytes rest"
    local code = [[
      local list = { s:receive(5), s:receive(0), s:receive_line(), s:receive_line(), s:receive_until("=val"),
        s:receive_until ";", s:receive_some(4) }
      list[#list + 1] = s:receive_all()
      return unpack(list)]]
    local expected = { "12345", "", "line", "", "name", "ue", "some", "\0bytes rest" }
    assert.same(expected, { talk(code, function(peer)
      peer:send(TEXT)
      peer:shutdown "send"
    end) })
    assert.same(expected, { talk(code:gsub("s:receive_some%(4%)", "s:receive(4)"), function(peer)
      peer:setoption("tcp-nodelay", true)
      for i = 1, #TEXT do
        peer:send(TEXT:sub(i, i))
        socket.sleep(0.001)
      end
      peer:shutdown "send"
    end) })
  end)

  it("keeps an empty line and a read of nothing apart from an end, and counts beyond 65,536 whole [J11]", function()
    local a, b, c, d, err = talk([[
      local empty, none, long = s:receive_line(), s:receive(0), s:receive(70001)
      return empty, none, #long, s:receive_line()]], function(peer)
      peer:send("\n" .. ("y"):rep(70001))
      peer:shutdown "send"
    end)
    assert.same({ "", "", 70001, nil, "closed" }, { a, b, c, d, err })
    raises("return tg.tcp.connect('127.0.0.1:" .. port .. "'):receive(-1)", "an integer from 0")
    accept():close()
  end)

  it("gives what came where the peer ends too early, with the word", function()
    for _, call in ipairs { "receive(10)", "receive_line()", "receive_until 'zz'" } do
      assert.same({ nil, "closed", "half" }, { talk("return s:" .. call, function(peer)
        peer:send "half"
        peer:shutdown "send"
      end) }, call)
    end
    assert.same({ nil, "closed", "" }, { talk("return s:receive_some(9)", function(peer) peer:shutdown "send" end) })
  end)

  it("gives what came before a reset", function()
    local results = begin_connected [[
      local first = s:receive(3)
      s:send "x"
      return first, s:receive(10)]]
    local peer = accept()
    peer:send "abc"
    assert(peer:receive(1))
    peer:send "de"
    peer:setoption("linger", { on = true, timeout = 0 })
    peer:close()
    local first, none, err = results()
    assert.same({ "abc", nil, "reset" }, { first, none, err })
  end)

  it("ends a wait at its timeout, and goes on afterwards", function()
    local a, err, partial, b = talk([[
      s.timeout = 0.05
      local a, err, partial = s:receive(5)
      s.timeout = 10
      s:send "more"
      return a, err, partial, s:receive(2)]], function(peer)
      peer:send "abc"
      assert(peer:receive(4))
      peer:send "de"
    end)
    assert.same({ nil, "timeout", "abc", "de" }, { a, err, partial, b })
  end)

  it("refuses what is longer than the limit", function()
    local function serve(peer)
      peer:send(("z"):rep(20))
      peer:shutdown "send"
    end
    for _, call in ipairs { "receive_line(10)", "receive_until(';', 10)", "receive_all(10)" } do
      assert.same({ nil, "too_large", ("z"):rep(10) }, { talk("return s:" .. call, serve) }, call)
    end
    assert.equal(("z"):rep(20), talk("return s:receive_all(20)", serve))
  end)

  it("sends texts and lists, and goes on from the unsent byte where the peer is slow [J10]", function()
    local LENGTH = 5e6
    local results = begin_connected [[
      local parts = {}
      for i = 1, 500000 do parts[i] = ("%09d\n"):format(i) end
      local good, err = s:send(parts)
      s:finish()
      return good, err, s:receive_line()]]
    local peer = accept()
    peer:setoption("tcp-nodelay", true)
    local got = assert(peer:receive(1000))
    socket.sleep(0.1)
    got = got .. assert(peer:receive(LENGTH - 1000))
    assert.equal(nil, (peer:receive(1)))
    peer:send "ok\n"
    assert.same({ true, nil, "ok" }, { results() })
    local at = 0
    for number in got:gmatch "(%d+)\n" do
      at = at + 1
      if tonumber(number) ~= at then assert.equal(at, tonumber(number)) end
    end
    assert.equal(500000, at)
  end)

  it("resets what it could only send in part, so that no peer takes it for the whole", function()
    local results = begin_connected [[
      s.timeout = 0.1
      local good, err = s:send(("x"):rep(30e6))
      return good, err, s:send "more"]]
    local peer = accept()
    local good, err, again, closed = results()
    assert.same({ nil, "timeout", nil, "closed" }, { good, err, again, closed })
    local _, why = peer:receive "*a"
    assert.truthy(why)
  end)

  it("doesn't read ahead without end", function()
    local results = begin_connected [[
      local first = s:receive(1)
      tg.sleep(0.3)
      return first, #s:receive_all(40e6)]]
    local peer = accept()
    peer:settimeout(0.2)
    local sent, err, at = peer:send(("w"):rep(30e6))
    assert.same({ nil, "timeout" }, { sent, err })
    assert.is_true(at < 29e6)
    peer:settimeout(8)
    local position = at
    while position < 30e6 do
      position = position + assert(peer:send(("w"):rep(math.min(1e6, 30e6 - position))))
    end
    peer:shutdown "send"
    assert.same({ "w", 30e6 - 1 }, { results() })
  end)

  it("says how a connect failed", function()
    local free = gateway.free_port()
    local function connect(address, options)
      local _, err, detail = eval(("return tg.tcp.connect(%q%s)"):format(address, options or ""))
      return err, detail
    end
    assert.equal("refused", (connect("127.0.0.1:" .. free)))
    assert.equal("refused", (connect("unix:/nowhere/at/all")))
    local err, detail = connect "127.0.0.1"
    assert.equal("invalid", err)
    assert.truthy(detail)
    err = connect("192.0.2.1:9", ", { timeout = 0.05 }")
    assert.is_true(err == "timeout" or err == "refused")
  end)

  it("speaks over a Unix socket", function()
    local unix = require "socket.unix"
    local path = edge.folder .. "/peer.sock"
    local listener = (unix.stream or unix)()
    assert(listener:bind(path))
    assert(listener:listen(5))
    local results = begin(("local s = assert(tg.tcp.connect 'unix:%s') s:send 'hello\\n' return s:receive_line()")
      :format(path))
    local peer = assert(listener:accept())
    assert.equal("hello", peer:receive())
    peer:send "there\n"
    assert.equal("there", results())
    peer:close()
    listener:close()
  end)

  it("raises at the script's line for what is a mistake", function()
    raises("tg.tcp.connect(5)", "eval:1: tg.tcp.connect: a string expected")
    raises("tg.tcp.connect('127.0.0.1:1', { time = 1 })", 'unknown option "time"')
    raises("tg.tcp.connect('127.0.0.1:1', { timeout = 0 })", "timeout: seconds expected")
    raises("tg.tcp.connect('127.0.0.1:1', { tls = { ca = 'x' } })", "PEM")
    raises("tg.tcp.connect('unix:/x', { tls = true })", "tls.sni")
    raises("tg.tcp.connect('127.0.0.1:1', { pool = 0 })", "pool")
    for call, text in pairs { ["s:send(5)"] = "a string or a list", ["s:receive 'x'"] = "an integer",
      ["s:receive_until ''"] = "is empty", ["s.receive(5)"] = "colon", ["s:keep(-1)"] = "idle",
      ["s.timeout = 0 s:receive(1)"] = "timeout", ["s:fetch()"] = "no such name", ["s.more = 1"] = "can't be set" } do
      raises(("local s = tg.tcp.connect('127.0.0.1:%d') %s"):format(port, call), text)
      accept():close()
    end
  end)

  it("has one reader and one writer at a time", function()
    local results = begin_connected [[
      local task = tg.spawn(function() return s:receive(1) end)
      local writer = tg.spawn(function() return s:send(("x"):rep(20e6)) end)
      tg.sleep(0.05)
      local read, why = pcall(s.receive, s, 1)
      local kept, err = s:keep()
      local sent, why_not = pcall(s.send, s, "y")
      s:close()
      return read, why, kept, err, sent, why_not, select(2, task:wait()), select(2, writer:wait())]]
    local peer = accept()
    local read, why, kept, err, sent, why_not, first, second = results()
    peer:close()
    assert.same({ false, nil, "busy", false, "closed", "closed" }, { read, kept, err, sent, first, second })
    assert.truthy(why:find("another coroutine waits for it", 1, true))
    assert.truthy(why_not:find("another coroutine sends to it", 1, true))
  end)

  it("is closed when its request ends, with what was sent; a socket of load is not", function()
    local results = begin_connected [[s:send "the end" return 1]]
    local peer = accept()
    assert.equal(1, results())
    assert.equal("the end", peer:receive "*a")
    peer:close()
    for i = 1, 2 do
      results = begin "share.late:send 'late\\n' return share.late:receive_line()"
      if i == 1 then peer = accept() end
      assert.equal("late", peer:receive())
      peer:send "good\n"
      assert.equal("good", results())
    end
    peer:close()
  end)

  it("ends in each wait when the client leaves: what waited is never resumed [J07]", function()
    for _, what in ipairs { "receive", "line", "send", "task" } do
      local connection = edge:connect()
      connection:send("GET /wait?what=" .. what .. " HTTP/1.1\r\nHost: a\r\n\r\n")
      local peer = accept()
      assert.equal("here", peer:receive())
      connection:reset()
      local good, err
      repeat good, err = peer:receive(65536) until not good
      assert.truthy(err == "closed" or err:find "reset", what)
      peer:close()
    end
    assert.is_nil(edge:errors():find("script error", 1, true))
  end)

  it("of a task is closed when the task is cancelled in a wait [J07]", function()
    local results = begin(([[
      local task = tg.spawn(function()
        local s = tg.tcp.connect "127.0.0.1:%d"
        s:send "go"
        s:receive(1)
      end)
      tg.sleep(0.1)
      task:cancel()
      return task:wait()]]):format(port))
    local peer = accept()
    assert.equal("go", peer:receive "*a")
    peer:close()
    local none, err = results()
    assert.same({ nil, "cancelled" }, { none, err })
  end)

  it("goes to the pool and comes back for the same address and settings", function()
    local again = ([[s:send "two\n" local answer = s:receive_line() s:keep()
      local other = assert(tg.tcp.connect("127.0.0.1:%d")) other:send "three\n"
      return answer, other.reused, other:receive_line(), other:keep(0.05)]]):format(port)
    local results = begin_connected(again)
    local peer = accept()
    assert.equal("two", peer:receive())
    peer:send "good\n"
    assert.equal("three", peer:receive())
    peer:send "better\n"
    assert.same({ "good", true, "better", true }, { results() })
    assert.equal("closed", select(2, peer:receive(1)))
    peer:close()
  end)

  it("is not kept with unread data, half closed, or without a pool [J09]", function()
    local function serve(peer)
      peer:send "more than asked"
      peer:receive(1)
    end
    local kept, err = talk("s:receive(4) local good, why = s:keep() s:send 'x' return good, why", serve)
    assert.same({ nil, "invalid" }, { kept, err })
    kept, err = talk("local a = s:receive_some(99) s:finish() return s:keep()", function(peer) peer:send "x" end)
    assert.same({ nil, "invalid" }, { kept, err })
    kept, err = talk("s:receive(1) return s:keep()", function(peer) peer:send "x" end, "{ pool = false }")
    assert.same({ nil, "invalid" }, { kept, err })
    kept, err = talk("s:close() return s:keep()", function() end)
    assert.same({ nil, "invalid" }, { kept, err })
  end)

  it("isn't taken from the pool once something came on it [J09]", function()
    local results = begin_connected(([[s:receive(1) s:keep() tg.sleep(0.2)
      local other = assert(tg.tcp.connect("127.0.0.1:%d")) return other.reused]]):format(port))
    local peer = accept()
    peer:send "x"
    socket.sleep(0.05)
    peer:send "stale"
    local second = accept()
    assert.is_false(results())
    peer:close()
    second:close()
  end)

  describe("under TLS", function()
    local shop, good, ca

    setup(function()
      shop = certificates.new()
      good = shop:issue { names = { "peer.example" } }
      ca = process.read_file(shop.ca)
    end)

    local function serve_tls(options)
      local results = begin_connected("s:send 'hello\\n' return s:receive_line(), s:keep()", options)
      local peer = accept()
      local secure = assert(ssl.wrap(peer, { mode = "server", protocol = "any", key = good.key,
        certificate = good.cert }))
      if secure:dohandshake() then
        local line = secure:receive()
        if line then secure:send(line .. " you\n") end
      end
      return closing(secure, results())
    end

    it("checks the certificate against the authority and the name", function()
      local line, kept = serve_tls(("{ tls = { sni = 'peer.example', ca = %q } }"):format(ca))
      assert.same({ "hello you", true }, { line, kept })
    end)

    it("refuses another name, and an authority it doesn't know", function()
      for _, options in ipairs { ("{ tls = { sni = 'other.example', ca = %q } }"):format(ca), "{ tls = true }",
        "{ tls = { sni = 'peer.example' } }", ("{ tls = { ca = %q } }"):format(ca) } do
        local none, err, detail = serve_tls(options)
        assert.same({ nil, "invalid" }, { none, err }, options)
        assert.truthy(detail)
      end
    end)

    it("trusts anybody where told so, and keeps such a connection apart in the pool [J09]", function()
      assert.equal("hello you", (serve_tls "{ tls = { sni = 'peer.example', verify = false } }"))
      local none, err = serve_tls "{ tls = { sni = 'peer.example' } }"
      assert.same({ nil, "invalid" }, { none, err })
    end)

    it("ends a handshake at the timeout", function()
      local none, err = talk("", function() socket.sleep(0.2) end, "{ tls = true, timeout = 0.1 }")
      assert.same({ nil, "timeout" }, { none, err })
    end)
  end)

  it("leaks nothing in 1,000 sockets that requests, tasks and clients leave behind", function()
    local before = descriptors()
    for round = 1, 5 do
      local results, connection = begin(([[
        local tasks = {}
        for i = 1, 200 do
          tasks[i] = tg.spawn(function()
            local s = assert(tg.tcp.connect("127.0.0.1:%d"))
            if i %% 3 == 0 then return s:receive_line() end
            if i %% 3 == 1 then s:close() end
            return i
          end)
        end
        tg.wait_all(tasks, %s)
        return 1]]):format(port, round % 2 == 0 and "0.2" or "5"))
      local peers = {}
      for i = 1, 200 do peers[i] = accept() end
      if round % 2 == 1 then for i = 1, 200 do peers[i]:send "line\n" end end
      assert.equal(1, results())
      connection:close()
      for i = 1, 200 do peers[i]:close() end
    end
    gateway.wait_until(function() return descriptors() <= before + 3 end, 20, "descriptors")
  end)
end)
