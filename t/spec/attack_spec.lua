---What a hostile client, a broken upstream or a careless script did to the gateway once.
local gateway = require "t.support.gateway"

before_each(gateway.begin_test)
after_each(gateway.end_test)
teardown(gateway.end_file)

describe("a script that errs", function()
  it("is told at the call that a name of a header is too close to framing, and the client is answered [D04]", function()
    local gate = gateway.start {
      config = [[
local tg = require "tidegate"
tg.listen "127.0.0.1:${port}"
tg.route {
  request = function(req)
    local good, why = pcall(function() req:set_response_header("content_length", "5") end)
    return req:respond(200, tostring(good) .. " " .. tostring(why))
  end,
}
]],
    }
    local response = gate:request { path = "/" }
    assert.equal(200, response.status)
    assert.matches("^false gateway%.lua:5: req:set_response_header: header \"content_length\": ", response.body)
  end)
end)

local SCRIPT = [[
local tg = require "tidegate"
tg.listen "127.0.0.1:${port}"
tg.settings { access_log = "${folder}/access.log" }
tg.route { path = "/ping", respond = { 200, "pong" } }
]]

local function start(text, options)
  options = options or {}
  options.config = SCRIPT .. text
  return gateway.start(options)
end

local function body_of(gate, path)
  local response = gate:request { path = path }
  assert.equal(200, response.status)
  return response.body
end

describe("waiting", function()
  it("raises at the script's line inside a function that C calls, and leaves nothing behind", function()
    local gate = start [[
tg.route {
  path = "/wait",
  request = function(req)
    local task = tg.spawn(function() tg.sleep(0.05) end)
    local _, sorted = pcall(table.sort, { 3, 2, 1 }, function() tg.sleep(0.01) end)
    local _, replaced = pcall(string.gsub, "a", "a", function() task:wait() end)
    local inner = coroutine.wrap(function() task:wait() end)
    local _, carried = pcall(string.gsub, "a", "a", function() inner() end)
    local begun = tg.clock()
    tg.sleep(0.3)
    local slept = tg.clock() - begun >= 0.299 and "slept" or "woken too soon"
    return req:respond(200, table.concat({ sorted, replaced, carried, slept }, "\n"))
  end,
}
]]
    local lines = {}
    for line in body_of(gate, "/wait"):gmatch "[^\n]+" do lines[#lines + 1] = line end
    assert.matches("^gateway%.lua:9: tg%.sleep can't wait inside a function that C calls", lines[1])
    assert.matches("^gateway%.lua:10: task:wait can't wait inside", lines[2])
    assert.matches("^gateway%.lua:12: a coroutine can't wait inside", lines[3])
    assert.equal("slept", lines[4])
  end)

  it("of tasks that start tasks without end keeps no other request waiting [E04]", function()
    local gate = start [[
tg.route {
  path = "/chain",
  request = function(req)
    local function again() tg.spawn(again) end
    tg.spawn(again)
    tg.sleep(0.3)
    return req:respond(200, "chained")
  end,
}
tg.route {
  path = "/turns",
  request = function(req)
    local begun = tg.clock()
    while tg.clock() - begun < 0.3 do tg.spawn(function() end):wait() end
    return req:respond(200, "turned")
  end,
}
]]
    for path, answer in pairs { ["/chain"] = "chained", ["/turns"] = "turned" } do
      local connection = gate:connect()
      connection:send("GET " .. path .. " HTTP/1.1\r\nHost: a\r\n\r\n")
      for _ = 1, 3 do assert.equal("pong", body_of(gate, "/ping")) end
      assert.equal(answer, connection:read_response().body)
    end
  end)

  it("for a task that raised what is no text tells so, and calls none of its metamethods", function()
    local gate = start [[
tg.route {
  path = "/task",
  request = function(req)
    local odd = setmetatable({}, { __tostring = function() error "in tostring" end })
    local task = tg.spawn(function() error(odd) end)
    local value, err, detail = task:wait()
    return req:respond(200, tostring(value) .. " " .. err .. " " .. detail)
  end,
}
]]
    assert.equal("nil failed (the error is a table)", body_of(gate, "/task"))
  end)
end)

describe("tg", function()
  it("can't be changed by a handler, whose neighbours need it", function()
    local gate = start [[
tg.route {
  path = "/change",
  request = function(req)
    local o = {
      tostring((pcall(function() tg.KB = 1 end))),
      tostring((pcall(rawset, tg, "KB", 1))),
      tostring((pcall(setmetatable, tg, nil))),
    }
    return req:respond(200, table.concat(o, " ") .. " " .. tg.KB)
  end,
}
]]
    assert.equal("false false false 1024", body_of(gate, "/change"))
  end)
end)

describe("a configuration that errs", function()
  local function check(text, files)
    local gate = gateway.prepare { config = SCRIPT .. text, files = files }
    local result = gateway.run { "check", "-c", gate.folder .. "/gateway.lua" }
    assert.equal(1, result.code)
    return result.errors
  end

  it("is refused with its line, whatever it raises", function()
    assert.equal("gateway.lua:5: an error that is a table was raised\n", check "error {}")
    assert.equal("gateway.lua:5: an error that is a nil was raised\n", check "error()")
    assert.equal('gateway.lua:5: tg.use: "h": an error that is a table was raised\n',
      check('tg.use { "h" }', { ["h.lua"] = "error {}" }))
  end)

  it("is refused where it sets a header that no script could set [D04]", function()
    assert.equal('gateway.lua:5: tg.route: respond[3]: some servers take "content_length" for content-length or ' ..
      "transfer-encoding\n", check 'tg.route { respond = { 200, "", { content_length = "5" } } }')
  end)

  it("is refused with the reason for which a module can't be read", function()
    local gate = gateway.prepare { config = SCRIPT .. 'require "m"', files = { ["m.lua"] = "\27LJ\2" } }
    local function refusal()
      return gateway.run({ "check", "-c", gate.folder .. "/gateway.lua" }).errors
    end
    assert.equal("gateway.lua:5: m.lua: bytecode isn't taken: give the source\n", refusal())
    os.execute(("cd %s && rm m.lua && mkfifo m.lua"):format(gate.folder))
    assert.equal("gateway.lua:5: m.lua: not a regular file\n", refusal())
    os.execute(("cd %s && rm m.lua && ln -s m.lua m.lua"):format(gate.folder))
    assert.equal("gateway.lua:5: m.lua: Too many levels of symbolic links\n", refusal())
  end)

  it("is refused when it takes too much memory, by the loader too", function()
    local message = check "local t = {} for i = 1, 200 do t[i] = ('x'):rep(8 * 2 ^ 20) .. i end"
    assert.equal("not enough memory: the top level may take 1024 MB\n", message)
  end)

  it("is refused where a check of an option is none", function()
    local function check_spec(spec)
      return check('tg.route { respond = { 200 }, handlers = { { "h", o = 5 } } }',
        { ["h.lua"] = "return { options = { o = " .. spec .. " }, request = function() end }" })
    end
    assert.equal('gateway.lua:5: h: options.o: min: a number expected, got "a"\n', check_spec '{ "number", min = "a" }')
    assert.equal("gateway.lua:5: h: options.o: one_of: a list of values expected, got 5\n",
      check_spec '{ "number", one_of = 5 }')
    assert.equal("gateway.lua:5: h: options.o: check: a function expected, got 5\n",
      check_spec '{ "number", check = 5 }')
  end)
end)

describe("the command line", function()
  it("takes names and notes of one short line only [A01]", function()
    local gate = start ""
    local result = gate:command("reload", "--name", "a\nb\27[31m")
    assert.equal(2, result.code)
    assert.equal("tidegate reload: --name takes one line without control characters\n", result.errors)
    result = gate:command("reload", "--note", ("n"):rep(70000))
    assert.equal(2, result.code)
    assert.equal("tidegate reload: --note takes at most 1000 bytes, not 70000\n", result.errors)
  end)

  it("says that the gateway stopped, although a load doesn't return", function()
    local gate = start ""
    gate:write("gateway.lua", SCRIPT .. 'os.execute "touch ${folder}/loading; sleep 3"')
    gate.process:signal(1)
    gateway.wait_until(function() return io.open(gate.folder .. "/loading") end, 10, "the load")
    local result = gate:command "stop"
    assert.equal("stopped\n", result.output)
    assert.equal(0, result.code)
    gate.process.on_end = nil
  end)
end)

describe("--watch", function()
  it("notices that a link on the way to a file leads elsewhere, and that the file behind it changes", function()
    local gate = gateway.prepare {
      config = SCRIPT .. 'tg.route { respond = { 200, tg.file "current/text" } }',
      files = { ["one/text"] = "first", ["two/text"] = "second" },
    }
    local function lead_to(folder)
      os.execute(("cd %s && ln -s %s next && mv -T next current"):format(gate.folder, folder))
    end
    local function answers(text)
      gateway.wait_until(function() return body_of(gate, "/") == text end, 10, "the answer " .. text)
    end
    lead_to "one"
    gate:launch { workers = 1, arguments = { "--watch" } }
    gate:wait_ready()
    answers "first"
    lead_to "two"
    answers "second"
    gate:write("two/text", "third")
    answers "third"
  end)
end)
