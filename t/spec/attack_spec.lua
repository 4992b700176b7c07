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
