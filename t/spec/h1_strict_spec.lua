-- What a client may not send, what an origin may not answer, and that it doesn't matter how the bytes are cut.
local cjson = require "cjson.safe"
local client = require "t.support.client"
local gateway = require "t.support.gateway"
local origin = require "t.support.origin"
local pieces = require "t.support.pieces"

local CONFIG = [[
local tg = require "tidegate"
tg.settings { access_log = "${folder}/access.log", limits = { head = 16 * tg.KB, fields = 50, target = 2 * tg.KB } }
tg.listen "127.0.0.1:${port}"
tg.upstream "origin" { "127.0.0.1:${origin}" }
tg.route { path = "/sync", respond = { 204 } }
tg.route { path = "/limited/*", upstream = "origin", limits = { body = 1000 } }
tg.route { path = "/*", upstream = "origin" }
]]

local SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

local edge, strict

local function bytes_of(hex)
  return (hex:gsub("\\x(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end))
end

local function get(lines)
  return "GET /a HTTP/1.1\r\n" .. bytes_of(lines) .. "\r\n\r\n"
end

local function post(lines, body)
  return "POST /a HTTP/1.1\r\nHost: a\r\n" .. bytes_of(lines) .. "\r\n\r\n" .. (body or "")
end

local function chunked(body)
  return post("Transfer-Encoding: chunked", body)
end

local function line(text)
  return bytes_of(text) .. "\r\nHost: a\r\n\r\n"
end

-- name, bytes, status (400), options
local REFUSED = {
  { "Content-Length and Transfer-Encoding together [L01]",
    post("Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n") },
  { "Transfer-Encoding and then Content-Length [L01]",
    post("Transfer-Encoding: chunked\r\nContent-Length: 0", "0\r\n\r\n") },
  { "two Content-Length lines that differ [L02]", post("Content-Length: 5\r\nContent-Length: 6", "hello") },
  { "two Content-Length lines that differ, the other way [L02]", post("Content-Length: 6\r\nContent-Length: 5",
    "hello") },
  { "two equal Content-Length lines [L03]", post("Content-Length: 5\r\nContent-Length: 5", "hello") },
  { "a list of Content-Length values [L03]", post("Content-Length: 5, 5", "hello") },
  { "an empty Content-Length [L04]", post("Content-Length:", "hello") },
  { "an empty Content-Length before a real one [L04]", post("Content-Length: \r\nContent-Length: 5", "hello") },
  { "a Content-Length with a plus sign [L05]", post("Content-Length: +5", "hello") },
  { "a negative Content-Length [L05] [L07]", post("Content-Length: -5", "hello") },
  { "a hexadecimal Content-Length [L05]", post("Content-Length: 0x5", "hello") },
  { "a Content-Length with an underscore [L05]", post("Content-Length: 1_0", "hello12345") },
  { "a Content-Length with a blank inside [L05]", post("Content-Length: 1 0", "hello12345") },
  { "a Content-Length with a trailing letter [L05]", post("Content-Length: 5a", "hello") },
  { "a Content-Length of 2^64 [L07]", post("Content-Length: 18446744073709551616", "hello"), { 400, 413 } },
  { "a Content-Length of 2^64 + 5 [L07]", post("Content-Length: 18446744073709551621", "hello"), { 400, 413 } },
  { "a Content-Length of 2^63 [L07]", post("Content-Length: 9223372036854775808", "hello"), { 400, 413 } },
  { "a last coding other than chunked [L08]", post("Transfer-Encoding: chunked, gzip", "0\r\n\r\n"), { 400, 501 } },
  { "identity as the only coding [L08]", post("Transfer-Encoding: identity", "hello"), { 400, 501 } },
  { "an unknown coding [L08]", post("Transfer-Encoding: xchunked", "0\r\n\r\n"), { 400, 501 } },
  { "a coding before chunked, which the gateway doesn't know [L08]",
    post("Transfer-Encoding: gzip, chunked", "0\r\n\r\n"), { 501 } },
  { "an empty Transfer-Encoding [L09]", post("Transfer-Encoding:", "0\r\n\r\n") },
  { "an empty member before chunked [L09]", post("Transfer-Encoding: , chunked", "0\r\n\r\n") },
  { "an empty member after chunked [L09]", post("Transfer-Encoding: chunked,", "0\r\n\r\n") },
  { "an empty Transfer-Encoding line before a real one [L09]",
    post("Transfer-Encoding:\r\nTransfer-Encoding: chunked", "0\r\n\r\n") },
  { "chunked twice on one line [L10]", post("Transfer-Encoding: chunked, chunked", "0\r\n\r\n") },
  { "chunked on two lines [L10]", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n") },
  { "a coding padded with VT [L11]", post("Transfer-Encoding: \\x0bchunked", "0\r\n\r\n") },
  { "a coding padded with FF [L11]", post("Transfer-Encoding: chunked\\x0c", "0\r\n\r\n") },
  { "a coding padded with NUL [L11]", post("Transfer-Encoding: chunked\\x00", "0\r\n\r\n") },
  { "a coding padded with 0x85 [L11]", post("Transfer-Encoding: \\x85chunked", "0\r\n\r\n"), { 400, 501 } },
  { "a coding padded with 0xA0 [L11]", post("Transfer-Encoding: chunked\\xa0", "0\r\n\r\n"), { 400, 501 } },
  { "a coding padded with 0xFF [L11]", post("Transfer-Encoding: chunked\\xff", "0\r\n\r\n"), { 400, 501 } },
  { "Transfer-Encoding in HTTP/1.0 [L12]",
    "POST /a HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" },
  { "a near-name of a length field with a blank [D04] [S03]", post("Content-Length : 5", "hello") },
  { "a chunk size with 0x [C01]", chunked "0x5\r\nhello\r\n0\r\n\r\n" },
  { "a chunk size with a plus [C01]", chunked "+5\r\nhello\r\n0\r\n\r\n" },
  { "a chunk size with a minus [C01]", chunked "-5\r\nhello\r\n0\r\n\r\n" },
  { "a chunk size with an underscore [C01]", chunked "0_5\r\nhello\r\n0\r\n\r\n" },
  { "a chunk size with a leading blank [C01]", chunked " 5\r\nhello\r\n0\r\n\r\n" },
  { "a chunk size with trailing junk [C01]", chunked "5g\r\nhello\r\n0\r\n\r\n" },
  { "a chunk size of 17 digits [C02]", chunked "10000000000000005\r\nhello\r\n0\r\n\r\n" },
  { "a chunk size of 2^64 and more [C02]", chunked "ffffffffffffffffff\r\nhello\r\n0\r\n\r\n" },
  { "zeros without end as a chunk size [C02]", chunked(("0"):rep(40) .. "5\r\nhello\r\n0\r\n\r\n") },
  { "an empty size line [C03]", chunked "\r\nhello\r\n0\r\n\r\n" },
  { "a bare LF after the size [C04]", chunked "5\nhello\r\n0\r\n\r\n" },
  { "a bare LF after the data [C04]", chunked "5\r\nhello\n0\r\n\r\n" },
  { "a bare LF after the last chunk's size [C04]", chunked "5\r\nhello\r\n0\n\r\n" },
  { "a bare LF as the end of the body [C04]", chunked "5\r\nhello\r\n0\r\n\n" },
  { "a bare CR in the size line [C05]", chunked "5\rx\r\nhello\r\n0\r\n\r\n" },
  { "a bare CR at the end of the size line [C05]", chunked "5\r\r\nhello\r\n0\r\n\r\n" },
  { "a bare CR in a chunk extension [C06]", chunked "5;a\rb\r\nhello\r\n0\r\n\r\n" },
  { "a bare LF in a chunk extension [C06]", chunked "5;a\nb\r\nhello\r\n0\r\n\r\n" },
  { "a CR in a quoted chunk extension [C06]", chunked "5;a=\"\r\"\r\nhello\r\n0\r\n\r\n" },
  { "an LF in a quoted chunk extension [C06]", chunked "5;a=\"\n\"\r\nhello\r\n0\r\n\r\n" },
  { "a line end after an escape in an extension [C06]", chunked "5;a=\"\\\r\n\"\r\nhello\r\n0\r\n\r\n" },
  { "chunk data that is too long [C08]", chunked "5\r\nhello!\r\n0\r\n\r\n" },
  { "chunk data that is too short [C08]", chunked "5\r\nhell\r\n0\r\n\r\n" },
  { "two other bytes after the data [C08]", chunked "5\r\nhelloxx0\r\n\r\n" },
  { "a trailer without a colon [C09]", chunked "5\r\nhello\r\n0\r\nabc\r\n\r\n" },
  { "a trailer with a blank before the colon [C09]", chunked "5\r\nhello\r\n0\r\na : b\r\n\r\n" },
  { "a folded trailer [C09]", chunked "5\r\nhello\r\n0\r\na: b\r\n c\r\n\r\n" },
  { "a NUL in a trailer [C09]", chunked "5\r\nhello\r\n0\r\na: b\0c\r\n\r\n" },
  { "a trailer line ended by a bare LF [C09]", chunked "5\r\nhello\r\n0\r\na: b\n\r\n" },
  { "a bad chunk after good ones [C11]", chunked "5\r\nhello\r\n5\r\nworld\r\nxyz\r\n0\r\n\r\n" },
  { "a bare LF after the request line [S01]", "GET /a HTTP/1.1\nHost: a\r\n\r\n" },
  { "a bare LF after a field line [S01]", "GET /a HTTP/1.1\r\nHost: a\nB: c\r\n\r\n" },
  { "bare LFs everywhere [S01]", "GET /a HTTP/1.1\nHost: a\n\n" },
  { "a bare CR after the request line [S01]", "GET /a HTTP/1.1\rHost: a\r\n\r\n" },
  { "a bare CR after a field line [S01]", "GET /a HTTP/1.1\r\nHost: a\rB: c\r\n\r\n" },
  { "a CR in a value [S01]", get "Host: a\r\nB: c\\x0dd" },
  { "a CR at the end of a value [S01]", get "Host: a\r\nB: c\\x0d" },
  { "a NUL in a value [S02]", get "Host: a\r\nB: c\\x00d" },
  { "a NUL in a name [S02]", get "Host: a\r\nB\\x00: c" },
  { "a control character in a value [S02]", get "Host: a\r\nB: c\\x01d" },
  { "an ESC in a value [S02]", get "Host: a\r\nB: \\x1b[0m" },
  { "a DEL in a value [S02]", get "Host: a\r\nB: c\\x7f" },
  { "a blank before the colon [S03]", get "Host: a\r\nB : c" },
  { "a tab before the colon [S03]", get "Host: a\r\nB\t: c" },
  { "a blank before the first field name [S04]", get " Host: a" },
  { "a folded line [S04]", get "Host: a\r\nB: c\r\n d" },
  { "a line folded with a tab [S04]", get "Host: a\r\nB: c\r\n\td" },
  { "a folded line that is blank [S04]", get "Host: a\r\nB: c\r\n  \r\nC: d" },
  { "an empty field name [S05]", get "Host: a\r\n: c" },
  { "a line without a colon [S06]", get "Host: a\r\nabc" },
  { "a name continued on the next line [S06]", get "Host: a\r\nabc\r\ndef: g" },
  { "a name with a byte above 127 [S07]", get "Host: a\r\nB\\xe9: c" },
  { "a name in quotes [S07]", get "Host: a\r\n\"B\": c" },
  { "a name with brackets [S07]", get "Host: a\r\nB[]: c" },
  { "a name with a slash [S07]", get "Host: a\r\nB/C: c" },
  { "CRLF CR and another byte at the end of the head [S08]", "GET /a HTTP/1.1\r\nHost: a\r\n\rX" },
  { "an illegal byte in the method [S10]", line "GE(T /a HTTP/1.1" },
  { "a method of a NUL [S10]", line "G\\x00T /a HTTP/1.1" },
  { "a method of 5000 bytes [S10]", line(("M"):rep(5000) .. " /a HTTP/1.1"), { 400, 414, 501 }, { to = 70 } },
  { "an unknown transfer of version 1.2 [S11]", line "GET /a HTTP/1.2", { 400, 505 } },
  { "version 2.0 [S11]", line "GET /a HTTP/2.0", { 505 } },
  { "version 0.9 [S11]", line "GET /a HTTP/0.9", { 400, 505 } },
  { "version 1.32 [S11]", line "GET /a HTTP/1.32", { 400, 505 } },
  { "a version of huge digits [S11]", line "GET /a HTTP/99999999999.1", { 400, 505 } },
  { "a version in lower case [S11]", line "GET /a http/1.1", { 400, 505 } },
  { "a request line without version [S11]", line "GET /a" },
  { "two blanks after the method [S12]", line "GET  /a HTTP/1.1" },
  { "two blanks before the version [S12]", line "GET /a  HTTP/1.1" },
  { "a tab in the request line [S12]", line "GET\t/a HTTP/1.1" },
  { "a raw blank in the target [S12]", line "GET /a b HTTP/1.1" },
  { "a blank at the end of the request line [S12]", line "GET /a HTTP/1.1 " },
  { "a blank at the start of the request line [S12]", line " GET /a HTTP/1.1" },
  { "a byte above 127 in the target [S12]", line "GET /\\xe9 HTTP/1.1" },
  { "a byte above 127 in the query [S12]", line "GET /a?b=\\xe9 HTTP/1.1" },
  { "a control character in the target [S12]", line "GET /a\\x01b HTTP/1.1" },
  { "a fragment in the target [S12]", line "GET /a#b HTTP/1.1" },
  { "no Host [P02]", "GET /a HTTP/1.1\r\nA: b\r\n\r\n" },
  { "an empty Host [P02]", get "Host:" },
  { "two Hosts [P02]", get "Host: a\r\nHost: b" },
  { "two equal Hosts [P02]", get "Host: a\r\nHost: a" },
  { "a list in Host [P02]", get "Host: a, b" },
  { "an @ in Host [P02]", get "Host: user@a" },
  { "a slash in Host [P02]", get "Host: a/b" },
  { "a backslash in Host [P02]", get "Host: a\\b" },
  { "a # in Host [P02]", get "Host: a#b" },
  { "a ? in Host [P02]", get "Host: a?b" },
  { "a blank in Host [P02]", get "Host: a b" },
  { "a byte above 127 in Host [P02]", get "Host: \\xe9.example" },
  { "an empty port in Host [P04]", get "Host: a:" },
  { "port 0 in Host [P04]", get "Host: a:0" },
  { "port 65536 in Host [P04]", get "Host: a:65536" },
  { "a port that is no number [P04]", get "Host: a:8o" },
  { "an IP literal with a tail [P05]", get "Host: [::1]x" },
  { "an IP literal without its end [P05]", get "Host: [::1" },
  { "authority-form with GET [P06]", line "GET a:80 HTTP/1.1" },
  { "an asterisk with GET [P06]", line "GET * HTTP/1.1" },
  { "a target without a slash [P06]", line "GET a HTTP/1.1" },
  { "CONNECT [P06]", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", { 400, 405, 501 } },
  { "an absolute target with userinfo [P01]", line "GET http://u@a/b HTTP/1.1" },
  { "an absolute target without a host [P03]", line "GET http:///b HTTP/1.1" },
  { "an absolute target of another scheme [P01]", line "GET ftp://a/b HTTP/1.1" },
  { ".. above the root [P07]", line "GET /../a HTTP/1.1" },
  { "an encoded .. above the root [P07]", line "GET /%2e%2E/a HTTP/1.1" },
  { ".. beside an encoded slash [P08]", line "GET /a/..%2fb HTTP/1.1" },
  { "an encoded NUL in the path [P08]", line "GET /a%00b HTTP/1.1" },
  { "a backslash in the path [P08]", line "GET /a\\b HTTP/1.1" },
  { "an incomplete percent [P08]", line "GET /a%2 HTTP/1.1" },
  { "a percent without hex digits [P08]", line "GET /a%zz HTTP/1.1" },
  { "matrix parameters that hide a .. above the root [P09]", line "GET /..;x=1/a HTTP/1.1" },
  { "an expectation that isn't known [D07]", get "Host: a\r\nExpect: the-unexpected", { 417 } },
  { "a head field section with too many lines [E05]", get("Host: a" .. ("\r\nA: b"):rep(60)), { 431 }, { to = 30 } },
  { "a head that is too long [S09]", get("Host: a\r\nA: " .. ("b"):rep(17000)), { 431 }, { to = 30,
    bytewise = false } },
  { "a field name that is too long [S09]", get("Host: a\r\n" .. ("b"):rep(70000) .. ": c"), { 431 },
    { to = 20, bytewise = false } },
  { "a target that is too long", line("GET /" .. ("a"):rep(3000) .. " HTTP/1.1"), { 414 }, { to = 30,
    bytewise = false } },
}

-- name, bytes, check of what the origin received
local ACCEPTED = {
  { "a plain GET", get "Host: a", { length = 0 } },
  { "an empty line before the request line", "\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n", { length = 0 } },
  { "values with bytes above 127 [S14]", get "Host: a\r\nB: \\x80\\xe9\\xff", { length = 0, field = { "b",
    "\194\128\195\169\195\191" } } },
  { "blanks around a value", get "Host: a\r\nB: \t c d \t", { length = 0, field = { "b", "c d" } } },
  { "an empty value", get "Host: a\r\nB:", { length = 0, field = { "b", "" } } },
  { "a method in odd case, kept byte for byte [S10]", line "gEt /a HTTP/1.1", { length = 0,
    line = "gEt /a HTTP/1.1" } },
  { "a method nobody knows [S10]", line "FROBNICATE /a HTTP/1.1", { length = 0, line = "FROBNICATE /a HTTP/1.1" } },
  { "a Content-Length with leading zeros, in canonical digits [L06]", post("Content-Length: 0005", "hello"),
    { length = 5, field = { "content-length", "5" } } },
  { "a body of declared length", post("Content-Length: 5", "hello"), { length = 5, field = { "content-length",
    "5" } } },
  { "a chunked body", chunked "5\r\nhello\r\n0\r\n\r\n", { length = 5, field = { "transfer-encoding", "chunked" } } },
  { "Chunked in capitals", post("Transfer-Encoding: CHUNKED", "5\r\nhello\r\n0\r\n\r\n"), { length = 5 } },
  { "chunk extensions, which are not forwarded [C07]", chunked "5;a=b\r\nhello\r\n3;c=\"d;e\";f\r\nabc\r\n0;g\r\n\r\n",
    { length = 8 } },
  { "chunk sizes with leading zeros and capitals", chunked "0000000A\r\nhelloworld\r\n00\r\n\r\n", { length = 10 } },
  { "trailers", chunked "5\r\nhello\r\n0\r\nX-Sum: abc\r\n\r\n", { length = 5, trailer = { "x-sum", "abc" } } },
  { "trailers that may not be merged, which are dropped [C10]",
    chunked("5\r\nhello\r\n0\r\nContent-Length: 9\r\nHost: b\r\nAuthorization: x\r\n"
      .. "X-Forwarded-For: 9.9.9.9\r\nX-Sum: 1\r\n\r\n"),
    { length = 5, trailer = { "x-sum", "1" }, trailers = 1 } },
  { "GET with a body, length field and bytes together [L13]",
    "GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", { length = 5, field = { "content-length", "5" } } },
  { "DELETE with a chunked body [L13]",
    "DELETE /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", { length = 5 } },
  { "an absolute target whose authority wins over Host [P01]", "GET http://b.example/x HTTP/1.1\r\nHost: a\r\n\r\n",
    { length = 0, line = "GET /x HTTP/1.1", field = { "host", "b.example" } } },
  { "an absolute target with an empty path and a query [P03]", "GET http://b.example?q=1 HTTP/1.1\r\nHost: a\r\n\r\n",
    { length = 0, line = "GET /?q=1 HTTP/1.1", field = { "host", "b.example" } } },
  { "an asterisk target of OPTIONS", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", { length = 0,
    line = "OPTIONS * HTTP/1.1" } },
  { "dot segments, resolved [P07]", line "GET /a/%7Eb/../c%2Fd//e?x=1 HTTP/1.1",
    { length = 0, line = "GET /a/c%2Fd//e?x=1 HTTP/1.1" } },
  { "encoded dot segments, resolved [P07]", line "GET /a/%2e%2E/b/%2e/c HTTP/1.1", { length = 0,
    line = "GET /b/c HTTP/1.1" } },
  { "matrix parameters on dot segments, resolved [P09]", line "GET /a/..;x=1/admin HTTP/1.1",
    { length = 0, line = "GET /admin HTTP/1.1" } },
  { "hex digits in capitals and unreserved bytes decoded [P08]", line "GET /%61%c3%a9%2d HTTP/1.1",
    { length = 0, line = "GET /a%C3%A9- HTTP/1.1" } },
  { "a query kept byte for byte [P12]", line "GET /a?b=%zz&&c;d=%41&b HTTP/1.1",
    { length = 0, line = "GET /a?b=%zz&&c;d=%41&b HTTP/1.1" } },
  { "a Host in capitals with a trailing dot and the port [P05]", get "Host: Shop.EXAMPLE.:8080",
    { length = 0, field = { "host", "shop.example:8080" } } },
  { "an IP literal as Host", get "Host: [::1]:8080", { length = 0, field = { "host", "[::1]:8080" } } },
  { "HTTP/1.0 POST without a length, with an empty body [L12]", "POST /a HTTP/1.0\r\nHost: a\r\n\r\n", { length = 0 } },
  { "HTTP/1.0 with a length", "POST /a HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", { length = 5 } },
}

-- What an origin may not answer: name, bytes.
local BAD_ANSWERS = {
  { "both framing fields [L16]",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" },
  { "two lengths that differ [L16]", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello" },
  { "a malformed length", "HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\nhello" },
  { "an unknown coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello" },
  { "chunked twice", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" },
  { "Transfer-Encoding in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" },
  { "a status of four digits [R05]", "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n" },
  { "a status of two digits [R05]", "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n" },
  { "status 99 [R05]", "HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n" },
  { "a huge status [R05]", "HTTP/1.1 4294967496 OK\r\nContent-Length: 0\r\n\r\n" },
  { "a status that is no number [R05]", "HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n" },
  { "a bare LF in the head [R06]", "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n" },
  { "a bare LF after a field [R06]", "HTTP/1.1 200 OK\r\nContent-Length: 0\nA: b\r\n\r\n" },
  { "a NUL in a value [R06]", "HTTP/1.1 200 OK\r\nA: b%00c\r\nContent-Length: 0\r\n\r\n" },
  { "a bare CR in a value [R06]", "HTTP/1.1 200 OK\r\nA: b\rc\r\nContent-Length: 0\r\n\r\n" },
  { "a folded line [R06]", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n" },
  { "a blank before the colon [R06]", "HTTP/1.1 200 OK\r\nA : b\r\nContent-Length: 0\r\n\r\n" },
  { "an empty name [R06]", "HTTP/1.1 200 OK\r\n: b\r\nContent-Length: 0\r\n\r\n" },
  { "a line without a colon [R06]", "HTTP/1.1 200 OK\r\nabc\r\nContent-Length: 0\r\n\r\n" },
  { "a control character in the reason [R07]", "HTTP/1.1 200 O%01K\r\nContent-Length: 0\r\n\r\n" },
  { "another version", "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n" },
  { "no HTTP at all", "SSH-2.0-OpenSSH\r\n\r\n" },
  { "HTTP/0.9", "<html>hello</html>\r\n\r\n" },
  { "a head that never ends", "HTTP/1.1 200 OK\r\nA: b\r\n" },
  { "nothing at all", "" },
  { "nine 1xx and then an answer [R03]", ("HTTP/1.1 103 Hints\r\n\r\n"):rep(9)
    .. "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" },
  { "101 that nobody asked for [R03]",
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n" },
}

local function escape(bytes)
  return (bytes:gsub("[^%w%%]", function(byte) return ("%%%02x"):format(byte:byte()) end))
end

local function raw_path(bytes, more)
  return "/a?raw=" .. escape(bytes) .. (more or "")
end

describe("HTTP/1.1 as a client may not speak it", function()
  setup(function()
    strict = origin.start()
    edge = gateway.start { config = CONFIG, variables = { origin = strict.port } }
  end)
  before_each(gateway.begin_test)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  -- Exactly one answer, with one of these statuses, then the end: what follows is never parsed [S13].
  local function expect_refusal(statuses)
    return function(connection, how)
      local response, err = connection:read_response()
      assert(response, how .. ": no answer: " .. tostring(err))
      local fits = false
      for _, status in ipairs(statuses) do fits = fits or response.status == status end
      assert(fits, ("%s: status %d"):format(how, response.status))
      assert.equal("close", response:header "connection", how)
      assert.equal("", (connection:read_to_end()), how)
    end
  end

  for _, case in ipairs(REFUSED) do
    it("refuses " .. case[1] .. ", however it is cut", function()
      strict:reset()
      pieces.each_way(edge.port, case[2] .. SMUGGLED, expect_refusal(case[3] or { 400 }),
        { from = case[4] and case[4].from, to = case[4] and case[4].to or #case[2],
          bytewise = not (case[4] and (case[4].bytewise == false or case[4].to)) })
      local stats = strict:stats()
      assert.equal(0, stats.violations, table.concat(stats.texts, "; "))
      for _, request in ipairs(strict:requests()) do
        assert(not request.line:find "smuggled", "the bytes behind the error became a request")
      end
    end)
  end

  it("refuses a body that is too large, told or untold, however it is cut", function()
    local untold = "POST /limited/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
      .. ("64\r\n" .. ("x"):rep(100) .. "\r\n"):rep(11) .. "0\r\n\r\n"
    for _, bytes in ipairs { "POST /limited/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", untold } do
      pieces.each_way(edge.port, bytes, function(connection, how)
        assert.equal(413, assert(connection:read_response(), how).status, how)
      end, { to = 200 })
    end
    assert.equal(0, strict:stats().violations)
  end)

  local function same(case, expected)
    return function(connection, how)
      local response = connection:read_response()
      assert(response, how .. ": no answer")
      assert.equal(200, response.status, how .. ": " .. case[1])
      local seen = assert(cjson.decode(response.body))
      assert.equal(expected.length, seen.length, how)
      if expected.line then assert.equal(expected.line, seen.line, how) end
      if expected.field then assert.equal(expected.field[2], origin.field(seen, expected.field[1]), how) end
      if expected.trailer then
        assert.equal(expected.trailer[2], origin.field({ headers = seen.trailers }, expected.trailer[1]), how)
      end
      if expected.trailers then assert.equal(expected.trailers, #seen.trailers, how) end
    end
  end

  for _, case in ipairs(ACCEPTED) do
    it("passes on " .. case[1] .. ", however it is cut", function()
      strict:reset()
      pieces.each_way(edge.port, case[2], same(case, case[3]))
      local stats = strict:stats()
      assert.equal(0, stats.violations, table.concat(stats.texts, "; "))
      assert.equal(0, stats.cut_requests)
    end)
  end

  it("reads the next request from the exact next byte after the last chunk [C12]", function()
    local one = chunked "5\r\nhello\r\n0\r\n\r\n"
    local two = "GET /second HTTP/1.1\r\nHost: a\r\n\r\n"
    pieces.each_way(edge.port, one .. two, function(connection, how)
      assert.equal(5, cjson.decode(assert(connection:read_response(), how).body).length)
      assert.equal("GET /second HTTP/1.1", cjson.decode(assert(connection:read_response(), how).body).line)
    end, { from = #one - 8, to = #one + 8 })
  end)

  it("cuts the upstream connection when a bad chunk follows good ones [C11]", function()
    strict:reset()
    local connection = edge:connect()
    connection:send(chunked "5\r\nhello\r\n")
    gateway.wait_until(function() return strict:stats().requests == 1 end)
    connection:send "zz\r\n"
    assert.equal(400, connection:read_response().status)
    gateway.wait_until(function() return strict:stats().cut_requests == 1 end)
    assert.equal(0, strict:stats().violations)
  end)

  it("answers a body shorter than promised with 400 and cuts the upstream connection [D03]", function()
    for _, bytes in ipairs { post("Content-Length: 10", "hello"), chunked "a\r\nhello", chunked "5\r\nhello\r\n" } do
      strict:reset()
      local connection = edge:connect()
      connection:send(bytes)
      connection:half_close()
      local response = connection:read_response()
      assert.equal(400, response.status)
      assert.is_true(connection:is_closed())
      gateway.wait_until(function()
        local stats = strict:stats()
        return stats.cut_requests == stats.requests
      end)
      assert.equal(0, strict:stats().violations)
    end
  end)

  it("bounds the overhead of chunk extensions [C07]", function()
    local connection = edge:connect()
    connection:send(post "Transfer-Encoding: chunked")
    for _ = 1, 200 do
      if not connection:send("1;" .. ("x"):rep(1000) .. "\r\na\r\n", 2) then break end
    end
    local response = connection:read_response()
    assert.equal(400, response.status)
  end)

  it("bounds trailers as it bounds the head [C09]", function()
    local connection = edge:connect()
    connection:send(chunked("0\r\n" .. ("A: " .. ("b"):rep(1000) .. "\r\n"):rep(30)))
    assert.equal(431, connection:read_response().status)
  end)

  it("takes a length beyond 32 bits exactly [L07] [C14]", function()
    local response = edge:request { path = "/limited/a", method = "POST", headers = { "Content-Length: 4294967301" } }
    assert.equal(413, response.status)
    local connection = edge:connect()
    connection:send("POST /limited/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
      .. "0000000100000005\r\nhello" .. ("x"):rep(1000))
    assert.equal(413, connection:read_response().status)
  end)
end)

describe("HTTP/1.1 as an origin may not speak it", function()
  setup(function()
    strict = origin.start()
    edge = gateway.start { config = CONFIG:gsub("target = 2", "target = 8"), variables = { origin = strict.port } }
  end)
  before_each(gateway.begin_test)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  for _, case in ipairs(BAD_ANSWERS) do
    it("becomes 502: " .. case[1], function()
      strict:reset()
      local whole, dripped = edge:connect(), edge:connect()
      -- POST, so that an answer that fails isn't tried again
      dripped:send(client.format { method = "POST", path = raw_path(case[2], "&drip=1&every=1") })
      for _ = 1, 2 do
        whole:send(client.format { method = "POST", path = raw_path(case[2]) })
        local response = assert(whole:read_response())
        assert.equal(502, response.status)
        assert(response.body:find "SSH" == nil)
      end
      assert.equal(502, assert(dripped:read_response()).status)
      gateway.wait_until(function() return strict:stats().open == 0 end)
    end)
  end

  it("is read correctly byte by byte", function()
    local answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n"
      .. "5;x=y\r\nhello\r\n3\r\nabc\r\n0;z\r\nX-Sum: 1\r\n\r\n"
    local response = edge:request { path = raw_path(answer, "&drip=1&every=1&keep=1") }
    assert.equal("helloabc", response.body)
    assert.equal("1", response:trailer "x-sum")
    assert.equal("b", response:header "a")
    local length = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    assert.equal("hello", edge:request({ path = raw_path(length, "&drip=1&every=1&keep=1") }).body)
  end)

  -- The client must see that the message isn't whole [R04].
  local function expect_cut(path)
    local connection = edge:connect()
    connection:send(client.format { path = path })
    local head = assert(connection:read_head())
    -- where the end was there before the head had gone on
    if head.status == 502 then return "" end
    local rest = connection:read_to_end() or ""
    assert.equal(200, head.status)
    if head.framing == "chunked" then
      assert(not rest:find "0\r\n\r\n$", "a cut body got a tidy end")
    else
      assert.equal("length", head.framing)
      assert(#rest < head.length, "a cut body came whole")
    end
    return rest
  end

  it("is never passed on as whole when the body is cut short [R04] [C13]", function()
    expect_cut "/a?body=1000&cut=500"
    expect_cut "/a?body=1000&cut=500&drip=50&every=2"
    expect_cut "/a?body=1000&cut=500&drip=50&every=2&chunked=1"
    expect_cut "/a?body=1000&cut=500&chunked=1"
    expect_cut "/a?body=1000&cut=500&reset=1"
    expect_cut "/a?body=100000&cut=50000&chunked=1&reset=1"
    expect_cut(raw_path "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n")
    expect_cut(raw_path "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    expect_cut(raw_path "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel")
  end)

  it("is cut, with no second head in the body, when its chunks go bad [R08]", function()
    local head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    local rest = expect_cut(raw_path(head .. "5\r\nhello\r\nzz\r\n0\r\n\r\n"))
    assert(not rest:find "HTTP/1.1")
    rest = expect_cut(raw_path(head .. "5\r\nhelloXX0\r\n\r\n"))
    assert(not rest:find "HTTP/1.1")
    rest = expect_cut(raw_path(head .. "5\r\nhelloXX0\r\n\r\n", "&drip=10&every=2"))
    assert(not rest:find "HTTP/1.1")
  end)

  it("closes the upstream connection on bytes beyond the answer, which never reach a client [R02] [D13]", function()
    strict:reset()
    for i = 1, 5 do
      local response = edge:request {
        path = "/a?text=hello&extra=HTTP/1.1%20200%20OK%0d%0aContent-Length:%203%0d%0a%0d%0abad" }
      assert.equal("hello", response.body)
      assert.equal("fine" .. i, edge:request({ path = "/a?text=fine" .. i }).body)
    end
    assert.equal(0, strict:stats().violations)
  end)

  it("doesn't take a body behind HEAD, 204 or 304 for anything [R01]", function()
    strict:reset()
    local connection = edge:connect()
    for _, how in ipairs { { "HEAD", "200" }, { "GET", "204" }, { "GET", "304" } } do
      local bad = ("HTTP/1.1 %s X\r\n%s\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad"):format(how[2],
        how[2] == "204" and "" or "Content-Length: 41\r\n")
      local response = client.request(connection, { method = how[1], path = raw_path(bad, "&keep=1") })
      assert.equal(tonumber(how[2]), response.status)
      assert.equal("good", client.request(connection, { path = "/a?text=good" }).body)
    end
  end)

  it("gets each legal 1xx passed on, but none to HTTP/1.0 [R03]", function()
    local response = edge:request { path = "/a?hints=8&text=x" }
    assert.equal(200, response.status)
    assert.equal(8, #response.informational)
    assert.equal("</7.css>; rel=preload", response.informational[8]:header "link")
    response = edge:request { path = "/a?hints=3&text=x", version = "1.0" }
    assert.equal(200, response.status)
    assert.equal(0, #response.informational)
  end)

  it("may answer HTTP/1.0 and end the body with the connection", function()
    local response = edge:request { path = raw_path "HTTP/1.0 200 OK\r\n\r\nhello" }
    assert.equal("hello", response.body)
    assert.equal("chunked", response.framing)
    assert.equal("1.1", response.version)
  end)

  it("has its hop-by-hop fields removed [R09]", function()
    local response = edge:request {
      path = "/a?text=x&header=Connection:%20keep-alive,%20X-Gone&header=X-Gone:%201&header=Keep-Alive:%20timeout%3d5"
        .. "&header=Proxy-Connection:%20close&header=Upgrade:%20h2c&header=X-Stays:%201",
    }
    assert.equal("x", response.body)
    for _, name in ipairs { "x-gone", "keep-alive", "proxy-connection", "upgrade" } do
      assert.is_nil(response:header(name), name)
    end
    assert.equal("1", response:header "x-stays")
  end)

  it("is refused with 502 when its head is too large", function()
    assert.equal(200, edge:request({ method = "POST", path = "/a?text=x&pad=15000" }).status)
    assert.equal(502, edge:request({ method = "POST", path = "/a?text=x&pad=17000" }).status)
  end)
end)
