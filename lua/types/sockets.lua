---@meta tidegate
-- luacheck: ignore 212 241
-- The part of the library that talks to others. Calls marked so wait, and never hold up the worker.

---@class tidegate
---@field tcp tidegate.TcpModule

---@class tidegate.TlsOptions
---@field sni string?  the name that is sent and checked; the host of the address
---@field ca string?  PEM, as tg.file gives it; the system's authorities
---@field verify boolean?  true

---@class tidegate.TcpOptions
---@field timeout number?  seconds, for the connect and each call; 10
---@field tls boolean|tidegate.TlsOptions|nil
---@field pool integer|false|nil  idle connections of this kind that a worker keeps; 32

---@class tidegate.TcpModule
local TcpModule = {}

---Waits.
---@param address string  "10.0.0.1:6379", "[::1]:80", "localhost:80", "unix:/path"
---@param options tidegate.TcpOptions?
---@return tidegate.Tcp? socket, string? err, string? detail
function TcpModule.connect(address, options) end

---@class tidegate.Tcp
---@field timeout number  seconds
---@field reused boolean  it came from the pool
local Tcp = {}

---Waits while much of it can't go out.
---@param data string|string[]
---@return true? done, string? err
function Tcp:send(data) end

---Exactly so many bytes. Waits.
---@param n integer
---@return string? bytes, string? err, string? partial
function Tcp:receive(n) end

---From one byte to so many. Waits.
---@param max integer
---@return string? bytes, string? err, string? partial
function Tcp:receive_some(max) end

---Without LF or CRLF. Waits.
---@param limit integer?  64 KB
---@return string? line, string? err, string? partial
function Tcp:receive_line(limit) end

---What comes before the text, which is taken too. Waits.
---@param text string
---@param limit integer?  64 KB
---@return string? bytes, string? err, string? partial
function Tcp:receive_until(text, limit) end

---All until the peer ends. Waits.
---@param limit integer?  1 MB
---@return string? bytes, string? err, string? partial
function Tcp:receive_all(limit) end

---Ends our direction.
function Tcp:finish() end

---To the pool of this worker.
---@param idle number?  seconds; 60
---@return true? done, string? err, string? detail
function Tcp:keep(idle) end

---What was sent still goes out.
function Tcp:close() end
