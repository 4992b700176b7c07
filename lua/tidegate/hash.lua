--- tg.hash: in this version, crc32.

local host = require "tidegate.host"
local place = require "tidegate.config.place"

place.library()

local hash = {
  ---The CRC-32 of a string (as zlib and PNG have it), an integer from 0 to 2^32 - 1.
  ---@type fun(text: string): integer
  crc32 = host.crc32,
}

return setmetatable(hash, {
  __index = function(_, name) place.not_available(place.here(), "tg.hash." .. tostring(name)) end,
  __newindex = function(_, name) error("tg.hash is read only: " .. tostring(name), 2) end,
})
