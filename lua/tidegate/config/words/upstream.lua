--- tg.upstream: a group of peers that do the same work.

local address = require "tidegate.config.address"
local declarations = require "tidegate.config.declarations"
local place = require "tidegate.config.place"
local tls = require "tidegate.config.tls"
local values = require "tidegate.config.values"

place.library()

local upstream = {}

local DEFAULTS = {
  timeouts = { connect = 5, tls = 5, send = 30, first_byte = 60, between_bytes = 60 },
  pool = { size = 512, idle = 60, streams = 100, connections = 32 },
  retry = { attempts = 3 },
}

local later = values.later

local read_peer = values.record({
  weight = values.integer(1, 1000), priority = values.integer(0, 9), zone = later,
}, address.peer)

local function peer(value)
  local fields, why, path = read_peer(type(value) == "string" and { value } or value)
  if not fields then return nil, why, path ~= "[1]" and path or nil end
  if #fields ~= 1 then return nil, 'a peer is "address" or { "address", weight = 2 }' end
  return { address = fields[1], weight = fields.weight or 1, priority = fields.priority or 0 }
end

local read_retry = values.record {
  attempts = values.integer(1, 10), on = later, budget = later, delay = later,
}

---`retry` of an upstream, a route or a group: false is one attempt.
function upstream.retry(value)
  if value == false then return { attempts = 1 } end
  return read_retry(value)
end

---Timeouts of an attempt, which a route can narrow.
upstream.timeouts = {
  connect = values.seconds, tls = values.seconds, send = values.seconds_or_none,
  first_byte = values.seconds_or_none, between_bytes = values.seconds_or_none, total = values.seconds_or_none,
}

local read = values.record({
  balance = values.one_of({ "round_robin" }, { least_requests = true, p2c = true, random = true, hash = true }),
  protocol = values.one_of { "auto", "h1", "h2" },
  timeouts = values.record(upstream.timeouts),
  pool = values.record {
    size = values.integer(0, 65536), idle = values.seconds,
    streams = values.integer(1, 65536), connections = values.integer(1, 4096),
  },
  retry = upstream.retry,
  tls = tls.upstream,
  hash_key = later, health = later, ejection = later, breaker = later, dynamic = later,
}, peer)

local function take_peers(fields, name, at)
  local peers, seen = {}, {}
  for i = 1, #fields do
    local address_of = fields[i].address
    if seen[address_of] then
      place.raise(at, "tg.upstream", "%q: peer %q stands there twice: give it a weight instead", name, address_of)
    end
    peers[i], seen[address_of] = fields[i], true
  end
  if #peers == 0 then place.raise(at, "tg.upstream", "%q has no peers", name) end
  return peers
end

-- A certificate is checked against the name that the peer is meant to have; a Unix socket has none.
local function check_names(fields, name, at)
  if not fields.tls or fields.tls.sni or not fields.tls.verify then return end
  for i = 1, #fields do
    if fields[i].address:find "^unix:" then
      place.raise(at, "tg.upstream", "%q: tls: %q has no name that a certificate could have: give sni", name,
        fields[i].address)
    end
  end
end

local function declare(name, given, at)
  local other = declarations.upstreams[name]
  if other then place.raise(at, "tg.upstream", "%q is declared twice, first at %s", name, other.at) end
  local fields, why, path = read(given)
  if not fields then place.wrong(at, "tg.upstream", why, path) end
  check_names(fields, name, at)
  declarations.upstreams[name] = {
    name = name, at = at, peers = take_peers(fields, name, at),
    balance = fields.balance or "round_robin", protocol = fields.protocol or "auto",
    tls = fields.tls or nil,
    timeouts = values.with_defaults(fields.timeouts or {}, DEFAULTS.timeouts),
    pool = values.with_defaults(fields.pool or {}, DEFAULTS.pool),
    retry = values.with_defaults(fields.retry or {}, DEFAULTS.retry),
  }
end

upstream.words = { upstream = declarations.named("tg.upstream", declare) }

return upstream
