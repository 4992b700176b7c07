-- What a storm of reloads leaves behind of scripts that have timers, tasks, watchers and dictionaries: nothing.
local gateway = require "t.support.gateway"
local scripting = require "t.support.scripting"

local edge

local function eval(code) return scripting.eval(edge, code) end

local LINES = [[
  tg.settings { generations = { keep = 2 } }
  local counts = tg.shared "counts"
  local function fetch(key) tg.sleep(0.01) return key end
  local cache = tg.cache.new { name = "c", ttl = 0.05, shared = true, load = fetch }
  local places = tg.semaphore(1)
  tg.timer.every(0.01, function() counts:incr("runs", 1, 0) cache:get "k" end, { each_worker = true })
  tg.timer.after(0, function()
    for _ = 1, 50 do
      tg.spawn(function() counts:watch "never" end)
      tg.spawn(function() places:enter() tg.sleep(1000) end)
    end
    tg.sleep(1000)
  end)
  share = counts]]

-- Generations that have VMs.
local function living() return #edge:generations().generations end

describe("a storm of reloads", function()
  before_each(gateway.begin_test)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  it("ends timers, tasks, watchers and waits of old generations, and memory and descriptors return", function()
    edge = gateway.start { config = scripting.config(LINES), workers = 4 }
    local function reload(times)
      for _ = 1, times do edge:reload() end
      gateway.wait_until(function() return living() <= 2 end)
    end
    reload(20)
    local memory, open = edge.process:memory(), edge.process:open_descriptors()
    reload(100)
    local memory_then, open_then = edge.process:memory(), edge.process:open_descriptors()
    assert.is_true(open_then <= open + 2, ("%d descriptors, then %d"):format(open, open_then))
    assert.is_true(memory_then < memory * 1.3 + 4096 * 1024, ("%d bytes, then %d"):format(memory, memory_then))
    local runs = eval [[return share:get "runs"]]
    gateway.wait_until(function() return eval [[return share:get "runs"]] > runs + 20 end)
  end)
end)
