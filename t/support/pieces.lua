---Drives one request in many cuts at once: split at every byte boundary, and one byte at a time.
local client = require "t.support.client"

local pieces = {}

local BATCH = 120

-- The gateway has read what was sent before when it answers this: it has one worker, which takes events in turn.
local function let_it_read(sync)
  local response = client.request(sync, { path = "/sync" })
  assert(response.status == 204, "the sync route answers " .. response.status)
end

---Sends `bytes` on a connection of its own, whole, and gives the connection.
function pieces.whole(port, bytes)
  local connection = client.connect(port)
  connection:send(bytes)
  return connection
end

---Calls check(connection, what) for `bytes` sent whole, split at each boundary, and byte by byte. The gateway needs a
---route /sync that answers 204 by itself, and one worker.
---@param options? table from, to: the boundaries to split at; bytewise = false
function pieces.each_way(port, bytes, check, options)
  options = options or {}
  local sync = client.connect(port)
  local whole = pieces.whole(port, bytes)
  check(whole, "whole")
  whole:close()
  local from, to = options.from or 1, math.min(options.to or #bytes - 1, #bytes - 1)
  for first = from, to, BATCH do
    local batch = {}
    for cut = first, math.min(first + BATCH - 1, to) do
      local connection = client.connect(port)
      connection:send(bytes:sub(1, cut))
      batch[#batch + 1] = { connection = connection, cut = cut }
    end
    let_it_read(sync)
    for _, one in ipairs(batch) do one.connection:send(bytes:sub(one.cut + 1)) end
    for _, one in ipairs(batch) do
      check(one.connection, "split at byte " .. one.cut)
      one.connection:close()
    end
  end
  if options.bytewise ~= false then
    local connection = client.connect(port)
    for i = 1, #bytes do
      connection:send(bytes:sub(i, i))
      let_it_read(sync)
    end
    check(connection, "byte by byte")
    connection:close()
  end
  sync:close()
end

return pieces
