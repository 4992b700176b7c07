-- h2spec against a started gateway, in clear and under TLS: luajit t/conformance/run.lua PROGRAM, where PROGRAM is
-- h2spec. Prints what fails; a case that RFC 9113 contradicts (t/conformance/expected.lua) is named with the paragraph.
-- The last line is `N passed, N failed`; the exit code is 0 when nothing else failed and nothing expected to fail
-- passed.
package.path = "./?.lua;" .. package.path
local certificates = require "t.support.certificates"
local expected = require "t.conformance.expected"
local gateway = require "t.support.gateway"
local process = require "t.support.process"

local CONFIG = [[
local tg = require "tidegate"
tg.settings { access_log = false }
tg.listen "127.0.0.1:${port}"
tg.listen { "127.0.0.1:${port_tls}", tls = { cert = "${cert}", key = "${key}" } }
-- not at once, so that streams are still half-closed when the frames come that h2spec sends behind a request
tg.route { path = "/*", request = function(req)
  tg.sleep(0.02)
  return req:respond(200, ("body "):rep(20))
end }
]]

local UNESCAPED = { lt = "<", gt = ">", quot = '"', apos = "'", amp = "&", ["#34"] = '"', ["#39"] = "'" }

local function unescape(text)
  return (text:gsub("&([^;]+);", UNESCAPED))
end

-- Gives each case's name, and what went wrong with it or nil.
local function read_report(path)
  local cases = {}
  for attributes, rest in process.read_file(path):gmatch "<testcase ([^>]*)>(.-)</testcase>" do
    local name = attributes:match 'package="([^"]*)"' .. ": " .. unescape(attributes:match 'classname="([^"]*)"')
    cases[#cases + 1] = { name = name, problem = rest:find "<error" and unescape(rest:gsub("<[^>]*>", " ")) or nil }
  end
  return cases
end

local function run_h2spec(program, words)
  local report = process.folder() .. "/report.xml"
  local arguments = { "-h", "127.0.0.1", "-o", "2", "-j", report, unpack(words) }
  local code, output, errors = process.run { program = program, arguments = arguments, timeout = 300 }
  local cases = read_report(report)
  assert(#cases > 0, ("h2spec said nothing (%s): %s%s"):format(tostring(code), output, errors))
  return cases
end

local passed, failed = 0, 0

local function judge(where, case)
  local known = expected[case.name]
  local paragraph = known and (not known.only or known.only == where) and known[1]
  if case.problem and paragraph then
    print(("%s: %s\n    fails, as it should: %s"):format(where, case.name, paragraph))
    passed = passed + 1
  elseif case.problem or paragraph then
    print(("%s: %s\n    %s"):format(where, case.name, case.problem or "passes, but was expected to fail"))
    failed = failed + 1
  else
    passed = passed + 1
  end
end

local function main()
  local shop = certificates.new()
  local one = shop:issue { names = { "127.0.0.1", "localhost" } }
  local edge = gateway.start { config = CONFIG, variables = { cert = one.chain, key = one.key } }
  for _, side in ipairs { { "in clear", "-p", edge.variables.port },
    { "under TLS", "-p", edge.variables.port_tls, "-t", "-k" } } do
    for _, case in ipairs(run_h2spec(arg[1], { unpack(side, 2) })) do judge(side[1], case) end
  end
end

local fine, problem = xpcall(main, debug.traceback)
local ended, complaint = pcall(gateway.end_file)
for _, text in ipairs { not fine and problem or "", not ended and complaint or "" } do
  if text ~= "" then
    print(text)
    failed = failed + 1
  end
end
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0)
