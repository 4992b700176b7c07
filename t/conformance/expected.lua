-- Cases of h2spec, which follows RFC 7540, that RFC 9113 contradicts, and the paragraph that says so. One that is
-- listed here and passes is reported, too. Keys: the part of h2spec and the case as it names them; `only` says where
-- the case is expected to fail, if not both in clear and under TLS.
local CLOSED = "RFC 9113 5.1, closed: an endpoint can minimally process and then discard all frames on closed streams"

return {
  ["http2/3.5: Sends invalid connection preface"] = {
    "RFC 9113 3.4: an invalid preface says that the peer isn't using HTTP/2, so GOAWAY may be omitted; in clear it is "
      .. "read as HTTP/1, refused with 400, and the connection is closed",
    only = "in clear",
  },
  ["http2/5.1: closed: Sends a DATA frame after sending RST_STREAM frame"] = { CLOSED },
  ["http2/5.1: closed: Sends a HEADERS frame after sending RST_STREAM frame"] = { CLOSED },
  ["http2/5.1: closed: Sends a DATA frame"] = { CLOSED },
  ["http2/5.1: closed: Sends a HEADERS frame"] = { CLOSED },
  ["http2/5.1.1: Sends stream identifier that is numerically smaller than previous"] = {
    "RFC 9113 5.1.1: the first use of a new stream closes all idle streams below it; 5.1 lets frames on closed streams "
      .. "be discarded",
  },
  ["http2/5.3.1: Sends PRIORITY frame that depend on itself"] = {
    "RFC 9113 5.3.2 and 6.3: priorities of RFC 7540 are deprecated, and what a PRIORITY frame says isn't looked at",
  },
}
