-- h1, h1 under TLS, h2c by prior knowledge and h2 under TLS on each side of the gateway: sixteen cells, the same checks
-- in each, byte for byte. One node process is client and origin of all of them (t/node/matrix.js).
local certificates = require "t.support.certificates"
local cjson = require "cjson.safe"
local gateway = require "t.support.gateway"
local process = require "t.support.process"

local CONFIG = [[
local tg = require "tidegate"
tg.settings { access_log = "${folder}/access.log" }
tg.listen "127.0.0.1:${port_clear}"
tg.listen { "127.0.0.1:${port_tls}", tls = { cert = "${cert}", key = "${key}" } }
local tls = { ca = "${ca}", sni = "matrix.example" }
tg.upstream "h1" { "127.0.0.1:${origin_h1}", protocol = "h1" }
tg.upstream "h1s" { "127.0.0.1:${origin_h1s}", protocol = "h1", tls = tls }
tg.upstream "h2c" { "127.0.0.1:${origin_h2c}", protocol = "h2" }
tg.upstream "h2" { "127.0.0.1:${origin_h2}", tls = tls }
for _, kind in ipairs { "h1", "h1s", "h2c", "h2" } do tg.route { path = "/" .. kind .. "/*", upstream = kind } end
]]

local KINDS = { "h1", "h1s", "h2c", "h2" }
local NAMES = { h1 = "HTTP/1.1", h1s = "HTTP/1.1 under TLS", h2c = "HTTP/2 in clear", h2 = "HTTP/2 under TLS" }
local CHECKS = { "get", "post", "trailers", "head", "statuses", "informational", "cookies", "early", "cancel",
  "cancel_upload", "cut_upload", "window_down", "window_up", "broken", "reset_after", "many", "stalled" }

local edge, matrix
local outcomes = {}

local function start_node(shop)
  local one = shop:issue { names = { "matrix.example", "127.0.0.1" } }
  matrix = process.start {
    program = "node", name = "matrix",
    arguments = { "t/node/matrix.js", "--cert", one.cert, "--key", one.key, "--ca", shop.ca },
  }
  local line = gateway.wait_until(function() return matrix:output_text():match "^[^\n]+\n" end, 20, "the ports")
  return one, cjson.decode(line).ports
end

local function start()
  local shop = certificates.new()
  local one, ports = start_node(shop)
  local variables = { cert = one.chain, key = one.key, ca = shop.ca }
  for kind, port in pairs(ports) do variables["origin_" .. kind] = port end
  edge = gateway.start { config = CONFIG, variables = variables, workers = 2 }
end

local function begin_cells()
  local cells = {}
  for _, side in ipairs(KINDS) do
    for _, upstream in ipairs(KINDS) do cells[#cells + 1] = side .. " " .. upstream end
  end
  local clear, tls = edge.variables.port_clear, edge.variables.port_tls
  matrix:send(cjson.encode { clients = { h1 = clear, h2c = clear, h1s = tls, h2 = tls }, cells = cells })
end

-- What node has said of a cell so far.
local function outcome_of(cell)
  return gateway.wait_until(function()
    for line in matrix:output_text():gmatch "([^\n]+)\n" do
      local one = cjson.decode(line)
      if one and one.cell then outcomes[one.cell] = one.checks end
    end
    return outcomes[cell] or not matrix:running()
  end, 90, "the checks of " .. cell)
end

describe("between", function()
  setup(function()
    start()
    begin_cells()
  end)
  teardown(gateway.end_file)

  for _, side in ipairs(KINDS) do
    for _, upstream in ipairs(KINDS) do
      it("a client of " .. NAMES[side] .. " and an upstream of " .. NAMES[upstream]
        .. " nothing is lost, changed or invented", function()
        local checks = outcome_of(side .. " " .. upstream)
        assert(checks ~= true, "node ended: " .. matrix:errors_text())
        local wrong = {}
        for _, name in ipairs(CHECKS) do
          if checks[name] ~= "ok" then wrong[#wrong + 1] = name .. ": " .. tostring(checks[name]) end
        end
        assert(#wrong == 0, table.concat(wrong, "\n") .. "\n" .. edge:errors():sub(-2000))
      end)
    end
  end

  it("all of them no sanitizer has anything to say", function()
    edge:stop()
  end)
end)
