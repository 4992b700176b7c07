-- tidegate: calls of tg.shared in a loop.
local tg = require "tidegate"
local measure = dofile "@CONFIGS@/shared-loop.lua"

local things = tg.shared "things" { size = 16 * tg.MB }

tg.settings { workers = 1, access_log = false }
tg.listen "@LISTEN@"
tg.route { path = "/:name/:count", request = function(req)
  return req:respond(200, measure(things, req.params.name, tonumber(req.params.count)))
end }
