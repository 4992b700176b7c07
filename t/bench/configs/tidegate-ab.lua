-- tidegate with the A/B handler.
local tg = require "tidegate"

local ab = {}

function ab.request(req)
  local user = req.headers["x-user"] or ""
  local arm = tg.hash.crc32(user) % 100 < 50 and "a" or "b"
  req.headers["x-arm"] = arm
  req.upstream = arm
end

function ab.response(req, res)
  res.headers["x-arm"] = req.upstream
end

tg.settings { workers = 1, access_log = false }
tg.listen "@LISTEN@"
tg.upstream "a" { "@ORIGIN_A@" }
tg.upstream "b" { "@ORIGIN_B@" }
tg.route { path = "/*", upstream = "a", handlers = { ab } }
