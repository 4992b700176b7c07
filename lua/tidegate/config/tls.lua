--- The field `tls` of tg.listen and tg.upstream. Files are named to the core, which reads them for itself: their
--- content, keys among it, never comes into a VM; the digest in the plan tells two contents apart.

local address = require "tidegate.config.address"
local host = require "tidegate.host"
local match = require "tidegate.config.match"
local place = require "tidegate.config.place"
local values = require "tidegate.config.values"

place.library()

local tls = {}

local expected = values.expected

local function file(value)
  if type(value) ~= "string" or value == "" or value:find "%c" then return expected("the path of a file", value) end
  local digest, why = host.file_digest(value)
  if not digest then return nil, why end
  return { path = value, sha256 = digest }
end

local list_of_files = values.one_or_list(file, "the path of a file, or a list of two")

-- Of one certificate name there may be two: with an ECDSA and an RSA key.
local function one_or_two_files(value)
  local list, why, path = list_of_files(value)
  if not list then return nil, why, path end
  if #list > 2 then return nil, "at most two: for an ECDSA and an RSA key" end
  return list
end

local files_of_cas = values.list(file, "a list of files")

local CERTIFICATE = {
  cert = one_or_two_files, key = one_or_two_files, ocsp = one_or_two_files, name = values.text, client_ca = file,
  client_auth = values.one_of { "none", "optional", "require" },
}

local LONGEST_SESSION = 7 * 86400 -- RFC 8446 4.6.1

local SHARED = {
  policy = values.one_of { "intermediate", "modern" },
  http2 = values.boolean,
  unknown_names = values.one_of { "default", "refuse" },
  session_life = values.integer(1, LONGEST_SESSION, "seconds, from 1 to 604800 (7 days),"),
  client_cas = files_of_cas,
}

local function of_shared() return nil, "belongs to the whole list: beside the certificates, not into one" end
local function of_certificate()
  return nil, 'belongs to a certificate: tls = { { cert = "a.pem", key = "a.key", ... } }'
end

local function every(fields, check)
  local result = {}
  for name in pairs(fields) do result[name] = check end
  return result
end

local read_item = values.record(values.with_defaults(every(SHARED, of_shared), CERTIFICATE))
local read_alone = values.record(values.with_defaults(values.with_defaults({}, SHARED), CERTIFICATE))

local function check_counts(fields)
  if not fields.cert then return "a certificate is missing: cert = \"a.pem\"" end
  if not fields.key then return "the certificate's key is missing: key = \"a.key\"" end
  if #fields.key ~= #fields.cert then
    return ("cert has %d and key %d: each certificate has its own key"):format(#fields.cert, #fields.key)
  end
  if fields.ocsp and #fields.ocsp > #fields.cert then return "ocsp has more files than cert" end
  local auth = fields.client_auth
  if auth and auth ~= "none" and not fields.client_ca then
    return ("client_auth = %q needs client_ca: whose certificates are good"):format(auth)
  end
end

-- Without a word on client_auth a client may come without a certificate, so that handlers can tell it why they refuse.
local function certificate(fields)
  local why = check_counts(fields)
  if why then return nil, why end
  local ocsp = fields.ocsp or {}
  return {
    name = fields.name, cert = fields.cert[1], key = fields.key[1], cert2 = fields.cert[2], key2 = fields.key[2],
    ocsp = ocsp[1], ocsp2 = ocsp[2], client_ca = fields.client_ca,
    client_auth = fields.client_auth or fields.client_ca and "optional" or "none",
  }
end

local function item(value)
  local fields, why, path = read_item(value)
  if not fields then return nil, why, path end
  return certificate(fields)
end

local read_list = values.record(values.with_defaults(every(CERTIFICATE, of_certificate), SHARED), item)

local function listener_entry(fields, certificates)
  local http2 = fields.http2
  if http2 == nil then http2 = true end
  return {
    certificates = certificates, client_cas = fields.client_cas or {}, policy = fields.policy or "intermediate",
    http2 = http2, unknown_names = fields.unknown_names or "default", session_life = fields.session_life or 86400,
  }
end

local function several(value)
  local fields, why, path = read_list(value)
  if not fields then return nil, why, path end
  local certificates = {}
  for i = 1, #fields do certificates[i] = fields[i] end
  return listener_entry(fields, certificates)
end

local function alone(value)
  local fields, why, path = read_alone(value)
  if not fields then return nil, why, path end
  local only
  only, why = certificate(fields)
  if not only then return nil, why end
  return listener_entry(fields, { only })
end

---`tls` of tg.listen: a certificate, or a list of them, the first of which is the default.
function tls.listener(value)
  if type(value) ~= "table" or getmetatable(value) then
    return expected('{ cert = "a.pem", key = "a.key" }, or a list of such,', value)
  end
  if value[1] ~= nil then return several(value) end
  return alone(value)
end

local function sni(value)
  if type(value) ~= "string" then return expected("the name that the certificate must have", value) end
  if address.family(value) then return value:lower() end
  local name = match.host(value)
  if not name or name:find "[*%[]" then return expected("a name such as \"app.internal.example\"", value) end
  return name
end

local read_upstream = values.record {
  sni = sni, ca = file, cert = file, key = file, verify = values.boolean,
}

---`tls` of tg.upstream: true, or what differs from the usual; false is clear.
function tls.upstream(value)
  if value == false then return false end
  if value == true then value = {} end
  if type(value) ~= "table" or getmetatable(value) then
    return expected("true or { sni, ca, cert, key, verify }", value)
  end
  local fields, why, path = read_upstream(value)
  if not fields then return nil, why, path end
  if (fields.cert == nil) ~= (fields.key == nil) then return nil, "cert and key: one of them is missing" end
  if fields.verify == false and fields.ca then return nil, "ca has no use where verify = false" end
  fields.verify = fields.verify ~= false
  return fields
end

return tls
