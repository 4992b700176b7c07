-- Cases of h2spec that RFC 9113 contradicts, and the paragraph that says so. A case that is listed here and passes is
-- reported, too. Keys: the part of h2spec and the case as it names them.
return {
  ["http2/5.1.1: Sends stream identifier that is numerically smaller than previous"] =
    "RFC 9113 5.1.1: a HEADERS frame for a stream that was left idle below a newer one belongs to a closed stream; "
    .. "5.1 lets an endpoint ignore such frames",
}
