--- tg.log: lines in the error log. The gateway adds the request's id, the handler and the generation.

local host = require "tidegate.host"

local write = host.log

local log = {}

local function check(name, message, fields)
  if type(message) ~= "string" then error(("tg.log.%s: a string expected, got %s"):format(name, type(message)), 3) end
  if fields ~= nil and type(fields) ~= "table" then
    error(("tg.log.%s: fields: a table expected, got %s"):format(name, type(fields)), 3)
  end
end

---@param message string
---@param fields table<string, string|number|boolean>?
function log.debug(message, fields)
  check("debug", message, fields)
  write("debug", message, fields)
end

---@param message string
---@param fields table<string, string|number|boolean>?
function log.info(message, fields)
  check("info", message, fields)
  write("info", message, fields)
end

---@param message string
---@param fields table<string, string|number|boolean>?
function log.warn(message, fields)
  check("warn", message, fields)
  write("warn", message, fields)
end

---@param message string
---@param fields table<string, string|number|boolean>?
function log.error(message, fields)
  check("error", message, fields)
  write("error", message, fields)
end

return log
