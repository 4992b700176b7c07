--- tg.cookie: what a Cookie field holds, and what a Set-Cookie field says.

local cookie_line = require "tidegate.runtime.cookie_line"
local library = require "tidegate.runtime.library"

local gmatch, match = string.gmatch, string.match

local cookie = {}

---The cookies of a Cookie field, as `req.cookies` gives them: of a name that stands there twice the first one, values
---as they came. What is no pair is passed over.
---@param text string
---@return table<string, string>
function cookie.parse(text)
  library.check_string("tg.cookie.parse", text)
  local result = {}
  for pair in gmatch(text, "[^;]+") do
    local name, value = match(pair, "^[ \t]*([^=]+)=(.-)[ \t]*$")
    if name and result[name] == nil then result[name] = value end
  end
  return result
end

---A Set-Cookie field, with the options of `req:set_cookie`; `secure` is true unless they say otherwise.
---@param name string
---@param value string|number
---@param options { max_age: integer?, path: string?, domain: string?, secure: boolean?, http_only: boolean?,
---same_site: "lax"|"strict"|"none"|nil }?
---@return string
function cookie.format(name, value, options)
  local text = cookie_line("tg.cookie.format", name, value, options, true)
  return text
end

return library.module("tg.cookie", cookie)
