-- tidegate as a plain reverse proxy: no handler, so no Lua runs when a request comes.
local tg = require "tidegate"

tg.settings { workers = 1, access_log = false }
tg.listen "@LISTEN@"
tg.upstream "a" { "@ORIGIN_A@" }
tg.route { path = "/*", upstream = "a" }
