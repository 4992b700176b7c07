-- TLS toward upstreams: what is believed, what isn't, and which connections are never shared.
local certificates = require "t.support.certificates"
local cjson = require "cjson.safe"
local gateway = require "t.support.gateway"
local node = require "t.support.node"
local process = require "t.support.process"

local shop, edge
local made = {}

-- A server of openssl's that answers a page, without ALPN.
local function serve(one, ...)
  local port = gateway.free_port()
  local server = process.start {
    program = "openssl", name = "s_server",
    arguments = { "s_server", "-accept", "127.0.0.1:" .. port, "-cert", one.cert, "-key", one.key, "-www", ... },
  }
  gateway.wait_until(function() return server:output_text():find "ACCEPT" end, 10, "openssl s_server")
  return port
end

local KINDS = {
  good = { names = { "app.example", "127.0.0.1" } },
  by_name = { names = { "app.example" } },
  wrong_name = { names = { "other.example" } },
  subject_only = { subject = "app.example" },
  wild_part = { names = { "a*.example" } },
  expired = { names = { "app.example", "127.0.0.1" }, begins = -20 * 86400, ends = -86400 },
  not_yet = { names = { "app.example", "127.0.0.1" }, begins = 86400 },
  self_signed = { names = { "app.example", "127.0.0.1" }, self_signed = true },
  wrong_usage = { names = { "app.example", "127.0.0.1" }, usage = "clientAuth" },
}

local CONFIG = [[
local tg = require "tidegate"
tg.settings { access_log = "${folder}/access.log" }
tg.listen "127.0.0.1:${port}"
local function declare(name, port, tls)
  tg.upstream(name) { "127.0.0.1:" .. port, tls = tls, retry = { attempts = 1 } }
  tg.route { path = "/" .. name .. "/*", upstream = name }
end
]]

local function start()
  shop = certificates.new()
  local lines = { CONFIG }
  local function declare(name, port, tls)
    lines[#lines + 1] = ("declare(%q, %d, %s)"):format(name, port, tls)
  end
  local ca = ("ca = %q"):format(shop.ca)
  for kind, options in pairs(KINDS) do
    made[kind] = shop:issue(options)
    local port = serve(made[kind])
    declare(kind, port, "{ sni = \"app.example\", " .. ca .. " }")
    declare(kind .. "_unverified", port, "{ sni = \"app.example\", verify = false }")
    if kind == "good" or kind == "by_name" then
      declare(kind .. "_by_address", port, "{ " .. ca .. " }")
      declare(kind .. "_system", port, "{ sni = \"app.example\" }")
    end
  end
  declare("asking", serve(made.good, "-CAfile", shop.ca, "-Verify", "1"), "{ sni = \"app.example\", " .. ca .. " }")
  local clear = node.origin().ports.h1
  declare("clear", clear, "true")
  lines[#lines + 1] = ("tg.upstream 'h1' { '127.0.0.1:%d', protocol = 'h2' }"):format(clear)
  lines[#lines + 1] = "tg.route { path = '/h1/*', upstream = 'h1' }"
  edge = gateway.start { config = table.concat(lines, "\n") }
end

describe("an upstream's certificate", function()
  setup(start)
  before_each(gateway.begin_test)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  local function status(name)
    return edge:request({ path = "/" .. name .. "/", timeout = 10 }).status
  end

  local BAD = {
    { "wrong_name", "for another name", "ostname mismatch" },
    { "subject_only", "whose name is only in the subject", "ostname mismatch" },
    { "wild_part", "with a part of a label as wildcard", "ostname mismatch" },
    { "expired", "that has expired", "expired" },
    { "not_yet", "that isn't valid yet", "not yet valid" },
    { "self_signed", "that signed itself", "self%-signed" },
    { "wrong_usage", "for another use", "purpose" },
  }

  for _, bad in ipairs(BAD) do
    it(bad[2] .. " is refused: 502, with the reason in the error log [X06] [X07]", function()
      local before = #edge:errors()
      assert.equal(502, status(bad[1]))
      gateway.wait_until(function() return edge:errors():find(bad[3], before + 1) end, 5, "the reason in the error log")
    end)

    it(bad[2] .. " is taken where nothing is to be verified", function()
      assert.equal(200, status(bad[1] .. "_unverified"))
    end)
  end

  it("of the authority that the file names is taken, by name and by address", function()
    assert.equal(200, status "good")
    assert.equal(200, status "by_name")
    assert.equal(200, status "good_by_address")
    assert.equal(502, status "by_name_by_address")
  end)

  it("of an authority that the system doesn't know is refused", function()
    assert.equal(502, status "good_system")
  end)

  for name, problem in pairs {
    asking = "cut: tlsv13 alert certificate required",
    clear = "no TLS is spoken there",
    h1 = "the peer answered in HTTP/1, not in HTTP/2",
  } do
    it("or something else that is missing is named in the error log: " .. problem, function()
      assert.equal(502, status(name))
      gateway.wait_until(function() return edge:errors():find(problem, 1, true) end, 5, "the reason in the error log")
    end)
  end
end)

describe("connections to an address", function()
  local origin, user, other

  before_each(function()
    gateway.begin_test()
    shop = certificates.new()
    local one = shop:issue { names = { "app.example", "other.example" } }
    user = shop:issue { subject = "gateway one", usage = "clientAuth" }
    other = shop:issue { subject = "gateway two", usage = "clientAuth" }
    origin = node.origin(one, { "--client-ca", shop.ca })
  end)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  local TWO = [[
local tg = require "tidegate"
tg.settings { access_log = "${folder}/access.log" }
tg.listen "127.0.0.1:${port}"
local function declare(name, sni, cert, key, protocol)
  tg.upstream(name) { "127.0.0.1:${origin}", protocol = protocol,
    tls = { ca = "${ca}", sni = sni, cert = cert, key = key } }
  tg.route { path = "/" .. name .. "/*rest", upstream = name, rewrite = "/*rest" }
end
declare("one", "app.example", "${user_cert}", "${user_key}", "${protocol}")
declare("two", "app.example", "${other_cert}", "${other_key}", "${protocol}")
declare("three", "other.example", "${user_cert}", "${user_key}", "${protocol}")
declare("none", "app.example", nil, nil, "${protocol}")
]]

  for _, kind in ipairs { "h1s", "h2" } do
    it("aren't shared between certificates of ours or names (" .. kind .. ") [X01] [X02] [X03]", function()
      edge = gateway.start {
        config = TWO, workers = 2,
        variables = { ca = shop.ca, origin = origin.ports[kind], protocol = kind == "h2" and "h2" or "h1",
          user_cert = user.cert, user_key = user.key, other_cert = other.cert, other_key = other.key },
      }
      local function who(name)
        local response = edge:request { path = "/" .. name .. "/who" }
        return response.status == 200 and cjson.decode(response.body) or response.status
      end
      for _ = 1, 5 do
        for name, expected in pairs { one = { "gateway one", "app.example" }, two = { "gateway two", "app.example" },
          three = { "gateway one", "other.example" } } do
          local seen = who(name)
          assert.same(expected, { seen.subject, seen.sni })
          assert.equal(kind == "h2" and "h2" or "http/1.1", seen.alpn)
        end
        assert.equal(502, who "none")
      end
      assert(edge:status().counters.upstream_reuses > 0)
    end)
  end
end)
