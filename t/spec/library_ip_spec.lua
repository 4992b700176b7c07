-- tg.ip inside the real binary.
local library = require "t.support.library"

local eval, raised = library.eval, library.raised

describe("tg.ip", function()
  setup(library.start)
  before_each(library.begin_test)
  after_each(library.end_test)
  teardown(library.end_file)

  it("takes addresses apart, in one form", function()
    for text, expected in pairs {
      ["10.0.0.1"] = { "10.0.0.1", 4, "\10\0\0\1" }, ["::ffff:10.0.0.1"] = { "10.0.0.1", 4, "\10\0\0\1" },
      ["::FFFF:a00:1"] = { "10.0.0.1", 4, "\10\0\0\1" },
      ["255.255.255.255"] = { "255.255.255.255", 4, "\255\255\255\255" },
      ["2001:DB8:0:0:0:0:0:1"] = { "2001:db8::1", 6, " \1\13\184" .. ("\0"):rep(11) .. "\1" },
      ["::"] = { "::", 6, ("\0"):rep(16) }, ["[::1]"] = { "::1", 6, ("\0"):rep(15) .. "\1" },
    } do
      local ip = eval("return tg.ip.parse(select(3, ...))", text)
      assert.same({ address = expected[1], version = expected[2], bytes = expected[3] }, ip, text)
    end
  end)

  it("[J11] refuses what is none", function()
    local in_any = "return tg.ip.set { '0.0.0.0/0', '::/0' }:has(select(3, ...))"
    for _, bad in ipairs {
      "", "1", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4 ", " 1.2.3.4", "01.2.3.4", "0x7f.1.1.1", "1.2.3.4\0",
      "::1::", ":", "fe80::1%eth0", "1.2.3.4/8", "[1.2.3.4]", "[::1", "localhost",
      ("1"):rep(100), "::ffff:1.2.3.256", "g::",
    } do
      assert.same({ nil, "invalid" }, { eval("return tg.ip.parse(select(3, ...))", bad) }, bad)
      assert.same({ nil, "invalid" }, { eval(in_any, bad) }, bad)
    end
  end)

  it("knows which network an address is in", function()
    assert.same({ true, true, false, true, false, true, false, true, false }, { eval [[
      local set = tg.ip.set { "10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::ffff:198.51.100.0/120", "10.1.0.0/16" }
      local function has(ip) return (set:has(ip)) end
      return has "10.1.2.3", has "::ffff:10.255.0.1", has "11.0.0.1", has "192.0.2.7", has "192.0.2.6",
        has "2001:db8:ffff::", has "2001:db9::", has "198.51.100.9", has "198.51.101.9"
    ]] })
    assert.same({ true, false, true, true, false, false }, { eval [[
      local four, six, none = tg.ip.set { "0.0.0.0/0" }, tg.ip.set { "::/0" }, tg.ip.set {}
      local a = four:has "1.2.3.4"
      return a, four:has "::1", six:has "::1", six:has "ffff::", six:has "1.2.3.4", none:has "::"
    ]] })
  end)

  it("says the same as a comparison with each network, for random ones", function()
    assert.is_true(eval [[
      local bit = require "bit"
      local function pick(n) return math.floor(tg.random() * n) end
      for round = 1, 60 do
        local networks, plain = {}, {}
        for i = 1, 1 + pick(80) do
          local address, bits = (pick(2) * 128 + pick(4)) * 2^24 + pick(3) * 2^16 + pick(2^16), pick(33)
          if pick(4) == 0 then address = pick(2^32) end
          local b = tg.bytes.u32(address)
          plain[i] = { address, bits }
          networks[i] = ("%d.%d.%d.%d/%d"):format(b:byte(1), b:byte(2), b:byte(3), b:byte(4), bits)
          if pick(3) == 0 then
            networks[i] = ("::ffff:%d.%d.%d.%d/%d"):format(b:byte(1), b:byte(2), b:byte(3), b:byte(4), bits + 96)
          end
        end
        local set = tg.ip.set(networks)
        for _ = 1, 400 do
          local one = plain[1 + pick(#plain)]
          local address = pick(3) == 0 and pick(2^32) or (one[1] - one[1] % 2^(pick(10))) + pick(300)
          address = address % 2^32
          local expected = false
          for _, n in ipairs(plain) do
            local size = 2 ^ (32 - n[2])
            if math.floor(address / size) == math.floor(n[1] / size) then expected = true end
          end
          local b = tg.bytes.u32(address)
          local text = ("%d.%d.%d.%d"):format(b:byte(1, 4))
          assert(set:has(text) == expected, text .. " in " .. table.concat(networks, " "))
          assert(set:has("::ffff:" .. text) == expected)
        end
      end
      return true
    ]])
  end)

  it("holds a great many networks", function()
    assert.same({ true, false, true, false }, { eval [[
      local networks = {}
      for i = 0, 99999 do
        networks[#networks + 1] = ("10.%d.%d.%d/31"):format(math.floor(i / 16384), math.floor(i / 64) % 256, i % 64 * 4)
      end
      for i = 0, 4999 do networks[#networks + 1] = ("2001:db8:%x::/48"):format(i * 2) end
      local set = tg.ip.set(networks)
      local a, b = set:has "10.6.26.125", set:has "10.0.0.2"
      return a, b, set:has "2001:db8:270e::1", set:has "2001:db8:270f::1"
    ]] })
  end)

  it("raises for lists that say nothing, and calls that are none", function()
    for _, bad in ipairs { "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8/8", "::/129", "shop.example", "" } do
      assert.matches("is no address and no network", raised("tg.ip.set { select(3, ...) }", bad))
    end
    assert.matches("a list of networks such as", raised "tg.ip.set { 1 }")
    assert.matches("a list of networks such as", raised "tg.ip.set { a = '::1' }")
    assert.matches("a list of networks expected, got a string", raised "tg.ip.set '10.0.0.0/8'")
    assert.matches("set:has: a string expected, got a nil", raised "local x = tg.ip.set {}:has(nil)")
    assert.matches("tg.ip.parse: a string expected", raised "local x = tg.ip.parse(7)")
    assert.matches("methods are called with a colon", raised "local x = tg.ip.set {}.has '::1'")
  end)

  it("is made of an option of the type ip_set", function()
    local use = [[
      local handler = { options = { from = "ip_set", default = { "ip_set", default = { "127.0.0.0/8" } } } }
      function handler.init(o) print("init", o.from and o.from:has "10.1.1.1", o.default:has "127.0.0.1") end
      tg.route { path = "/a/*", respond = { 200, "x" }, handlers = { { handler, %s } } }
    ]]
    assert.matches("init true true", (library.load(use:format 'from = { "10.0.0.0/8", "::1" }')))
    assert.matches("init true true", (library.load(use:format 'from = "10.0.0.0/8"')))
    assert.matches("init nil true", (library.load(use:format "")))
    local _, why = library.load(use:format 'from = { "10.0.0.0/8", "x" }')
    assert.matches('option "from": "x" is no address and no network', why)
    _, why = library.load(use:format "from = 7")
    assert.matches('option "from": a network or a list of them expected, got 7', why)
  end)
end)
