-- tidegate toward HTTP/2 and TLS clients, without a handler.
local tg = require "tidegate"

tg.settings { workers = 1, access_log = false, timeouts = { idle = 300 } }
tg.listen { "@LISTEN@", @TIDEGATE_TLS@ }
tg.upstream "a" { "@ORIGIN@", protocol = "@TIDEGATE_PROTOCOL@" }
tg.route { path = "/*", upstream = "a" }
