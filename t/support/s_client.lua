---`openssl s_client` as a test sees it.
local process = require "t.support.process"

local s_client = {}

---What one connection came to. `words` go to openssl as they are; `say` goes over the connection. Gives its code and
---all that it printed.
---@param port integer
---@param words string[]
---@param say? string
---@return integer code, string text
function s_client.run(port, words, say)
  local quoted = {}
  for i, word in ipairs(words) do quoted[i] = process.quote(word) end
  local line = ("printf '%%b' %s | timeout 10 openssl s_client -connect 127.0.0.1:%d %s 2>&1"):format(
    process.quote((say or ""):gsub("\r", "\\r"):gsub("\n", "\\n")), port, table.concat(quoted, " "))
  local code, output = process.run { program = "sh", arguments = { "-c", line }, timeout = 20 }
  return code, output
end

local function fingerprint_of(text)
  local pem = text:match "%-%-%-%-%-BEGIN CERTIFICATE%-%-%-%-%-.-%-%-%-%-%-END CERTIFICATE%-%-%-%-%-"
  if not pem then return nil end
  local x509, digest = require "openssl.x509", require "openssl.digest"
  local bytes = digest.new("sha256"):final(x509.new(pem):tostring "DER")
  return (bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

---The SHA-256 of the certificate that is served, in hex; nil where the handshake fails.
---@return string?, string text
function s_client.certificate(port, words)
  local _, text = s_client.run(port, words)
  return fingerprint_of(text), text
end

---A GET over HTTP/1.1, which the server closes after.
function s_client.get(port, words, host, path)
  local all = { "-quiet", "-ign_eof", unpack(words) }
  return s_client.run(port, all, ("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n"):format(path or "/", host))
end

return s_client
