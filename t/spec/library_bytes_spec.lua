-- tg.base64, tg.bytes and tg.hash inside the real binary.
local library = require "t.support.library"

local eval, raised = library.eval, library.raised

describe("the library's bytes", function()
  setup(library.start)
  before_each(library.begin_test)
  after_each(library.end_test)
  teardown(library.end_file)

  it("encode and decode as RFC 4648 10 lists it", function()
    for plain, text in pairs {
      [""] = "", f = "Zg==", fo = "Zm8=", foo = "Zm9v", foob = "Zm9vYg==", fooba = "Zm9vYmE=", foobar = "Zm9vYmFy",
    } do
      assert.equal(text, (eval("return tg.base64.encode(select(3, ...))", plain)))
      assert.equal(plain, (eval("return tg.base64.decode(select(3, ...))", text)))
      local bare = text:gsub("=", "")
      assert.equal(bare, (eval("return tg.base64.encode_url(select(3, ...))", plain)))
      assert.equal(plain, (eval("return tg.base64.decode_url(select(3, ...))", bare)))
      assert.equal(plain, (eval("return tg.base64.decode_url(select(3, ...))", text)))
    end
    assert.same({ "+/+/", "-_-_" }, { eval [[
      return tg.base64.encode "\251\255\191", tg.base64.encode_url "\251\255\191"
    ]] })
  end)

  it("refuse what no encoder writes", function()
    for _, bad in ipairs {
      "Z", "Zg", "Zg=", "Zg===", "=", "====", "Zm9vYg", "Zm9v=", "Zh==", "Zm9=", "Zm9v\n", " Zm9v", "Zm-_",
      "Zm9vZg==Zg==", "Z===", "Zg=a", "Zm9v\0", "Zm9\200", ("A"):rep(4001),
    } do
      assert.same({ nil, "invalid" }, { eval("return tg.base64.decode(select(3, ...))", bad) }, bad)
    end
    for _, bad in ipairs { "Z", "Zg=", "Zh", "Zm9", "Zm+/", "Zm9vZ", "Zg==Zg==", "Zg==Zg" } do
      if bad ~= "Zm9" then
        assert.same({ nil, "invalid" }, { eval("return tg.base64.decode_url(select(3, ...))", bad) }, bad)
      end
    end
  end)

  it("[J11] come back the same from any bytes, however the text is cut", function()
    assert.is_true(eval [[
      local decode, encode = tg.base64.decode, tg.base64.encode
      local function random_text(length)
        local bytes = {}
        for i = 1, length do bytes[i] = string.char(math.floor(tg.random() * 256)) end
        return table.concat(bytes)
      end
      for length = 0, 40 do
        local plain = random_text(length)
        local text = encode(plain)
        assert(decode(text) == plain and tg.base64.decode_url(tg.base64.encode_url(plain)) == plain)
        for cut = 0, #text do
          for again = cut, #text do
            local decoder = tg.base64.decoder()
            local got = decoder:add(text:sub(1, cut)) .. decoder:add(text:sub(cut + 1, again)) ..
              decoder:add(text:sub(again + 1))
            assert(got == plain and decoder:finish() == true, length .. "/" .. cut .. "/" .. again)
          end
        end
        for cut = 0, #plain do
          local encoder = tg.base64.encoder()
          local got = encoder:add(plain:sub(1, cut)) .. encoder:add(plain:sub(cut + 1)) .. encoder:finish()
          assert(got == text, length .. "/" .. cut)
        end
      end
      for _, length in ipairs { 12287, 12288, 12289, 16384, 100000, 2000000 } do
        local plain = random_text(1000):rep(math.ceil(length / 1000)):sub(1, length)
        assert(decode(encode(plain)) == plain, length)
      end
      return true
    ]])
  end)

  it("take padding at the end of any group while decoding in pieces", function()
    assert.equal("ffofoo", (eval [[
      local decoder, out = tg.base64.decoder(), ""
      for c in ("Zg==Zm8=Zm9v"):gmatch "." do out = out .. decoder:add(c) end
      return decoder:finish() and out
    ]]))
    assert.same({ "f", nil, "invalid" }, { eval [[
      local decoder = tg.base64.decoder()
      local bytes = decoder:add "Zg==Zg"
      return bytes, decoder:finish()
    ]] })
  end)

  it("stay invalid once a piece was", function()
    for _, bad in ipairs { "Zm9v!", "!m9v", "Zm=v", "Z===", "Zh==" } do
      assert.same({ nil, "invalid", nil, nil }, { eval([[
        local decoder = tg.base64.decoder()
        local bytes, err = decoder:add(select(3, ...) .. "AAA")
        return bytes, err, (decoder:add "Zm9v"), (decoder:finish())
      ]], bad) }, bad)
    end
  end)

  it("are numbers in the order of the network", function()
    assert.same({ "\1\2", "\255\255", "\128\0\0\1", 258, 65535, 2147483649, 515 }, { eval [[
      local b = tg.bytes
      return b.u16(258), b.u16(65535), b.u32(0x80000001), b.read_u16(b.u16(258)), b.read_u16 "\255\255",
        b.read_u32(b.u32(0x80000001)), (b.read_u16("\1\2\3", 2))
    ]] })
    assert.same({ nil, "invalid" }, { eval [[return tg.bytes.read_u32 "\1\2\3"]] })
    assert.same({ nil, "invalid" }, { eval [[return tg.bytes.read_u16("\1\2", 2)]] })
    for _, bad in ipairs { "tg.bytes.u16(65536)", "tg.bytes.u16(-1)", "tg.bytes.u16(1.5)", "tg.bytes.u32(2^32)",
      "tg.bytes.u32(0/0)", "tg.bytes.u16 '1'", "tg.bytes.read_u16('ab', 0)", "tg.bytes.read_u16('ab', 2^40)" } do
      assert.matches("an integer from", raised(bad))
    end
  end)

  it("are hex digits", function()
    assert.same({ "00ff7f", "\0\255\127", "" }, { eval [[
      return tg.bytes.hex "\0\255\127", tg.bytes.unhex "00Ff7f", tg.bytes.unhex ""]] })
    for _, bad in ipairs { "0", "0g", "g0", "  ", "0x" } do
      assert.same({ nil, "invalid" }, { eval("return tg.bytes.unhex(select(3, ...))", bad) })
    end
  end)

  it("raise for what is no string, and for names that aren't there, at the script's line", function()
    assert.equal("tg.base64.encode: a string expected, got a number", raised "tg.base64.encode(1)")
    assert.equal("tg.base64.decode: a string expected, got a nil", raised "local x = tg.base64.decode(nil)")
    assert.matches('tg.base64.encod: there is no such name %(did you mean "encode"%?%)', raised "tg.base64.encod 'x'")
    assert.matches("tg.base64 is read only", raised "tg.base64.more = 1")
    assert.matches("decoder.ad: there is no such name", raised "tg.base64.decoder():ad 'x'")
    assert.matches("a colon", raised "tg.base64.decoder().add 'x'")
  end)
end)

describe("tg.hash", function()
  setup(library.start)
  before_each(library.begin_test)
  after_each(library.end_test)
  teardown(library.end_file)

  it("gives the published digests", function()
    local abc = {
      md5 = "900150983cd24fb0d6963f7d28e17f72",
      sha1 = "a9993e364706816aba3e25717850c26c9cd0d89d",
      sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
      sha384 = "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
      sha512 = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd" ..
        "454d4423643ce80e2a9ac94fa54ca49f",
      xxhash64 = "44bc2cf5ad770999",
    }
    for name, expected in pairs(abc) do
      local bytes, hex, in_pieces = eval([[
        local name = select(3, ...)
        return tg.hash[name] "abc", tg.hash[name .. "_hex"] "abc", tg.hash.new(name):add "a":add "":add "bc":hex()
      ]], name)
      assert.same({ expected, expected }, { hex, in_pieces }, name)
      assert.equal(expected, (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end)))
    end
    assert.equal("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
      (eval "return tg.hash.sha256_hex ''"))
    assert.equal("ef46db3751d8e999", (eval "return tg.hash.xxhash64_hex ''"))
    assert.equal("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
      (eval "return tg.hash.sha256_hex(('a'):rep(1000000))"))
  end)

  it("gives checksums as numbers", function()
    assert.same({ 0xcbf43926, 0, 0, 0x514e28b7, 0x81f16f39, 613153351, 0x2e4ff723, "248bfa47", "cbf43926" }, { eval [[
      local h = tg.hash
      return h.crc32 "123456789", h.crc32 "", h.murmur3 "", h.murmur3("", 1), h.murmur3("", 0xffffffff),
        h.murmur3 "hello", h.murmur3("The quick brown fox jumps over the lazy dog"), h.murmur3_hex "hello",
        h.crc32_hex "123456789"
    ]] })
  end)

  it("gives the HMACs of RFC 4231 and RFC 2202", function()
    local function hmac(name, key, text) return (eval("return tg.hash.hmac_hex(select(3, ...))", name, key, text)) end
    assert.equal("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
      hmac("sha256", ("\11"):rep(20), "Hi There"))
    assert.equal("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
      hmac("sha256", "Jefe", "what do ya want for nothing?"))
    assert.equal("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
      hmac("sha256", ("\170"):rep(131), "Test Using Larger Than Block-Size Key - Hash Key First"))
    assert.equal("af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
      hmac("sha384", "Jefe", "what do ya want for nothing?"))
    assert.equal("80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e52" ..
      "95e64f73f63f0aec8b915a985d786598",
      hmac("sha512", ("\170"):rep(131), "Test Using Larger Than Block-Size Key - Hash Key First"))
    assert.equal("750c783e6ab0b503eaa86e310a5db738", hmac("md5", "Jefe", "what do ya want for nothing?"))
    assert.equal("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79", hmac("sha1", "Jefe", "what do ya want for nothing?"))
    assert.equal(32, #eval [[return tg.hash.hmac("sha256", "", "")]])
  end)

  it("[J11] gives the same of a text in one piece and in any two", function()
    assert.is_true(eval [[
      local text = ("0123456789abcdef"):rep(20):sub(1, 309)
      for _, name in ipairs { "crc32", "murmur3", "xxhash64", "md5", "sha1", "sha256", "sha384", "sha512" } do
        local whole = tg.hash[name .. "_hex"](text)
        for cut = 0, #text do
          local digest = tg.hash.new(name):add(text:sub(1, cut)):add(text:sub(cut + 1))
          assert(digest:hex() == whole and tg.bytes.hex(digest:bytes()) == whole, name .. cut)
        end
      end
      return true
    ]])
  end)

  it("compiles, and gives the same compiled as interpreted", function()
    assert.is_true(eval [[
      local all = {}
      for i = 1, 3000 do all[i] = tg.hash.sha256(tostring(i % 10)) .. tg.hash.hmac("sha256", "k", tostring(i % 10)) end
      for i = 11, 3000 do assert(all[i] == all[i - 10], i) end
      return true
    ]])
  end)

  it("[J12] leaves digests that a script forgets to the collector", function()
    assert.is_true(eval [[
      for _ = 1, 120000 do tg.hash.new "sha256":add "x" end
      return true
    ]])
  end)

  it("raises for other names, and once a digest is over", function()
    assert.matches('the name of a digest such as "sha256" expected, got sha265 %(did you mean "sha256"',
      raised "tg.hash.new 'sha265'")
    assert.matches("the name of a digest", raised "tg.hash.hmac('crc32', 'k', 'x')")
    assert.matches("tg.hash.hmac: key: a string expected", raised "tg.hash.hmac('sha256', nil, 'x')")
    assert.matches("the digest is over", raised "local d = tg.hash.new 'md5' d:hex() d:add 'x'")
    assert.matches("digest:add: a string expected", raised "tg.hash.new 'md5':add(1)")
    assert.matches("seed: an integer", raised "tg.hash.murmur3('x', -1)")
    assert.matches("tg.hash.sha256: a string expected, got a number", raised "tg.hash.sha256(1)")
  end)

  it("works when a configuration is loaded", function()
    assert.matches("acbd18db4cc2f85cedef654fccc4a4d8", library.load "print(tg.hash.md5_hex 'foo')")
    local _, why = library.load "local x = tg.hash.sha256(nil)"
    assert.matches("gateway.lua:3: tg.hash.sha256: a string expected", why)
  end)
end)
