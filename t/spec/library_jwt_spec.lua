-- tg.crypto and tg.jwt inside the real binary, with published vectors and keys made by the openssl command.
local library = require "t.support.library"
local process = require "t.support.process"

local eval, raised = library.eval, library.raised

local function openssl(arguments)
  local pipe = assert(io.popen("openssl " .. arguments .. " 2>/dev/null"))
  local text = pipe:read "*a"
  pipe:close()
  assert(text ~= "", "openssl " .. arguments)
  return text
end

local function public(pem)
  local folder = process.folder()
  process.write_file(folder .. "/key.pem", pem)
  return openssl("pkey -pubout -in " .. folder .. "/key.pem")
end

local KINDS = {
  RSA = "RSA -pkeyopt rsa_keygen_bits:2048", ["P-256"] = "EC -pkeyopt ec_paramgen_curve:P-256",
  ["P-384"] = "EC -pkeyopt ec_paramgen_curve:P-384", ["P-521"] = "EC -pkeyopt ec_paramgen_curve:P-521",
  Ed25519 = "ED25519",
}
local ALGORITHMS = {
  RS256 = "RSA", RS384 = "RSA", RS512 = "RSA", PS256 = "RSA", PS384 = "RSA", PS512 = "RSA", ES256 = "P-256",
  ES384 = "P-384", ES512 = "P-521", EdDSA = "Ed25519",
}

local pems = {}
local function pem_of(kind)
  pems[kind] = pems[kind] or openssl("genpkey -algorithm " .. KINDS[kind])
  return pems[kind]
end

local function unhex(text)
  return (text:gsub("%s", ""):gsub("%x%x", function(hex) return string.char(tonumber(hex, 16)) end))
end

describe("tg.crypto", function()
  setup(library.start)
  before_each(library.begin_test)
  after_each(library.end_test)
  teardown(library.end_file)

  it("signs and verifies with every algorithm, and with no key of another kind", function()
    for algorithm, kind in pairs(ALGORITHMS) do
      local pem = pem_of(kind)
      assert.same({ kind, true, kind, false, true, true, false, false, false }, { eval([[
        local pem, public, algorithm = select(3, ...)
        local key, other = tg.crypto.key(pem), tg.crypto.key(public)
        local signature = tg.crypto.sign(key, "text", algorithm)
        local function verify(k, text, s) return tg.crypto.verify(k, text, s, algorithm) end
        return key.type, key.private, other.type, other.private, verify(key, "text", signature),
          verify(other, "text", signature), verify(other, "Text", signature), verify(other, "text", signature:sub(1,
            -2)),
          verify(other, "text", "")
      ]], pem, public(pem), algorithm) }, algorithm)
      for name, right in pairs(ALGORITHMS) do
        if right ~= kind then
          assert.equal("tg.crypto.sign: a key of type " .. kind .. " doesn't serve " .. name,
            (raised([[local pem, name = select(3, ...) tg.crypto.sign(tg.crypto.key(pem), "x", name)]], pem, name)))
        end
      end
    end
  end)

  it("verifies what the openssl command signed, and signs what it verifies", function()
    local folder, pem = process.folder(), pem_of "P-256"
    process.write_file(folder .. "/key.pem", pem)
    process.write_file(folder .. "/text", "a text")
    local signature = openssl(("dgst -sha256 -sign %s/key.pem %s/text"):format(folder, folder))
    assert.is_true(eval([[return tg.crypto.verify(tg.crypto.key(select(3, ...)), "a text", select(4, ...), "ES256",
      "der")]],
      pem, signature))
    process.write_file(folder .. "/signature",
      (eval([[return tg.crypto.sign(tg.crypto.key(select(3, ...)), "a text", "ES256", "der")]], pem)))
    process.write_file(folder .. "/public.pem", public(pem))
    assert.matches("Verified OK", openssl(("dgst -sha256 -verify %s/public.pem -signature %s/signature %s/text"):format(
      folder, folder, folder)))
  end)

  it("verifies the first test of RFC 8032 7.1", function()
    local spki = unhex("302a300506032b6570032100 d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    local signature = unhex [[
      e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9
      b46bd25bf5f0595bbe24655141438e7a100b]]
    assert.is_true(eval([[
      local spki, signature = select(3, ...)
      local pem = "-----BEGIN PUBLIC KEY-----\n" .. tg.base64.encode(spki) .. "\n-----END PUBLIC KEY-----\n"
      return tg.crypto.verify(tg.crypto.key(pem), "", signature, "EdDSA")
    ]], spki, signature))
  end)

  it("refuses keys that are none, weak, locked or of a kind it doesn't know", function()
    local function refused(pem)
      local key, err, detail = eval("return tg.crypto.key(select(3, ...))", pem)
      assert.is_nil(key)
      assert.equal("invalid", err)
      return detail
    end
    assert.matches("can't read it", refused "")
    assert.matches("can't read it", refused("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"))
    assert.matches("can't read it", refused(("x"):rep(70000)))
    assert.matches("2048 to 8192 bits", refused(openssl "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024"))
    assert.matches("kind isn't one of", refused(openssl "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1"))
    assert.matches("kind isn't one of", refused(openssl "genpkey -algorithm X25519"))
    assert.matches("can't read it", refused(openssl "genpkey -algorithm ED25519 -aes-128-cbc -pass pass:secret"))
  end)

  it("takes the key of a certificate", function()
    local folder = process.folder()
    local words = "req -x509 -newkey rsa:2048 -nodes -subj /CN=x -days 1 -keyout "
    local certificate = openssl(words .. folder .. "/key.pem")
    assert.same({ "RSA", 2048, false }, { eval([[
      local key = tg.crypto.key(select(3, ...))
      return key.type, key.bits, key.private
    ]], certificate) })
  end)

  it("opens what the published vectors of GCM sealed", function()
    local text = unhex [[
      d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525
      b16aedf5aa0de657ba637b39]]
    local beside = unhex "feedfacedeadbeeffeedfacedeadbeefabaddad2"
    local nonce = unhex "cafebabefacedbaddecaf888"
    local half = "feffe9928665731c6d6a8f9467308308"
    local short = nonce ..
      unhex [[42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5a
      ac84aa051ba30b396a0aac973d58e091 5bc94fbc3221a5db94fae95ae7121a47]]
    local long = nonce ..
      unhex [[522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b10
      56828838c5f61e6393ba7a0abcc9f662 76fc6ece0f4e1768cddf8853bb2d551b]]
    local open = "return tg.crypto.aes_gcm_open(select(3, ...))"
    assert.equal(text, (eval(open, unhex(half), short, beside)))
    assert.equal(text, (eval(open, unhex(half .. half), long, beside)))
    assert.equal("", (eval(open, ("\0"):rep(16), ("\0"):rep(12) .. unhex "58e2fccefa7e3061367f1d57a4e7455a")))
    assert.same({ nil, "invalid" }, { eval(open, unhex(half), short) })
    assert.same({ nil, "invalid" }, { eval(open, unhex(half), ("\0"):rep(27)) })
  end)

  it("seals, and opens nothing that was changed", function()
    assert.is_true(eval [[
      for _, size in ipairs { 16, 24, 32 } do
        local key = tg.crypto.random_bytes(size)
        for length = 0, 40 do
          local text = length > 0 and tg.crypto.random_bytes(length) or ""
          local sealed = tg.crypto.aes_gcm_seal(key, text, "beside")
          assert(#sealed == length + 28 and tg.crypto.aes_gcm_open(key, sealed, "beside") == text)
          assert(tg.crypto.aes_gcm_seal(key, text, "beside") ~= sealed)
          for i = 1, #sealed do
            local changed = sealed:sub(1, i - 1) .. string.char((sealed:byte(i) + 1) % 256) .. sealed:sub(i + 1)
            local opened, err = tg.crypto.aes_gcm_open(key, changed, "beside")
            assert(opened == nil and err == "invalid")
          end
        end
      end
      return true
    ]])
    assert.matches("a key of 16, 24 or 32 bytes expected, got 5", raised "tg.crypto.aes_gcm_seal('short', 'x')")
    assert.matches("tg.crypto.aes_gcm_open: a string expected", raised "tg.crypto.aes_gcm_open(('k'):rep(16), nil)")
  end)

  it("compares, and draws bytes", function()
    assert.same({ true, false, false, true, 65536, false }, { eval [[
      local c = tg.crypto
      return c.equal("ab", "ab"), c.equal("ab", "ac"), c.equal("ab", "abc"), c.equal("", ""), #c.random_bytes(65536),
        c.random_bytes(16) == c.random_bytes(16)
    ]] })
    assert.matches("tg.crypto.equal: a string expected, got a nil", raised "local x = tg.crypto.equal('a', nil)")
    assert.matches("an integer from 1 to 65536", raised "tg.crypto.random_bytes(65537)")
  end)

  it("raises for arguments that say nothing", function()
    local pem = public(pem_of "P-256")
    local function message(code) return raised("local pem = select(3, ...) local k = tg.crypto.key(pem) " .. code,
      pem) end
    assert.matches("the key is a public one", message "tg.crypto.sign(k, 'x', 'ES256')")
    assert.matches('an algorithm such as "RS256" expected, got ES265 %(did you mean',
      message "tg.crypto.sign(k, 'x', 'ES265')")
    assert.matches('form: "der" or nothing expected', message "tg.crypto.verify(k, 'x', 'y', 'ES256', 'raw')")
    assert.matches("a key %(tg.crypto.key%) expected, got a string", message "tg.crypto.verify(pem, 'x', 'y', 'ES256')")
    assert.matches("key.secret: there is no such name", message "return k.secret")
  end)
end)

-- Published keys and tokens: RFC 7515 A.1 to A.3, RFC 8037 A.
local OCT = [[{ "kty": "oct",
  "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow" }]]
local RSA = [[{ "kty": "RSA", "e": "AQAB",
  "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yR]] ..
  [[T-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXB]] ..
  [[dQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9ia]] ..
  [[GNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ" }]]
local EC = [[{ "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
  "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" }]]
local OKP = [[{ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }]]

local JOE = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
local HS256 = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." .. JOE .. ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
local RS256 = "eyJhbGciOiJSUzI1NiJ9." .. JOE .. "." ..
  "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9" ..
  "uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB" ..
  "_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rq" ..
  "Vt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
local ES256 = "eyJhbGciOiJFUzI1NiJ9." .. JOE ..
  ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
local EDDSA = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6" ..
  "dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"

local LENIENT = "{ algorithms = { 'HS256', 'RS256', 'ES256', 'EdDSA' }, leeway = 1e9 }"

local function verify(token, jwks, options)
  return eval("local token, jwks = select(3, ...) return tg.jwt.verify(token, assert(tg.jwt.keys(jwks)), " ..
    (options or LENIENT) .. ")", token, jwks)
end

-- A token of this header and payload, signed with a secret of 64 bytes, and what verifying it gives.
local SECRET = ("s"):rep(64)
local function verify_made(header, payload, options)
  return eval([[
    local header, payload, secret = select(3, ...)
    local text = tg.base64.encode_url(header) .. "." .. tg.base64.encode_url(payload)
    local token = text .. "." .. tg.base64.encode_url(tg.hash.hmac("sha256", secret, text))
    local keys = tg.jwt.keys { kty = "oct", k = tg.base64.encode_url(secret) }
    return tg.jwt.verify(token, keys, ]] .. (options or "{ algorithms = { 'HS256' } }") .. [[)
  ]], header, payload, SECRET)
end

describe("tg.jwt", function()
  setup(library.start)
  before_each(library.begin_test)
  after_each(library.end_test)
  teardown(library.end_file)

  it("verifies the published tokens with the published keys", function()
    for token, key in pairs { [HS256] = OCT, [RS256] = RSA, [ES256] = EC } do
      assert.equal("joe", verify(token, key).iss)
      assert.same({ nil, "expired" }, { verify(token, key, "{ algorithms = { 'HS256', 'RS256', 'ES256' } }") })
      local wrong = token:sub(1, -5) .. (token:sub(-4, -4) == "A" and "B" or "A") .. token:sub(-3)
      assert.same({ nil, "signature" }, { verify(wrong, key) })
      assert.same({ nil, "signature" }, { verify(token:gsub("joe", "eve"):gsub("%.eyJpc3MiOiJqb2", ".eyJpc3MiOiJldm"),
        key) })
    end
    -- this one's payload is no object, which is looked at only once the signature is right
    assert.same({ nil, "invalid" }, { verify(EDDSA, OKP) })
    assert.same({ nil, "signature" }, { verify(EDDSA:gsub("RXhhb", "RXhhc"), OKP) })
  end)

  it("verifies what it signs, with every algorithm", function()
    for algorithm, kind in pairs(ALGORITHMS) do
      local pem = pem_of(kind)
      assert.equal("ann", eval([[
        local pem, public, algorithm = select(3, ...)
        local token = tg.jwt.sign({ sub = "ann", exp = tg.now() + 60 }, tg.crypto.key(pem), { algorithm = algorithm,
          kid = "k" })
        return tg.jwt.verify(token, tg.crypto.key(public), { algorithms = { algorithm } })
      ]], pem, public(pem), algorithm).sub, algorithm)
    end
    for _, algorithm in ipairs { "HS256", "HS384", "HS512" } do
      assert.equal("ann", eval([[
        local algorithm, secret = select(3, ...)
        local keys = tg.jwt.keys { kty = "oct", k = tg.base64.encode_url(secret), kid = "one" }
        return tg.jwt.verify(tg.jwt.sign({ sub = "ann" }, keys, { algorithm = algorithm }), keys,
          { algorithms = { algorithm } })
      ]], algorithm, SECRET).sub, algorithm)
    end
  end)

  it("requires the algorithms, each a known one", function()
    local function message(options)
      return raised("tg.jwt.verify('a.b.c', tg.jwt.keys { kty = 'oct', k = ('a'):rep(64) }, " .. options .. ")")
    end
    assert.matches("options: a table expected, got a nil", message "nil")
    assert.matches("algorithms: a list such as", message "{}")
    assert.matches("algorithms: a list such as", message "{ algorithms = {} }")
    assert.matches("algorithms: a list such as", message "{ algorithms = 'HS256' }")
    assert.matches("algorithms: none is none", message "{ algorithms = { 'none' } }")
    assert.matches('algorithms: hs256 is none %(did you mean "HS256"', message "{ algorithms = { 'hs256' } }")
    assert.matches("leeway: seconds expected", message "{ algorithms = { 'HS256' }, leeway = -1 }")
    assert.matches("leeway: seconds expected", message "{ algorithms = { 'HS256' }, leeway = 1/0 }")
    assert.matches("issuer: a string or a list", message "{ algorithms = { 'HS256' }, issuer = 1 }")
    assert.matches("audience: a string or a list", message "{ algorithms = { 'HS256' }, audience = {} }")
    assert.matches("token: a string expected, got a nil", raised "tg.jwt.verify(nil, {}, {})")
    assert.matches("keys %(tg.jwt.keys%) or a key",
      raised "tg.jwt.verify('a.b.c', 'secret', { algorithms = { 'HS256' } })")
  end)

  it("takes no algorithm from the token: none, another one, a public key as a secret", function()
    local pem = public(pem_of "RSA")
    for _, name in ipairs { "none", "None", "NONE", "nOnE", "" } do
      assert.same({ nil, "algorithm" }, { verify_made('{"alg":"' .. name .. '"}', "{}") })
    end
    assert.same({ nil, "algorithm" }, { verify(HS256, OCT, "{ algorithms = { 'RS256' } }") })
    assert.same({ nil, "algorithm" }, { verify(HS256, RSA) })
    assert.same({ nil, "algorithm", nil, "algorithm", nil, "algorithm" }, { eval([[
      local pem = select(3, ...)
      local function forged(header)
        local text = tg.base64.encode_url(header) .. "." .. tg.base64.encode_url '{"sub":"root"}'
        return text .. "." .. tg.base64.encode_url(tg.hash.hmac("sha256", pem, text))
      end
      local options = { algorithms = { "HS256", "RS256" } }
      local key = tg.crypto.key(pem)
      local a, b = tg.jwt.verify(forged '{"alg":"HS256"}', key, options)
      local c, d = tg.jwt.verify(forged '{"alg":"HS256","kid":"x"}', key, options)
      local set = tg.jwt.keys { keys = { { kty = "oct", kid = "x", k = tg.base64.encode_url(("s"):rep(32)) } } }
      local e, f = tg.jwt.verify(forged '{"alg":"RS256","kid":"x"}', set, options)
      return a, b, c, d, e, f
    ]], pem) })
    -- a key that the token brings along is no key
    assert.same({ nil, "signature" }, { eval([[
      local mine = tg.base64.encode_url(("m"):rep(32))
      local text = tg.base64.encode_url('{"alg":"HS256","jwk":{"kty":"oct","k":"' .. mine .. '"}}') .. "." ..
        tg.base64.encode_url "{}"
      local token = text .. "." .. tg.base64.encode_url(tg.hash.hmac("sha256", ("m"):rep(32), text))
      return tg.jwt.verify(token, tg.jwt.keys { kty = "oct", k = tg.base64.encode_url(("s"):rep(32)) },
        { algorithms = { "HS256" } })
    ]]) })
  end)

  it("holds a secret to the length of its digest", function()
    assert.same({ nil, "algorithm" }, { eval [[
      local k = tg.base64.encode_url(("s"):rep(32))
      local text = tg.base64.encode_url '{"alg":"HS512"}' .. "." .. tg.base64.encode_url "{}"
      local token = text .. "." .. tg.base64.encode_url(tg.hash.hmac("sha512", ("s"):rep(32), text))
      return tg.jwt.verify(token, tg.jwt.keys { kty = "oct", k = k }, { algorithms = { "HS512" } })
    ]] })
    local keys, err, detail = eval [[return tg.jwt.keys { kty = "oct", k = "c2hvcnQ" }]]
    assert.same({ nil, "invalid" }, { keys, err })
    assert.matches("a secret of at least 32 bytes", detail)
  end)

  it("refuses what a token demands and isn't known", function()
    for _, header in ipairs {
      '{"alg":"HS256","crit":["exp"]}', '{"alg":"HS256","crit":[]}', '{"alg":"HS256","crit":null}',
        '{"alg":"HS256","b64":false}',
    } do
      assert.same({ nil, "critical" }, { verify_made(header, "{}") }, header)
    end
  end)

  it("[J15] refuses JSON in which a name stands twice, so that nobody reads another value", function()
    for header, payload in pairs {
      ['{"alg":"HS256","alg":"none"}'] = "{}", ['{"alg":"HS256","\\u0061lg":"HS256"}'] = "{}",
      ['{"alg":"HS256","kid":"a","kid":"b"}'] = "{}", ['{"alg":"HS256"}'] = '{"sub":"ann","sub":"root"}',
      ['{"alg":"HS256" }'] = '{"sub":"ann","\\u0073ub":"root"}', ['{"alg":"HS256"  }'] = '{"a":{"b":1,"b":2}}',
    } do
      assert.same({ nil, "invalid" }, { verify_made(header, payload) }, header .. payload)
    end
    assert.same({ nil, "invalid" }, { eval [[
      local keys, err = tg.jwt.keys '{"keys":[],"keys":[]}'
      return keys, err
    ]] })
  end)

  it("refuses what is no token", function()
    local keys = OCT
    for _, token in ipairs {
      "", ".", "..", "...", "a.b", HS256 .. ".", HS256 .. ".x", HS256 .. "=", HS256:gsub("%.", "=.", 1), " " .. HS256,
      HS256 .. "\n", HS256:gsub("eyJ0", "eyJ0\0", 1), (HS256:gsub("Xk$", "Xl")), "e30." .. JOE .. ".AA",
      "bnVsbA." .. JOE .. ".AA", "W10." .. JOE .. ".AA", "ImEi." .. JOE .. ".AA",
    } do
      assert.same({ nil, "invalid" }, { verify(token, keys) }, token)
    end
    for _, header in ipairs { '{"alg":1}', '{"alg":null}', '{"alg":["HS256"]}', '{"alg":"HS256","kid":1}', "{}", "[]",
      "1",
      '{"alg":"HS256"', '{"alg":"HS256"}}', '{"alg":"HS256","kid":null}', '{"alg":"\255"}' } do
      assert.same({ nil, "invalid" }, { verify_made(header, "{}") }, header)
    end
    for _, payload in ipairs { "", "[]", "1", "null", '"a"', "{", '{"exp":1e999}', '{"a":"\\ud800"}' } do
      assert.same({ nil, "invalid" }, { verify_made('{"alg":"HS256"}', payload) }, payload)
    end
    assert.same({ nil, "too_large" }, { verify(("a"):rep(16385), keys) })
    assert.same({ nil, "signature" }, { verify(HS256:match "^(.*%.)", keys) })
  end)

  it("holds exp, nbf and iat against the clock, with leeway", function()
    local function times(claims, options)
      local payload = claims:gsub("([+-]%d+)", function(by) return ("%d"):format(os.time() + tonumber(by)) end)
      local result, err = verify_made('{"alg":"HS256"}', payload, options)
      return result and "fine" or err
    end
    local leeway = "{ algorithms = { 'HS256' }, leeway = 100 }"
    assert.equal("fine", times '{"exp":+60,"nbf":-60,"iat":-60}')
    assert.equal("expired", times '{"exp":-2}')
    assert.equal("fine", times('{"exp":-60}', leeway))
    assert.equal("expired", times('{"exp":-160}', leeway))
    assert.equal("not_yet", times '{"nbf":+60}')
    assert.equal("fine", times('{"nbf":+60,"iat":+60}', leeway))
    assert.equal("not_yet", times('{"nbf":+160}', leeway))
    assert.equal("not_yet", times '{"iat":+60}')
    assert.equal("expired", times '{"exp":0}')
    for _, claims in ipairs { '{"exp":"2000000000"}', '{"exp":null}', '{"nbf":true}', '{"iat":[1]}', '{"exp":{}}' } do
      assert.equal("invalid", times(claims), claims)
    end
  end)

  it("holds issuer and audience to what was asked", function()
    local function given(payload, options)
      local result, err = verify_made('{"alg":"HS256"}', payload, "{ algorithms = { 'HS256' }, " .. options .. " }")
      return result and "fine" or err
    end
    assert.equal("fine", given('{"iss":"a"}', "issuer = 'a'"))
    assert.equal("fine", given('{"iss":"b"}', "issuer = { 'a', 'b' }"))
    for _, payload in ipairs { "{}", '{"iss":"b"}', '{"iss":["a"]}', '{"iss":null}', '{"iss":"A"}' } do
      assert.equal("issuer", given(payload, "issuer = 'a'"), payload)
    end
    assert.equal("fine", given('{"aud":"x"}', "audience = 'x'"))
    assert.equal("fine", given('{"aud":["y","x"]}', "audience = 'x'"))
    assert.equal("fine", given('{"aud":["y"]}', "audience = { 'x', 'y' }"))
    assert.equal("fine", given("{}", "audience = nil"))
    assert.equal("fine", given('{"aud":"y"}', "audience = false"))
    for _, payload in ipairs { "{}", '{"aud":"y"}', '{"aud":[]}', '{"aud":["y",1,null]}', '{"aud":{"x":"x"}}',
      '{"aud":1}' } do
      assert.equal("audience", given(payload, "audience = 'x'"), payload)
    end
    assert.equal("audience", given('{"aud":"x"}', "audience = nil"))
  end)

  it("chooses among keys by kid, kind and alg", function()
    assert.same({ true, "unknown_key", true, "signature", "algorithm", true, "signature" }, { eval [[
      local function secret(c) return tg.base64.encode_url(c:rep(64)) end
      local function key(c, kid, alg) return { kty = "oct", k = secret(c), kid = kid, alg = alg } end
      local options = { algorithms = { "HS256", "HS512" } }
      local function token(c, kid, alg)
        return tg.jwt.sign({}, tg.jwt.keys(key(c, kid)), { algorithm = alg or "HS256", kid = kid })
      end
      local function result(t, ...)
        local claims, err = tg.jwt.verify(t, tg.jwt.keys { keys = { ... } }, options)
        return claims and true or err
      end
      local many = {}
      for i = 1, 9 do many[i] = key(string.char(96 + i)) end
      return result(token("b", "2"), key("a", "1"), key("b", "2")), result(token("b", "3"), key("a", "1"), key("b",
        "2")),
        result(token("b", "2"), key("a", "2"), key("b", "2")), result(token("b", "1"), key("a", "1"), key("b", "2")),
        result(token("a", "1", "HS512"), key("a", nil, "HS256")), result(token("h", nil), unpack(many)),
        result(token("i", nil), unpack(many))
    ]] })
  end)

  it("reads sets of keys, and passes over what it can't use", function()
    local good = RSA:gsub('"kty"', '"kid": "r", "use": "sig", "key_ops": ["verify"], "kty"')
    local set = ('{ "keys": [ %s, %s, %s, %s, { "kty": "weird" }, { "kty": "EC", "crv": "secp256k1" }, 1, null ] }')
      :format(good, EC, OKP, OCT)
    assert.equal(4, (eval("return tg.jwt.keys(select(3, ...)).count", set)))
    for _, bad in ipairs {
      '{"keys":[]}', '{"keys":{}}', "{}", "[]", "", "null", '{"keys":[null]}', '{"keys":7}', RSA:gsub('"e"', '"f"'),
      RSA:gsub('"AQAB"', '"AQAC"'), RSA:gsub('"AQAB"', '"AQ"'), RSA:gsub('"AQAB"', '"AQAAAAAAAAAAAAAB"'),
      RSA:gsub('"ofg', '"\\u0000'), RSA:gsub('"kty"', '"use": "enc", "kty"'), RSA:gsub('"kty"',
        '"key_ops": ["encrypt"], "kty"'),
      RSA:gsub('"kty"', '"kid": 7, "kty"'), EC:gsub('"f83', '"f84'), EC:gsub('"f83OJ3D2xF1B', '"'), EC:gsub("P%-256",
        "P-384"),
      OKP:gsub('"11q', '"'), OKP:gsub("Ed25519", "X25519"), '{"kty":"RSA","e":"AQAB","n":"' .. ("q"):rep(170) .. '"}',
    } do
      local keys, err, detail = eval("return tg.jwt.keys(select(3, ...))", bad)
      assert.same({ nil, "invalid" }, { keys, err }, bad)
      assert.is_string(detail)
    end
    assert.same({ nil, "too_large" }, { eval [[
      local keys, err = tg.jwt.keys((" "):rep(300000))
      return keys, err
    ]] })
    assert.same({ nil, "too_large" }, { eval [[
      local list = {}
      for i = 1, 101 do list[i] = { kty = "oct" } end
      local keys, err = tg.jwt.keys { keys = list }
      return keys, err
    ]] })
    assert.matches("a JSON text or a table", raised "tg.jwt.keys(1)")
  end)

  it("takes a signature of a curve as r and s only", function()
    local pem = pem_of "P-256"
    assert.same({ true, nil, "signature", nil, "signature", nil, "signature" }, { eval([[
      local key = tg.crypto.key(select(3, ...))
      local text = tg.base64.encode_url '{"alg":"ES256"}' .. "." .. tg.base64.encode_url "{}"
      local function result(signature)
        local claims, err = tg.jwt.verify(text .. "." .. tg.base64.encode_url(signature), key,
          { algorithms = { "ES256" } })
        return claims and true, err
      end
      local a = result(tg.crypto.sign(key, text, "ES256"))
      local b, c = result(tg.crypto.sign(key, text, "ES256", "der"))
      local d, e = result(("\0"):rep(64))
      local f, g = result(("\255"):rep(64))
      return a, b, c, d, e, f, g
    ]], pem) })
  end)

  it("finds the token of a request", function()
    local function bearer(value)
      return (library.eval_with({ { "Authorization", value } }, "return tg.jwt.bearer(req)"))
    end
    assert.equal("a.b-c_d.e", bearer "Bearer a.b-c_d.e")
    assert.equal("abc==", bearer "bEARER  abc==")
    for _, other in ipairs { "Basic abc", "Bearer", "Bearer a b", "Bearer a, Bearer b", "Bearer a;b", "xBearer a" } do
      assert.is_nil(bearer(other), other)
    end
    assert.is_nil((eval "return tg.jwt.bearer(req)"))
  end)

  it("raises where it can't sign", function()
    local pem = public(pem_of "P-256")
    local function message(arguments)
      return raised("local pem = select(3, ...) local k = tg.crypto.key(pem) tg.jwt.sign(" .. arguments .. ")", pem)
    end
    assert.matches("no private key or secret there serves ES256", message "{}, k, { algorithm = 'ES256' }")
    assert.matches("an algorithm such as", message "{}, k, { algorithm = 'none' }")
    assert.matches("an algorithm such as", message "{}, k")
    assert.matches("a table of claims expected", message "'x', k, { algorithm = 'ES256' }")
    assert.matches("kid: a string expected", message "{}, k, { algorithm = 'ES256', kid = 1 }")
    local secret = "tg.jwt.keys { kty = 'oct', k = ('a'):rep(64) }"
    assert.matches("JSON has no function", message("{ a = print }, " .. secret .. ", { algorithm = 'HS256' }"))
  end)
end)
