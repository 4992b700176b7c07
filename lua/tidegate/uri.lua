--- tg.uri: pieces of addresses, encoded so that none of them can become more than one piece.

local byte, char, find, format, gsub, match, sub =
  string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local concat, sort = table.concat, table.sort

local uri = {}

local ENCODED, DECODED = {}, {}
for code = 0, 255 do
  local c = char(code)
  ENCODED[c] = find(c, "[%w._~-]") and code < 128 and c or format("%%%02X", code)
  DECODED[format("%02X", code)], DECODED[format("%02x", code)] = c, c
  DECODED[format("%X%x", math.floor(code / 16), code % 16)] = c
  DECODED[format("%x%X", math.floor(code / 16), code % 16)] = c
end

local function text_of(name, value, level)
  if type(value) == "string" then return value end
  if type(value) == "number" then return tostring(value) end
  error(("tg.uri.%s: a string or a number expected, got %s"):format(name, type(value)), level + 1)
end

---Percent-encodes all but letters, digits, "-", ".", "_" and "~".
---@param text string|number
---@return string
function uri.encode(text)
  text = text_of("encode", text, 2)
  if not find(text, "[^%w._~-]") then return text end
  return (gsub(text, "[^%w._~-]", ENCODED))
end

---Undoes percent-encoding; or nil, "invalid" where a "%" is not followed by two hex digits. A "+" stays a "+".
---@param text string
---@return string? text, string? err
function uri.decode(text)
  text = text_of("decode", text, 2)
  if not find(text, "%", 1, true) then return text end
  local good = true
  local result = gsub(text, "%%(.?.?)", function(hex)
    local c = DECODED[hex]
    if not c then good = false end
    return c
  end)
  if not good then return nil, "invalid" end
  return result
end

---An absolute path made of pieces, each encoded, so that it stays one segment. "." and ".." raise.
---@param ... string|number
---@return string
function uri.path(...)
  local pieces = { ... }
  for i = 1, select("#", ...) do
    local piece = text_of("path", pieces[i], 2)
    if piece == "." or piece == ".." then error(("tg.uri.path: %q is no name of a segment"):format(piece), 2) end
    pieces[i] = gsub(piece, "[^%w._~-]", ENCODED)
  end
  return "/" .. concat(pieces, "/")
end

local function add_pairs(out, name, value)
  for _, item in ipairs(type(value) == "table" and value or { value }) do
    local text = type(item) == "boolean" and tostring(item) or text_of("query", item, 4)
    out[#out + 1] = gsub(name, "[^%w._~-]", ENCODED) .. "=" .. gsub(text, "[^%w._~-]", ENCODED)
  end
end

---A query string, without "?", of names and values; a list gives its name several times. In the order of the names.
---@param t table<string, string|number|boolean|(string|number|boolean)[]>
---@return string
function uri.query(t)
  if type(t) ~= "table" then error("tg.uri.query: a table expected, got " .. type(t), 2) end
  local names, out = {}, {}
  for name in pairs(t) do
    if type(name) ~= "string" then error("tg.uri.query: a name is a string, got a " .. type(name), 2) end
    names[#names + 1] = name
  end
  sort(names)
  for _, name in ipairs(names) do add_pairs(out, name, t[name]) end
  return concat(out, "&")
end

-- The five parts of RFC 3986, appendix B.
local function split(text)
  local rest, fragment = match(text, "^([^#]*)#?(.*)$")
  if not find(text, "#", 1, true) then fragment = nil end
  local head, query = match(rest, "^([^?]*)%?(.*)$")
  head = head or rest
  local scheme, after = match(head, "^(%a[%w+.-]*):(.*)$")
  head = after or head
  local authority, path = match(head, "^//([^/]*)(.*)$")
  return { scheme = scheme and scheme:lower(), authority = authority, path = path or head, query = query,
    fragment = fragment }
end

local function split_authority(parts)
  local user, place = match(parts.authority, "^(.*)@(.*)$")
  place = place or parts.authority
  local host, port = match(place, "^(%[[%x:.]+%]):?(%d*)$")
  if not host then host, port = match(place, "^([^:%[%]@]*):?(%d*)$") end
  if not host then return nil end
  port = port ~= "" and tonumber(port) or nil
  if port and port > 65535 then return nil end
  parts.user, parts.host, parts.port = user, host:lower(), port
  return parts
end

---@class tidegate.UriParts
---@field scheme string?
---@field user string?
---@field host string?  lower case
---@field port integer?
---@field path string  "" where there is none
---@field query string?
---@field fragment string?

---Takes an address apart; or nil, "invalid".
---@param text string
---@return tidegate.UriParts? parts, string? err
function uri.parse(text)
  if type(text) ~= "string" then error("tg.uri.parse: a string expected, got " .. type(text), 2) end
  if find(text, "[%c%s\127-\255\"<>\\^`{|}]") or not uri.decode(text) then return nil, "invalid" end
  local parts = split(text)
  if parts.authority and not split_authority(parts) then return nil, "invalid" end
  parts.authority = nil
  return parts
end

-- RFC 3986, 5.2.4: segments are taken from the left; what "." and ".." leave at the end is a slash.
local function without_dots(path)
  local out, rooted = {}, sub(path, 1, 1) == "/"
  local at, open = rooted and 2 or 1, false
  while at do
    local slash = find(path, "/", at, true)
    local segment = sub(path, at, slash and slash - 1)
    open = segment == "." or segment == ".."
    if segment == ".." then out[#out] = nil
    elseif segment ~= "." then out[#out + 1] = segment end
    at = slash and slash + 1
  end
  if open then out[#out + 1] = "" end
  return (rooted and "/" or "") .. concat(out, "/")
end

local function merged_path(base, path)
  if base.authority and base.path == "" then return "/" .. path end
  return (match(base.path, "^(.*/)") or "") .. path
end

local function assembled(t)
  return (t.scheme and t.scheme .. ":" or "") .. (t.authority and "//" .. t.authority or "") .. t.path ..
    (t.query and "?" .. t.query or "") .. (t.fragment and "#" .. t.fragment or "")
end

---The address that a reference means when it stands at `base` (RFC 3986, 5.2); or nil, "invalid", where one of them is
---none.
---@param base string
---@param reference string
---@return string? address, string? err
function uri.join(base, reference)
  base, reference = text_of("join", base, 2), text_of("join", reference, 2)
  if not uri.parse(base) or not uri.parse(reference) then return nil, "invalid" end
  local b, r = split(base), split(reference)
  if r.scheme then
    r.path = without_dots(r.path)
    return assembled(r)
  end
  r.scheme = b.scheme
  if r.authority then
    r.path = without_dots(r.path)
    return assembled(r)
  end
  r.authority = b.authority
  if r.path == "" then
    r.path, r.query = b.path, r.query or b.query
  elseif byte(r.path) == 47 then
    r.path = without_dots(r.path)
  else
    r.path = without_dots(merged_path(b, r.path))
  end
  return assembled(r)
end

return uri
