---A workshop for certificates: an authority of its own in a folder of the test, and whatever it can be asked to sign.
---
---    local shop = certificates.new()
---    local a = shop:issue { names = { "a.example", "*.a.example" } }
---    a.cert, a.key, a.chain                 -- paths of PEM files
---    shop.ca                                -- the authority's certificate
---
---Keys are made once for a file of specifications and used again, since what a test needs is the certificate.
local altname = require "openssl.x509.altname"
local bignum = require "openssl.bignum"
local extension = require "openssl.x509.extension"
local name = require "openssl.x509.name"
local pkey = require "openssl.pkey"
local process = require "t.support.process"
local x509 = require "openssl.x509"

local certificates = {}

local DAY = 86400

---@class support.Shop
---@field folder string
---@field ca string path of the authority's certificate
local Shop = {}
Shop.__index = Shop

---@class support.Certificate
---@field cert string path of the certificate
---@field key string path of its key
---@field chain string path of the certificate and its issuer's
---@field sha256 string hex digits of the DER
---@field serial integer

local keys = {}

local function new_key(kind, fresh)
  if not fresh and keys[kind] then return keys[kind] end
  local key = kind == "rsa" and pkey.new { type = "RSA", bits = 2048 } or pkey.new { type = "EC", curve = "prime256v1" }
  keys[kind] = key
  return key
end

local function common_name(text)
  return name.new():add("CN", text)
end

local function hex(bytes)
  return (bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

local function digest_of(certificate)
  local digest = require("openssl.digest").new "sha256"
  return hex(digest:final(certificate:tostring "DER"))
end

local next_serial = os.time() % 100000 * 1000

local function alternatives(names)
  local all = altname.new()
  for _, each in ipairs(names) do
    local is_address = each:find "^%d+%.%d+%.%d+%.%d+$" or each:find ":"
    all:add(is_address and "IP" or "DNS", each)
  end
  return all
end

local function build(subject, key, issuer_name, options)
  next_serial = next_serial + 1
  local made = x509.new()
  made:setVersion(3)
  made:setSerial(bignum.new(next_serial))
  made:setSubject(common_name(subject))
  made:setIssuer(issuer_name)
  local now = os.time()
  made:setLifetime(now + (options.begins or -DAY), now + (options.ends or 90 * DAY))
  made:setPublicKey(key)
  made:setBasicConstraints { CA = options.is_ca or false }
  made:setBasicConstraintsCritical(true)
  if options.names and options.names[1] then made:setSubjectAlt(alternatives(options.names)) end
  if not options.is_ca then
    made:addExtension(extension.new("keyUsage", "critical,digitalSignature,keyEncipherment"))
    made:addExtension(extension.new("extendedKeyUsage", options.usage or "serverAuth"))
  end
  return made, next_serial
end

local function new_authority(subject)
  local key = new_key("ec", true)
  local made = build(subject, key, common_name(subject), { is_ca = true, ends = 3650 * DAY })
  made:sign(key)
  return made, key
end

---A workshop with an authority of its own.
---@param subject? string
---@return support.Shop
function certificates.new(subject)
  local self = setmetatable({ folder = process.folder(), count = 0 }, Shop)
  self.authority, self.authority_key = new_authority(subject or "Test Authority")
  self.ca, self.ca_key = self.folder .. "/ca.pem", self.folder .. "/ca.key"
  process.write_file(self.ca, self.authority:toPEM())
  process.write_file(self.ca_key, self.authority_key:toPEM "private")
  return self
end

---Signs a certificate. Options: names (list; the first is the subject, too), subject, kind ("ec", "rsa"), usage
---("serverAuth", "clientAuth"), begins and ends (seconds from now), self_signed, fresh_key, file (base of the files'
---names: written in the place of what was there).
---@return support.Certificate
function Shop:issue(options)
  self.count = self.count + 1
  local key = new_key(options.kind or "ec", options.fresh_key)
  local subject = options.subject or options.names and options.names[1] or "nobody"
  local issuer_name = options.self_signed and common_name(subject) or common_name "Test Authority"
  if not options.self_signed then issuer_name = self.authority:getSubject() end
  local made, serial = build(subject, key, issuer_name, options)
  made:sign(options.self_signed and key or self.authority_key)
  local base = self.folder .. "/" .. (options.file or "cert" .. self.count)
  local one = { cert = base .. ".pem", key = base .. ".key", chain = base .. ".chain.pem", serial = serial }
  one.sha256 = digest_of(made)
  process.write_file(one.cert, made:toPEM())
  process.write_file(one.key, key:toPEM "private")
  process.write_file(one.chain, made:toPEM() .. self.authority:toPEM())
  return one
end

---An OCSP response for a certificate of this shop, good for `days`. Gives the path of the DER file.
---@return string
function Shop:ocsp(one, days)
  local index, response = self.folder .. "/index.txt", one.cert .. ".ocsp"
  local expiry = os.date("!%y%m%d%H%M%SZ", os.time() + 90 * DAY)
  local serial = ("%X"):format(one.serial)
  if #serial % 2 == 1 then serial = "0" .. serial end
  process.write_file(index, ("V\t%s\t\t%s\tunknown\t/CN=x\n"):format(expiry, serial))
  local code, _, errors = process.run {
    program = "openssl",
    arguments = { "ocsp", "-index", index, "-CA", self.ca, "-rsigner", self.ca, "-rkey", self.ca_key, "-issuer",
      self.ca, "-cert", one.cert, "-respout", response, "-ndays", days or 7, "-noverify" },
  }
  assert(code == 0, errors)
  return response
end

return certificates
