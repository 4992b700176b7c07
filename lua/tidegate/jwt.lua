--- tg.jwt: signed tokens (RFC 7515, 7519) in the compact form. The algorithms that may be are said by who verifies,
--- each key serves only the algorithms of its kind, and keys come from nowhere but the arguments. There is no "none".

local ffi = require "ffi"
local core = require "tidegate.core"
local crypto = require "tidegate.crypto"
local host = require "tidegate.host"
local json = require "tidegate.json"
local library = require "tidegate.runtime.library"
local raise = require "tidegate.runtime.raise"
local suggest = require "tidegate.config.suggest"

local C, string_of = ffi.C, ffi.string
local type, tostring, ipairs, floor, huge = type, tostring, ipairs, math.floor, math.huge
local find, match, sub = string.find, string.match, string.sub
local control = ffi.cast("struct tg_abi_control *", core.control)
local check_string, room = library.check_string, library.room

local jwt = {}

local LONGEST_TOKEN = 16384
local LONGEST_SET, MOST_KEYS = 262144, 100
local MOST_TRIED = 8

-- An HMAC by its digest and the least length of its key, which is its own (RFC 7518 3.2); others by number.
local ALGORITHMS = {
  HS256 = { digest = C.TG_ABI_SHA256, size = 32 }, HS384 = { digest = C.TG_ABI_SHA384, size = 48 },
  HS512 = { digest = C.TG_ABI_SHA512, size = 64 },
  RS256 = { number = C.TG_ABI_RS256 }, RS384 = { number = C.TG_ABI_RS384 }, RS512 = { number = C.TG_ABI_RS512 },
  PS256 = { number = C.TG_ABI_PS256 }, PS384 = { number = C.TG_ABI_PS384 }, PS512 = { number = C.TG_ABI_PS512 },
  ES256 = { number = C.TG_ABI_ES256 }, ES384 = { number = C.TG_ABI_ES384 }, ES512 = { number = C.TG_ABI_ES512 },
  EdDSA = { number = C.TG_ABI_EDDSA },
}

---The token of `Authorization: Bearer ...`, or nil.
---@param req tidegate.Request
---@return string?
function jwt.bearer(req)
  local value = req.headers.authorization
  return value and match(value, "^[Bb][Ee][Aa][Rr][Ee][Rr] +([%w%-._~+/]+=*)$")
end

-- Bytes of base64url without padding, as JWTs have it; nil: it is none.
local function decoded(text)
  local to = room(floor((#text + 3) / 4) * 3)
  local length = C.tg_abi_base64_decode(text, #text, to, C.TG_ABI_BASE64_URL_BARE)
  if length >= 0 then return string_of(to, length) end
end

local function encoded(text)
  local size = floor((#text * 4 + 2) / 3)
  local to = room(size)
  C.tg_abi_base64_encode(text, #text, to, 1)
  return string_of(to, size)
end

-- The object of a JSON text in which no name stands twice, so that nobody reads another value than this.
local function object_of(text)
  if not text or C.tg_abi_json_unique(text, #text) == 0 then return nil end
  return (json.decode(text))
end

-- Keys ---------------------------------------------------------------------------------------------------------------

local problem = ffi.new "const char *[1]"
local CURVES = { ["P-256"] = C.TG_ABI_KEY_P256, ["P-384"] = C.TG_ABI_KEY_P384, ["P-521"] = C.TG_ABI_KEY_P521 }

local function member(jwk, name)
  local value = jwk[name]
  return type(value) == "string" and decoded(value) or nil
end

local function from_c(owned)
  if owned == nil then return nil, string_of(problem[0]) end
  return library.key(owned)
end

-- A key by its kty; or nil and why it can't be used.
local READ = {}

function READ.RSA(jwk)
  local n, e = member(jwk, "n"), member(jwk, "e")
  if not n or not e then return nil, "n or e is missing" end
  return from_c(C.tg_abi_key_rsa(control, n, #n, e, #e, problem))
end

function READ.EC(jwk)
  local curve, x, y = CURVES[jwk.crv], member(jwk, "x"), member(jwk, "y")
  if not curve then return nil, "its curve isn't one of P-256, P-384 and P-521" end
  if not x or not y or #x ~= #y then return nil, "x or y is missing, or of another length" end
  return from_c(C.tg_abi_key_ec(control, curve, x, y, #x, problem))
end

function READ.OKP(jwk)
  local x = member(jwk, "x")
  if jwk.crv ~= "Ed25519" then return nil, "its curve isn't Ed25519" end
  if not x then return nil, "x is missing" end
  return from_c(C.tg_abi_key_ed25519(control, x, #x, problem))
end

function READ.oct(jwk)
  local k = member(jwk, "k")
  if not k or #k < 32 then return nil, "a secret of at least 32 bytes expected" end
  return k
end

local function for_signatures(jwk)
  if jwk.use ~= nil and jwk.use ~= "sig" then return false end
  if jwk.key_ops == nil then return true end
  if type(jwk.key_ops) ~= "table" then return false end
  for _, operation in ipairs(jwk.key_ops) do
    if operation == "verify" or operation == "sign" then return true end
  end
  return false
end

local function optional_string(value)
  return value == nil or type(value) == "string"
end

-- An entry of a set, or nil and why there is none.
local function entry_of(jwk)
  if type(jwk) ~= "table" or not READ[jwk.kty] then return nil, "its kty isn't one of RSA, EC, OKP and oct" end
  if not optional_string(jwk.kid) or not optional_string(jwk.alg) then return nil, "kid or alg is no string" end
  if not for_signatures(jwk) then return nil, "it isn't for signatures" end
  local key, why = READ[jwk.kty](jwk)
  if not key then return nil, why end
  local secret = type(key) == "string" and key or nil
  return { kid = jwk.kid, alg = jwk.alg, secret = secret, key = not secret and key or nil }
end

---@class tidegate.JwtKeys
local new_keys, keys_kind = library.class("keys", {})

local function read_set(jwks)
  local list = jwks.keys
  if list == nil and jwks.kty ~= nil then list = { jwks } end
  if type(list) ~= "table" then return nil, "invalid", "a set of keys has a list in keys" end
  if #list > MOST_KEYS then return nil, "too_large", "more than 100 keys" end
  local entries, last = {}, "it is empty"
  for _, jwk in ipairs(list) do
    local entry, why = entry_of(jwk)
    if entry then entries[#entries + 1] = entry else last = why end
  end
  if #entries == 0 then return nil, "invalid", "no key in the set can be used: " .. last end
  return new_keys { __entries = entries, count = #entries }
end

---The keys of a JWK set (RFC 7517), a JSON text or a table; a single JWK is possible. Kinds that aren't known, and keys
---that aren't sound or not for signatures, are passed over (RFC 7517 5). Or nil, err: "invalid" or "too_large", detail.
---@param jwks string|table
---@return tidegate.JwtKeys? keys, string? err, string? detail
function jwt.keys(jwks)
  if type(jwks) == "string" then
    if #jwks > LONGEST_SET then return nil, "too_large", "more than 256 KB" end
    jwks = object_of(jwks)
    if not jwks then return nil, "invalid", "no JSON object, or a name stands twice in one" end
  elseif type(jwks) ~= "table" then
    raise("tg.jwt.keys: a JSON text or a table expected, got a " .. type(jwks))
  end
  return read_set(jwks)
end

-- Keys as a list of entries: of a set, or a single key.
local function entries_of(what, keys)
  if type(keys) == "table" then
    local kind = rawget(keys, "__kind")
    if kind == keys_kind then return keys.__entries end
    if kind == library.key_kind then return { { key = keys } } end
  end
  raise(("%s: keys (tg.jwt.keys) or a key (tg.crypto.key) expected, got a %s"):format(what, type(keys)))
end

local function serves(entry, name, algorithm)
  if entry.alg and entry.alg ~= name then return false end
  if algorithm.digest then return entry.secret ~= nil and #entry.secret >= algorithm.size end
  return entry.key ~= nil and C.tg_abi_key_serves(entry.key.__key, algorithm.number) ~= 0
end

-- Verifying ----------------------------------------------------------------------------------------------------------

local function check_algorithms(list)
  if type(list) ~= "table" or #list == 0 then
    raise('tg.jwt.verify: algorithms: a list such as { "RS256" } is required: what a token says of itself is no ground')
  end
  for _, name in ipairs(list) do
    if type(name) ~= "string" or not ALGORITHMS[name] then
      raise(("tg.jwt.verify: algorithms: %s is none%s"):format(tostring(name),
        type(name) == "string" and suggest.text(name, ALGORITHMS) or ""))
    end
  end
end

local function check_names(what, value)
  if value == nil or type(value) == "string" then return end
  if type(value) == "table" and #value > 0 then
    for _, name in ipairs(value) do check_string("tg.jwt.verify: " .. what, name) end
    return
  end
  raise(("tg.jwt.verify: %s: a string or a list of them expected, got a %s"):format(what, type(value)))
end

local function check_options(options)
  if type(options) ~= "table" then raise("tg.jwt.verify: options: a table expected, got a " .. type(options)) end
  check_algorithms(options.algorithms)
  check_names("issuer", options.issuer)
  if options.audience ~= false then check_names("audience", options.audience) end
  local leeway = options.leeway
  if leeway ~= nil and (type(leeway) ~= "number" or not (leeway >= 0 and leeway < huge)) then
    raise("tg.jwt.verify: leeway: seconds expected, got " .. tostring(leeway))
  end
end

local function is_one_of(value, given)
  if type(given) == "string" then return value == given end
  for i = 1, #given do
    if value == given[i] then return true end
  end
  return false
end

local function signed_by(entry, algorithm, text, signature)
  if algorithm.digest then
    local at = C.tg_abi_hmac(control, algorithm.digest, entry.secret, #entry.secret, text, #text)
    return at ~= nil and #signature == algorithm.size and C.tg_abi_equal(at, signature, #signature) ~= 0
  end
  local key = entry.key.__key
  return C.tg_abi_key_verify(key, algorithm.number, 0, text, #text, signature, #signature) ~= 0
end

-- nil where one of the keys has signed it; else why not. A key without kid serves tokens of any.
local function find_signer(entries, header, text, signature)
  local algorithm, tried, named = ALGORITHMS[header.alg], 0, false
  for i = 1, #entries do
    local entry = entries[i]
    if header.kid == nil or entry.kid == nil or entry.kid == header.kid then
      if serves(entry, header.alg, algorithm) then
        if tried == MOST_TRIED then break end
        tried = tried + 1
        if signed_by(entry, algorithm, text, signature) then return nil end
      else
        named = true
      end
    end
  end
  if tried > 0 then return "signature" end
  return named and "algorithm" or "unknown_key"
end

-- The header of a token, where nothing speaks against it yet; or nil, err.
local function header_of(text, options)
  local header = object_of(decoded(text))
  if not header or type(header.alg) ~= "string" or not optional_string(header.kid) then return nil, "invalid" end
  if header.crit ~= nil or header.b64 ~= nil then return nil, "critical" end
  if not ALGORITHMS[header.alg] or not is_one_of(header.alg, options.algorithms) then return nil, "algorithm" end
  return header
end

local function is_time(value)
  return value == nil or type(value) == "number"
end

local function wrong_time(claims, leeway)
  local expires, from, issued = claims.exp, claims.nbf, claims.iat
  if not is_time(expires) or not is_time(from) or not is_time(issued) then return "invalid" end
  local now = host.now()
  if expires and now >= expires + leeway then return "expired" end
  if from and now < from - leeway or issued and now < issued - leeway then return "not_yet" end
end

-- RFC 7519 4.1.3: a token for others is refused, also by who hasn't said who it is.
local function wrong_audience(claims, audience)
  if audience == false then return false end
  local given = claims.aud
  if given == nil then return audience ~= nil end
  if audience == nil then return true end
  if type(given) == "string" then return not is_one_of(given, audience) end
  if type(given) ~= "table" then return true end
  for i = 1, #given do
    if type(given[i]) == "string" and is_one_of(given[i], audience) then return false end
  end
  return true
end

---The claims of a token whose signature, times, issuer and audience are right; or nil, err: "invalid" (no token),
---"too_large" (above 16 KB), "critical" (it demands what isn't known), "algorithm" (none of those given, or no key that
---could be meant serves it), "unknown_key" (none has its kid), "signature", "expired", "not_yet", "issuer", "audience".
---@param token string
---@param keys tidegate.JwtKeys|tidegate.Key
---@param options { algorithms: string[], issuer: string|string[]|nil, audience: string|string[]|false|nil,
---leeway: number? }  other fields don't matter; audience false: it isn't looked at
---@return table? claims, string? err
function jwt.verify(token, keys, options)
  check_string("tg.jwt.verify: token", token)
  local entries = entries_of("tg.jwt.verify", keys)
  check_options(options)
  if #token > LONGEST_TOKEN then return nil, "too_large" end
  local first = find(token, ".", 1, true)
  local second = first and find(token, ".", first + 1, true)
  if not second or find(token, ".", second + 1, true) then return nil, "invalid" end
  local header, err = header_of(sub(token, 1, first - 1), options)
  if not header then return nil, err end
  local signature = decoded(sub(token, second + 1))
  if not signature then return nil, "invalid" end
  err = find_signer(entries, header, sub(token, 1, second - 1), signature)
  if err then return nil, err end
  local claims = object_of(decoded(sub(token, first + 1, second - 1)))
  if not claims then return nil, "invalid" end
  err = wrong_time(claims, options.leeway or 0)
  if err then return nil, err end
  if options.issuer ~= nil and not is_one_of(claims.iss, options.issuer) then return nil, "issuer" end
  if wrong_audience(claims, options.audience) then return nil, "audience" end
  return claims
end

-- Signing ------------------------------------------------------------------------------------------------------------

local function signer_of(keys, name, kid)
  for _, entry in ipairs(entries_of("tg.jwt.sign", keys)) do
    local private = entry.secret or entry.key.private
    if private and serves(entry, name, ALGORITHMS[name]) and (kid == nil or entry.kid == nil or entry.kid == kid) then
      return entry
    end
  end
  raise(("tg.jwt.sign: no private key or secret there serves %s"):format(name))
end

---A token of these claims.
---@param claims table
---@param key tidegate.Key|tidegate.JwtKeys  a private key, or secrets
---@param options { algorithm: string, kid: string? }
---@return string
function jwt.sign(claims, key, options)
  if type(claims) ~= "table" then raise("tg.jwt.sign: a table of claims expected, got a " .. type(claims)) end
  if type(options) ~= "table" or not ALGORITHMS[options.algorithm] then
    raise 'tg.jwt.sign: options: an algorithm such as { algorithm = "RS256" } expected'
  end
  local kid = options.kid
  if not optional_string(kid) then raise("tg.jwt.sign: kid: a string expected, got a " .. type(kid)) end
  local entry = signer_of(key, options.algorithm, kid)
  local good, payload = pcall(json.encode, claims)
  if not good then raise("tg.jwt.sign: " .. tostring(payload):gsub("^.-: ", "", 1)) end
  local header = json.encode { alg = options.algorithm, typ = "JWT", kid = kid or entry.kid }
  local text = encoded(header) .. "." .. encoded(payload)
  local algorithm = ALGORITHMS[options.algorithm]
  if not algorithm.digest then return text .. "." .. encoded(crypto.sign(entry.key, text, options.algorithm)) end
  local at = C.tg_abi_hmac(control, algorithm.digest, entry.secret, #entry.secret, text, #text)
  if at == nil then raise "tg.jwt.sign: OpenSSL has failed" end
  return text .. "." .. encoded(string_of(at, control.length))
end

return library.module("tg.jwt", jwt)
