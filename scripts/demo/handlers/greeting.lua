-- A handler: a table of functions, one for each phase in which it has something to do. This one adds a header to every
-- answer on its way to the client. Try another text, a second header, or break the file: the reload is refused and
-- names this file and the line.

local handler = {
  -- What a use of the handler may set, in gateway.lua: { "handlers.greeting", text = "..." }.
  options = {
    text = { "string", default = "hello" },
  },
}

---@param res tidegate.Response
---@param o { text: string }
function handler.response(_, res, o)
  res.headers["x-greeting"] = o.text
end

return handler
