--- Splits, with requests that are plain tables: shares, stickiness, independence, cookies.

local config_host = require "config_host"

local LISTEN = [[local tg = require "tidegate" tg.listen "127.0.0.1:8080"
tg.upstream "app" { "127.0.0.1:1" } tg.upstream "app-v2" { "127.0.0.1:2" }
]]

local function configure(text)
  return config_host.configure(LISTEN .. text)
end

-- The split of a configuration that declares one, and the host.
local function split_of(fields)
  local plan, config, host = configure("tg.use { tg.split 's' " .. fields .. " }")
  assert(plan, config)
  local use = config.use(1)
  return use.options, use.handler, plan.splits[1], host
end

local function refused(expected, fields)
  local plan, err = configure("tg.split 's' " .. fields)
  assert.is_nil(plan)
  assert.equal("gateway.lua:3: tg.split: " .. expected, err)
end

local serial = 0

-- A collection with the method that reads a name which may be that of a method.
local function collection(fields)
  return setmetatable(fields, { __index = { get = function(self, name) return rawget(self, name) end } })
end

local function request(fields)
  serial = serial + 1
  local headers = fields and fields.headers or {}
  local req = {
    id = ("%032x"):format(serial), ctx = {}, cookies = {}, client = { ip = "10.0.0.1" }, answer = {}, cookie_calls = {},
    set_cookie = function(self, name, value, options) table.insert(self.cookie_calls, { name, value, options }) end,
    set_response_header = function(self, name, value) self.answer[name] = value end,
  }
  for key, value in pairs(fields or {}) do req[key] = value end
  req.headers, req.cookies = collection(headers), collection(req.cookies)
  return req
end

local function counts(split, n, make)
  local result = {}
  for i = 1, n do
    local arm = split:assign(request(make and make(i)))
    result[arm] = (result[arm] or 0) + 1
  end
  return result
end

local function user(i) return { cookies = { uid = "user-" .. i } } end

local BY_COOKIE = '{ key = tg.split.cookie "uid", arms = { a = 90, b = 10 } %s }'

describe("a split", function()
  it("gives each arm its share", function()
    local split = split_of(BY_COOKIE:format "")
    local count = counts(split, 20000, user)
    assert.is_true(math.abs(count.b - 2000) < 200, "b got " .. count.b)
  end)

  it("gives an arm of 0 nothing and one of 100 everything", function()
    local split = split_of "{ arms = { a = 100, b = 0 } }"
    assert.same({ a = 2000 }, counts(split, 2000))
  end)

  it("takes shares of two decimals that add up", function()
    local _, _, entry = split_of "{ arms = { a = 33.33, b = 33.33, c = 33.34 } }"
    assert.same({ 3333, 3333, 3334 }, { entry.arms[1].share, entry.arms[2].share, entry.arms[3].share })
  end)

  it("gives the same key the same arm, in every VM and generation", function()
    local first, second = split_of(BY_COOKIE:format ""), split_of(BY_COOKIE:format "")
    for i = 1, 2000 do assert.equal(first:assign(request(user(i))), (second:assign(request(user(i))))) end
  end)

  it("moves only as many keys as the shares move", function()
    local before = split_of(BY_COOKIE:format "")
    local after = split_of '{ key = tg.split.cookie "uid", arms = { a = 80, b = 20 } }'
    before.seed = after.seed
    local moved = 0
    for i = 1, 5000 do
      local old, new = before:assign(request(user(i))), after:assign(request(user(i)))
      if old ~= new then
        moved = moved + 1
        assert.equal("b", new)
      end
    end
    assert.is_true(math.abs(moved - 500) < 100, moved .. " moved")
  end)

  it("is independent of a split with another salt", function()
    local one = split_of '{ key = tg.split.cookie "uid", arms = { a = 50, b = 50 } }'
    for _, salt in ipairs { "t", "s2", "other", "s " } do
      local other = split_of(('{ key = tg.split.cookie "uid", arms = { a = 50, b = 50 }, salt = %q }'):format(salt))
      local both = 0
      for i = 1, 10000 do
        if one:assign(request(user(i))) == other:assign(request(user(i))) then both = both + 1 end
      end
      assert.is_true(math.abs(both - 5000) < 250, salt .. ": " .. both)
    end
  end)

  it("spreads keys evenly over all parts of its range", function()
    local split = split_of("{ key = tg.split.cookie 'uid', arms = { a = 10, b = 10, c = 10, d = 10, e = 10, f = 10, "
      .. "g = 10, h = 10, i = 10, j = 10 } }")
    local chi = 0
    local count = counts(split, 20000, user)
    for _, n in pairs(count) do chi = chi + (n - 2000) ^ 2 / 2000 end
    assert.is_true(chi < 30, "chi square " .. chi)
  end)

  it("keeps the arm of a request whatever changes meanwhile", function()
    local split = split_of(BY_COOKIE:format "")
    local req = request(user(1))
    local arm, counted = split:assign(req)
    assert.is_true(counted)
    for i = 2, 50 do
      req.cookies.uid = "user-" .. i
      assert.equal(arm, (split:assign(req)))
      assert.equal(arm, split:peek(req))
    end
  end)

  it("takes each request on its own without a key", function()
    local split = split_of "{ arms = { a = 50, b = 50 } }"
    local count = counts(split, 10000)
    assert.is_true(math.abs(count.a - 5000) < 300)
  end)

  it("takes a header, the client's address or a function as key", function()
    local by_header = split_of '{ key = tg.split.header "X-User", arms = { a = 50, b = 50 } }'
    local by_ip = split_of "{ key = tg.split.client_ip(), arms = { a = 50, b = 50 } }"
    local by_function = split_of "{ key = function(req) return req.number end, arms = { a = 50, b = 50 } }"
    for i = 1, 100 do
      local ip = "10.0.0." .. i
      assert.equal(by_header:assign(request { headers = { ["x-user"] = "u" .. i } }),
        (by_header:assign(request { headers = { ["x-user"] = "u" .. i } })))
      assert.equal(by_ip:assign(request { client = { ip = ip } }), (by_ip:assign(request { client = { ip = ip } })))
      assert.equal(by_function:assign(request { number = i }), (by_function:assign(request { number = i })))
    end
    local bad = split_of "{ key = function() return {} end, arms = { a = 100 } }"
    assert.has_error(function() bad:assign(request()) end, 'split "s": key gave a table, not a string')
  end)

  it("sets upstream and headers as a handler, and nothing as a method", function()
    local split, handler = split_of([[{ arms = { a = { 100, upstream = "app-v2" } },
      request_header = "X-Arm", response_header = "X-Arm" }]])
    local req = request()
    split:assign(req)
    assert.is_nil(req.upstream)
    handler.request(req, split)
    assert.same({ "app-v2", "a", "a" }, { req.upstream, req.headers["x-arm"], req.answer["x-arm"] })
  end)

  it("has the largest arm as control where none is named", function()
    local split, _, entry = split_of(BY_COOKIE:format "")
    assert.same({ "a", "a" }, { split.control, entry.control })
    assert.equal("b", split_of(BY_COOKIE:format ', control = "b"').control)
  end)
end)

describe("a cookie as key", function()
  local ISSUED = '{ key = tg.split.cookie("uid", { issue = true, max_age = 60 }), arms = { a = 50, b = 50 } }'

  it("is issued to a client that has none, and decides already this request", function()
    local split = split_of(ISSUED)
    for _ = 1, 50 do
      local req = request()
      local arm = split:assign(req)
      local name, value, options = unpack(req.cookie_calls[1])
      assert.same({ "uid", { max_age = 60 } }, { name, options })
      assert.equal(arm, (split:assign(request { cookies = { uid = value } })))
    end
  end)

  it("is issued once, the same for two splits, and not by a look", function()
    local plan, config = configure([[local key = tg.split.cookie("uid", { issue = true })
      tg.use { tg.split "one" { key = key, arms = { a = 50, b = 50 } },
        tg.split "two" { key = tg.split.cookie("uid", { issue = true }), arms = { a = 50, b = 50 } } }]])
    assert(plan, config)
    local one, two = config.use(1).options, config.use(2).options
    local req = request()
    local seen = one:peek(req)
    assert.equal(0, #req.cookie_calls)
    assert.equal(seen, (one:assign(req)))
    local other = two:assign(req)
    assert.equal(1, #req.cookie_calls)
    assert.equal(other, (two:assign(request { cookies = { uid = req.cookie_calls[1][2] } })))
  end)

  it("is not issued to a client that has one, nor without `issue`", function()
    local req = request(user(1))
    split_of(ISSUED):assign(req)
    assert.equal(0, #req.cookie_calls)
    req = request()
    split_of(BY_COOKIE:format ""):assign(req)
    assert.equal(0, #req.cookie_calls)
  end)
end)

describe("a split is refused", function()
  it("where its shares don't add up to 100", function()
    refused("arms: the shares add up to 95, not to 100", "{ arms = { a = 90, b = 5 } }")
    refused("arms: the shares add up to 99.99, not to 100", "{ arms = { a = 33.33, b = 33.33, c = 33.33 } }")
    refused("arms.a: a share from 0 to 100 percent with at most two decimals expected, got 90.001",
      "{ arms = { a = { 90.001 }, b = 9.999 } }")
    refused('"s" has no arms: arms = { a = 90, b = 10 }', "{ }")
  end)

  it("where it names what is not there", function()
    refused('arms.b: unknown upstream "app-v3" (did you mean "app-v2"?)',
      '{ arms = { a = 50, b = { 50, upstream = "app-v3" } } }')
    refused('control: no arm "c"', '{ arms = { a = 50, b = 50 }, control = "c" }')
    refused('unknown field "arm" (did you mean "arms"?)', "{ arm = { a = 100 } }")
    refused('response_header: "set-cookie" can\'t be set this way',
      '{ arms = { a = 100 }, response_header = "Set-Cookie" }')
  end)

  it("twice, without its table, and at the line of its cookie", function()
    local _, err = configure 'tg.split "s" { arms = { a = 100 } }\ntg.split "s" { arms = { a = 100 } }'
    assert.equal('gateway.lua:4: tg.split: "s" is declared twice, first at gateway.lua:3', err)
    _, err = configure 'tg.split "s"'
    assert.equal('gateway.lua:3: tg.split: "s" has no table: tg.split "s" { }', err)
    _, err = configure '\ntg.split.cookie("uid", { max_age = 5 })'
    assert.equal("gateway.lua:4: tg.split.cookie: max_age is for a cookie with issue = true", err)
  end)

  it("by name where this version lacks a field", function()
    for _, field in ipairs { "override", "when", "coverage", "layer", "ramp", "guard" } do
      refused(("%q is not available in this version of tidegate"):format(field),
        ("{ arms = { a = 100 }, %s = {} }"):format(field))
    end
    local _, err = configure 'tg.split.claim "sub"'
    assert.equal("gateway.lua:3: tg.split.claim is not available in this version of tidegate", err)
  end)
end)
