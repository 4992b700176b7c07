--- What the table `tidegate.host` offers beside its data: files of the generation, time, chance, log.

local ffi = require "ffi"
local raise = require "tidegate.runtime.raise"

local C, string_of = ffi.C, ffi.string
local type, tostring, huge = type, tostring, math.huge
local concat, sort = table.concat, table.sort

local LEVELS = { debug = 0, info = 1, warn = 2, error = 3 }

-- Of what blocks at load, the limit on the top level is looked at so often (seconds).
local BLINK = 0.05

local function block(seconds)
  while seconds > 0 do
    C.tg_abi_block(seconds < BLINK and seconds or BLINK)
    seconds = seconds - BLINK
  end
end

local function shown(value)
  local text = tostring(value)
  if text:find "[^%w_.:/%-]" or text == "" then return ("%q"):format(text):gsub("\\\n", "\\n") end
  return text
end

local function line_of(message, fields)
  local names, parts = {}, { message }
  for name in pairs(fields) do names[#names + 1] = tostring(name) end
  sort(names)
  for _, name in ipairs(names) do parts[#parts + 1] = name .. "=" .. shown(fields[name]) end
  return concat(parts, " ")
end

return function(host, core)
  local control = ffi.cast("struct tg_abi_control *", core.control)
  local waits = require "tidegate.runtime.waits"

  host.folder, host.version, host.generation = core.folder, core.version, core.generation
  host.worker_id, host.worker_count = core.worker_id, core.worker_count
  host.read_file, host.file_digest = core.read_file, core.file_digest
  host.glob, host.getenv = core.glob, core.getenv

  function host.dictionary(name, set_size)
    return require("tidegate.runtime.dictionary").new(name, set_size)
  end

  function host.now() return C.tg_abi_now(control) end
  function host.clock() return C.tg_abi_clock(control) end
  function host.random() return C.tg_abi_random() end

  function host.uuid()
    local at = C.tg_abi_uuid(control)
    return string_of(at, control.length)
  end

  function host.crc32(text)
    if type(text) ~= "string" then raise("crc32: a string expected, got a " .. type(text)) end
    return C.tg_abi_crc32(text, #text)
  end

  function host.sleep(seconds)
    if type(seconds) ~= "number" or not (seconds >= 0 and seconds < huge) then
      raise("tg.sleep: seconds expected, got " .. tostring(seconds))
    end
    if host.phase == "load" then return block(seconds) end
    waits.check "tg.sleep"
    waits.wait(seconds)
  end

  function host.log(level, message, fields)
    local number = LEVELS[level]
    if C.tg_abi_log_wanted(number) == 0 then return end
    local line = fields and line_of(message, fields) or message
    C.tg_abi_log(control, number, line, #line)
  end
end
