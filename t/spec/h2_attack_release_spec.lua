-- Abuse of HTTP/2, each kind for a while, beside a well-behaved client: it is served as if the abuser sent legal frames
-- at that rate, the abuser hears ENHANCE_YOUR_CALM, and memory returns. ATTACK_SECONDS makes each longer.
local cjson = require "cjson.safe"
local gateway = require "t.support.gateway"
local origin = require "t.support.origin"
local process = require "t.support.process"
local socket = require "socket"

local SECONDS = tonumber(os.getenv "ATTACK_SECONDS") or 1.5
local RATE = 10000
-- Below this a median says more of the machine than of the gateway.
local FLOOR_MS = 2

local CONFIG = [[
local tg = require "tidegate"
tg.settings { access_log = false, timeouts = { header = 2, idle = 5 } }
tg.listen "127.0.0.1:${port}"
tg.upstream "origin" { "127.0.0.1:${origin}" }
-- the abuser's own, so that what it asks for there keeps nobody waiting
tg.upstream "abused" { "127.0.0.1:${abused}" }
tg.route { path = "/abused", upstream = "abused" }
tg.route { path = "/*", upstream = "origin" }
]]

local GOOD, PATH, BIG = "/?body=100&seed=3", "/abused?body=100&seed=1", "/abused?body=4000000&seed=2"
local CALM, PROTOCOL, FRAME_SIZE, STREAM_CLOSED, COMPRESSION = 11, 1, 6, 5, 9

-- The third: what the GOAWAY may say; nil: none has to come. frames: the legal counterpart is frames, not requests.
local ABUSES = {
  { "rapid_reset", "streams opened and reset [F01] [F03]", { CALM } },
  { "window_overflow", "resets provoked by overflowing windows [F02]", { CALM } },
  { "window_of_zero", "window updates of zero [F02]", { CALM, PROTOCOL } },
  { "short_priority", "PRIORITY of a wrong size [F02]", { CALM, FRAME_SIZE } },
  { "own_dependency", "streams that depend on themselves [F02]", { CALM, PROTOCOL } },
  { "data_after_end", "DATA after the end of a stream [F02]", { CALM, STREAM_CLOSED } },
  { "wrong_length", "bodies of another length than they say [F02]", { CALM } },
  { "malformed_head", "heads that are refused [F02] [F06]", { CALM } },
  { "unanswered", "more streams than allowed", { CALM, PROTOCOL } },
  { "continuation", "CONTINUATION without end [F04]", { CALM, PROTOCOL, COMPRESSION }, frames = true },
  { "empty_continuation", "empty CONTINUATION without end [F04]", { CALM, PROTOCOL }, frames = true },
  { "header_bomb", "a header list of one-byte references [F10]", { CALM }, frames = true },
  { "cookie_crumbs", "cookie crumbs by the thousand [F10]", nil, frames = true },
  { "settings", "SETTINGS without end [F05]", { CALM }, frames = true },
  { "ping", "PING without end [F05]", { CALM }, frames = true },
  { "empty_data", "empty DATA without end [F07]", { CALM }, frames = true, connections = 1 },
  { "padded_data", "DATA of nothing but padding [F07] [W05]", { CALM }, frames = true, connections = 1 },
  { "priority", "PRIORITY without end [F08]", { CALM }, frames = true },
  { "window_update", "WINDOW_UPDATE without end [F08]", { CALM }, frames = true, connections = 1 },
  { "unknown", "frames of unknown types without end [F14]", { CALM }, frames = true },
  { "shut_window", "big answers under windows that stay shut [F12]", nil },
  { "trickle", "big answers under windows that open by a byte [F12]", nil },
  { "deaf", "a client that asks for answers to control frames and reads none [F05] [F06]", nil, frames = true },
  { "deaf_requests", "a client that asks for big answers and reads none [E02]", nil },
  { "idle", "connections that say nothing after the preface", nil, connections = 300 },
  { "silent", "connections that say nothing at all [T11]", nil, connections = 300 },
}

local edge, strict, abused
local legal, base = {}, nil

local function start_steady()
  return process.start {
    program = process.program "h2_steady",
    arguments = { "--port", edge.port, "--path", GOOD, "--size", 100, "--seconds", SECONDS + 60 },
  }
end

local function end_steady(steady)
  steady:send "stop"
  assert(steady:wait(20) == 0, "the steady client does not end")
  return assert(cjson.decode(steady:output_text()))
end

local function attack(mode, options)
  local code, output, errors = process.run {
    program = process.program "h2_attack", timeout = SECONDS + 20,
    arguments = { mode, "--port", edge.port, "--seconds", options and options.seconds or SECONDS, "--rate", RATE,
      "--path", PATH, "--big", BIG, "--connections", options and options.connections or 4 },
  }
  assert(code == 0, tostring(code) .. errors)
  return assert(cjson.decode(output))
end

-- What the steady client has beside it, and what the attacker met.
local function measure(mode, options)
  local steady = start_steady()
  local met = attack(mode, options)
  return end_steady(steady), met
end

local function resident()
  return edge.process:memory "VmRSS"
end

-- Once it has stood still for longer than the gateway waits before it gives memory back.
local function settled()
  local least, since = resident(), socket.gettime()
  while socket.gettime() - since < 5 do
    socket.sleep(0.2)
    if resident() < least * 0.99 or resident() > least * 1.01 then least, since = resident(), socket.gettime() end
  end
  return resident()
end

-- Beside legal frames, once for each of the two kinds.
local function beside_legal(mode)
  if not legal[mode] then
    local steady, met = measure(mode)
    assert(steady.failed == 0, steady.why)
    assert(met.answers > 0 and met.closed == 0 and not next(met.goaways), cjson.encode(met))
    legal[mode] = steady.median_ms
  end
  return legal[mode]
end

local function start()
  strict, abused = origin.start(), origin.start()
  edge = gateway.start {
    config = CONFIG, variables = { origin = strict.port, abused = abused.port }, workers = 1, descriptors = 4000,
  }
  -- what the process takes once and keeps, such as its pool of blocks
  for _, mode in ipairs { "legal_requests", "legal_frames", "unanswered", "shut_window", "deaf_requests" } do
    -- the last one fills the pools most
    measure(mode, { seconds = mode == "deaf_requests" and SECONDS or 0.7 })
  end
  measure("idle", { seconds = 0.5, connections = 300 })
  base = settled()
end

local function expect_goaway(met, codes)
  local total, named = 0, 0
  for code, count in pairs(met.goaways) do
    total = total + count
    for _, allowed in ipairs(codes) do
      if tonumber(code) == allowed then named = named + count end
    end
  end
  assert(named > 0, "no GOAWAY of the kind expected: " .. cjson.encode(met))
  assert.equal(total, named, cjson.encode(met))
end

describe("an HTTP/2 client that sends", function()
  setup(start)
  before_each(gateway.begin_test)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  for _, abuse in ipairs(ABUSES) do
    local mode, what, codes = abuse[1], abuse[2], abuse[3]
    local counterpart = abuse.frames and "legal_frames" or "legal_requests"

    -- What the steady client has, and the most that it may have.
    local function compare()
      local steady, met = measure(mode, abuse)
      assert.equal(0, steady.failed, steady.why)
      assert(steady.requests > SECONDS * 20, steady.requests .. " requests only")
      if codes then expect_goaway(met, codes) end
      return steady.median_ms, math.max(FLOOR_MS, 2 * beside_legal(counterpart))
    end

    it(what .. " harms nobody else", function()
      local median, most = compare()
      -- something else may have kept the machine busy just then: both once more
      if median > most then
        legal[counterpart] = nil
        median, most = compare()
      end
      assert(median <= most, ("median %.3f ms, at most %.3f ms"):format(median, most))
      local back = pcall(process.wait_until, function() return resident() <= base * 1.05 end, 15)
      assert(back, ("%.1f MB resident, %.1f MB before"):format(resident() / 2 ^ 20, base / 2 ^ 20))
    end)
  end

  it("all of that leaves no work behind at the origin", function()
    process.wait_until(function() return edge:status().counters.requests_active == 0 end, 15, "the last request's end")
    for _, each in ipairs { strict, abused } do
      assert.equal(0, each:stats().violations, table.concat(each:stats().texts, "; "))
    end
  end)

  it("all of that is counted, and told in the error log with the client and the limit", function()
    assert(edge:status().counters.h2_calmed > 0)
    local text = edge:errors()
    for _, limit in ipairs { "resets", "control frames", "header bytes" } do
      assert.is_truthy(text:find("client 127%.0%.0%.1:%d+: HTTP/2 limit passed: [^\n]*" .. limit), limit)
    end
  end)
end)
