--- The Set-Cookie field of a cookie, checked: for req:set_cookie and tg.cookie.format.

local raise = require "tidegate.runtime.raise"

local type, tostring, pairs, floor, abs, find = type, tostring, pairs, math.floor, math.abs, string.find

local SAME_SITE = { lax = "Lax", strict = "Strict", none = "None" }

local OPTIONS = { max_age = "number", path = "string", domain = "string", secure = "boolean", http_only = "boolean",
  same_site = "string" }

local function check_options(what, options)
  if type(options) ~= "table" then raise(("%s: a table of options expected, got a %s"):format(what, type(options))) end
  for name, value in pairs(options) do
    local kind = OPTIONS[name]
    if not kind then raise(("%s: unknown option %q"):format(what, tostring(name))) end
    if type(value) ~= kind then
      raise(("%s: %s: a %s expected, got a %s"):format(what, name, kind, type(value)))
    end
    if kind == "string" and find(value, "[%c;,%s\127-\255]") then
      raise(("%s: %s: %q has a byte that an attribute can't have"):format(what, name, value))
    end
  end
  if options.same_site and not SAME_SITE[options.same_site] then
    raise(('%s: same_site: "lax", "strict" or "none" expected, got %q'):format(what, options.same_site))
  end
  if options.max_age and (options.max_age ~= floor(options.max_age) or abs(options.max_age) > 2 ^ 53) then
    raise(what .. ": max_age: whole seconds expected")
  end
end

local NO_OPTIONS = {}

---@param what string  the call, for messages
---@param secure boolean  where the options don't say
---@return string
return function(what, name, value, options, secure)
  if type(name) ~= "string" or not find(name, "^[%w!#$%%&'*+.^_`|~-]+$") then
    raise(("%s: the name of a cookie expected, got %q"):format(what, tostring(name)))
  end
  if type(value) == "number" then value = tostring(value) end
  if type(value) ~= "string" then raise(("%s: a string expected as value, got a %s"):format(what, type(value))) end
  if find(value, "[^%w!#$%%&'()*+%-./:<=>?@%[%]^_`{|}~]") then
    raise(what .. ": the value has a byte that a cookie can't have: encode it (tg.uri.encode)")
  end
  options = options == nil and NO_OPTIONS or options
  if options ~= NO_OPTIONS then check_options(what, options) end
  if options.secure ~= nil then secure = options.secure end
  local same_site = options.same_site or "lax"
  if same_site == "none" and not secure then raise(what .. ': same_site = "none" needs secure = true') end
  local text = name .. "=" .. value .. "; Path=" .. (options.path or "/")
  if options.domain then text = text .. "; Domain=" .. options.domain end
  if options.max_age then text = text .. ("; Max-Age=%d"):format(options.max_age) end
  if secure then text = text .. "; Secure" end
  if options.http_only ~= false then text = text .. "; HttpOnly" end
  return text .. "; SameSite=" .. SAME_SITE[same_site]
end
