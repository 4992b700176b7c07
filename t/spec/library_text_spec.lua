-- tg.time, tg.cookie and what tg.uri refuses, inside the real binary.
local library = require "t.support.library"

local eval, raised = library.eval, library.raised

describe("tg.time", function()
  setup(library.start)
  before_each(library.begin_test)
  after_each(library.end_test)
  teardown(library.end_file)

  it("writes and reads the forms of RFC 9110 5.6.7", function()
    assert.equal("Sun, 06 Nov 1994 08:49:37 GMT", (eval "return tg.time.http(784111777.9)"))
    for _, text in ipairs {
      "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
    } do
      assert.equal(784111777, (eval("return tg.time.parse_http(select(3, ...))", text)), text)
    end
    assert.equal(0, (eval [[return tg.time.parse_http "Thu, 01 Jan 1970 00:00:00 GMT"]]))
    assert.equal(951782400, (eval [[return tg.time.parse_http "Tue, 29 Feb 2000 00:00:00 GMT"]]))
    assert.is_true((eval [[return tg.time.parse_http "Monday, 01-Jan-24 00:00:00 GMT" == 1704067200]]))
    assert.is_true((eval [[return tg.time.parse_http "Friday, 01-Jan-99 00:00:00 GMT" == 915148800]]))
    for _, bad in ipairs {
      "", "Sun, 06 Nov 1994 08:49:37", "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 UTC",
      "Xxx, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Xxx 1994 08:49:37 GMT", "Sun, 31 Jun 1994 08:49:37 GMT",
      "Sun, 29 Feb 1999 08:49:37 GMT", "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:60:37 GMT",
      "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT ", " Sun, 06 Nov 1994 08:49:37 GMT", "784111777",
      "Sun, 29 Feb 1900 08:49:37 GMT",
    } do
      assert.same({ nil, "invalid" }, { eval("return tg.time.parse_http(select(3, ...))", bad) }, bad)
    end
  end)

  it("writes and reads RFC 3339", function()
    for text, t in pairs {
      ["1985-04-12T23:20:50.52Z"] = 482196050.52, ["1996-12-19T16:39:57-08:00"] = 851042397,
      ["1990-12-31T23:59:60Z"] = 662688000, ["1937-01-01T12:00:27.87+00:20"] = -1041337172.13,
      ["2026-11-24t13:51:18z"] = 1795528278, ["2026-11-24 13:51:18+00:00"] = 1795528278,
      ["0001-01-01T00:00:00Z"] = -62135596800, ["9999-12-31T23:59:59Z"] = 253402300799,
    } do
      assert.near(t, (eval("return tg.time.parse_iso(select(3, ...))", text)), 1e-6, text)
    end
    assert.same({ "1985-04-12T23:20:50.520Z", "1970-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "2001-09-09T01:46:41Z",
      "9999-12-31T23:59:59Z" }, { eval [[
      local iso = tg.time.iso
      return iso(482196050.52), iso(0), iso(-1), iso(1000000000.9999), iso(253402300799)
    ]] })
    for _, bad in ipairs {
      "", "2026-11-24", "2026-11-24T13:51:18", "2026-11-24T13:51Z", "2026-13-24T13:51:18Z", "2026-00-24T13:51:18Z",
      "2026-11-31T13:51:18Z", "2026-11-24T25:51:18Z", "2026-11-24T13:51:61Z", "2026-11-24T13:51:18.Z",
      "2026-11-24T13:51:18+1:00", "2026-11-24T13:51:18+24:00", "2026-11-24T13:51:18+0100", "2026-11-24T13:51:18ZZ",
      "2026-11-24T13:51:18.5", "2026-11-24T13:51:18.0000000000000000000001Z",
    } do
      assert.same({ nil, "invalid" }, { eval("return tg.time.parse_iso(select(3, ...))", bad) }, bad)
    end
  end)

  it("reads what it wrote, for any second of the calendar", function()
    assert.is_true(eval [[
      for i = 1, 4000 do
        local t = math.floor(tg.random() * 315537897600) - 62135596800
        assert(tg.time.parse_iso(tg.time.iso(t)) == t, t)
        assert(tg.time.parse_http(tg.time.http(t)) == t, t)
        local days = math.floor(t / 86400) * 86400
        assert(tg.time.iso(days):sub(12) == "00:00:00Z")
      end
      return true
    ]])
    assert.equal(os.date("!%a, %d %b %Y %H:%M:%S GMT", 1795528278), (eval "return tg.time.http(1795528278)"))
  end)

  it("raises for what is no time", function()
    for _, bad in ipairs { "nil", "'1'", "0/0", "1/0", "253402300800", "-62135596801" } do
      assert.matches("seconds since 1970", raised("tg.time.http(" .. bad .. ")"))
      assert.matches("seconds since 1970", raised("tg.time.iso(" .. bad .. ")"))
    end
    assert.matches("a string expected", raised "tg.time.parse_iso(1)")
    assert.matches("a string expected", raised "tg.time.parse_http(nil)")
  end)
end)

describe("tg.cookie", function()
  setup(library.start)
  before_each(library.begin_test)
  after_each(library.end_test)
  teardown(library.end_file)

  it("[J15] reads a Cookie field as req.cookies does, of a double name the first value", function()
    local fields = {
      "a=1; b=2", "a=1;b=2", " a=1 ;\tb = 2 ", "a=1; a=2", "a", "a=", "=x", ";;; a==;", 'a="q"; b=%20', "b=2; A=1; a=3",
      "xa=1; a=2", "a =1; a=2",
    }
    for _, field in ipairs(fields) do
      local parsed, mine, theirs = library.eval_with({ { "Cookie", field } }, [[
        local all = tg.cookie.parse(req.headers.cookie or "")
        return all, { all.a, all.b }, { req.cookies.a, req.cookies.b }
      ]])
      assert.same(theirs, mine, field)
      assert.is_table(parsed)
    end
    assert.same({ a = "1", b = "x=y", c = "" }, (eval [[return tg.cookie.parse "a=1; b=x=y; c="]]))
    assert.same({}, (eval [[return tg.cookie.parse ""]]))
  end)

  it("[J01] writes a Set-Cookie field, with nothing in it that could be more than one cookie", function()
    assert.equal("sid=abc; Path=/; Secure; HttpOnly; SameSite=Lax", (eval [[return tg.cookie.format("sid", "abc")]]))
    assert.equal("n=7; Path=/a; Domain=x.example; Max-Age=60; SameSite=Strict", (eval [[
      return tg.cookie.format("n", 7, { path = "/a", domain = "x.example", max_age = 60, secure = false,
        http_only = false,
        same_site = "strict" })
    ]]))
    for _, bad in ipairs { "a b", "a;b", "a,b", "a\r\nb", 'a"b', "a\0b", "a\\b", "a\200" } do
      assert.matches("a byte that a cookie can't have", raised("tg.cookie.format('n', select(3, ...))", bad))
      if bad ~= 'a"b' and bad ~= "a\\b" then
        assert.matches("a byte that an attribute can't have",
          raised("tg.cookie.format('n', 'v', { path = select(3, ...) })", bad))
      end
    end
    for _, bad in ipairs { "", "a b", "a=b", "a;", "a\n" } do
      assert.matches("the name of a cookie expected", raised("tg.cookie.format(select(3, ...), 'v')", bad))
    end
    assert.matches('unknown option "httponly"', raised "tg.cookie.format('n', 'v', { httponly = true })")
    assert.matches("needs secure = true", raised "tg.cookie.format('n', 'v', { same_site = 'none', secure = false })")
    assert.matches("max_age: whole seconds", raised "tg.cookie.format('n', 'v', { max_age = 1.5 })")
    assert.matches("a string expected as value", raised "tg.cookie.format('n', {})")
    assert.matches("tg.cookie.parse: a string expected", raised "tg.cookie.parse(nil)")
  end)
end)

describe("tg.uri", function()
  setup(library.start)
  before_each(library.begin_test)
  after_each(library.end_test)
  teardown(library.end_file)

  it("[J01] joins no reference that has what no address can have", function()
    for _, bad in ipairs { "a b", "a\r\nb", "\0", "//h/\200", "a\\b", "%", "%zz", "http://h:99999/", "//[x]/",
      "//a:b:c" } do
      assert.same({ nil, "invalid" }, { eval("return tg.uri.join('http://h/', select(3, ...))", bad) }, bad)
      assert.same({ nil, "invalid" }, { eval("return tg.uri.join(select(3, ...), 'x')", bad) }, bad)
    end
    assert.equal("https://h/b?x=1", (eval "return tg.uri.join('https://h/a', '/b?x=1')"))
  end)
end)

describe("what is loaded when it is first named", function()
  setup(library.start)
  before_each(library.begin_test)
  after_each(library.end_test)
  teardown(library.end_file)

  it("can be named for the first time in a phase, and by require", function()
    for name in pairs { base64 = 1, bytes = 1, cookie = 1, crypto = 1, hash = 1, ip = 1, jwt = 1, re = 1, time = 1 } do
      assert.is_true((eval("return tg[select(3, ...)] == require('tidegate.' .. select(3, ...))", name)), name)
    end
    assert.matches("no such name", raised "return tg.cookies")
    assert.matches("not for scripts", raised "require 'tidegate.runtime.library'")
    assert.matches("not found", raised "require 'tidegate.nothing'")
  end)

  it("is named by the annotations", function()
    local file = assert(io.open("lua/types/library.lua"))
    local text = file:read "*a"
    file:close()
    local names = eval [[
      local names = {}
      for _, part in ipairs { "base64", "bytes", "cookie", "crypto", "hash", "ip", "jwt", "re", "time" } do
        for name in pairs(tg[part]) do names[#names + 1] = name end
      end
      return names
    ]]
    assert.is_true(#names > 40)
    for _, name in ipairs(names) do
      local there = text:find("[.:]" .. name .. "%(") or text:find("@field " .. name .. " ") or name == "crc32"
      assert.truthy(there, name)
    end
  end)

  it("[J12] raises for methods that are called on something else", function()
    for _, code in ipairs {
      "tg.base64.decoder().add({}, 'x')", "tg.base64.decoder().finish({})", "tg.base64.encoder().add({}, 'x')",
      "tg.hash.new 'md5'.add({}, 'x')", "tg.hash.new 'md5'.bytes(1)", "tg.hash.new 'crc32'.hex({})",
      "tg.ip.set {}.has({}, '::1')", "tg.base64.decoder().add('x')", "tg.ip.set {}.has(nil, '::1')",
    } do
      assert.matches("methods are called with a colon", raised("local x = " .. code), code)
    end
    local _, why = library.load "local x = tg.re.new('a').test({}, 'a')"
    assert.matches("gateway.lua:3: regex:test: methods are called with a colon", why)
    for _, code in ipairs {
      "tg.crypto.sign({}, 'x', 'ES256')", "tg.crypto.sign(tg.ip.set {}, 'x', 'ES256')",
        "tg.crypto.verify({}, 'x', 'y', 'ES256')",
    } do
      assert.matches("a key %(tg.crypto.key%) expected", raised("local x = " .. code), code)
    end
    assert.matches("keys %(tg.jwt.keys%) or a key", raised "local x = tg.jwt.sign({}, {}, { algorithm = 'ES256' })")
  end)
end)
