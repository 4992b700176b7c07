---@meta tidegate
-- luacheck: ignore 212 241
-- The part of the library that never waits: bytes, digests, keys, tokens, patterns, addresses, cookies, times. What can
-- fail gives nil and a word; what is a mistake of the script raises.

---@class tidegate
---@field base64 tidegate.Base64
---@field bytes tidegate.Bytes
---@field cookie tidegate.CookieLibrary
---@field crypto tidegate.Crypto
---@field ip tidegate.IpLibrary
---@field jwt tidegate.Jwt
---@field re tidegate.Re
---@field time tidegate.Time

-- Bytes -------------------------------------------------------------------------------------------------------------

---RFC 4648, strict: what no encoder writes is invalid.
---@class tidegate.Base64
local Base64 = {}

---With padding.
---@param text string
---@return string
function Base64.encode(text) end

---@param text string
---@return string? bytes, "invalid"? err
function Base64.decode(text) end

---In the alphabet for URLs, without padding.
---@param text string
---@return string
function Base64.encode_url(text) end

---With padding or without.
---@param text string
---@return string? bytes, "invalid"? err
function Base64.decode_url(text) end

---For text that comes in pieces of any length.
---@return tidegate.Base64Decoder
function Base64.decoder() end

---@return tidegate.Base64Encoder
function Base64.encoder() end

---@class tidegate.Base64Decoder
local Decoder = {}

---The bytes that this piece completes. Padding may end any group of four characters.
---@param piece string
---@return string? bytes, "invalid"? err
function Decoder:add(piece) end

---Whether the text ended with a whole group.
---@return true? whole, "invalid"? err
function Decoder:finish() end

---@class tidegate.Base64Encoder
local Encoder = {}

---The text that this piece completes.
---@param piece string
---@return string
function Encoder:add(piece) end

---The rest, with its padding.
---@return string
function Encoder:finish() end

---@class tidegate.Bytes
local Bytes = {}

---Two bytes, the higher one first.
---@param n integer
---@return string
function Bytes.u16(n) end

---Four bytes, the highest one first.
---@param n integer
---@return string
function Bytes.u32(n) end

---@param text string
---@param at integer?  1
---@return integer? n, "invalid"? err
function Bytes.read_u16(text, at) end

---@param text string
---@param at integer?  1
---@return integer? n, "invalid"? err
function Bytes.read_u32(text, at) end

---@param text string
---@return string
function Bytes.hex(text) end

---@param text string
---@return string? bytes, "invalid"? err
function Bytes.unhex(text) end

-- Digests -----------------------------------------------------------------------------------------------------------

---@alias tidegate.DigestName "crc32"|"murmur3"|"xxhash64"|"md5"|"sha1"|"sha256"|"sha384"|"sha512"

---@class tidegate.Hash
---@field md5 fun(text: string): string
---@field md5_hex fun(text: string): string
---@field sha1 fun(text: string): string
---@field sha1_hex fun(text: string): string
---@field sha256 fun(text: string): string
---@field sha256_hex fun(text: string): string
---@field sha384 fun(text: string): string
---@field sha384_hex fun(text: string): string
---@field sha512 fun(text: string): string
---@field sha512_hex fun(text: string): string
---@field xxhash64 fun(text: string): string  8 bytes, the highest one first
---@field xxhash64_hex fun(text: string): string
---@field murmur3_hex fun(text: string): string
---@field crc32_hex fun(text: string): string
local Hash = {}

---MurmurHash3 in 32 bits: for buckets, not against forgers.
---@param text string
---@param seed integer?  0
---@return integer
function Hash.murmur3(text, seed) end

---@param name "md5"|"sha1"|"sha256"|"sha384"|"sha512"
---@param key string
---@param text string
---@return string
function Hash.hmac(name, key, text) end

---@param name "md5"|"sha1"|"sha256"|"sha384"|"sha512"
---@param key string
---@param text string
---@return string
function Hash.hmac_hex(name, key, text) end

---A digest of text that comes in pieces.
---@param name tidegate.DigestName
---@return tidegate.Digest
function Hash.new(name) end

---@class tidegate.Digest
local Digest = {}

---After `bytes` or `hex` it raises.
---@param piece string
---@return tidegate.Digest
function Digest:add(piece) end

---@return string
function Digest:bytes() end

---@return string
function Digest:hex() end

-- Keys and tokens ---------------------------------------------------------------------------------------------------

---@alias tidegate.SignatureAlgorithm
---| "RS256" | "RS384" | "RS512" | "PS256" | "PS384" | "PS512" | "ES256" | "ES384" | "ES512" | "EdDSA"

---@class tidegate.Key
---@field type "RSA"|"RSA-PSS"|"P-256"|"P-384"|"P-521"|"Ed25519"
---@field bits integer
---@field private boolean

---@class tidegate.Crypto
local Crypto = {}

---In a time that depends on the length alone.
---@param a string
---@param b string
---@return boolean
function Crypto.equal(a, b) end

---@param n integer  from 1 to 65536
---@return string
function Crypto.random_bytes(n) end

---Of PEM: a private key without passphrase, a public key, or that of a certificate.
---@param pem string
---@return tidegate.Key? key, "invalid"? err, string? detail
function Crypto.key(pem) end

---@param key tidegate.Key  a private one
---@param text string
---@param algorithm tidegate.SignatureAlgorithm
---@param form "der"?  of a curve's signature; default: r and s
---@return string
function Crypto.sign(key, text, algorithm, form) end

---@param key tidegate.Key
---@param text string
---@param signature string
---@param algorithm tidegate.SignatureAlgorithm
---@param form "der"?
---@return boolean
function Crypto.verify(key, text, signature, algorithm, form) end

---Nonce, ciphertext and tag in one; `beside` is authenticated, but not in it.
---@param key string  16, 24 or 32 bytes
---@param text string
---@param beside string?
---@return string
function Crypto.aes_gcm_seal(key, text, beside) end

---@param key string
---@param sealed string
---@param beside string?
---@return string? text, "invalid"? err
function Crypto.aes_gcm_open(key, sealed, beside) end

---@class tidegate.JwtKeys
---@field count integer

---@alias tidegate.JwtAlgorithm tidegate.SignatureAlgorithm | "HS256" | "HS384" | "HS512"

---@alias tidegate.JwtError
---| "invalid" | "too_large" | "critical" | "algorithm" | "unknown_key" | "signature" | "expired" | "not_yet"
---| "issuer" | "audience"

---@class tidegate.JwtOptions
---@field algorithms tidegate.JwtAlgorithm[]  required: what a token says of itself is no ground
---@field issuer string|string[]|nil
---@field audience string|string[]|false|nil  nil: a token with an audience is refused; false: it isn't looked at
---@field leeway number?  seconds

---@class tidegate.Jwt
local Jwt = {}

---The token of `Authorization: Bearer ...`.
---@param req tidegate.Request
---@return string?
function Jwt.bearer(req) end

---Of a JWK set or a single JWK.
---@param jwks string|table
---@return tidegate.JwtKeys? keys, "invalid"|"too_large"|nil err, string? detail
function Jwt.keys(jwks) end

---@param token string
---@param keys tidegate.JwtKeys|tidegate.Key
---@param options tidegate.JwtOptions
---@return table? claims, tidegate.JwtError? err
function Jwt.verify(token, keys, options) end

---@param claims table
---@param key tidegate.Key|tidegate.JwtKeys  a private key, or secrets
---@param options { algorithm: tidegate.JwtAlgorithm, kid: string? }
---@return string
function Jwt.sign(claims, key, options) end

-- Texts -------------------------------------------------------------------------------------------------------------

---Groups of a match: [0] is the whole; named ones stand there by name too; false: the group took no part.
---@alias tidegate.Groups table<integer|string, string|false>

---PCRE2. A search that takes too long gives nil, "limit".
---@class tidegate.Regex
---@field pattern string
local Regex = {}

---@param text string
---@return boolean? found, "limit"? err
function Regex:test(text) end

---@param text string
---@param at integer?  1
---@return integer? first, integer|"limit"|nil last
function Regex:find(text, at) end

---@param text string
---@param at integer?  1
---@return tidegate.Groups? groups, "limit"? err
function Regex:match(text, at) end

---All matches. Running into the limit raises.
---@param text string
---@return fun(): tidegate.Groups?
function Regex:each(text) end

---In a text `$1`, `${name}` are groups, `$0` is the whole match, `$$` a dollar sign; where a function gives nil, the
---match stays.
---@param text string
---@param with string|fun(groups: tidegate.Groups): string|number|nil
---@param n integer?  at most so many
---@return string? text, integer|"limit" count
function Regex:replace(text, with, n) end

---@class tidegate.Re
local Re = {}

---At load and in `init`. Flags: "i" any case, "m" lines, "s" a dot matches line feeds, "x" blanks and comments in it,
---"u" UTF-8, "a" only where the search begins.
---@param pattern string
---@param flags string?
---@return tidegate.Regex
function Re.new(pattern, flags) end

---With a pattern that isn't known at load.
---@param text string
---@param pattern string
---@param flags string?
---@return tidegate.Groups? groups, "limit"? err
function Re.match(text, pattern, flags) end

---@class tidegate.CookieLibrary
local Cookie = {}

---Of a Cookie field: the first value of each name, as it came.
---@param text string
---@return table<string, string>
function Cookie.parse(text) end

---A Set-Cookie field; `secure` is true unless the options say otherwise.
---@param name string
---@param value string|number
---@param options { max_age: integer?, path: string?, domain: string?, secure: boolean?, http_only: boolean?,
---same_site: "lax"|"strict"|"none"|nil }?
---@return string
function Cookie.format(name, value, options) end

---@class tidegate.Ip
---@field address string  in its shortest form
---@field version 4|6
---@field bytes string

---@class tidegate.IpSet
local IpSet = {}

---@param address string
---@return boolean? found, "invalid"? err
function IpSet:has(address) end

---An IPv4 address and its IPv6-mapped form are the same.
---@class tidegate.IpLibrary
local Ip = {}

---@param text string
---@return tidegate.Ip? ip, "invalid"? err
function Ip.parse(text) end

---Of networks and addresses.
---@param networks string[]
---@return tidegate.IpSet
function Ip.set(networks) end

---Times are seconds since 1970.
---@class tidegate.Time
local Time = {}

---"Sun, 06 Nov 1994 08:49:37 GMT"
---@param t number
---@return string
function Time.http(t) end

---All three forms of RFC 9110 5.6.7.
---@param text string
---@return integer? t, "invalid"? err
function Time.parse_http(text) end

---"1994-11-06T08:49:37Z", with milliseconds where there are any.
---@param t number
---@return string
function Time.iso(t) end

---RFC 3339, with its zone.
---@param text string
---@return number? t, "invalid"? err
function Time.parse_iso(text) end
