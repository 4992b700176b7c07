--- Addresses of listeners and peers, and networks: checked and put into one form.

local place = require "tidegate.config.place"
local values = require "tidegate.config.values"

place.library()

local address = {}

local expected = values.expected

local function is_ipv4(text)
  local parts = 0
  for part in (text .. "."):gmatch "(.-)%." do
    if not part:find "^%d%d?%d?$" or tonumber(part) > 255 or part:find "^0%d" then return false end
    parts = parts + 1
  end
  return parts == 4
end

local function groups_of(text)
  if text == "" then return 0 end
  local count = 0
  for part in (text .. ":"):gmatch "(.-):" do
    if not part:find "^%x%x?%x?%x?$" then return nil end
    count = count + 1
  end
  return count
end

local function is_ipv6(text)
  local head, quad = text:match "^(.*:)(%d+%.%d+%.%d+%.%d+)$"
  if head then
    if not is_ipv4(quad) then return false end
    text = head .. "0:0"
  end
  local before, after = text:match "^(.-)::(.*)$"
  if not before then return groups_of(text) == 8 end
  local left, right = groups_of(before), groups_of(after)
  return left ~= nil and right ~= nil and left + right < 8
end

---@return "4"|"6"|nil
function address.family(text)
  if is_ipv4(text) then return "4" end
  if is_ipv6(text) then return "6" end
end

local function split_port(value)
  local host, port = value:match "^%[([%x:.]+)%]:(%d+)$"
  if not host then host, port = value:match "^([^:%[%]]*):(%d+)$" end
  port = tonumber(port)
  if not host or not port or port < 1 or port > 65535 then return nil end
  return host, port
end

local function format(host, port)
  return (host:find(":", 1, true) and "[%s]:%d" or "%s:%d"):format(host:lower(), port)
end

local LISTEN = 'an address and port, such as "127.0.0.1:8080" or "[::]:8080",'

---What `tg.listen` takes.
function address.listen(value)
  if type(value) ~= "string" then return expected(LISTEN, value) end
  local host, port = split_port(value)
  if host == "localhost" then host = "127.0.0.1" end
  if not host or not address.family(host) then return expected(LISTEN, value) end
  return format(host, port)
end

---Whether a listener's address, as `address.listen` gives it, is reached from this machine alone.
---@param value string
---@return boolean
function address.is_loopback(value)
  return value:find "^127%.%d+%.%d+%.%d+:" ~= nil or value:find "^%[::1%]:" ~= nil
end

local PEER = 'an address such as "10.0.0.1:9000", "[::1]:9000" or "unix:/path"'

local function unix(value)
  local path = value:match "^unix:(.*)$"
  if not path then return nil end
  if path:sub(1, 1) ~= "/" or path:find "%c" then return nil, 'an absolute path follows "unix:"' end
  if #path > 107 then return nil, "the path of a Unix socket has at most 107 bytes" end
  return value
end

---A peer of an upstream: what a connection can be made to without asking for its name.
function address.peer(value)
  if type(value) ~= "string" then return expected(PEER .. ",", value) end
  local path, why = unix(value)
  if path or why then return path, why end
  local host, port = split_port(value)
  if host == "localhost" then host = "127.0.0.1" end
  if not host or host == "" then return expected(PEER .. ",", value) end
  if not address.family(host) then
    return nil, ("%s: names of hosts are not available in this version of tidegate: give %s"):format(
      values.shown(value), PEER)
  end
  return format(host, port)
end

---The option type `address`: as a peer, or with the name of a host.
function address.any(value)
  if type(value) ~= "string" then return expected('an address such as "host:port",', value) end
  local path, why = unix(value)
  if path or why then return path, why end
  local host, port = split_port(value)
  if not host or not (address.family(host) or host:find "^[%w_-][%w._-]*$") then
    return expected('an address such as "host:port" or "unix:/path",', value)
  end
  return format(host, port)
end

---A network: "10.0.0.0/8", or one address, which becomes "10.1.2.3/32".
function address.network(value)
  local what = 'a network such as "10.0.0.0/8" or "fd00::/8"'
  if type(value) ~= "string" then return expected(what .. ",", value) end
  local ip, bits = value:match "^([^/]+)/(%d+)$"
  ip = ip or value
  local family = address.family(ip)
  local widest = family == "4" and 32 or 128
  bits = tonumber(bits or widest)
  if not family or bits > widest then return expected(what .. ",", value) end
  return ("%s/%d"):format(ip:lower(), bits)
end

---A URL of http or https, with a host.
function address.url(value)
  if type(value) ~= "string" then return expected("a URL", value) end
  local host = value:match "^[Hh][Tt][Tt][Pp][Ss]?://([^/?#]+)"
  if not host or value:find "[%c%s\127-\255<>\"\\^`{|}]" then
    return expected('a URL such as "https://host/path",', value)
  end
  return value
end

return address
