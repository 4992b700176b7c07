-- The demo: two versions of a service, nine requests in ten to the first, and every visitor stays where he came first.
--
--   curl -i http://127.0.0.1:8080/            the answer says which version, x-arm says which arm of the split
--
-- Change this file or handlers/greeting.lua, then `tidegate reload`: the next request on every connection, also on
-- those that are open, runs under the new rules. What can't work is refused, and the running rules go on;
-- `tidegate rollback` takes the last change back.
local tg = require "tidegate"

-- Where clients connect. The name is what routes below call it.
tg.listen { "127.0.0.1:8080", name = "public" }

-- The access log is a line of JSON for each request, on standard output or in a file (access_log = "access.json").
-- Here it would hide what the gateway says, so it is off.
tg.settings { access_log = false }

-- Where requests can go. An upstream has as many peers as you like: { "127.0.0.1:9001", "127.0.0.1:9003" }.
tg.upstream "app"    { "127.0.0.1:9001" }
tg.upstream "app-v2" { "127.0.0.1:9002" }

-- The split. Try 50 and 50: the shares add up to 100. A visitor without the cookie `uid` is given one, and his arm
-- follows from it; `curl -b uid=42` is always the same visitor.
local version = tg.split "version" {
  key = tg.split.cookie("uid", { issue = true, max_age = 30 * tg.DAY }),
  arms = {
    a = { 90, upstream = "app" },
    b = { 10, upstream = "app-v2" },
  },
  request_header = "x-arm",
  response_header = "x-arm",
}

-- The route of the visitors: all paths, through two handlers. The second is the file handlers/greeting.lua.
tg.route {
  name = "visitors",
  listener = "public",
  path = "/*",
  upstream = "app",
  handlers = { version, { "handlers.greeting", text = "hello from the gateway" } },
}

-- An answer that needs no upstream and enters no Lua.
tg.route { name = "ping", listener = "public", path = "/ping", respond = { 200, "pong\n" } }

-- The two versions themselves, so that the demo needs nothing else: the same gateway answers on two ports more. In your
-- own configuration these lines aren't there, and the addresses above are those of your service.
tg.listen { "127.0.0.1:9001", name = "demo-v1" }
tg.listen { "127.0.0.1:9002", name = "demo-v2" }
tg.route { name = "demo-v1", listener = "demo-v1", respond = { 200, "version one\n" } }
tg.route { name = "demo-v2", listener = "demo-v2", respond = { 200, "version two\n" } }
