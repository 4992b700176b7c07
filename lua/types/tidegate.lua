---@meta tidegate
-- luacheck: ignore 212 241
-- The public names of tidegate for the Lua language server; `tidegate types FOLDER` writes this file out. Times are
-- seconds, sizes bytes, shares percent.

-- Values of the configuration ---------------------------------------------------------------------------------------

---@alias tidegate.LogLevel "debug"|"info"|"warn"|"error"

---@class tidegate.Settings
---@field workers integer?  default: one for each CPU
---@field limits tidegate.Settings.Limits?
---@field timeouts tidegate.Settings.Timeouts?
---@field access_log false|string|{ file: string }|nil  path, or "stdout" (default); false: none
---@field error_log string|{ file?: string, level?: tidegate.LogLevel }|nil  path, or "stderr" (default); level "info"
---@field trusted_proxies string[]?  networks whose X-Forwarded-For is believed
---@field metrics false|string|{ listen: string, public: boolean? }|nil  who answers GET /metrics; default: nobody
---@field http2 tidegate.Settings.Http2?
---@field tls { ticket_rotation: integer?, key_log: string? }?  seconds between keys of tickets (8 hours); for debugging
---@field fips boolean?  OpenSSL's FIPS provider, approved algorithms only; changes at a restart
---@field scripts { load_time: number?, memory: integer? }?  seconds to load in (10), cap of one VM (128 MB)
---@field generations { keep: integer?, detach: number? }?  default 8 generations, 60 s
---@field stop { grace: number?, deadline: number? }?  at a stop: wait of idle clients (1), end of what runs (30)
---@field needs string?  least version of tidegate: "0.1"

---@class tidegate.Settings.Limits
---@field head integer?  bytes of a request's head; default 64 KB
---@field fields integer?  header fields; default 200
---@field target integer?  bytes of the request target; default 8 KB
---@field body integer|false|nil  bytes of a request's body; default 1 GB; false: no limit
---@field replay integer?  bytes of a body kept for a retry; default 64 KB
---@field connections integer?  client connections of a worker; default 8192

---What an HTTP/2 connection of a client may do; counts are for 30 seconds.
---@class tidegate.Settings.Http2
---@field streams integer?  requests at a time; default 128
---@field window integer?  bytes that a client may send ahead on a stream; default 64 KB
---@field connection_window integer?  and on all of its streams; default 1 MB
---@field resets integer?  streams ended by a reset; default 500
---@field control integer?  SETTINGS, PING, PRIORITY, ...; default 1000
---@field idle_frames integer?  empty DATA and needless WINDOW_UPDATE; default 5000
---@field continuations integer?  CONTINUATION frames of a head; default 8, the most there can be
---@field queued integer?  control frames that wait for a client that doesn't read; default 500

---@class tidegate.Settings.Timeouts
---@field header number?  for a whole request head, and from the connection to the end of its handshake; default 15
---@field idle number?  between requests of a connection; default 75
---@field body_rate integer|false|nil  least bytes a second of a request's body; default 500
---@field tunnel_idle number|false|nil  silence in a tunnel; default 3600
---@field total number|false|nil  for a whole request; default none

---@class tidegate.ListenFields
---@field [integer] string  "127.0.0.1:8080", "[::]:8080"
---@field name string?  default: the address
---@field tls tidegate.ListenTls|tidegate.ListenTlsList|nil  absent: a clear listener
---@field redirect_to string?  "https", "https:8443": every request is sent there
---@field proxy_protocol string[]?  networks that begin each connection with a PROXY header
---@field handlers tidegate.HandlerUse[]?  with the phases accept and client_hello

---A certificate for the names in it.
---@class tidegate.ListenCertificate
---@field cert string|string[]  PEM file: the certificate, then its chain; two: with an ECDSA and an RSA key
---@field key string|string[]  PEM file of its key, without a passphrase; as many as cert
---@field name string?  for hello:use_certificate
---@field ocsp string|string[]|nil  DER file of the response that is stapled; as many as cert at most
---@field client_ca string?  PEM file: whose certificates of clients are good
---@field client_auth "none"|"optional"|"require"|nil  default: "optional" where client_ca is given

---@class tidegate.ListenTlsFields
---@field policy "intermediate"|"modern"|nil  "intermediate": TLS 1.2 and 1.3; "modern": TLS 1.3
---@field http2 boolean?  offer HTTP/2; default true
---@field unknown_names "default"|"refuse"|nil  for names that no certificate has: the first certificate, or an alert
---@field session_life integer?  seconds in which a session is resumed; default a day
---@field client_cas string[]?  more files that hello:ask_client_certificate may name

---@class tidegate.ListenTls: tidegate.ListenCertificate, tidegate.ListenTlsFields

---@class tidegate.ListenTlsList: tidegate.ListenTlsFields
---@field [integer] tidegate.ListenCertificate  the first is for clients that name none of the others

---@class tidegate.Peer
---@field [1] string  "10.0.0.1:9000", "[::1]:9000", "unix:/path"
---@field weight integer?  1 to 1000; default 1
---@field priority integer?  0 to 9, lower ones first; default 0

---@class tidegate.Retry
---@field attempts integer?  the first included; default 3

---@class tidegate.UpstreamFields
---@field [integer] string|tidegate.Peer
---@field balance "round_robin"?
---@field protocol "auto"|"h1"|"h2"|nil  "auto" (default): by ALPN under TLS, else HTTP/1.1
---@field tls boolean|tidegate.UpstreamTls|nil
---@field timeouts tidegate.UpstreamTimeouts?
---@field pool tidegate.UpstreamPool?
---@field retry tidegate.Retry|false|nil

---@class tidegate.UpstreamTls
---@field sni string?  the name that the certificate must have, or an address; default: the peer's address
---@field ca string?  PEM file: whose certificates are good; default: the system's
---@field cert string?  PEM file: who we are
---@field key string?  PEM file of its key
---@field verify boolean?  default true; false believes whoever answers

---@class tidegate.UpstreamPool
---@field size integer?  idle connections kept for each peer; default 512
---@field idle number?  seconds for which they are kept; default 60
---@field streams integer?  exchanges at a time on an HTTP/2 connection, where the peer allows it; default 100
---@field connections integer?  HTTP/2 connections of each peer and worker; default 32

---@class tidegate.UpstreamTimeouts
---@field connect number?  default 5
---@field tls number?  for its handshake, beyond connect; default 5
---@field send number|false|nil  between two writes; default 30
---@field first_byte number|false|nil  from the request's end to the head of the answer; default 60
---@field between_bytes number|false|nil  between two pieces of the answer; default 60
---@field total number|false|nil  for a whole request; default that of the settings

---@class tidegate.RouteTimeouts: tidegate.UpstreamTimeouts
---@field body_rate integer|false|nil
---@field tunnel_idle number|false|nil

---@alias tidegate.HandlerUse string|tidegate.Handler|tidegate.Split|table

---@class tidegate.RouteDefaults
---@field name string?  of a route: default method, host and path; of a group: what names in it begin with
---@field host string|string[]|nil  "shop.example", "*.shop.example"; default any
---@field method string|string[]|nil  default any; GET takes HEAD too
---@field listener string|string[]|nil  names of listeners; default any
---@field upstream string?
---@field handlers tidegate.HandlerUse[]?
---@field host_header "preserve"|"upstream"|string|nil
---@field raw_path boolean?  send the received bytes of the path
---@field timeouts tidegate.RouteTimeouts?
---@field limits { body: integer|false|nil }?
---@field retry tidegate.Retry|false|nil
---@field half_close "answer"|"abort"|nil
---@field on_script_error "fail"|"continue"|nil

---@class tidegate.Respond
---@field [1] integer  status
---@field [2] string|table|nil  body; a table is JSON
---@field [3] tidegate.HeaderTable?

---@class tidegate.RouteFields: tidegate.RouteDefaults
---@field path string|string[]|nil  "/exact", "/users/:id", "/files/*rest"; default "/*"
---@field respond integer|tidegate.Respond|nil  a status, or { status, body, headers }
---@field redirect string|{ [1]: 301|302|303|307|308, [2]: string }|nil
---@field rewrite string?  path to send, with the route's parameters
---@field request tidegate.phase.request?
---@field request_body tidegate.phase.request_body?
---@field upstream_request tidegate.phase.upstream_request?
---@field upstream_response tidegate.phase.upstream_response?
---@field response tidegate.phase.response?
---@field response_body tidegate.phase.response_body?
---@field trailers tidegate.phase.trailers?
---@field error tidegate.phase.error?
---@field log tidegate.phase.log?

---@class tidegate.GroupFields: tidegate.RouteDefaults
---@field [integer] tidegate.RouteFields|tidegate.Declared
---@field path string?  a prefix
---@field include string|string[]|nil  files to run inside the group

---What tg.route and tg.group return, to stand in the table of a group.
---@class tidegate.Declared

-- Handlers ----------------------------------------------------------------------------------------------------------

---@alias tidegate.phase.request fun(req: tidegate.Request, o: table): true?
---@alias tidegate.phase.request_body fun(req: tidegate.Request, body: tidegate.Body, o: table): true?
---@alias tidegate.phase.upstream_request fun(req: tidegate.Request, out: tidegate.UpstreamRequest, o: table): true?
---@alias tidegate.phase.upstream_response fun(req: tidegate.Request, res: tidegate.Response, o: table): true?
---@alias tidegate.phase.response fun(req: tidegate.Request, res: tidegate.Response, o: table): true?
---@alias tidegate.phase.response_body fun(req: tidegate.Request, res: tidegate.Response, body: tidegate.Body, o: table)
---@alias tidegate.phase.trailers fun(req: tidegate.Request, res: tidegate.Response, lines: tidegate.Headers, o: table)
---@alias tidegate.phase.error fun(req: tidegate.Request, err: tidegate.Error, o: table): true?
---@alias tidegate.phase.log fun(req: tidegate.Request, res: tidegate.Response?, o: table)
---@alias tidegate.phase.accept fun(conn: tidegate.Conn, o: table): true?
---@alias tidegate.phase.client_hello fun(hello: tidegate.Hello, o: table): true?

---@alias tidegate.OptionType
---| "string" | "number" | "integer" | "boolean" | "function" | "table" | "list" | "map"
---| "seconds" | "bytes" | "percent" | "address" | "url" | "header" | "upstream" | "route" | "secret"
---| "regex" | "ip_set"

---@class tidegate.Option
---@field [1] tidegate.OptionType
---@field of tidegate.OptionType?  of the items of a list or a map
---@field required boolean?
---@field default any
---@field min number?
---@field max number?
---@field one_of any[]?
---@field check (fun(value: any): boolean?, string?)?  nil, "why" refuses

---@class tidegate.Handler
---@field must_run boolean?  its failure is never passed over
---@field options table<string, tidegate.OptionType|tidegate.Option>?
---@field init fun(o: table)?  once for each use and worker, before the switch
---@field request tidegate.phase.request?
---@field request_body tidegate.phase.request_body?
---@field upstream_request tidegate.phase.upstream_request?
---@field upstream_response tidegate.phase.upstream_response?
---@field response tidegate.phase.response?
---@field response_body tidegate.phase.response_body?
---@field trailers tidegate.phase.trailers?
---@field error tidegate.phase.error?
---@field log tidegate.phase.log?
---@field accept tidegate.phase.accept?  of a listener's handlers
---@field client_hello tidegate.phase.client_hello?  likewise

-- Objects of phases -------------------------------------------------------------------------------------------------

---@alias tidegate.HeaderValue string|number|(string|number)[]
---@alias tidegate.HeaderTable table<string, tidegate.HeaderValue>

---Headers of a message. `h[name]` reads all lines joined, or nil; `h[name] = value` replaces them, `= nil` deletes.
---@class tidegate.Headers
---@field [string] string?
local Headers = {}

---All lines of the name, joined; nil where there is none.
---@param name string
---@return string?
function Headers:get(name) end

---Whether one of the lines, or one member of a list in them, equals the value.
---@param name string
---@param value string
---@return boolean
function Headers:any(name, value) end

---One more line.
---@param name string
---@param value string|number
function Headers:add(name, value) end

---Deletes all lines of the name.
---@param name string
function Headers:remove(name) end

---@param name string
---@return boolean
function Headers:has(name) end

---A new list of the lines of the name.
---@param name string
---@return string[]
function Headers:all(name) end

---Names (lower case) and values in the order of the wire, one line at a time.
---@return fun(): string?, string?
function Headers:each() end

---@return integer lines
function Headers:count() end

---Deletes all lines.
function Headers:clear() end

---The pairs of a query. `q.name`: first value, decoded; "" for `?name`; nil if absent.
---@class tidegate.Query
---@field [string] string?
local Query = {}

---The first value, decoded; for names that are methods too.
---@param name string
---@return string?
function Query:get(name) end

---A new list of the values, decoded.
---@param name string
---@return string[]
function Query:all(name) end

---@param name string
---@param value string|number
function Query:add(name, value) end

---Removes all pairs of the name.
---@param name string
function Query:remove(name) end

---Names and values, decoded, in the order in which they stand.
---@return fun(): string?, string?
function Query:each() end

---The cookies of a request: first value, undecoded; read only.
---@class tidegate.Cookies
---@field [string] string?
local Cookies = {}

---@param name string
---@return string?
function Cookies:get(name) end

---The parameters of the route, decoded: `req.params.id`, `req.params["*"]`.
---@class tidegate.Params
---@field [string] string?
local Params = {}

---@param name string
---@return string?
function Params:get(name) end

---Names and values in the order of the path.
---@return fun(): string?, string?
function Params:each() end

---@class tidegate.Client
---@field ip string
---@field port integer
---@field peer_ip string  the other end of the connection, which may be a proxy
---@field tls tidegate.ClientTls?  nil on a clear connection

---@class tidegate.ClientTls
---@field version string  "TLSv1.3"
---@field cipher string  OpenSSL's name
---@field sni string?  lower case
---@field alpn "h2"|"http/1.1"|nil
---@field ja3 string?
---@field ja4 string?
---@field cert tidegate.ClientCertificate?

---@class tidegate.ClientCertificate
---@field verified boolean
---@field subject_cn string?  untrusted text
---@field sans string[]  DNS names, addresses, mail addresses and URIs: untrusted text
---@field sha256 string?  64 hex digits of the DER

---A connection that was accepted and has sent nothing but its PROXY header.
---@class tidegate.Conn
---@field ip string  the client's, as the PROXY header says where there is one
---@field port integer?
---@field peer_ip string  the other end of the connection
---@field listener string  its name
---@field proxy_header string?  as received
local Conn = {}

---Closes the connection when the handler returns.
---@return true
function Conn:refuse() end

---The first message of a TLS client.
---@class tidegate.Hello
---@field sni string?  lower case
---@field alpn string[]  what the client offers; can be set: "h2", "http/1.1" or a list of both
---@field versions string[]  "TLSv1.3", ...
---@field ciphers string[]  OpenSSL's names, or "0x1301"
---@field ja3 string
---@field ja4 string
---@field client { ip: string, port: integer?, peer_ip: string }
---@field listener string  its name
local Hello = {}

---Serves this certificate: a name in `tls` of the listener, or a DNS name of a certificate there.
---@param name string
function Hello:use_certificate(name) end

---Requires a certificate of the client.
---@param ca string?  a path as in `client_ca` or `client_cas`; default: that of the certificate that is served
function Hello:ask_client_certificate(ca) end

---Ends the handshake when the handler returns.
---@return true
function Hello:refuse() end

---@class tidegate.Times
---@field started number
---@field total number?
---@field queue number?
---@field connect number?
---@field first_byte number?
---@field script number?

---What a request adds to the access log: `req.log.user = value`.
---@class tidegate.RequestLog
---@field [string] string|number|boolean|nil
local RequestLog = {}

---Leaves the request out of the access log.
function RequestLog:skip() end

---@class tidegate.CookieOptions
---@field max_age number?
---@field path string?  default "/"
---@field domain string?
---@field secure boolean?  default: the scheme is https
---@field http_only boolean?  default true
---@field same_site "lax"|"strict"|"none"|nil  default "lax"

---@class tidegate.Request
---@field id string  32 hex digits
---@field method string  can be set in `request`
---@field scheme "http"|"https"
---@field version "1.0"|"1.1"|"2"
---@field host string  lower case, without port; can be set in `request`
---@field port integer
---@field path string  normalised, percent-encoded: what routes match and what is sent; can be set in `request`
---@field raw_path string  as received
---@field url string
---@field raw_query string?  can be set in `request`
---@field query tidegate.Query
---@field headers tidegate.Headers
---@field cookies tidegate.Cookies
---@field params tidegate.Params
---@field length integer?
---@field upgrade string?
---@field client tidegate.Client
---@field route { name: string }
---@field upstream string?  can be set in `request`
---@field half_close "answer"|"abort"  can be set in `request`
---@field generation integer
---@field time_left number  of the total deadline, math.huge where there is none; can be set
---@field times tidegate.Times
---@field bytes_in integer
---@field bytes_out integer
---@field ctx table  for all handlers of this request; keys begin with the handler's name
---@field log tidegate.RequestLog
local Request = {}

---Decides the answer; the chain ends when the handler returns. A table as body is JSON, a function writes it.
---@param status integer
---@param body string|table|nil|fun(out: tidegate.Writer, req: tidegate.Request)
---@param headers tidegate.HeaderTable?
---@return true
function Request:respond(status, body, headers) end

---@param location string
---@param status 301|302|303|307|308|nil  default 302
---@return true
function Request:redirect(location, status) end

---Goes on with another route; without a name: matches again with the changed head.
---@param name string?
---@return true
function Request:reroute(name) end

---Sets a header on the answer to come, whoever makes it.
---@param name string
---@param value tidegate.HeaderValue?
function Request:set_response_header(name, value) end

---Adds a cookie to the answer to come, whoever makes it.
---@param name string
---@param value string
---@param options tidegate.CookieOptions?
function Request:set_cookie(name, value, options) end

---Whether the content-type is this media type.
---@param media_type string
---@return boolean
function Request:is(media_type) end

---The type that the client likes best of those offered.
---@param ... string
---@return string?
function Request:accepts(...) end

---In `request`: the whole body, which is forwarded all the same; or nil and "too_large".
---@param limit integer  bytes
---@return string?
---@return string? err
function Request:read_body(limit) end

---In `request`: this is the body, whatever came or will come.
---@param text string
function Request:set_body(text) end

---In `request`: the whole body as JSON; or nil and what `read_body` says, or "invalid" and why.
---@param limit integer
---@return any
---@return string? err
---@return string? detail
function Request:json(limit) end

---In `request`: the whole body as application/x-www-form-urlencoded, the first value of each name; or nil and what
---`read_body` says, or "invalid".
---@param limit integer
---@return table<string, string>?
---@return string? err
function Request:form(limit) end

---Sends an informational answer now.
---@param status integer
---@param headers tidegate.HeaderTable?
function Request:inform(status, headers) end

---Ends the request without an answer.
function Request:abort() end

---@class tidegate.Response
---@field status integer  set in `upstream_response`, `response`, and `response_body` until its first read or write
---@field headers tidegate.Headers
---@field version string
---@field length integer?
---@field from "upstream"|"script"|"gateway"
---@field upstream string?
---@field peer string?
---@field attempt integer?
local Response = {}

---@param media_type string
---@return boolean
function Response:is(media_type) end

---In `upstream_response` and `response`: the whole body, which goes on all the same; or nil and "too_large", "reset",
---"cut" or "timeout".
---@param limit integer  bytes
---@return string?
---@return string? err
function Response:read_body(limit) end

---Likewise: this is the body, whatever came or will come.
---@param text string
function Response:set_body(text) end

---Likewise: the whole body as JSON; or nil and what `read_body` says, or "invalid" and why.
---@param limit integer
---@return any
---@return string? err
---@return string? detail
function Response:json(limit) end

---A body that a handler reads and writes: one call for all of it. What waits lets other work run meanwhile.
---@class tidegate.Body
---@field length integer?  declared length of what comes in
---@field failed "reset"|"cut"|"timeout"|nil  why the source broke off
---@field trailers tidegate.Headers?  once the input has ended; as they are left they go on
local Body = {}

---Goes over the pieces as they come.
---@return fun(body: tidegate.Body): string?
---@return tidegate.Body
function Body:chunks() end

---The next piece, at most n bytes; nil at the end.
---@param n integer?
---@return string?
function Body:read(n) end

---Waits for n bytes, at most 256 KB, or the end, and leaves them in place.
---@param n integer
---@return string
function Body:peek(n) end

---@param n integer
---@return string? bytes
---@return "end"|nil err
---@return string? partial
function Body:read_exactly(n) end

---A line without its end (LF or CRLF).
---@param limit integer  bytes, at most 256 KB
---@return string? line
---@return "end"|"too_large"|nil err
---@return string? partial
function Body:read_line(limit) end

---Waits while the receiver is slow.
---@param ... string|number
function Body:write(...) end

---The next n bytes, or all, go on without becoming strings.
---@param n integer?
function Body:pass(n) end

---The next n bytes, or all, are dropped.
---@param n integer?
function Body:discard(n) end

---What was written is the whole body, also where the source broke off.
function Body:finish() end

---What a function gets that writes a body.
---@class tidegate.Writer
---@field trailers tidegate.Headers
local Writer = {}

---Waits while the client is slow; bytes leave when the function next waits, or returns.
---@param ... string|number
function Writer:write(...) end

---What one attempt sends upstream.
---@class tidegate.UpstreamRequest
---@field method string
---@field path string
---@field raw_query string?
---@field host string
---@field headers tidegate.Headers
---@field attempt integer

---Why the gateway itself has to answer.
---@class tidegate.Error
---@field status integer
---@field code string  "no_route", "upstream_failed", "timeout", "script", "too_large", ...
---@field detail string?  for logs, not for clients

-- Splits ------------------------------------------------------------------------------------------------------------

---@class tidegate.SplitKey

---@class tidegate.SplitCookie: tidegate.CookieOptions
---@field issue boolean?  give the cookie to a client that has none

---@class tidegate.SplitArm
---@field [1] number  share
---@field upstream string?

---@class tidegate.SplitFields
---@field arms table<string, number|tidegate.SplitArm>  shares add up to 100
---@field key tidegate.SplitKey|(fun(req: tidegate.Request): string|number|nil)|nil  default: each request by itself
---@field control string?  default: the largest arm
---@field salt string?  default: the name
---@field request_header string?  tells the upstream the arm
---@field response_header string?  tells the client the arm

---A split is a handler; its methods are for scripts that do more.
---@class tidegate.Split
---@field name string
---@field control string
local Split = {}

---The arm of this request, the same for the whole of it, and whether it counts.
---@param req tidegate.Request
---@return string arm, boolean counts
function Split:assign(req) end

---The arm that the request has or would get; issues no cookie.
---@param req tidegate.Request
---@return string arm
function Split:peek(req) end

---@class tidegate.SplitWord
---@overload fun(name: string): fun(fields: tidegate.SplitFields): tidegate.Split
local SplitWord = {}

---@param name string
---@param options tidegate.SplitCookie?
---@return tidegate.SplitKey
function SplitWord.cookie(name, options) end

---@param name string
---@return tidegate.SplitKey
function SplitWord.header(name) end

---@return tidegate.SplitKey
function SplitWord.client_ip() end

-- Library -----------------------------------------------------------------------------------------------------------

---@class tidegate.Task
local Task = {}

---The results of the task's function; or nil and "timeout", "cancelled", or "failed" with the message. Waits.
---@param timeout number?
---@return any ...
function Task:wait(timeout) end

---Ends the task where it waits.
function Task:cancel() end

---@class tidegate.Timer
local Timer = {}

---Ends it: a run under way goes on to its end.
function Timer:stop() end

---@class tidegate.TimerModule
local TimerModule = {}

---Runs f once, after so many seconds, in no request. Made by the configuration or by `init`: on one worker of the
---process, once the generation is the current one.
---@param seconds number
---@param f fun(...)
---@param ... any
---@return tidegate.Timer? timer, string? err, string? detail
function TimerModule.after(seconds, f, ...) end

---Runs f every so many seconds, never two at once.
---@param seconds number
---@param f fun()
---@param options { now: boolean?, each_worker: boolean?, jitter: number? }?
---@return tidegate.Timer? timer, string? err, string? detail
function TimerModule.every(seconds, f, options) end

---@class tidegate.Semaphore
local Semaphore = {}

---Takes a place, until `leave` or until the request, task or timer ends. Nil, "timeout". Waits.
---@param timeout number?
---@return true? done, string? err
function Semaphore:enter(timeout) end

---Gives a place back.
function Semaphore:leave() end

---@class tidegate.Cache
local Cache = {}

---The value, loaded where there is none or it is too old; or nil and what the load gave. Waits.
---@param key string
---@return any value, string? err, any detail
function Cache:get(key) end

---The value if there is a fresh one; nothing is loaded.
---@param key string
---@return any value
function Cache:peek(key) end

---Sets the value, in the form in which `load` gives it.
---@param key string
---@param value any
---@param ttl number?
---@return true? done, string? err, any detail
function Cache:set(key, value, ttl) end

---Forgets the value, in all workers.
---@param key string
function Cache:delete(key) end

---Loads the value anew, unless the last load is younger than `min_age` seconds. Waits.
---@param key string
---@param min_age number?
---@return any value, string? err, any detail
function Cache:refresh(key, min_age) end

---@class tidegate.CacheOptions
---@field name string
---@field load fun(key: string): any, string?, any  the value; nil where there is none; nil, err, detail where it fails
---@field ttl number
---@field stale number?  seconds beyond ttl that a value is served while loads fail
---@field negative_ttl number?  seconds that "there is none" and failures are remembered
---@field size integer?  values that a worker keeps (1000)
---@field shared boolean?  what load gives is a string, a number or a boolean, and for all workers
---@field decode (fun(value: any): any, string?, any)?  makes of it what this worker keeps

---@class tidegate.CacheModule
local CacheModule = {}

---@param options tidegate.CacheOptions
---@return tidegate.Cache
function CacheModule.new(options) end

---@class tidegate.Bucket
local Bucket = {}

---True and what remains; false and the seconds until there is enough; nil, err, detail.
---@param key string
---@param count number?
---@return boolean? taken, number|string remaining_or_seconds, string? detail
function Bucket:take(key, count) end

---@class tidegate.Window
local Window = {}

---True and what remains; false and the seconds until the window ends; nil, err, detail.
---@param key string
---@param count number?
---@return boolean? taken, number|string remaining_or_seconds, string? detail
function Window:take(key, count) end

---@class tidegate.Concurrency
local Concurrency = {}

---Lets the request in until it ends; false: so many are in already.
---@param req tidegate.Request
---@param key string
---@return boolean? entered, string? err, string? detail
function Concurrency:enter(req, key) end

---@class tidegate.Limit
local Limit = {}

---`burst` at once and `rate` a second, for each key, in all workers.
---@param options { name: string, rate: number, burst: number }
---@return tidegate.Bucket
function Limit.bucket(options) end

---`limit` in `per` seconds from the first on, for each key, in all workers.
---@param options { name: string, limit: number, per: number }
---@return tidegate.Window
function Limit.window(options) end

---`max` requests at a time, for each key, in all workers.
---@param options { name: string, max: number }
---@return tidegate.Concurrency
function Limit.concurrency(options) end

--- Memory that all workers and generations share.
---@class tidegate.Dictionary
---@field name string
local Dictionary = {}

---The value; nil where there is none. Nil and "invalid" for a list.
---@param key string
---@return string|number|boolean|nil value, string? err, string? detail
function Dictionary:get(key) end

---Sets the value, for `ttl` seconds, or until it is evicted. Nil and "too_large" or "busy" where there is no room.
---@param key string
---@param value string|number|boolean
---@param ttl number?
---@return true? done, string? err, string? detail
function Dictionary:set(key, value, ttl) end

---Sets it where there is no value; false: there is one.
---@param key string
---@param value string|number|boolean
---@param ttl number?
---@return boolean? done, string? err, string? detail
function Dictionary:add(key, value, ttl) end

---Sets it where there is a value; false: there is none.
---@param key string
---@param value string|number|boolean
---@param ttl number?
---@return boolean? done, string? err, string? detail
function Dictionary:replace(key, value, ttl) end

---Whether there was one.
---@param key string
---@return boolean
function Dictionary:delete(key) end

---Adds to a number; the sum. An absent key counts from `initial` and lives for `ttl` seconds; without `initial`: nil,
---"not_found".
---@param key string
---@param by number?
---@param initial number?
---@param ttl number?
---@return number? sum, string? err, string? detail
function Dictionary:incr(key, by, initial, ttl) end

---Sets `value` where the value is `old` (nil: where there is none); a `value` of nil deletes.
---@param key string
---@param old string|number|boolean|nil
---@param value string|number|boolean|nil
---@param ttl number?
---@return boolean? done, string? err, string? detail
function Dictionary:cas(key, old, value, ttl) end

---Seconds until it expires, math.huge: never; or nil, "not_found".
---@param key string
---@return number? seconds, string? err
function Dictionary:ttl(key) end

---Lets it expire in `ttl` seconds, nil: never. False: there is none.
---@param key string
---@param ttl number?
---@return boolean
function Dictionary:expire(key, ttl) end

---Adds at the end of a list; its length.
---@param key string
---@param value string|number|boolean
---@return integer? length, string? err, string? detail
function Dictionary:push(key, value) end

---Takes the oldest value of a list; nil: there is none.
---@param key string
---@return string|number|boolean|nil value, string? err, string? detail
function Dictionary:pop(key) end

---The length of a list.
---@param key string
---@return integer? length, string? err, string? detail
function Dictionary:len(key) end

---Up to `max` keys, in no order.
---@param max integer?  1024
---@return string[]? keys, string? err, string? detail
function Dictionary:keys(max) end

---Removes everything.
function Dictionary:clear() end

---A value of another version than the one that was seen (nil: any), and its version; of a list its length. Nil,
---"timeout": there is none so far. Waits.
---@param key string
---@param version number?
---@param timeout number?
---@return string|number|boolean|nil value, number|string version_or_err, string? detail
function Dictionary:watch(key, version, timeout) end

---@class tidegate.Json
---@field null userdata
local Json = {}

---@param value any
---@return string
function Json.encode(value) end

---@param text string
---@return any value, string? err, string? detail
function Json.decode(text) end

---Marks a table as a list, for `[]`.
---@generic T: table
---@param t T
---@return T
function Json.array(t) end

---@class tidegate.UriParts
---@field scheme string?
---@field user string?
---@field host string?
---@field port integer?
---@field path string
---@field query string?
---@field fragment string?

---@class tidegate.UriLibrary
local Uri = {}

---@param text string|number
---@return string
function Uri.encode(text) end

---@param text string
---@return string? text, "invalid"? err
function Uri.decode(text) end

---An absolute path of pieces, each encoded.
---@param ... string|number
---@return string
function Uri.path(...) end

---@param t table<string, string|number|boolean|(string|number|boolean)[]>
---@return string
function Uri.query(t) end

---@param text string
---@return tidegate.UriParts? parts, "invalid"? err
function Uri.parse(text) end

---@param base string
---@param reference string
---@return string? address, "invalid"? err
function Uri.join(base, reference) end

---@class tidegate.Http
local Http = {}

---The name of a status.
---@param status integer
---@return string
function Http.reason(status) end

---@class tidegate.Hash
local Hash = {}

---@param text string
---@return integer
function Hash.crc32(text) end

---@class tidegate.Log
local Log = {}

---This version doesn't write it.
---@param message string
---@param fields table<string, string|number|boolean>?
function Log.debug(message, fields) end

---@param message string
---@param fields table<string, string|number|boolean>?
function Log.info(message, fields) end

---@param message string
---@param fields table<string, string|number|boolean>?
function Log.warn(message, fields) end

---@param message string
---@param fields table<string, string|number|boolean>?
function Log.error(message, fields) end

---@class tidegate
---@field KB integer
---@field MB integer
---@field GB integer
---@field SECOND integer
---@field MINUTE integer
---@field HOUR integer
---@field DAY integer
---@field version string
---@field generation integer
---@field worker { id: integer, count: integer }
---@field null userdata  JSON's null
---@field json tidegate.Json
---@field uri tidegate.UriLibrary
---@field http tidegate.Http
---@field hash tidegate.Hash
---@field log tidegate.Log
---@field split tidegate.SplitWord
local tg = {}

---Values of the whole process; once.
---@param fields tidegate.Settings
function tg.settings(fields) end

---Where clients connect.
---@param address string|tidegate.ListenFields
function tg.listen(address) end

---A group of peers that do the same work: `tg.upstream "name" { "127.0.0.1:9001" }`.
---@param name string
---@return fun(fields: tidegate.UpstreamFields)
function tg.upstream(name) end

---@param fields tidegate.RouteFields
---@return tidegate.Declared
function tg.route(fields) end

---A part of the traffic, and what all routes in it have.
---@param fields tidegate.GroupFields
---@return tidegate.Declared
function tg.group(fields) end

---Handlers for all routes, and for requests that no route takes.
---@param handlers tidegate.HandlerUse[]
function tg.use(handlers) end

---Runs the files that match, in alphabetical order, inside the group that includes them.
---@param pattern string
function tg.include(pattern) end

---The content of a file, read at load, relative to the folder of gateway.lua.
---@param path string
---@return string
function tg.file(path) end

---A variable of the environment, read at load; without a default an unset one raises.
---@param name string
---@param default string?
---@return string
function tg.env(name, default) end

---Seconds since 1970, by the wall clock.
---@return number
function tg.now() end

---Seconds of a clock that never goes back.
---@return number
function tg.clock() end

---A number from 0 to 1, below 1.
---@return number
function tg.random() end

---@return string
function tg.uuid() end

---Waits.
---@param seconds number
function tg.sleep(seconds) end

---At most so many at a time, of the requests, tasks and timers of a worker.
---@param places integer
---@return tidegate.Semaphore
function tg.semaphore(places) end

---The dictionary of that name. At load it is declared by being named, with `{ size = bytes }` behind it or 1 MB.
---@param name string
---@return tidegate.Dictionary|fun(fields: { size: integer? }): tidegate.Dictionary
function tg.shared(name) end

---What only grows; its name should end in `_total`.
---@class tidegate.Counter
local Counter = {}

---@param n number?  1; at least 0
---@param ... string|number  values of the labels
function Counter:inc(n, ...) end

---The same for these values of the labels, for hot paths: `inc(n?)`.
---@param ... string|number
---@return tidegate.Counter
function Counter:with(...) end

---What goes up and down: one value for all workers.
---@class tidegate.Gauge
local Gauge = {}

---@param value number
---@param ... string|number
function Gauge:set(value, ...) end

---@param n number?  1; may be negative
---@param ... string|number
function Gauge:inc(n, ...) end

---@param ... string|number
---@return tidegate.Gauge
function Gauge:with(...) end

---How values are spread.
---@class tidegate.Histogram
local Histogram = {}

---@param value number
---@param ... string|number
function Histogram:observe(value, ...) end

---@param ... string|number
---@return tidegate.Histogram
function Histogram:with(...) end

---What Prometheus reads; declared at load.
---@class tidegate.Metrics
tg.metrics = {}

---@param name string
---@param help string
---@param labels string[]?
---@return tidegate.Counter
function tg.metrics.counter(name, help, labels) end

---@param name string
---@param help string
---@param labels string[]?
---@return tidegate.Gauge
function tg.metrics.gauge(name, help, labels) end

---@param name string
---@param help string
---@param labels string[]?
---@param buckets number[]?  upper bounds, ascending
---@return tidegate.Histogram
function tg.metrics.histogram(name, help, labels, buckets) end

---Starts a task, which ends with the request that started it.
---@param f fun(...): any
---@param ... any
---@return tidegate.Task
function tg.spawn(f, ...) end

---Waits for all tasks.
---@param tasks tidegate.Task[]
---@param timeout number?
---@return true? done, string? err
function tg.wait_all(tasks, timeout) end

---Waits for the first of the tasks.
---@param tasks tidegate.Task[]
---@param timeout number?
---@return integer? index, tidegate.Task|string|nil task_or_err
function tg.wait_any(tasks, timeout) end

return tg
