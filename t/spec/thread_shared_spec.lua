-- Shared memory between the workers of a process: exact totals beside expiry and eviction, messages between workers,
-- reloads in between.
local gateway = require "t.support.gateway"
local scripting = require "t.support.scripting"

local edge

local function eval(code) return scripting.eval(edge, code) end

local ROUNDS = gateway.is_instrumented and 1000 or 5000

describe("workers that share memory", function()
  before_each(function()
    gateway.begin_test()
    edge = gateway.start { workers = 4, config = scripting.config [[
      local things = tg.shared "things" { size = 128 * tg.KB }
      local queue = tg.shared "queue" { size = 4 * tg.MB }
      local function work(rounds, name)
        for i = 1, rounds do
          things:incr("total", 1, 0)
          things:set(name .. i, ("x"):rep(i % 200), i % 3 == 0 and 0.0001 or nil)
          things:get(name .. (i - 5))
          if i % 100 == 0 then tg.sleep(0) end
        end
      end
      share = { things = things, queue = queue, work = work, places = tg.limit.concurrency { name = "p", max = 3 } }
      tg.timer.every(0.01, function() things:keys(50) end, { each_worker = true })]] }
  end)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  it("count exactly beside expiry, eviction and reloads", function()
    local pending = {}
    for i = 1, 8 do
      pending[i] = scripting.begin(edge, ('share.work(%d, "w%d") return true'):format(ROUNDS, i))
    end
    edge:reload()
    for i = 1, 8 do assert.is_true(pending[i]()) end
    assert.equal(8 * ROUNDS, eval [[return share.things:get "total"]])
  end)

  it("hand on what is pushed, each thing once", function()
    local takers, taken = {}, 0
    for i = 1, 4 do
      takers[i] = scripting.begin(edge, [[
        local n, version = 0, nil
        while true do
          local thing = share.queue:pop "q"
          if thing == "end" then return n end
          if thing then
            n = n + 1
          else
            local _, seen = share.queue:watch("q", version, 0.2)
            version = type(seen) == "number" and seen or nil
          end
        end]])
    end
    for _ = 1, 4 do
      eval(('for i = 1, %d do share.queue:push("q", i) end'):format(ROUNDS))
    end
    eval [[for _ = 1, 4 do share.queue:push("q", "end") end]]
    for i = 1, 4 do taken = taken + takers[i]() end
    assert.equal(4 * ROUNDS, taken)
    assert.equal(0, eval [[return share.queue:len "q"]])
  end)

  it("let no more in at a time than they should", function()
    local pending = {}
    for i = 1, 12 do
      pending[i] = scripting.begin(edge, [[
        local tg = require "tidegate"
        while not share.places:enter(req, "k") do tg.sleep(0.001) end
        local inside = share.queue:incr("inside", 1, 0)
        tg.sleep(0.01)
        share.queue:incr("inside", -1)
        return inside]])
    end
    for i = 1, 12 do assert.is_true(pending[i]() <= 3) end
  end)
end)
