-- The shared libraries that the gateway runs with may be others than those it was built with.
local gateway = require "t.support.gateway"
local process = require "t.support.process"

-- Stands in front of the real library and calls itself older; all else is the real one's.
local OLDER = [[
#include <stddef.h>
struct info { int age, number; const char *text, *protocol; };
static struct info older = { 1, 0x013300, "1.51.0", "h2" };
struct info *nghttp2_version(int least)
{
    return least > older.number ? NULL : &older;
}
]]

local CONFIG = [[
local tg = require "tidegate"
tg.listen "127.0.0.1:${port}"
tg.route { path = "/*", respond = { 200, "here\n" } }
]]

describe("the libraries", function()
  before_each(gateway.begin_test)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  it("are refused at start where nghttp2 is too old, with what to do [F16]", function()
    local edge = gateway.prepare { config = CONFIG }
    edge:write("older.c", OLDER)
    local library = edge.folder .. "/older.so"
    local built, _, complaints = process.run {
      program = "gcc", arguments = { "-shared", "-fPIC", "-o", library, edge.folder .. "/older.c" },
    }
    assert.equal(0, built, complaints)
    local code, _, errors = process.run {
      program = gateway.binary, arguments = { "run", "-c", edge.folder .. "/gateway.lua", "--socket", edge.socket },
      environment = { LD_PRELOAD = library }, timeout = 20,
    }
    assert.equal(1, code)
    assert.truthy(errors:find("the library nghttp2 is 1.51.0, but 1.52.0 is needed", 1, true), errors)
    assert.truthy(errors:find("install a newer libnghttp2", 1, true), errors)
  end)
end)
