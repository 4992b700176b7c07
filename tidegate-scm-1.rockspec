rockspec_format = "3.0"
package = "tidegate"
version = "scm-1"
source = {
  url = "git+file://.",
}
description = {
  summary = "A programmable gateway: a reverse proxy whose traffic logic is Lua",
  detailed = [[
A C core owns sockets, HTTP and the pool of upstream connections; at each phase of a request it calls LuaJIT handlers,
which an operator changes while traffic flows. Builds on Debian with libluajit2-5.1-dev (or libluajit-5.1-dev),
libev-dev, libssl-dev, libnghttp2-dev, libjansson-dev, zlib1g-dev, libpcre2-dev, libxxhash-dev and lua-cjson-dev.]],
  license = "MIT",
}
dependencies = {
  "lua == 5.1",
}
build = {
  type = "make",
  build_target = "all",
  build_variables = {
    VARIANT = "release",
    CFLAGS = "$(CFLAGS)",
  },
  install_target = "install",
  install_variables = {
    PREFIX = "$(PREFIX)",
    BINDIR = "$(BINDIR)",
    LUADIR = "$(LUADIR)",
  },
}
