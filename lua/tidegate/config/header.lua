--- Names and values of header fields that the configuration sets.

local place = require "tidegate.config.place"
local values = require "tidegate.config.values"

place.library()

local header = {}

local expected, shown = values.expected, values.shown

-- Fields that say how a message is framed, or that concern one connection: the gateway's own.
local FRAMING = {
  ["connection"] = true, ["content-length"] = true, ["keep-alive"] = true, ["proxy-connection"] = true, ["te"] = true,
  ["trailer"] = true, ["transfer-encoding"] = true, ["upgrade"] = true,
}

-- With another byte for the hyphen some servers take them for the fields that frame a message.
local NEAR_FRAMING = { ["content-length"] = true, ["transfer-encoding"] = true }

---A name that a script may set, in lower case.
function header.name(name)
  if type(name) ~= "string" or not name:find "^[%w!#$%%&'*+.^_`|~-]+$" then
    return nil, ("%s is no name of a header"):format(shown(name))
  end
  local lower = name:lower()
  if FRAMING[lower] then return nil, ("%q belongs to the gateway"):format(lower) end
  if NEAR_FRAMING[(lower:gsub("[_.]", "-"))] then
    return nil, ("some servers take %q for content-length or transfer-encoding"):format(lower)
  end
  return lower
end

---A field that has one line: not one of those that are lists of lines, nor the host.
function header.single(name)
  local lower, why = header.name(name)
  if not lower then return nil, why end
  if lower == "set-cookie" or lower == "cookie" or lower == "host" then
    return nil, ("%q can't be set this way"):format(lower)
  end
  return lower
end

---The text of one line.
function header.value(value)
  if values.is_number(value) then return tostring(value) end
  if type(value) ~= "string" then return expected("a string, a number or a list of them", value) end
  if value:find "[%z\1-\8\10-\31\127]" then return nil, ("control characters in %s"):format(shown(value)) end
  if value:find "^%s" or value:find "%s$" then return nil, ("space around %s"):format(shown(value)) end
  return value
end

return header
