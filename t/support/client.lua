---A raw HTTP/1.1 client: sends what a test says, in the pieces it says, and reads answers strictly.
local ffi = require "ffi"
local socket = require "socket"

local client = {}

---@class support.Connection
local Connection = {}
Connection.__index = Connection

---@class support.Response
---@field status integer
---@field version string
---@field reason string
---@field headers string[][] name (lower case) and value, in order
---@field body string
---@field trailers string[][]
---@field framing string "length", "chunked", "close" or "none"
---@field informational table[] the 1xx before it
local Response = {}
Response.__index = Response

local open_connections = {}

---Opens a connection to a loopback port. `from`: the address to come from.
---@return support.Connection
function client.connect(port, from)
  local handle = assert(socket.tcp())
  handle:settimeout(10)
  if from then assert(handle:bind(from, 0)) end
  assert(handle:connect("127.0.0.1", port))
  handle:setoption("tcp-nodelay", true)
  local self = setmetatable({ handle = handle, buffer = "" }, Connection)
  open_connections[self] = true
  return self
end

function client.close_all()
  local all = {}
  for connection in pairs(open_connections) do all[#all + 1] = connection end
  for _, connection in ipairs(all) do connection:close() end
end

function Connection:close()
  open_connections[self] = nil
  self.handle:close()
end

---Closes with RST.
function Connection:reset()
  self.handle:setoption("linger", { on = true, timeout = 0 })
  self:close()
end

function Connection:half_close()
  self.handle:shutdown "send"
end

---Sends bytes. Gives true, or nil and why.
function Connection:send(bytes, timeout)
  self.handle:settimeout(timeout or 10)
  local sent, err, upto = self.handle:send(bytes)
  if sent then return true end
  return nil, err, upto
end

---Sends each piece as a segment of its own, `wait` seconds apart.
function Connection:send_pieces(pieces, wait)
  for i, piece in ipairs(pieces) do
    if i > 1 then socket.sleep(wait or 0.001) end
    local sent, err = self:send(piece)
    if not sent then return nil, err end
  end
  return true
end

function Connection:send_byte_by_byte(bytes, wait)
  for i = 1, #bytes do
    local sent, err = self:send(bytes:sub(i, i))
    if not sent then return nil, err end
    socket.sleep(wait or 0)
  end
  return true
end

-- Waits for at least one more byte.
local function fill(self, deadline)
  self.handle:settimeout(math.max(0, deadline - socket.gettime()))
  local first, err = self.handle:receive(1)
  if not first then return nil, err end
  self.handle:settimeout(0)
  local rest, _, partial = self.handle:receive(65536)
  self.buffer = self.buffer .. first .. (rest or partial or "")
  return true
end

local function take(self, length)
  local taken = self.buffer:sub(1, length)
  self.buffer = self.buffer:sub(length + 1)
  return taken
end

-- The text up to `ending`, with it.
local function read_until(self, ending, deadline)
  local from = 1
  while true do
    local _, last = self.buffer:find(ending, from, true)
    if last then return take(self, last) end
    from = math.max(1, #self.buffer - #ending)
    local more, err = fill(self, deadline)
    if not more then return nil, err end
  end
end

local function read_exactly(self, length, deadline)
  local parts, have = { self.buffer }, #self.buffer
  self.buffer = ""
  while have < length do
    local more, err = fill(self, deadline)
    if not more then return nil, err, table.concat(parts) end
    parts[#parts + 1] = self.buffer
    have = have + #self.buffer
    self.buffer = ""
  end
  self.buffer = table.concat(parts)
  return take(self, length)
end

local function parse_fields(text)
  local fields = {}
  for line in text:gmatch "([^\n]*)\n" do
    line = assert(line:match "^([^\r]*)\r$", "a line does not end in CRLF: " .. line)
    local name, value = line:match "^([%w!#$%%&'*+.^_`|~-]+): ?(.*)$"
    assert(name, "a malformed field line: " .. line)
    assert(not value:find "[%z\1-\8\10-\31\127]", "a control character in a value: " .. line)
    assert(not value:find "^[ \t]" and not value:find "[ \t]$", "blanks around a value: " .. line)
    fields[#fields + 1] = { name:lower(), value }
  end
  return fields
end

---The value of a field, or nil. Several lines are an error: use `all`.
function Response:header(name)
  local found = self:all(name)
  assert(#found < 2, name .. " came " .. #found .. " times")
  return found[1]
end

---@return string[]
function Response:all(name)
  local found = {}
  for _, field in ipairs(self.headers) do
    if field[1] == name then found[#found + 1] = field[2] end
  end
  return found
end

function Response:trailer(name)
  for _, field in ipairs(self.trailers) do
    if field[1] == name then return field[2] end
  end
end

local function parse_head(text)
  local line, rest = text:match "^([^\r\n]*)\r\n(.*)\r\n$"
  assert(line, "a malformed head: " .. text)
  local version, status, reason = line:match "^HTTP/(1%.[01]) ([1-5]%d%d) ([^\r\n]*)$"
  assert(version, "a malformed status line: " .. line)
  local head = { version = version, status = tonumber(status), reason = reason, headers = parse_fields(rest) }
  return setmetatable(head, Response)
end

local function read_chunks(self, response, deadline)
  local parts = {}
  while true do
    local line, err = read_until(self, "\r\n", deadline)
    if not line then return nil, err, table.concat(parts) end
    local digits = line:match "^(%x+)\r\n$"
    assert(digits and (digits == "0" or not digits:find "^0"), "a chunk size that is not canonical: " .. line)
    local size = tonumber(digits, 16)
    if size == 0 then break end
    local data, data_err, partial = read_exactly(self, size + 2, deadline)
    if not data then return nil, data_err, table.concat(parts) .. (partial or "") end
    assert(data:sub(-2) == "\r\n", "chunk data without CRLF")
    parts[#parts + 1] = data:sub(1, -3)
  end
  local trailers = ""
  while true do
    local line, err = read_until(self, "\r\n", deadline)
    if not line then return nil, err, table.concat(parts) end
    if line == "\r\n" then break end
    trailers = trailers .. line
  end
  response.trailers = parse_fields(trailers)
  return table.concat(parts)
end

local function read_rest(self, deadline)
  local parts = { self.buffer }
  self.buffer = ""
  while true do
    local more, err = fill(self, deadline)
    if not more then
      if err == "closed" then return table.concat(parts) end
      return nil, err, table.concat(parts)
    end
    parts[#parts + 1] = self.buffer
    self.buffer = ""
  end
end

local function set_framing(response, method)
  local lengths, codings = response:all "content-length", response:all "transfer-encoding"
  assert(#lengths + #codings < 2, "more than one framing field")
  assert(not lengths[1] or lengths[1]:find "^%d+$", "a malformed Content-Length")
  assert(not codings[1] or codings[1] == "chunked", "a Transfer-Encoding other than chunked")
  local status = response.status
  if status == 204 or status < 200 then assert(#lengths + #codings == 0, "a framing field with " .. status) end
  if method == "HEAD" or status == 204 or status == 304 or status == 101 then
    response.framing = "none"
  elseif codings[1] then
    response.framing = "chunked"
  elseif lengths[1] then
    response.framing = "length"
    response.length = tonumber(lengths[1])
  else
    response.framing = "close"
  end
end

local function read_body(self, response, deadline)
  response.trailers = {}
  if response.framing == "none" then return "" end
  if response.framing == "chunked" then return read_chunks(self, response, deadline) end
  if response.framing == "length" then return read_exactly(self, response.length, deadline) end
  return read_rest(self, deadline)
end

---Reads one head, 1xx too, and no body.
function Connection:read_head(options)
  options = options or {}
  local deadline = socket.gettime() + (options.timeout or 10)
  local text, err = read_until(self, "\r\n\r\n", deadline)
  if not text then return nil, err, self.buffer end
  local response = parse_head(text)
  response.raw = text
  set_framing(response, options.method)
  return response
end

---Reads a final response to its end. nil, err, what came when it doesn't come whole; a malformed one is an error.
---@return support.Response?, string?, string?
function Connection:read_response(options)
  options = options or {}
  local deadline = socket.gettime() + (options.timeout or 10)
  local informational = {}
  while true do
    local response, err, partial = self:read_head(options)
    if not response then return nil, err, partial end
    if response.status >= 200 or response.status == 101 then
      response.informational = informational
      local body, body_err, body_partial = read_body(self, response, deadline)
      if not body then return nil, body_err, body_partial end
      response.body = body
      return response
    end
    informational[#informational + 1] = response
  end
end

---Bytes of a tunnel.
function Connection:read_bytes(length, timeout)
  return read_exactly(self, length, socket.gettime() + (timeout or 10))
end

---Waits for the end. Gives what came before it, and "closed" or another word; nil and "timeout" when it doesn't come.
function Connection:read_to_end(timeout)
  local rest, err, partial = read_rest(self, socket.gettime() + (timeout or 10))
  if rest then return rest, "closed" end
  if err == "timeout" then return nil, err, partial end
  return partial, err
end

---True when the peer has closed and sent nothing more.
function Connection:is_closed(timeout)
  local rest = self:read_to_end(timeout)
  return rest == ""
end

---The bytes of a request: method, path, version, host, headers (list of lines or of pairs), body, chunked.
function client.format(options)
  local lines = { (options.method or "GET") .. " " .. (options.path or "/") .. " HTTP/" .. (options.version or "1.1") }
  if options.host ~= false then lines[2] = "Host: " .. (options.host or "test.example") end
  for _, field in ipairs(options.headers or {}) do
    lines[#lines + 1] = type(field) == "table" and field[1] .. ": " .. field[2] or field
  end
  local body = options.body or ""
  if options.chunked then
    lines[#lines + 1] = "Transfer-Encoding: chunked"
    body = client.chunked(body, options.chunked)
  elseif options.body then
    lines[#lines + 1] = "Content-Length: " .. #body
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. body
end

---A body in chunks of `size` bytes (or all in one).
function client.chunked(body, size)
  local parts = {}
  size = type(size) == "number" and size or math.max(1, #body)
  for at = 1, #body, size do
    local piece = body:sub(at, at + size - 1)
    parts[#parts + 1] = ("%x\r\n%s\r\n"):format(#piece, piece)
  end
  return table.concat(parts) .. "0\r\n\r\n"
end

---One request on a connection of its own, or on an open one.
---@return support.Response
function client.request(where, options)
  options = options or {}
  local connection = type(where) == "table" and where or client.connect(where)
  assert(connection:send(client.format(options)))
  local response, err, partial = connection:read_response { method = options.method, timeout = options.timeout }
  if connection ~= where then connection:close() end
  if not response then error("no whole answer: " .. tostring(err) .. ": " .. tostring(partial):sub(1, 500), 2) end
  return response
end

-- The same contents as pattern.h makes.
function client.pattern(seed, length, offset)
  offset = offset or 0
  local words = math.floor((offset + length + 7) / 8) - math.floor(offset / 8)
  local made, first = ffi.new("uint64_t[?]", words), math.floor(offset / 8)
  for i = 0, words - 1 do
    local word = bit.lshift(ffi.cast("uint64_t", seed), 32) + (first + i + 1) * 0x9e3779b97f4a7c15ULL
    word = bit.bxor(word, bit.rshift(word, 30)) * 0xbf58476d1ce4e5b9ULL
    made[i] = bit.bxor(word, bit.rshift(word, 27))
  end
  return ffi.string(made, words * 8):sub(offset % 8 + 1, offset % 8 + length)
end

return client
