---A configuration whose every answer tells its generation in several places, so that a mixture shows. For the tests of
---reloading: `generations.write(edge, n)` makes generation n of it, `generations.spoil(edge, how)` a broken one.
local generations = {}

local CONFIG = [[
local tg = require "tidegate"
tg.settings {
  access_log = "${folder}/access.log",
  scripts = { load_time = 1 },
  generations = { keep = 8, detach = 1 },
}
tg.listen "127.0.0.1:${port}"
tg.upstream "origin" { "127.0.0.1:${origin}" }
tg.upstream "other" { "127.0.0.1:${other}" }
local N = "${number}"
local handler = require "handlers.generation"
local split = tg.split "arms" {
  arms = { a = { ${share}, upstream = "origin" }, b = { 100 - ${share}, upstream = "other" } },
  response_header = "x-arm",
}
tg.route { path = "/unused", upstream = "origin", handlers = { "handlers.unused" } }
tg.route { path = "/sleep", upstream = "origin", request = function(req) tg.sleep(tonumber(req.query.wait)) end,
  response = function(req, res) res.headers["x-gen"] = N end }
tg.route { path = "/ws", upstream = "origin", request = function(req) req.ctx.n = N end, log = function() end }
tg.route { path = "/fixed", respond = { 200, N } }
tg.route { path = "/*", upstream = "origin", handlers = { split, { handler, name = "x-handler" } },
  request = function(req) req.ctx.number = N end,
  upstream_request = function(req, out) out.raw_query = "text=hello&header=X-Echo:%20" .. N end,
  response = function(req, res)
    res.headers["x-gen"] = N
    res.headers["x-ctx"] = req.ctx.number
  end }
]]

local HANDLER = [[
local handler = { options = { name = { "header", required = true } } }
local NUMBER = "${number}"
function handler.init(o) o.ready = NUMBER end
function handler.response(req, res, o)
  if o.ready ~= NUMBER then error "another generation's options" end
  res.headers[o.name] = NUMBER
end
return handler
]]

local UNUSED = "return { request = function(req) end }\n"

generations.SAME = "x-gen,x-handler,x-echo,x-ctx"

---The files of generation `number`, for gateway.start.
function generations.files()
  return { ["handlers/generation.lua"] = HANDLER, ["handlers/unused.lua"] = UNUSED }
end

generations.config = CONFIG

function generations.variables(strict, number)
  return { origin = strict.ports[1], other = strict.ports[2], number = number, share = number * 7 % 99 + 1 }
end

---Rewrites the files as generation `number`.
function generations.write(edge, number)
  edge.variables.number, edge.variables.share = number, number * 7 % 99 + 1
  edge:write("gateway.lua", CONFIG)
  for name, text in pairs(generations.files()) do edge:write(name, text) end
end

---Ways to break it: what is written where, and what the refusal must say.
generations.BREAKS = {
  { name = "a syntax error in a handler that no request uses", file = "handlers/unused.lua", text = "local x = = 1\n",
    says = { "unused.lua:1" } },
  { name = "an error at top level", file = "handlers/unused.lua", text = "\nerror 'on purpose'\n",
    says = { "unused.lua:2", "on purpose" } },
  { name = "a top level that never returns", file = "handlers/unused.lua", text = "\nwhile true do end\n",
    says = { ".lua:", "ran longer than" } },
  { name = "an init that raises", file = "handlers/unused.lua",
    text = "return {\n  init = function()\n    error 'init on purpose'\n  end,\n  request = function() end,\n}\n",
    says = { "unused.lua:3", "init on purpose" } },
  { name = "an unknown upstream", file = "gateway.lua", text = CONFIG
    .. 'tg.route { path = "/bad", upstream = "othr" }\n',
    says = { "gateway.lua:" .. (select(2, CONFIG:gsub("\n", "")) + 1), "othr" } },
}

function generations.spoil(edge, break_)
  edge:write(break_.file, break_.text)
end

return generations
