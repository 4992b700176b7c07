std = "luajit"
max_line_length = 120
codes = true
exclude_files = { "build*", "lua_modules", "t/node/node_modules", "t/bench/out" }
files["t/spec"] = { std = "+busted" }
files["t/lua"] = { std = "+busted" }
files["*.rockspec"] = { std = "rockspec" }
