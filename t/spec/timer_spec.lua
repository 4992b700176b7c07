-- tg.timer and tg.semaphore.
local gateway = require "t.support.gateway"
local scripting = require "t.support.scripting"

local edge

local function eval(code) return scripting.eval(edge, code) end
local function results(code) return { eval(code) } end

local function start(lines, workers)
  edge = gateway.start { config = scripting.config('share = tg.shared "counts"\n' .. lines), workers = workers or 1 }
end

local function reload(lines)
  edge:write("gateway.lua", scripting.config('share = tg.shared "counts"\n' .. lines))
  edge:reload()
end

local function count(key) return eval(("return share:get %q or 0"):format(key)) end

local function wait_count(key, number)
  gateway.wait_until(function() return count(key) >= number end, 20, key)
end

-- Counts of a key stay as they are while another one goes on.
local function stands_still(key, while_key)
  local at, other = count(key), count(while_key)
  wait_count(while_key, other + 5)
  assert.equal(at, count(key), key)
end

local function raises(code, text)
  local good, err = pcall(eval, "local tg = require 'tidegate' " .. code)
  assert.is_false(good, code)
  assert(err:find(text, 1, true), err)
end

describe("a timer", function()
  before_each(gateway.begin_test)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  it("of the configuration runs on one worker of the process, with each_worker on all", function()
    start([[
      tg.timer.every(0.01, function() share:incr("one" .. tg.worker.id, 1, 0) end)
      tg.timer.every(0.01, function() share:incr("all" .. tg.worker.id, 1, 0) end, { each_worker = true })
      tg.timer.after(0, function(a, b) share:incr("after", a + b, 0) end, 2, 3)
      tg.timer.every(100, function() share:incr("now", 1, 0) end, { now = true })
      tg.timer.every(100, function() share:incr("later", 1, 0) end, { jitter = 1 })
      tg.use { { request = function() end,
        init = function() tg.timer.every(100, function() share:incr("init", 1, 0) end, { now = true }) end } }
    ]], 3)
    for _, key in ipairs { "one0", "all0", "all1", "all2" } do wait_count(key, 5) end
    assert.same({ 0, 0, 5, 1, 0, 1 }, { count "one1", count "one2", count "after", count "now", count "later",
      count "init" })
  end)

  it("never has two runs at once, and begins the next at its turn", function()
    start [[
      tg.timer.every(0.02, function()
        local inside = share:incr("inside", 1, 0)
        if inside > 1 then share:set("two", true) end
        tg.sleep(0.05)
        share:incr("inside", -1)
        share:incr("runs", 1, 0)
      end)]]
    wait_count("runs", 5)
    assert.is_nil(eval [[return share:get "two"]])
  end)

  it("made by a request outlives it, and is stopped by name of its object", function()
    start ""
    eval [[
      local tg = require "tidegate"
      tg.timer.after(0.05, function(text) share:set("after", text) end, "words")
      local timer
      timer = tg.timer.every(0.01, function() if share:incr("every", 1, 0) == 3 then timer:stop() end end)
      tg.timer.after(0.05, function() share:set("stopped", true) end):stop()
      tg.timer.every(0.01, function() share:incr("beside", 1, 0) end, { now = true })]]
    wait_count("every", 3)
    stands_still("every", "beside")
    gateway.wait_until(function() return eval [[return share:get "after"]] == "words" end)
    assert.is_nil(eval [[return share:get "stopped"]])
  end)

  it("that fails is in the error log with its traceback, and goes on", function()
    start [[
      local function fails()
        if share:incr("runs", 1, 0) == 2 then error "once more" end
      end
      tg.timer.every(0.01, fails)]]
    wait_count("runs", 5)
    edge:wait_error "script error in a timer"
    assert(edge:errors():find("gateway.lua:6: once more", 1, true), edge:errors())
    assert(edge:errors():find("stack traceback", 1, true), edge:errors())
  end)

  it("ends its tasks with each run", function()
    start [[
      tg.timer.every(0.05, function()
        tg.spawn(function()
          tg.sleep(0.01)
          share:incr("begun", 1, 0)
          tg.sleep(0.02)
          share:incr("over", 1, 0)
        end)
        tg.sleep(0.02)
        share:incr("runs", 1, 0)
      end)
      tg.timer.every(0.01, function() share:incr("beside", 1, 0) end)]]
    wait_count("runs", 3)
    wait_count("beside", count "beside" + 5)
    assert.is_true(count "begun" >= 2)
    assert.equal(0, count "over")
  end)

  it("ends with its generation, in the middle of a wait too, and begins again after a rollback", function()
    start [[
      tg.timer.every(0.01, function() share:incr("first", 1, 0) end)
      tg.timer.after(0, function() while true do tg.sleep(0.01) share:incr("loop", 1, 0) end end)
      local function again() share:incr("chain", 1, 0) tg.timer.after(0.01, again) end
      tg.timer.after(0, again)]]
    for _, key in ipairs { "first", "loop", "chain" } do wait_count(key, 3) end
    eval [[local tg = require "tidegate"
      tg.timer.every(0.01, function() share:incr("of_request", 1, 0) end)
      tg.timer.after(0.3, function() share:incr("outlives", 1, 0) end)]]
    reload [[tg.timer.every(0.01, function() share:incr("second", 1, 0) end)]]
    for _, key in ipairs { "first", "loop", "chain", "of_request" } do stands_still(key, "second") end
    wait_count("outlives", 1)
    edge:command "rollback"
    local at = count "loop"
    for _, key in ipairs { "first", "loop", "chain" } do wait_count(key, at + 3) end
    for _, key in ipairs { "second", "of_request" } do stands_still(key, "first") end
  end)

  it("of a reload that is refused never begins", function()
    start [[tg.timer.every(0.01, function() share:incr("first", 1, 0) end)]]
    edge:write("gateway.lua", scripting.config [[
      share = tg.shared "counts"
      tg.timer.after(0, function() share:incr("refused", 1, 0) end)
      tg.use { { request = function() end, init = function() tg.sleep(0.05) error "no" end } }]])
    assert.is_true(edge:command "reload".code ~= 0)
    stands_still("refused", "first")
    assert.equal(0, count "refused")
  end)

  it("is refused where there are too many, and says what is wrong", function()
    start ""
    raises("tg.timer.after(-1, print)", "tg.timer.after: the first argument: seconds, at least 0, expected, got -1")
    raises("tg.timer.after(1)", "tg.timer.after: a function expected, got a nil")
    raises("tg.timer.every(0, print)", "tg.timer.every: the first argument: seconds, at least 0.001, expected, got 0")
    raises("tg.timer.every(1, print, { noww = true })", 'unknown option "noww" (did you mean "now"?)')
    raises("tg.timer.every(1, print, { jitter = true })", "tg.timer.every: jitter: a number expected, got a boolean")
    raises("tg.timer.after(1000, print).stopp()", 'timer.stopp: there is no such name (did you mean "stop"?)')
    raises("tg.timer.after(1000, print).stop()", "timer:stop: a timer expected")
    raises("tg.timer.at(1)", 'tg.timer.at: there is no such name')
    assert.same({ 16384 - 2, "busy", "there are too many timers" }, results [[
      local tg, made = require "tidegate", 0
      while true do
        local timer, err, detail = tg.timer.after(1000, print)
        if not timer then return made, err, detail end
        made = made + 1
      end]])
  end)

  it("begins again in a VM that was dropped and built again", function()
    start [[
      local runs = 0
      tg.timer.every(0.01, function()
        runs = runs + 1
        share:set("here", runs)
        share:incr("runs", 1, 0)
      end)]]
    wait_count("here", 20)
    assert.is_true(edge:ask({ command = "debug-drop-vm" }).ok)
    gateway.wait_until(function() return count "here" < 20 end)
    wait_count("here", 3)
  end)

  it("leaves nothing behind in a storm of reloads: timers, tasks, watchers and waits of old generations", function()
    local lines = [[
      tg.settings { generations = { keep = 2 } }
      tg.timer.every(0.01, function() share:incr("runs", 1, 0) end, { each_worker = true })
      tg.timer.after(0, function()
        local tasks = {}
        for i = 1, 20 do
          tasks[i] = tg.spawn(function()
            local _, seen
            while true do _, seen = share:watch("never", seen) end
          end)
          tasks[i + 20] = tg.spawn(function() while true do tg.sleep(1) end end)
        end
        tg.wait_all(tasks)
      end)]]
    start(lines, 2)
    for i = 1, 30 do reload(lines .. "\n-- " .. i) end
    gateway.wait_until(function() return #edge:generations().generations <= 2 end)
    wait_count("runs", count "runs" + 5)
    assert.is_true(eval [[return share:set("never", 1)]])
  end)
end)

describe("a semaphore", function()
  before_each(gateway.begin_test)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  local LINES = [[
    local places = tg.semaphore(2)
    function share2() return places end]]

  before_each(function()
    start(LINES:gsub("function share2.*", "share = { places = places, counts = share }"))
  end)

  it("lets so many in, in the order in which they came", function()
    assert.same({ "1,2,3,4,5,6", 2 }, results [[
      local tg, order, inside, most, tasks = require "tidegate", {}, 0, 0, {}
      for i = 1, 6 do
        tasks[i] = tg.spawn(function()
          share.places:enter()
          order[#order + 1] = i
          inside = inside + 1
          most = math.max(most, inside)
          tg.sleep(0.01)
          inside = inside - 1
          if i % 2 == 0 then share.places:leave() end
        end)
      end
      tg.wait_all(tasks)
      return table.concat(order, ","), most]])
  end)

  it("gives up after a time", function()
    assert.same({ true, true, nil, "timeout", true }, results [[
      local p = share.places
      local one, two, three, err = p:enter(), p:enter(0), p:enter(0.01)
      p:leave()
      return one, two, three, err or "timeout", p:enter(0)]])
  end)

  it("is left when the request that holds it ends, also when its client goes [J07]", function()
    for _ = 1, 5 do
      assert.same({ true, true }, results [[return share.places:enter(5), share.places:enter(5)]])
    end
    local _, one = scripting.begin(edge, [[
      share.places:enter() share.places:enter() share.counts:set("in", true) require "tidegate".sleep(100)]])
    gateway.wait_until(function() return eval [[return share.counts:get "in"]] end)
    local _, waiting = scripting.begin(edge, [[return share.places:enter()]])
    local two = scripting.begin(edge, [[return share.places:enter(10), share.places:enter(10)]])
    assert.same({ nil, "timeout" }, results [[return share.places:enter(0.05)]])
    waiting:reset()
    one:reset()
    assert.same({ true, true }, { two() })
  end)

  it("refuses to be left by who holds no place", function()
    for code, text in pairs {
      ["share.places:leave()"] = "semaphore:leave: this request, task or timer holds no place",
      ["share.places:enter(-1)"] = "semaphore:enter: seconds expected, got -1",
      ["share.places.enter()"] = "a semaphore (methods are called with a colon) expected",
      ["require 'tidegate'.semaphore(0)"] = "tg.semaphore: an integer from 1 to 1000000 expected, got 0",
    } do
      local good, err = pcall(eval, code)
      assert.is_false(good, code)
      assert(err:find(text, 1, true), err)
    end
  end)

  it("comes and goes with whoever made it", function()
    assert.equal("done", eval [[
      local tg = require "tidegate"
      for _ = 1, 20000 do tg.semaphore(1):enter() end
      return "done"]])
    assert.equal("done", eval [[collectgarbage "count" return "done"]])
  end)
end)
