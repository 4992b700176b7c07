--- The part of the library that needs nothing of C: tg.json, tg.uri, tg.http.reason, tg.log.

local config_host = require "config_host"

local host = config_host.new {}

describe("the library", function()
  local tg

  setup(function()
    for name in pairs(package.loaded) do
      if type(name) == "string" and (name == "tidegate" or name:find "^tidegate%.") then package.loaded[name] = nil end
    end
    package.preload["tidegate.host"] = function() return host end
    tg = require "tidegate"
  end)

  it("has its constants", function()
    assert.same({ 1024, 1048576, 1073741824 }, { tg.KB, tg.MB, tg.GB })
    assert.same({ 1, 60, 3600, 86400 }, { tg.SECOND, tg.MINUTE, tg.HOUR, tg.DAY })
    assert.same({ "0.1.0", 1, 0, 0 }, { tg.version, tg.generation, tg.worker.id, tg.worker.count })
  end)

  it("logs through the host", function()
    tg.log.warn("careful", { a = 1 })
    assert.same({ level = "warn", message = "careful", fields = { a = 1 } }, host.logged[#host.logged])
    assert.has_error(function() tg.log.error { a = 1 } end)
  end)

  it("names statuses", function()
    assert.same({ "Not Found", "Client Error" }, { tg.http.reason(404), tg.http.reason(499 - 1) })
    assert.has_error(function() tg.http.reason(99) end)
  end)

  describe("as JSON", function()
    it("writes values in one form", function()
      local encode = tg.json.encode
      assert.equal('{"a":[1,2.5,true],"b":null,"c":{}}', encode { c = {}, b = tg.null, a = { 1, 2.5, true } })
      assert.equal("[]", encode(tg.json.array {}))
      assert.equal('"\\"\\\\\\n\\u0001/\195\169"', encode '"\\\n\1/\195\169')
      assert.equal("[9007199254740992,-5,0.1,1e+300]", encode { 2 ^ 53, -5, 0.1, 1e300 })
      assert.equal('{"10":1,"x":2}', encode { [10] = 1, x = 2 })
      assert.equal("null", encode(nil))
    end)

    it("raises for what JSON can't say, at the script's line", function()
      local cyclic = {}
      cyclic.self = cyclic
      for _, value in ipairs { { 1, nil, 3 }, { function() end }, { 0 / 0 }, { 1 / 0 }, cyclic, { [1.5] = 1 } } do
        local good, err = pcall(tg.json.encode, value)
        assert.is_false(good)
        assert.matches("tg.json.encode: ", err)
      end
    end)

    it("reads what it wrote, and refuses what is no JSON", function()
      local value = { a = { 1, 2, { b = "\n" } }, c = tg.null }
      assert.same(value, tg.json.decode(tg.json.encode(value)))
      assert.equal(tg.null, tg.json.decode "null")
      for _, text in ipairs { "", "{", '{"a":1,}', "nan", "[1] x", "0x10", ("["):rep(200) .. ("]"):rep(200) } do
        local decoded, err, detail = tg.json.decode(text)
        assert.is_nil(decoded, text)
        assert.equal("invalid", err)
        assert.is_string(detail)
      end
    end)
  end)

  describe("on addresses", function()
    it("encodes all but what needs no encoding, and decodes it", function()
      local all = {}
      for code = 0, 255 do all[#all + 1] = string.char(code) end
      local text = table.concat(all)
      assert.equal(text, tg.uri.decode(tg.uri.encode(text)))
      assert.equal("a%2Fb%20c%0D%0A~-._", tg.uri.encode "a/b c\r\n~-._")
      assert.equal("/+", tg.uri.decode "%2f+")
      for _, bad in ipairs { "%", "%a", "%zz", "x%2" } do assert.same({ nil, "invalid" }, { tg.uri.decode(bad) }) end
    end)

    it("[R07] makes paths whose pieces stay one segment each", function()
      assert.equal("/users/a%2Fb%0D%0A/7", tg.uri.path("users", "a/b\r\n", 7))
      assert.equal("/...", tg.uri.path "...")
      for _, piece in ipairs { ".", ".." } do assert.has_error(function() tg.uri.path("a", piece) end) end
      assert.has_error(function() tg.uri.path("a", nil) end)
    end)

    it("makes queries in the order of the names", function()
      assert.equal("a=1&b=x%20y&b=%26&c=true", tg.uri.query { c = true, b = { "x y", "&" }, a = 1 })
      assert.equal("", tg.uri.query {})
      assert.has_error(function() tg.uri.query { a = {}, b = { {} } } end)
    end)

    it("takes addresses apart", function()
      assert.same({ scheme = "https", user = "u:p", host = "shop.example", port = 8443, path = "/a/b", query = "x=1?",
        fragment = "f" }, tg.uri.parse "HTTPS://u:p@Shop.Example:8443/a/b?x=1?#f")
      assert.same({ host = "[::1]", scheme = "http", path = "" }, tg.uri.parse "http://[::1]")
      assert.same({ path = "../a", query = "" }, tg.uri.parse "../a?")
      for _, bad in ipairs { "http://a b/", "http://[::1/", "http://h:99999/", "/%zz", "http://a:b:c/" } do
        assert.same({ nil, "invalid" }, { tg.uri.parse(bad) })
      end
    end)

    it("joins references as RFC 3986 5.4 lists them", function()
      local base = "http://a/b/c/d;p?q"
      for reference, expected in pairs {
        ["g:h"] = "g:h", ["g"] = "http://a/b/c/g", ["./g"] = "http://a/b/c/g", ["g/"] = "http://a/b/c/g/",
        ["/g"] = "http://a/g", ["//g"] = "http://g", ["?y"] = "http://a/b/c/d;p?y", ["g?y"] = "http://a/b/c/g?y",
        ["#s"] = "http://a/b/c/d;p?q#s", ["g#s"] = "http://a/b/c/g#s", ["g?y#s"] = "http://a/b/c/g?y#s",
        [";x"] = "http://a/b/c/;x", ["g;x"] = "http://a/b/c/g;x", [""] = "http://a/b/c/d;p?q", ["."] = "http://a/b/c/",
        ["./"] = "http://a/b/c/", [".."] = "http://a/b/", ["../"] = "http://a/b/", ["../g"] = "http://a/b/g",
        ["../.."] = "http://a/", ["../../"] = "http://a/", ["../../g"] = "http://a/g", ["../../../g"] = "http://a/g",
        ["/./g"] = "http://a/g", ["/../g"] = "http://a/g", ["g."] = "http://a/b/c/g.", ["..g"] = "http://a/b/c/..g",
        ["./../g"] = "http://a/b/g", ["./g/."] = "http://a/b/c/g/", ["g/./h"] = "http://a/b/c/g/h",
        ["g/../h"] = "http://a/b/c/h", ["g?y/../x"] = "http://a/b/c/g?y/../x",
      } do
        assert.equal(expected, tg.uri.join(base, reference), reference)
      end
    end)
  end)
end)
