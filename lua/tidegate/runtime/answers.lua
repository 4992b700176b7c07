--- Methods of a request that decide: answers, redirects, another route, fields and cookies of the answer to come.

local cookie_line = require "tidegate.runtime.cookie_line"
local ffi = require "ffi"
local handles = require "tidegate.runtime.handles"
local headers = require "tidegate.runtime.headers"
local json = require "tidegate.json"
local producers = require "tidegate.runtime.producers"
local raise = require "tidegate.runtime.raise"

local C, string_of = ffi.C, ffi.string
local type, tostring, floor = type, tostring, math.floor
local slot_of = handles.slot

local NO_PHASE, REQUEST, RESPONSE, RESPONSE_BODY = C.TG_ABI_NO_PHASE, C.TG_ABI_REQUEST, C.TG_ABI_RESPONSE,
  C.TG_ABI_RESPONSE_BODY

local TEXT, JSON = "text/plain; charset=utf-8", "application/json"

local answers = {}

local function check_status(what, status, least, most)
  if type(status) ~= "number" or status ~= floor(status) or status < least or status > most then
    raise(("%s: a status from %d to %d expected, got %s"):format(what, least, most, tostring(status)))
  end
end

local function check(what, problem)
  if problem ~= nil then raise(what .. ": " .. string_of(problem)) end
end

local function begin(self, what)
  local slot = slot_of(self)
  if slot.phase == NO_PHASE then raise(what .. ": no phase is running, whose answer it could be") end
  check(what, C.tg_abi_answer_begin(slot))
  return slot
end

local function stage_all(slot, what, given)
  headers.each_given(what, given, function(name, value)
    local problem = C.tg_abi_answer_field(slot, name, #name, value, #value)
    if problem ~= nil then raise(("%s: header %q: %s"):format(what, name, string_of(problem))) end
  end)
end

-- The body as a string, and its type where the headers don't say one.
local function body_of(body)
  local kind = type(body)
  if kind == "string" then return body, TEXT end
  if kind == "nil" then return "", nil end
  if kind == "table" then
    local good, text = pcall(json.encode, body)
    if not good then raise("req:respond: " .. tostring(text):gsub("^.-: ", "", 1)) end
    return text, JSON
  end
  raise("req:respond: a string, a table (JSON) or a function expected as body, got a " .. kind)
end

-- A function is kept until the head goes, and entered then.
local function respond_by(slot, status, body, given)
  if given ~= nil then stage_all(slot, "req:respond", given) end
  check("req:respond", C.tg_abi_answer_produced(slot, status))
  producers.put(slot.index, body)
  return true
end

---Decides the answer: a status, a body (text, a table that becomes JSON, or a function that writes it), headers. The
---rest of the function still runs; the chain ends when it returns.
---@param status integer
---@param body string|table|fun(out: tidegate.Writer, req: tidegate.Request)|nil
---@param given table<string, string|number|string[]>?
---@return boolean true
function answers:respond(status, body, given)
  local slot = begin(self, "req:respond")
  check_status("req:respond", status, 200, 599)
  if type(body) == "function" then return respond_by(slot, status, body, given) end
  local text, content_type = body_of(body)
  if given ~= nil then stage_all(slot, "req:respond", given) end
  check("req:respond", C.tg_abi_answer(slot, status, text, #text, content_type))
  return true
end

local REDIRECTS = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }

---Answers with a redirect.
---@param location string
---@param status integer?  302
---@return boolean true
function answers:redirect(location, status)
  local slot = begin(self, "req:redirect")
  status = status or 302
  if not REDIRECTS[status] then
    raise("req:redirect: a status of 301, 302, 303, 307 or 308 expected, got " .. tostring(status))
  end
  if type(location) ~= "string" or location == "" then
    raise("req:redirect: a location expected, got " .. (location == "" and "an empty one" or type(location)))
  end
  check("req:redirect", C.tg_abi_answer_field(slot, "location", 8, location, #location))
  check("req:redirect", C.tg_abi_answer(slot, status, "", 0, nil))
  return true
end

---Starts the chain again with another route, without the handlers that have run; without a name it is matched again.
---@param name string?
---@return boolean true
function answers:reroute(name)
  local slot = slot_of(self)
  if slot.phase ~= REQUEST then raise "req:reroute works in the request phase only" end
  if name ~= nil and type(name) ~= "string" then
    raise("req:reroute: the name of a route expected, got a " .. type(name))
  end
  local problem = C.tg_abi_reroute(slot, name, name and #name or 0)
  if problem == nil then return true end
  local text = string_of(problem)
  raise("req:reroute: " .. (text == "" and ("unknown route %q"):format(name) or text))
end

local function check_pending(slot, what)
  if C.tg_abi_head_sent(slot) ~= 0 then raise(what .. ": the response has begun") end
  if slot.phase == RESPONSE or slot.phase == RESPONSE_BODY then
    raise(what .. ": too late in the response phase: use res.headers")
  end
end

local function pending(slot, what, name, value, add)
  local problem = C.tg_abi_response_header(slot, name, #name, value, #value, add)
  if problem ~= nil then raise(("%s: header %q: %s"):format(what, name, string_of(problem))) end
end

---Sets a header of the answer to come, whoever makes it.
---@param name string
---@param value string|number|string[]
function answers:set_response_header(name, value)
  local slot = slot_of(self)
  check_pending(slot, "req:set_response_header")
  if type(name) ~= "string" then
    raise("req:set_response_header: the name of a header expected, got a " .. type(name))
  end
  if type(value) == "string" then
    if name:lower() == "set-cookie" then raise "req:set_response_header: cookies are set by req:set_cookie" end
    return pending(slot, "req:set_response_header", name, value, 0)
  end
  if value == nil then raise(("req:set_response_header: header %q: a value expected, got nothing"):format(name)) end
  local add = 0
  headers.each_given("req:set_response_header", { [name] = value }, function(_, text)
    pending(slot, "req:set_response_header", name, text, add)
    add = 1
  end)
end

---Sets a cookie with the answer, whoever makes it.
---@param name string
---@param value string
---@param options { max_age: integer?, path: string?, domain: string?, secure: boolean?, http_only: boolean?,
---same_site: "lax"|"strict"|"none"|nil }?
function answers:set_cookie(name, value, options)
  local slot = slot_of(self)
  check_pending(slot, "req:set_cookie")
  local text = cookie_line("req:set_cookie", name, value, options, self.scheme == "https")
  pending(slot, "req:set_cookie", "set-cookie", text, 1)
end

---Sends an interim response now, such as 103.
---@param status integer
---@param given table<string, string|number|string[]>?
function answers:inform(status, given)
  local slot = slot_of(self)
  check_status("req:inform", status, 100, 199)
  if status == 101 then raise "req:inform: 101 comes from the upstream" end
  check("req:inform", C.tg_abi_inform_begin(slot))
  if given ~= nil then stage_all(slot, "req:inform", given) end
  check("req:inform", C.tg_abi_inform(slot, status))
end

---Breaks the request off without an answer.
function answers:abort()
  C.tg_abi_abort(slot_of(self))
end

return answers
