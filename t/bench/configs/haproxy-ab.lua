-- The A/B handler for HAProxy.
-- luacheck: read globals core

core.register_action("ab_request", { "http-req" }, function(txn)
  local user = txn.sf:req_hdr("x-user")
  local arm = tonumber(txn.sc:crc32(user)) % 100 < 50 and "a" or "b"
  txn.http:req_set_header("x-arm", arm)
  txn:set_var("txn.arm", arm)
end)

core.register_action("ab_response", { "http-res" }, function(txn)
  txn.http:res_set_header("x-arm", txn:get_var("txn.arm"))
end)
