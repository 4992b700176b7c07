--- Raises a mistake of a script at the script's own line, however deep in the library it is found.

local getinfo = debug.getinfo

local LIBRARY = "=tidegate/"

---@param message string
return function(message)
  local level = 2
  while true do
    local info = getinfo(level, "S")
    if not info then error(message, 0) end
    if info.what ~= "C" and info.source:sub(1, #LIBRARY) ~= LIBRARY then error(message, level) end
    level = level + 1
  end
end
