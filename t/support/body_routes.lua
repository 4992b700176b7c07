---The configuration that the specifications of bodies run: each route is a handler to be seen at work.
return [[
local tg = require "tidegate"
tg.settings { workers = 1, access_log = "${folder}/access.log" }
tg.listen "127.0.0.1:${port}"
tg.upstream "origin" { "127.0.0.1:${origin}" }
tg.upstream "echo" { "127.0.0.1:${echo}", protocol = "h1" }
tg.upstream "echo2" { "127.0.0.1:${echo2}", protocol = "h2" }

tg.route { path = "/sync", respond = 204 }

-- Rewriting, both ways, over each upstream.
local both = {
  request_body = function(_, body)
    for chunk in body:chunks() do body:write("<", chunk, ">") end
    body:write "."
    if body.trailers.first then body.trailers.second = body.trailers.first .. "!" end
    body.trailers.first = nil
  end,
  response_body = function(_, res, body)
    res.headers["x-length"] = tostring(body.length)
    for chunk in body:chunks() do body:write(chunk:upper()) end
    if body.trailers:has "second" then body.trailers.third = body.trailers.second end
  end,
}
for _, name in ipairs { "origin", "echo", "echo2" } do
  tg.route { path = "/both/" .. name, upstream = name, handlers = { both } }
  tg.route { path = "/plain/" .. name, upstream = name }
  tg.route { path = "/trailers/" .. name, upstream = name, trailers = function(req, res, trailers)
    tg.sleep(0.01)
    trailers["x-late"] = nil
    trailers["x-status"] = res.status
    trailers:add("x-id", req.id)
  end }
end

-- One function of the body each: what it gave is answered.
local function answer(f)
  return function(req, body)
    local results = {}
    f(body, function(...)
      for i = 1, select("#", ...) do results[#results + 1] = tostring((select(i, ...))) end
    end)
    return req:respond(200, table.concat(results, "|"))
  end
end

local FUNCTIONS = {
  chunks = function(body, say) local all = "" for chunk in body:chunks() do all = all .. chunk end say(all) end,
  read = function(body, say) for _ = 1, 20 do say(body:read(3)) end end,
  peek = function(body, say)
    say(body:peek(2), body:peek(4), body:peek(1000), body:read_exactly(3), body:peek(2), body:read_exactly(1))
    body:discard()
    say("[" .. body:peek(1) .. "]")
  end,
  exactly = function(body, say) say(body:read_exactly(4)) say(body:read_exactly(2)) say(body:read_exactly(100)) end,
  lines = function(body, say)
    for _ = 1, 6 do
      local line, err, partial = body:read_line(5)
      say(line, err, partial)
    end
  end,
  discard = function(body, say) body:discard(3) say(body:read_exactly(2)) body:discard() say(body:read()) end,
  length = function(body, say)
    say(body.length, body.failed, body.trailers == nil)
    body:discard()
    say(body.trailers ~= nil)
  end,
  twice = function(body, say) for chunk in body:chunks() do say(#chunk > 0) end say(body:read()) say(body:read()) end,
}
for _, name in ipairs { "chunks", "read", "peek", "exactly", "lines", "discard", "length", "twice" } do
  tg.route { path = "/f/" .. name, upstream = "origin", request_body = answer(FUNCTIONS[name]) }
end

-- Bytes of the body by each way; what goes up comes back from the origin.
tg.route { path = "/pass", upstream = "echo", request_body = function(_, body)
  body:pass(2)
  body:write "-"
  body:discard(2)
  local one = body:read_exactly(1)
  body:write("(", one or "", ")")
  body:pass()
  body:write "."
end }
tg.route { path = "/rest", upstream = "echo", request_body = function(_, body)
  body:write(body:read_exactly(1) or "", "+")
end }
tg.route { path = "/finish", upstream = "echo", request_body = function(_, body)
  body:write(body:read_exactly(2))
  body:finish()
  if pcall(body.write, body, "more") then error "it took more" end
end }
tg.route { path = "/untouched", upstream = "origin", request_body = function(_, body) body:peek(1) end,
  response_body = function(_, _, body) body:peek(1) end }
tg.route { path = "/looks", upstream = "origin", request_body = function() tg.sleep(0.01) end,
  response_body = function(_, res)
    tg.sleep(0.01)
    res.headers["x-looked"] = "yes"
    res.status = 203
  end }

-- Waits inside.
tg.route { path = "/slow", upstream = "echo",
  request_body = function(_, body)
    tg.sleep(0.01)
    for chunk in body:chunks() do
      tg.sleep(0.001)
      body:write(chunk:lower())
    end
    tg.sleep(0.01)
    body:write "~"
  end,
  response_body = function(_, _, body)
    tg.sleep(0.01)
    local task = tg.spawn(function() return body:read() end)
    body:write("[", task:wait() or "", "]")
    for chunk in body:chunks() do
      tg.sleep(0.001)
      body:write(chunk)
    end
    tg.sleep(0.01)
    body:write "~"
  end }

-- Pipes: in order on the way up, in reverse on the way back.
local function marked(mark)
  return {
    request_body = function(_, body)
      for chunk in body:chunks() do body:write(chunk) end
      body:write(mark)
    end,
    response_body = function(_, res, body)
      res.headers:add("x-order", mark)
      for chunk in body:chunks() do body:write(chunk) end
      body:write(mark:upper())
    end,
  }
end
tg.route { path = "/pipes", upstream = "echo", handlers = { marked "a", marked "b", marked "c" } }

-- Failures.
tg.route { path = "/error/:where", upstream = "origin",
  request_body = function(req, body)
    if req.params.where == "request" then error "deliberate" end
    if req.params.where == "request_late" then body:write(body:read()) tg.sleep(0.05) error "deliberate" end
  end,
  response_body = function(req, _, body)
    if req.params.where == "response" then body:peek(1) error "deliberate" end
    if req.params.where == "response_late" then body:write(body:read()) tg.sleep(0.05) error "deliberate" end
    if req.params.where == "result" then return 5 end
  end,
  ["error"] = function(req, err) return req:respond(err.status, "caught " .. err.code .. " " .. err.detail) end }
tg.route { path = "/continue/:where", upstream = "origin", on_script_error = "continue",
  request_body = function(req) if req.params.where == "request" then error "deliberate" end end,
  response_body = function(req, _, body)
    if req.params.where == "response" then error "deliberate" end
    if req.params.where == "late" then body:write(body:read()) tg.sleep(0.05) error "deliberate" end
  end }
tg.route { path = "/broken", upstream = "origin", response_body = function(req, _, body)
  for chunk in body:chunks() do body:write(chunk) end
  req.log.broke = tostring(body.failed)
end }
tg.route { path = "/mended", upstream = "origin", response_body = function(_, _, body)
  local seen = 0
  for chunk in body:chunks() do seen = seen + #chunk body:write(chunk) end
  body:write("|", seen, " ", body.failed or "whole")
  body.trailers["x-failed"] = body.failed
  body:finish()
end }
tg.route { path = "/silent", upstream = "origin", timeouts = { between_bytes = 0.2 },
  response_body = function(_, _, body)
    for chunk in body:chunks() do body:write(chunk) end
    body:write(body.failed or "whole")
    body:finish()
  end }

-- Whole bodies.
local function say(req, value, err)
  if value == nil then return req:respond(err == "too_large" and 413 or 400, err) end
end
tg.route { path = "/whole/read", upstream = "echo", request = function(req)
  local text, err = req:read_body(20)
  if not text then return say(req, nil, err) end
  if req:read_body(20) ~= text then error "another one" end
  req.headers["x-read"] = #text
end }
tg.route { path = "/whole/on", upstream = "origin", request = function(req)
  local text, err = req:read_body(20)
  req.headers["x-read"] = text and #text or err
end }
tg.route { path = "/whole/big", upstream = "origin", request = function(req)
  req.headers["x-read"] = #assert(req:read_body(4 * tg.MB))
end }
tg.route { path = "/whole/json", request = function(req)
  local value, err = req:json(100)
  if value == nil then return say(req, nil, err) end
  return req:respond(200, { got = value })
end }
tg.route { path = "/whole/form", request = function(req)
  local form, err = req:form(100)
  if not form then return say(req, nil, err) end
  return req:respond(200, form)
end }
tg.route { path = "/whole/set", upstream = "echo", request = function(req)
  req:set_body(req.query.text or "")
end, request_body = function(_, body)
  for chunk in body:chunks() do body:write(chunk:upper()) end
end }
tg.route { path = "/whole/replace", upstream = "origin", request = function(req) req:set_body "new" end }
tg.route { path = "/whole/response", upstream = "origin", response = function(req, res)
  local text, err = res:read_body(tonumber(req.query.limit) or 100)
  if res.from == "upstream" then res.headers["x-read"] = text or err end
end }
tg.route { path = "/whole/response_set", upstream = "origin", upstream_response = function(req, res)
  if req.query.read then res:read_body(1000) end
  res:set_body(req.query.set or "")
end, response = function(_, res) res.headers["x-now"] = res:read_body(100) end }
tg.route { path = "/whole/late", upstream = "origin", upstream_request = function(req)
  local good, why = pcall(req.read_body, req, 5)
  return req:respond(200, good and "read" or why)
end }

-- Answers.
tg.route { path = "/refuse", upstream = "origin", request_body = function(req, body)
  if body:peek(4) == "evil" then return req:respond(415, "no\n", { ["x-why"] = "evil" }) end
end, response = function(_, res) res.headers["x-response"] = "seen" end }
tg.route { path = "/refuse_late", upstream = "origin", request_body = function(req, body)
  local seen = 0
  for chunk in body:chunks() do
    seen = seen + #chunk
    if seen > 100000 then
      req:respond(413, "too much\n")
      body:write "nobody gets this"
      req.log.after = tostring(body:read())
      tg.sleep(0.02)
      return
    end
    body:write(chunk)
  end
end }
tg.route { path = "/made/:what", upstream = "origin", request = function(req)
  return req:respond(200, function(out, same)
    if same ~= req then error "another request" end
    out:write("one ", 2, "\n")
    tg.sleep(0.01)
    if req.params.what == "error" then error "deliberate" end
    if req.params.what == "long" then for _ = 1, 4000 do out:write(("x"):rep(1000)) end end
    if req.params.what == "trailers" then out.trailers["x-made"] = "yes" end
    if req.params.what == "ever" then
      while true do
        out:write "tick\n"
        tg.sleep(0.01)
      end
    end
    out:write "end"
  end, { ["content-type"] = "text/made" })
end }
tg.route { path = "/made_filtered", request = function(req)
  return req:respond(200, function(out) for i = 1, 3 do out:write(i) tg.sleep(0.005) end end)
end, response_body = function(_, _, body)
  for chunk in body:chunks() do body:write("<", chunk, ">") end
end }
tg.route { path = "/answer_filtered", request = function(req) return req:respond(200, "abc") end,
  response_body = function(_, res, body)
    res.headers["x-length"] = body.length
    body:write(body:read_exactly(1), "+")
  end }

-- Waits for ever, in each phase.
local function ever() tg.sleep(1000) end
tg.route { path = "/ever/read_body", upstream = "origin", request = function(req) req:read_body(1000) end }
tg.route { path = "/ever/request_body", upstream = "origin", request_body = ever }
tg.route { path = "/ever/request_read", upstream = "origin",
  request_body = function(_, body) body:read_exactly(1000) end }
tg.route { path = "/ever/response_body", upstream = "origin", response_body = ever }
tg.route { path = "/ever/response_late", upstream = "origin",
  response_body = function(_, _, body) body:write(body:read()) tg.sleep(1000) end }
tg.route { path = "/ever/trailers", upstream = "origin", trailers = ever }
tg.route { path = "/ever/made", request = function(req)
  return req:respond(200, function(out) out:write "x" ever() end)
end }

-- A handler that keeps what it was given, and comes back with it in another request.
local kept
tg.route { path = "/keep", upstream = "origin", response_body = function(_, _, body) kept = body body:read() end }
tg.route { path = "/kept", request = function(req)
  local good, why = pcall(function() return kept:read() end)
  return req:respond(200, good and "it read" or why)
end }
tg.route { path = "/other_phase", upstream = "origin", request_body = function(req, body) req.ctx.body = body end,
  response = function(req, res)
    local good, why = pcall(function() return req.ctx.body:read() end)
    res.headers["x-why"] = good and "it read" or why
  end }
]]
