--- tg.split: shares of the traffic, each with its arm; the same key always gets the same arm. A split is a handler,
--- written on the API that all handlers have.

local bit = require "bit"
local declarations = require "tidegate.config.declarations"
local header = require "tidegate.config.header"
local host = require "tidegate.host"
local place = require "tidegate.config.place"
local suggest = require "tidegate.config.suggest"
local values = require "tidegate.config.values"

place.library()

local bxor, lshift, rshift, tobit = bit.bxor, bit.lshift, bit.rshift, bit.tobit
local crc32, uuid = host.crc32, host.uuid

local SLOTS = 10000

-- Product of two 32-bit numbers, modulo 2^32: in halves, since a double holds 53 bits.
local function multiply(a, b)
  local high = tobit(rshift(a, 16) * b)
  return tobit(lshift(high, 16) + tobit(bit.band(a, 0xffff) * b))
end

-- Spreads each bit over all others, so that close inputs give unrelated outputs.
local function spread(h)
  h = multiply(bxor(h, rshift(h, 16)), 0x7feb352d)
  h = multiply(bxor(h, rshift(h, 15)), 0x846ca68b)
  return bxor(h, rshift(h, 16))
end

-- Two spreads with the salt in each: splits with different salts are independent of each other.
local function slot_of(salt, key)
  local h = spread(bxor(tobit(crc32(key)), salt))
  h = spread(tobit(h + salt))
  return h % SLOTS
end

---@class tidegate.SplitKey
---@field read fun(self: tidegate.SplitKey, req: tidegate.Request, expose: boolean): string|number|nil

local Cookie = {}
Cookie.__index = Cookie

-- The value of the cookie. One that is issued is the same for all splits of the request, and sent once.
function Cookie:read(req, expose)
  local value = req.cookies:get(self.name)
  if value and value ~= "" then return value end
  if not self.issue then return nil end
  local ctx = req.ctx
  value = ctx[self.issued]
  if not value then
    value = uuid()
    ctx[self.issued] = value
  end
  if expose and not ctx[self.sent] then
    ctx[self.sent] = true
    req:set_cookie(self.name, value, self.options)
  end
  return value
end

local Header = {}
Header.__index = Header

function Header:read(req) return req.headers:get(self.name) end

local ClientIp = {}
ClientIp.__index = ClientIp

function ClientIp.read(_, req) return req.client.ip end

local Function = {}
Function.__index = Function

function Function:read(req)
  local key = self.call(req)
  if key ~= nil and type(key) ~= "string" and type(key) ~= "number" then
    error(("split %q: key gave a %s, not a string"):format(self.name, type(key)), 0)
  end
  return key
end

local KEYS = { [Cookie] = true, [Header] = true, [ClientIp] = true }

---@class tidegate.Split
---@field name string
---@field control string
local Split = {}
Split.__index = Split

local function choose(self, req, expose)
  local key = self.key and self.key:read(req, expose) or req.id
  if type(key) == "number" then key = tostring(key) end
  local slot, ends = slot_of(self.seed, key), self.ends
  for i = 1, #ends do
    if slot < ends[i] then return self.names[i] end
  end
end

---Chooses an arm for this request: the same key gets the same arm while the shares stay as they are, and the request
---keeps its arm whatever changes meanwhile.
---@param req tidegate.Request
---@return string arm
---@return boolean counts  whether the request is part of the experiment
function Split:assign(req)
  local ctx = req.ctx
  local arm = ctx[self.slot]
  if not arm then
    arm = choose(self, req, true)
    ctx[self.slot] = arm
  end
  return arm, true
end

---The arm that the request has, or would get, without giving it: no cookie is issued.
---@param req tidegate.Request
---@return string arm
function Split:peek(req)
  return req.ctx[self.slot] or choose(self, req, false)
end

---@private
function Split:plan_entry()
  local arms = {}
  for i, name in ipairs(self.names) do
    arms[i] = { name = name, share = self.ends[i] - (self.ends[i - 1] or 0), upstream = self.upstreams[name] }
  end
  return {
    name = self.name, at = self.at, salt = self.salt, control = self.control, arms = arms,
    request_header = self.request_header, response_header = self.response_header,
  }
end

-- The phases of every split: the split itself is the options of its use.
local phases = {}

function phases.request(req, split)
  local arm = split:assign(req)
  local upstream = split.upstreams[arm]
  if upstream then req.upstream = upstream end
  if split.request_header then req.headers[split.request_header] = arm end
  if split.response_header then req:set_response_header(split.response_header, arm) end
end

Split.as_handler = phases

local function share(value)
  local hundredths = values.is_number(value) and value * 100 or -1
  local whole = math.floor(hundredths + 0.5)
  if hundredths < 0 or whole > SLOTS or math.abs(hundredths - whole) > 1e-6 then
    return values.expected("a share from 0 to 100 percent with at most two decimals", value)
  end
  return whole
end

local read_arm = values.record({ upstream = values.text }, share)

local function arm(value)
  local fields, why, path = read_arm(type(value) == "number" and { value } or value)
  if not fields then return nil, why, path ~= "[1]" and path or nil end
  if #fields ~= 1 then return nil, 'an arm is a share, or { share, upstream = "name" }' end
  return { share = fields[1], upstream = fields.upstream }
end

local function arms(given)
  if type(given) ~= "table" then return values.expected("a table of arms", given) end
  local result, sum = {}, 0
  for _, name in ipairs(values.sorted_keys(given)) do
    if type(name) ~= "string" or not name:find "^[%w_][%w_.-]*$" then
      return nil, ('a name of letters, digits, "_", "-" and "." expected, got %s'):format(values.shown(name))
    end
    local item, why, path = arm(given[name])
    if not item then return nil, why, path and name .. "." .. path or name end
    result[name], sum = item, sum + item.share
  end
  if sum ~= SLOTS then return nil, ("the shares add up to %.14g, not to 100"):format(sum / 100) end
  return result
end

local function key(value)
  if type(value) == "function" then return setmetatable({ call = value }, Function) end
  if type(value) == "table" and KEYS[getmetatable(value)] then return value end
  return values.expected('tg.split.cookie "name", tg.split.header "name", tg.split.client_ip() or a function', value)
end

local later = values.later

local read = values.record {
  key = key, arms = arms, control = values.text, salt = values.text,
  request_header = header.single, response_header = header.single,
  override = later, when = later, coverage = later, layer = later, ramp = later, guard = later,
}

-- Arms in the order of their names, with the slot at which each ends; the control is by default the largest.
local function lay_out(split, given)
  local from, largest = 0, nil
  split.names, split.ends, split.upstreams = {}, {}, {}
  for i, name in ipairs(values.sorted_keys(given)) do
    local item = given[name]
    from = from + item.share
    split.names[i], split.ends[i], split.upstreams[name] = name, from, item.upstream
    if not largest or item.share > given[largest].share then largest = name end
  end
  split.control = split.control or largest
end

local function declare(name, given, at)
  local other = declarations.splits[name]
  if other then place.raise(at, "tg.split", "%q is declared twice, first at %s", name, other.at) end
  local fields, why, path = read(given)
  if not fields then place.wrong(at, "tg.split", why, path) end
  if not fields.arms then place.raise(at, "tg.split", "%q has no arms: arms = { a = 90, b = 10 }", name) end
  if fields.control and not fields.arms[fields.control] then
    place.raise(at, "tg.split", "control: no arm %q%s", fields.control, suggest.text(fields.control, fields.arms))
  end
  local split = {
    name = name, at = at, title = "split." .. name, slot = "tidegate.split." .. name,
    key = fields.key, control = fields.control, salt = fields.salt or name,
    request_header = fields.request_header, response_header = fields.response_header,
  }
  if getmetatable(fields.key) == Function then fields.key.name = name end
  split.seed = spread(tobit(crc32(split.salt)))
  lay_out(split, fields.arms)
  declarations.splits[name] = setmetatable(split, Split)
  return split
end

local read_cookie = values.record {
  issue = values.boolean, max_age = values.seconds, path = values.text, domain = values.text, secure = values.boolean,
  http_only = values.boolean, same_site = values.one_of { "lax", "strict", "none" },
}

local keys = {}

---The key is the value of a cookie; with `issue` a client that has none is given one.
---@param name string
---@param options tidegate.SplitCookie?
---@return tidegate.SplitKey
function keys.cookie(name, options)
  local at = declarations.open "tg.split.cookie"
  if type(name) ~= "string" or not name:find "^[%w!#$%%&'*+.^_`|~-]+$" then
    place.raise(at, "tg.split.cookie", "the name of a cookie expected, got %s", values.shown(name))
  end
  local fields, why, path = read_cookie(options or {})
  if not fields then place.wrong(at, "tg.split.cookie", why, path) end
  local issue = fields.issue or false
  fields.issue = nil
  local other = next(fields)
  if other and not issue then place.raise(at, "tg.split.cookie", "%s is for a cookie with issue = true", other) end
  return setmetatable({
    name = name, issue = issue, options = fields,
    issued = "tidegate.split.cookie." .. name, sent = "tidegate.split.cookie." .. name .. ".sent",
  }, Cookie)
end

---The key is a header of the request.
---@param name string
---@return tidegate.SplitKey
function keys.header(name)
  local at = declarations.open "tg.split.header"
  if type(name) ~= "string" or not name:find "^[%w!#$%%&'*+.^_`|~-]+$" then
    place.raise(at, "tg.split.header", "the name of a header expected, got %s", values.shown(name))
  end
  return setmetatable({ name = name:lower() }, Header)
end

---The key is the address of the client.
---@return tidegate.SplitKey
function keys.client_ip()
  declarations.open "tg.split.client_ip"
  return setmetatable({}, ClientIp)
end

local word = declarations.named("tg.split", declare)

return setmetatable(keys, {
  __call = function(_, ...) return word(...) end,
  __index = function(_, name) place.not_available(place.here(), "tg.split." .. tostring(name)) end,
  __newindex = function(_, name) error("tg.split is read only: " .. tostring(name), 2) end,
})
