-- tg.limit in shared memory.
local gateway = require "t.support.gateway"
local scripting = require "t.support.scripting"

local edge

local function eval(code) return scripting.eval(edge, "local s = share " .. code) end
local function results(code) return { eval(code) } end

local CONFIG = scripting.config [[
share = {
  bucket = tg.limit.bucket { name = "b", rate = 10, burst = 5 },
  slow = tg.limit.bucket { name = "slow", rate = 0.001, burst = 2 },
  window = tg.limit.window { name = "w", limit = 3, per = 0.5 },
  long = tg.limit.window { name = "l", limit = 1000, per = 100 },
  places = tg.limit.concurrency { name = "c", max = 2 },
}]]

local function raises(code, text)
  local good, err = pcall(eval, code)
  assert.is_false(good, code)
  assert(err:find(text, 1, true), err)
end

describe("a limit", function()
  before_each(function()
    gateway.begin_test()
    edge = gateway.start { config = CONFIG, workers = 2 }
  end)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  it("as a bucket gives the burst at once, then so many a second, to each key", function()
    assert.same({ true, 4, true, 1, true, 0, false, true }, results [[
      local one, left = s.bucket:take "k"
      local two, left2 = s.bucket:take("k", 3)
      local three, left3 = s.bucket:take "k"
      local four, wait = s.bucket:take "k"
      return one, left, two, left2, three, left3, four, wait > 0 and wait <= 0.1]])
    assert.same({ true, 4 }, results [[return s.bucket:take "another"]])
    gateway.wait_until(function() return eval [[return s.bucket:take("k", 5)]] end)
    eval [[s.slow:take("k", 2)]]
    local _, wait = eval [[return s.slow:take("k", 0.5)]]
    assert.is_true(wait > 499 and wait <= 500, tostring(wait))
  end)

  it("as a window counts from the first on, to each key", function()
    assert.same({ true, 2, true, 0, false, true }, results [[
      local one, left = s.window:take "k"
      local two, left2 = s.window:take("k", 2)
      local three, wait = s.window:take "k"
      return one, left, two, left2, three, wait > 0 and wait <= 0.5]])
    gateway.wait_until(function() return (eval [[return s.window:take "k"]]) end)
    assert.same({ true, 2 }, results [[return s.window:take "another"]])
  end)

  it("is one for all workers, exactly", function()
    local pending, taken = {}, 0
    for i = 1, 8 do
      pending[i] = scripting.begin(edge, [[
        local n, tg = 0, require "tidegate"
        for i = 1, 200 do
          if share.long:take "k" then n = n + 1 end
          if i % 20 == 0 then tg.sleep(0.001) end
        end
        return n]])
    end
    for i = 1, 8 do taken = taken + pending[i]() end
    assert.equal(1000, taken)
  end)

  it("survives a reload", function()
    assert.is_true(eval [[return s.slow:take("k", 2)]])
    edge:reload()
    assert.is_false((eval [[return s.slow:take "k"]]))
  end)

  it("of what is under way is left when the request ends, however it ends [J07]", function()
    assert.same({ true, true, false, true }, results [[
      return s.places:enter(req, "k"), s.places:enter(req, "k"), s.places:enter(req, "k"), s.places:enter(req, "o")]])
    local connections = {}
    for i = 1, 2 do
      local _, connection = scripting.begin(edge, [[
        assert(share.places:enter(req, "k"))
        require "tidegate".sleep(100)]])
      connections[i] = connection
    end
    gateway.wait_until(function() return eval [[return s.places:enter(req, "k")]] == false end)
    for _, connection in ipairs(connections) do connection:reset() end
    gateway.wait_until(function()
      return eval [[return s.places:enter(req, "k") and s.places:enter(req, "k")]] == true
    end)
    raises([[s.places:enter(nil, "k")]], "methods are called with a colon")
  end)

  it("is left by requests whose VM was dropped", function()
    local pending = scripting.begin(edge, [[
      assert(share.places:enter(req, "k") and share.places:enter(req, "k"))
      require "tidegate".sleep(100)]])
    gateway.wait_until(function() return eval [[return s.places:enter(req, "k")]] == false end)
    assert.is_true(edge:ask({ command = "debug-drop-vm" }).ok)
    assert.is_false((pcall(pending)))
    gateway.wait_until(function() return eval [[return s.places:enter(req, "k")]] end)
  end)

  it("says what is wrong", function()
    raises([[s.bucket:take()]], "bucket:take: the key: a string expected, got a nil")
    raises([[s.bucket:take(("k"):rep(65534))]], "bucket:take: name and key have 65537 bytes; at most 65535")
    raises([[s.bucket:take("k", 6)]], "bucket:take: a number, more than 0 and at most 5, expected, got 6")
    raises([[s.bucket:take("k", -1)]], "bucket:take: a number, more than 0 and at most 5, expected, got -1")
    raises([[s.bucket.take("k")]], "bucket:take: a bucket expected, got a string")
    raises([[require "tidegate".limit.bucket { name = "x" }]], "tg.limit.bucket: rate is required")
    raises([[require "tidegate".limit.bucket { name = "x", rat = 1 }]], 'unknown field "rat" (did you mean "rate"?)')
    raises([[require "tidegate".limit.window { name = "", limit = 1, per = 1 }]], "tg.limit.window: name: an empty")
    edge:write("gateway.lua", scripting.config [[tg.limit.bucket { name = "x", rate = 1, burst = 1 }:take "k"]])
    local result = edge:command "reload"
    assert.is_true(result.code ~= 0)
    assert(result.errors:find("gateway.lua:4: bucket:take works in init, phases, tasks and timers", 1, true),
      result.errors)
  end)
end)
