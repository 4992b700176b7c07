-- tg.cache: this worker's values over those of all over a function that loads them.
local gateway = require "t.support.gateway"
local scripting = require "t.support.scripting"

local edge

local function eval(code) return scripting.eval(edge, "local c, counts = share.cache, share.counts " .. code) end
local function results(code) return { eval(code) } end

-- A cache whose loads are counted, take a moment, and fail while counts says so.
local function start(fields, workers)
  edge = gateway.start { workers = workers or 1, config = scripting.config([[
    local counts = tg.shared "counts"
    local function fetch(key)
      local n = counts:incr("loads", 1, 0)
      if counts:incr("inside" .. key, 1, 0) > 1 then counts:set("two", true) end
      tg.sleep(counts:get "takes" or 0.001)
      counts:incr("inside" .. key, -1)
      if counts:get "raises" then error "a mistake" end
      if counts:get "fails" then return nil, "refused", "port 1" end
      if key == "absent" then return nil end
      return key .. n
    end
    share = { counts = counts, cache = tg.cache.new { name = "things", load = fetch, ]] .. fields .. [[ } }
    share.again = tg.cache.new { name = "things", shared = true, ttl = 1, load = fetch }]]) }
end

local function raises(code, text)
  local good, err = pcall(eval, code)
  assert.is_false(good, code)
  assert(err:find(text, 1, true), err)
end

describe("a cache", function()
  before_each(gateway.begin_test)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  it("loads a key once, and again when its time is over", function()
    start "ttl = 0.2"
    assert.same({ nil, "a1", "a1", "b2", "a1", "a1" }, results [[
      return c:peek "a", c:get "a", c:get "a", c:get "b", c:get "a", c:peek "a"]])
    gateway.wait_until(function() return eval [[return c:get "a"]] == "a3" end)
    assert.is_nil(eval [[require "tidegate".sleep(0.25) return c:peek "a"]])
  end)

  it("loads once for all who ask at the same time, also when the first of them leaves", function()
    start "ttl = 10"
    eval [[counts:set("takes", 0.3)]]
    local _, leaving = scripting.begin(edge, [[return share.cache:get "a"]])
    gateway.wait_until(function() return eval [[return counts:get "loads"]] == 1 end)
    local pending = {}
    for i = 1, 5 do pending[i] = scripting.begin(edge, [[return share.cache:get "a"]]) end
    leaving:reset()
    for i = 1, 5 do assert.equal("a1", (pending[i]())) end
    assert.equal(1, eval [[return counts:get "loads"]])
  end)

  it("that is shared loads once for all workers, one after another where it isn't", function()
    for _, shared in ipairs { true, false } do
      start(("ttl = 10, shared = %s"):format(tostring(shared)), 4)
      eval [[counts:set("takes", 0.1)]]
      local pending = {}
      for i = 1, 12 do pending[i] = scripting.begin(edge, [[return share.cache:get "a"]]) end
      for i = 1, 12 do
        local value = pending[i]()
        assert(value == "a1" or not shared and value:find "^a[1-4]$", value)
      end
      assert.is_nil(eval [[return counts:get "two"]])
      local loads = eval [[return counts:get "loads"]]
      assert.is_true(shared and loads == 1 or not shared and loads > 1 and loads <= 4, tostring(loads))
    end
  end)

  it("serves what is old while loads fail, and says so when there is nothing", function()
    start "ttl = 0.05, stale = 0.6, negative_ttl = 0.05"
    assert.equal("a1", eval [[return c:get "a"]])
    eval [[counts:set("fails", true) require "tidegate".sleep(0.06)]]
    assert.equal("a1", eval [[return c:get "a"]])
    assert.equal(2, eval [[return counts:get "loads"]])
    assert.same({ nil, "refused", "port 1" }, results [[return c:get "b"]])
    assert.same({ nil, "refused", "port 1" }, results [[return c:refresh "a"]])
    assert.equal("a1", eval [[return c:get "a"]])
    gateway.wait_until(function() return eval [[return c:get "a"]] == nil end)
    eval [[counts:delete "fails" require "tidegate".sleep(0.06)]]
    assert.is_truthy(eval [[return c:get "a"]]:find "^a%d+$")
  end)

  it("remembers what isn't there, and failures, for negative_ttl", function()
    start "ttl = 10, negative_ttl = 0.2"
    assert.same({ nil, nil, 1 }, { eval [[return c:get "absent", c:get "absent", counts:get "loads"]] })
    eval [[counts:set("fails", true)]]
    assert.same({ "refused", "refused", 2 }, results [[
      local _, one = c:get "a"
      local _, two = c:get "a"
      return one, two, counts:get "loads"]])
    gateway.wait_until(function() return eval [[c:get "absent" return counts:get "loads"]] == 3 end)
  end)

  it("asks each time without it", function()
    start "ttl = 10"
    assert.equal(2, eval [[c:get "absent" c:get "absent" return counts:get "loads"]])
  end)

  it("says that a load raised, and logs where", function()
    start "ttl = 10"
    eval [[counts:set("raises", true)]]
    local value, err, detail = eval [[return c:get "a"]]
    assert.is_nil(value)
    assert.equal("failed", err)
    assert(detail:find("gateway.lua:10: a mistake", 1, true), detail)
    edge:wait_error "gateway.lua:10: a mistake"
  end)

  it("is refreshed, at most so often", function()
    start "ttl = 100"
    assert.same({ "a1", "a1", "a2", "a2", "a2" }, results [[
      return c:get "a", c:refresh("a", 30), c:refresh "a", c:get "a", c:refresh("a", 30)]])
    eval [[counts:set("fails", true)]]
    assert.equal(3, eval [[c:refresh "a" c:refresh("a", 30) c:refresh("a", 30) return counts:get "loads"]])
    assert.equal("a2", eval [[return c:get "a"]])
  end)

  it("takes values by hand, and forgets them in all workers", function()
    start("ttl = 100, shared = true", 3)
    local function all(expected)
      for _ = 1, 12 do
        local connection = edge:connect()
        assert.equal(expected, (scripting.begin(edge, [[return share.cache:get "a"]])()))
        connection:close()
      end
    end
    all "a1"
    assert.is_true(eval [[return c:set("a", "new")]])
    all "new"
    eval [[c:delete "a"]]
    all "a2"
    assert.is_true(eval [[return c:set("a", "short", 0.1)]])
    gateway.wait_until(function() return eval [[return c:get "a"]] == "a3" end)
  end)

  it("keeps what load gives in all workers and what decode makes of it in each", function()
    start("ttl = 100, shared = true, decode = function(text) counts:incr('decoded', 1, 0) "
      .. "if text == 'bad' then return nil, 'invalid', 'no thing' end return { text = text } end", 2)
    for _ = 1, 8 do assert.equal("a1", eval [[return c:get "a".text]]) end
    assert.is_true(eval [[return counts:get "decoded" <= 2]])
    assert.is_true(eval [[return c:get "a" == c:get "a"]])
    assert.same({ nil, "invalid", "no thing" }, results [[return c:set("b", "bad")]])
    edge:reload()
    assert.equal("a1", eval [[return c:get "a".text]])
    assert.equal(1, eval [[return counts:get "loads"]])
  end)

  it("goes on for a request whose load was begun by a timer of a generation that is over", function()
    start "ttl = 100 } } tg.timer.after(0, function() counts:set('takes', 100) share.cache:get 'a' end) local _ = { {"
    gateway.wait_until(function() return eval [[return counts:get "loads"]] == 1 end)
    local pending = scripting.begin(edge, [[share.counts:set("asked", true) return share.cache:get "a"]])
    gateway.wait_until(function() return eval [[return counts:get "asked"]] end)
    eval [[counts:set("takes", 0.001)]]
    edge:write("gateway.lua", scripting.config "")
    edge:reload()
    assert.equal("a2", (pending()))
  end)

  it("shares any string, number and boolean", function()
    start "ttl = 100, shared = true"
    for _, value in ipairs { [["a\0;\nb"]], [[""]], "-1.5", "1e300", "true", "false" } do
      assert.is_true(eval(("c:set('k', %s) return share.again:get 'k' == %s"):format(value, value)), value)
    end
  end)

  it("keeps no more values than its size", function()
    start "ttl = 100, size = 10"
    eval [[for i = 1, 100 do c:get("k" .. i) end]]
    local kept = eval [[
      local n = 0
      for i = 1, 100 do if c:peek("k" .. i) then n = n + 1 end end
      return n]]
    assert.is_true(kept >= 5 and kept <= 10, tostring(kept))
    assert.is_truthy(eval [[return c:peek "k100"]])
  end)

  it("gives a waiting load up with its generation, and lets another one go on", function()
    start("ttl = 100, shared = true")
    eval [[counts:set("takes", 100)]]
    local _, leaving = scripting.begin(edge, [[return share.cache:get "a"]])
    gateway.wait_until(function() return eval [[return counts:get "loads"]] == 1 end)
    leaving:reset()
    eval [[counts:set("takes", 0.001)]]
    local pending
    for i = 1, 2 do
      edge:reload()
      pending = pending or scripting.begin(edge, [[return share.cache:get "a"]])
      if i == 1 then gateway.wait_until(function() return eval [[return true]] end) end
    end
    assert.equal("a2", (pending()))
  end)

  it("says what is wrong", function()
    start "ttl = 1, shared = true"
    raises([[c:get()]], "cache:get: the key: a string expected, got a nil")
    raises([[c:get(("k"):rep(65535))]], "cache:get: name and key have 65543 bytes; at most 65535")
    raises([[c.get("k")]], "cache:get: a cache expected, got a string")
    raises([[c:set("k", {})]], "cache:set: a string, a number or a boolean expected, got a table")
    raises([[c:set("k", "v", 0)]], "cache:set: seconds, more than 0, expected, got 0")
    raises([[c:refresh("k", -1)]], "cache:refresh: seconds expected, got -1")
    raises([[require "tidegate".cache.new { name = "x", load = print }]], "tg.cache.new: ttl is required")
    raises([[require "tidegate".cache.new { name = "x", load = print, tll = 1 }]], 'unknown field "tll"')
    raises([[table.sort({ 1, 2 }, function() c:get "k" end)]], "can't wait inside a function that C calls")
  end)
end)
