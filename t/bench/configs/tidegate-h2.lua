-- tidegate toward HTTP/2 and TLS clients, without a handler.
local tg = require "tidegate"

local folder = "@TLS_FOLDER@"

tg.settings { workers = 1, access_log = false, timeouts = { idle = 300 } }
tg.listen { "@LISTEN@", tls = folder ~= "" and { cert = folder .. "/bench.pem", key = folder .. "/bench.key" } or nil }
tg.upstream "a" { "@ORIGIN@", protocol = "@TIDEGATE_PROTOCOL@" }
tg.route { path = "/*", upstream = "a" }
