--- Raises a mistake of a script at the script's own line, however deep in the library it is found.

local getinfo, getupvalue = debug.getinfo, debug.getupvalue

local LIBRARY = "=tidegate/"
local ENTRY = "=tidegate/runtime/entry"

-- After a tail call such as `return req:respond(...)` the script's function has no frame: its entry knows it.
local function raise_in_return(entry, message)
  for i = 1, 20 do
    local name, handler = getupvalue(entry, i)
    if name == "handler" then
      local info = getinfo(handler, "S")
      local at = ("%s:%d"):format(info.source:sub(2), info.linedefined)
      error(("%s: %s (in a return of the function that begins there)"):format(at, message), 0)
    end
  end
  error(message, 0)
end

---@param message string
return function(message)
  local level = 2
  while true do
    local info = getinfo(level, "Sf")
    if not info then error(message, 0) end
    if info.source == ENTRY then raise_in_return(info.func, message) end
    if info.what ~= "C" and info.source:sub(1, #LIBRARY) ~= LIBRARY then error(message, level) end
    level = level + 1
  end
end
