-- tg.shared: memory that all workers and generations share.
local gateway = require "t.support.gateway"
local scripting = require "t.support.scripting"

local edge

local CONFIG = scripting.config [[
share = tg.shared "things" { size = 256 * tg.KB }
local other = tg.shared "other"
]]

local function eval(code) return scripting.eval(edge, "local d = share " .. code) end

local function results(code) return { eval(code) } end

local function start(config, workers)
  edge = gateway.start { config = config or CONFIG, workers = workers or 1 }
end

local function raises(code, text)
  local good, err = pcall(eval, code)
  assert.is_false(good, code)
  assert(err:find(text, 1, true), ("%q in %q"):format(text, err))
  assert(err:find("eval:1:", 1, true), "no place in " .. err)
end

describe("a shared dictionary", function()
  before_each(gateway.begin_test)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  it("keeps strings, numbers and booleans as they are", function()
    start()
    assert.same({ true, 1.5, true, "a\0b", true, false, true, "" }, results [[
      return d:set("k", 1.5), d:get "k", d:set("k", "a\0b"), d:get "k", d:set("k", false), d:get "k", d:set("k", ""),
        d:get "k"]])
    assert.is_nil(eval [[return d:get "absent"]])
    assert.same({ true, false, 7 }, results [[return d:set("", 7), d:add("", 8), d:get ""]])
    assert.same({ "things", "dictionary \"things\"" }, results [[return d.name, tostring(d)]])
  end)

  it("adds, replaces and deletes by whether there is a value", function()
    start()
    assert.same({ false, true, false, true, 2, true, false }, results [[
      return d:replace("k", 1), d:add("k", 1), d:add("k", 3), d:replace("k", 2), d:get "k", d:delete "k",
        d:delete "k"]])
  end)

  it("counts", function()
    start()
    assert.same({ nil, "not_found" }, results [[return d:incr "n"]])
    assert.same({ 6, 7, 4.5 }, results [[return d:incr("n", 1, 5), d:incr "n", d:incr("n", -2.5, 100)]])
    assert.same({ nil, "invalid", "the value is of another type" },
      results [[d:set("s", "7") return d:incr("s", 1, 0)]])
    assert.same({ 1, true, 2, true }, results [[
      local one = d:incr("t", 1, 0, 10)
      local ttl = d:ttl "t" <= 10
      return one, ttl, d:incr("t", 1, 0, 1000), d:ttl "t" <= 10]])
  end)

  it("compares and swaps", function()
    start()
    assert.same({ true, false, 1, false, true, "x", false, true }, results [[
      return d:cas("k", nil, 1), d:cas("k", nil, 2), d:get "k", d:cas("k", "1", 2), d:cas("k", 1, "x"), d:get "k",
        d:cas("k", "y", nil), d:cas("k", "x", nil)]])
    assert.is_nil(eval [[return d:get "k"]])
    assert.same({ true, true }, results [[return d:cas("k", nil, true, 5), d:ttl "k" <= 5]])
  end)

  it("lets values expire", function()
    start()
    assert.same({ true, true, true, "inf" }, results [[
      d:set("a", 1, 0.05) d:set("b", 1)
      local left = d:ttl "a"
      return left <= 0.05, left > 0, d:get "a" == 1, d:ttl "b"]] )
    gateway.wait_until(function() return eval [[return d:get "a"]] == nil end)
    assert.same({ nil, "not_found" }, results [[return d:ttl "a"]])
    assert.same({ false, true, true, true, "inf" }, results [[
      return d:expire("a", 5), d:expire("b", 5), d:ttl "b" <= 5, d:expire "b", d:ttl "b"]])
  end)

  it("has lists, which give the oldest first", function()
    start()
    assert.same({ 1, 2, 3, 3, "x", 2, false, 0 }, results [[
      return d:push("q", "x"), d:push("q", 2), d:push("q", false), d:len "q", d:pop "q", d:pop "q", d:pop "q",
        d:len "q"]])
    assert.same({ n = 1 }, { n = select("#", eval [[return d:pop "q"]]) })
    local another = { nil, "invalid", "the value is of another type" }
    assert.same(another, results [[d:push("q", 1) return d:get "q"]])
    assert.same(another, results [[return d:incr("q", 1, 0)]])
    assert.same(another, results [[d:set("v", 1) return d:push("v", 1)]])
    assert.same(another, results [[return d:pop "v"]])
    assert.same(another, results [[return d:len "v"]])
    assert.same({ true, 1 }, results [[return d:set("q", 1), d:get "q"]])
  end)

  it("lists keys and is cleared", function()
    start()
    assert.same({ 3, "a,b\0,c", 2 }, results [[
      d:set("a", 1) d:set("b\0", 1) d:set("c", 1) d:set("gone", 1, 1e-6)
      local keys = d:keys()
      table.sort(keys)
      return #keys, table.concat(keys, ","), #d:keys(2)]])
    assert.same({ 0 }, results [[d:clear() return #d:keys()]])
  end)

  it("says what is wrong at the script's line [J11]", function()
    start()
    assert.equal(7, eval [[d:set(("k"):rep(65535), 7) return d:get(("k"):rep(65535))]])
    raises([[d:set(("k"):rep(65536), 7)]], "dictionary:set: the key has 65536 bytes; at most 65535")
    raises([[d:get(7)]], "dictionary:get: the key: a string expected, got a number")
    raises([[d:get()]], "a string expected, got a nil")
    raises([[d.get("k")]], "methods are called with a colon")
    raises([[d:set("k", {})]], "dictionary:set: a string, a number or a boolean expected, got a table")
    raises([[d:set("k", nil)]], "got a nil")
    raises([[d:set("k", 1, 0)]], "dictionary:set: seconds, more than 0, expected, got 0")
    raises([[d:set("k", 1, 0/0)]], "seconds, more than 0")
    raises([[d:incr("k", "1")]], "dictionary:incr: by: a number expected, got a string")
    raises([[d:incr("k", 0/0)]], "dictionary:incr: by: a number expected, got nan")
    raises([[d:keys(0)]], "dictionary:keys: an integer from 1 to 1000000 expected, got 0")
    raises([[d:watch("k", "x")]], "dictionary:watch: version: a number expected, got a string")
    raises([[d:watch("k", nil, -1)]], "dictionary:watch: seconds expected, got -1")
    raises([[d.gett = 1]], "a field of a dictionary can't be set")
    raises([[d:gett("k")]], 'there is no such name (did you mean "get"?)')
    raises([[require "tidegate".shared "absent"]], 'tg.shared: "absent" was not declared at load')
    raises([[require "tidegate".shared "things" { size = 100000 }]], "tg.shared declares and works at load only")
    raises([[table.sort({ 1, 2 }, function() d:watch("k", nil, 1) end)]], "can't wait inside a function that C calls")
  end)

  it("never takes more than half of itself for a value, nor more than its size in all", function()
    start()
    assert.same({ nil, "too_large", "it would take more than half of the dictionary" },
      results [[return d:set("k", ("x"):rep(140 * 1024))]])
    assert.same({ true, 100 * 1024 }, results [[return d:set("k", ("x"):rep(100 * 1024)), #d:get "k"]])
    assert.same({ true, true }, results [[
      d:clear()
      for i = 1, 100 do d:set("k" .. i, ("x"):rep(10 * 1024)) end
      local keys = d:keys()
      return #keys >= 15 and #keys <= 25, d:get "k100" ~= nil]])
  end)

  it("shows in the status what it holds and what it had to push out", function()
    start()
    local function shown()
      for _, dictionary in ipairs(edge:status().shared) do
        if dictionary.name == "things" then return dictionary end
      end
    end
    local before = shown()
    assert.same({ 256 * 1024, 0 }, { before.size, before.evictions })
    eval [[for i = 1, 100 do d:set("k" .. i, ("x"):rep(10 * 1024)) end]]
    local after = shown()
    assert.is_true(after.used > 200 * 1024 and after.used <= after.size, tostring(after.used))
    assert.is_true(after.evictions >= 75, tostring(after.evictions))
  end)

  it("is the same by its name, in any file, at load and at run time", function()
    start()
    assert.same({ true, 5 }, results [[
      local tg = require "tidegate"
      tg.shared "other":set("k", 5)
      return tg.shared "things" == d, tg.shared "other":get "k"]])
    assert.is_nil(eval [[return d:get "k"]])
  end)

  it("wakes who watches a key at its next write, and nobody else", function()
    start(nil, 2)
    local value = scripting.begin(edge, [[return share:watch("k", nil, 10)]])
    local other = scripting.begin(edge, [[return share:watch("other", nil, 0.2)]])
    gateway.wait_until(function() return eval [[return d:set("x", 1)]] end)
    eval [[d:delete "k" d:set("k", "news")]]
    local text, version = value()
    assert.equal("news", text)
    assert.same({ nil, "timeout" }, { other() })
    assert.same({ "news", version }, results [[return d:watch("k", 1, 1)]])
    assert.same({ nil, "timeout" }, results(("return d:watch('k', %d, 0)"):format(version)))
    local again = scripting.begin(edge, ("return share:watch('k', %d)"):format(version))
    eval [[d:delete "k"]]
    eval [[d:push("k", "item")]]
    local length, newer = again()
    assert.equal(1, length)
    assert.is_true(newer > version)
  end)

  it("takes any number for a version, since clients name them", function()
    start()
    for _, number in ipairs { "1/0", "-1", "0.5", "1e300", "-1/0", "0/0" } do
      assert.equal(1, (eval(("d:set('k', 1) return d:watch('k', %s, 5)"):format(number))))
    end
  end)

  it("forgets a watcher whose client leaves [J07]", function()
    start()
    for _ = 1, 20 do
      local _, connection = scripting.begin(edge, [[return share:watch("k")]])
      gateway.wait_until(function() return edge:status() end)
      connection:reset()
    end
    gateway.wait_until(function() return (edge:status().workers[1].connections) == 0 end)
    assert.same({ true, 1 }, results [[return d:set("k", 1), d:get "k"]])
  end)

  it("works in init and in tasks, and says so at load", function()
    start(scripting.config [[
      share = tg.shared "things"
      tg.use { { request = function() end, init = function() share:incr("inits", 1, 0) end } }
    ]])
    assert.same({ 1, 3 }, results [[
      local tg = require "tidegate"
      local task = tg.spawn(function() return share:incr("tasks", 3, 0) end)
      return share:get "inits", task:wait()]])
    edge:write("gateway.lua", scripting.config [[share = tg.shared "things" share:get "k"]])
    local result = edge:command "reload"
    assert.is_true(result.code ~= 0)
    assert(result.errors:find("gateway.lua:4: dictionary:get works in init, phases, tasks and timers", 1, true),
      result.errors)
  end)

  it("keeps its content over reloads, other sizes included, and goes with the last generation that names it", function()
    start(scripting.config [[
      tg.settings { generations = { keep = 2 } }
      share = tg.shared "things" { size = 256 * tg.KB }]])
    eval [[for i = 1, 100 do d:set("k" .. i, ("x"):rep(1000)) end]]
    local function reload(lines)
      edge:write("gateway.lua", scripting.config("tg.settings { generations = { keep = 2 } } " .. lines))
      edge:reload()
    end
    reload [[share = tg.shared "things" { size = 1 * tg.MB }]]
    assert.equal(100, eval [[return #d:keys()]])
    assert.is_true(eval [[
      for i = 101, 500 do d:set("k" .. i, ("x"):rep(1000)) end
      return #d:keys() == 500]])
    reload [[share = tg.shared "things" { size = 128 * tg.KB }]]
    local kept = eval [[return #d:keys()]]
    assert.is_true(kept > 80 and kept < 110, tostring(kept))
    assert.equal(1000, eval [[return #d:get "k500"]])
    edge:command "rollback"
    assert.is_true(eval [[for i = 1, 400 do d:set("n" .. i, ("x"):rep(1000)) end return #d:keys() > 400]])
    for _ = 1, 3 do reload [[share = tg.shared "another"]] end
    reload [[share = tg.shared "things"]]
    assert.equal(0, eval [[return #d:keys()]])
  end)

  it("is there for a check of the configuration, which has its own", function()
    start()
    eval [[d:set("k", 1)]]
    local prepared = gateway.prepare { config = scripting.config [[
      share = tg.shared "things"
      tg.use { { request = function() end, init = function() assert(share:get "k" == nil) share:set("k", 2) end } }]] }
    local result = gateway.run { "check", "-c", prepared.folder .. "/gateway.lua" }
    assert.equal(0, result.code, result.errors)
    assert.equal(1, eval [[return d:get "k"]])
  end)

  it("is left alone by a reload that is refused", function()
    start()
    eval [[for i = 1, 100 do d:set("k" .. i, ("x"):rep(1000)) end]]
    edge:write("gateway.lua", scripting.config [[share = tg.shared "things" { size = 64 * tg.KB } tg.nonsense()]])
    assert.is_true(edge:command "reload".code ~= 0)
    assert.equal(100, eval [[return #d:keys()]])
  end)

  it("is declared rightly or refused with the place", function()
    start()
    for text, expected in pairs {
      ['tg.shared "a" { size = 1 }'] = "tg.shared: size: a size in bytes, 64 KB to 1 TB, expected, got 1",
      ['tg.shared "a" { sise = 1 }'] = 'tg.shared: unknown field "sise" (did you mean "size"?)',
      ['tg.shared ""'] = "tg.shared: the name: an empty string has no meaning here",
      ['tg.shared "a" { size = 70000 } tg.shared "a" { size = 80000 }'] =
        'tg.shared: "a" has another size at gateway.lua:4',
      ['tg.shared(("a"):rep(201))'] = "tg.shared: the name has more than 200 bytes",
    } do
      edge:write("gateway.lua", scripting.config(text))
      local result = edge:command "reload"
      assert.is_true(result.code ~= 0, text)
      assert(result.errors:find("gateway.lua:4: " .. expected, 1, true), result.errors)
    end
  end)
end)
