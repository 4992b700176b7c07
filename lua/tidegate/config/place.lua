--- Where in the operator's files a word stands, and errors that say so.

local getinfo = debug.getinfo

local place = {}

local library = {}

---Marks the calling chunk as part of the library: its lines are never shown as the place of a mistake.
function place.library()
  library[getinfo(2, "S").source] = true
end

place.library()

local function short(source)
  return (source:gsub("^[@=]", ""))
end

---The innermost line that is not the library's, as "gateway.lua:12".
---@return string
function place.here()
  local level = 2
  while true do
    local info = getinfo(level, "Sl")
    if not info then return "?" end
    if info.what ~= "C" and info.currentline > 0 and not library[info.source] then
      return short(info.source) .. ":" .. info.currentline
    end
    level = level + 1
  end
end

---Where a function is defined, as "gateway.lua:7".
---@param f function
---@return string
function place.of(f)
  local info = getinfo(f, "S")
  return short(info.source) .. ":" .. info.linedefined
end

---Raises `at: word: message`.
---@param at string
---@param word string
---@param message string  a format if more arguments follow
function place.raise(at, word, message, ...)
  if select("#", ...) > 0 then message = message:format(...) end
  error(at .. ": " .. word .. ": " .. message, 0)
end

---Raises for a field of a word: `why` is wrong with it, `path` says which field it is.
---@param at string
---@param word string
---@param why string
---@param path string?
function place.wrong(at, word, why, path)
  place.raise(at, word, "%s", path and path .. ": " .. why or why)
end

---Raises for a name of the API that this version lacks.
---@param at string
---@param name string
function place.not_available(at, name)
  error(("%s: %s is not available in this version of tidegate"):format(at, name), 0)
end

return place
