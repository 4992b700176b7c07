# tidegate: build, run, check. `make` builds $(BUILD)/tidegate; `make run` and `make test` first install what a fresh
# Debian 12 lacks. Variables: BUILD, PREFIX, CONFIG, VARIANT (release, asan, tsan).

BUILD ?= build
VARIANT ?= release
PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LUADIR ?= $(PREFIX)/share/lua/5.1
CONFIG ?= scripts/demo/gateway.lua

ifeq ($(origin CC),default)
CC := gcc
endif
LUAJIT ?= luajit

release_binary := $(BUILD)/tidegate
asan_binary := $(BUILD)/asan/tidegate
tsan_binary := $(BUILD)/tsan/tidegate

.DEFAULT_GOAL := all
.PHONY: all binaries support unit deps run test lint format bench install clean

all: $($(VARIANT)_binary)

include make/build.mk
include make/check.mk

# A make of ours that was not told how many jobs to run takes one a processor.
submake = $(MAKE) --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))

deps:
	@tools/packages.sh build

run: deps
	+@$(submake) all
	$($(VARIANT)_binary) run -c $(CONFIG)

bench:
	@tools/packages.sh build bench
	+@$(submake) VARIANT=release all support
	BUILD=$(BUILD) TIDEGATE_BIN=$(abspath $(release_binary)) TIDEGATE_SUPPORT=$(abspath $(BUILD)/support) t/bench/run
	TIDEGATE_BIN=$(abspath $(release_binary)) t/bench/run-h2
	t/bench/run-shared --tidegate $(abspath $(release_binary))

install: $(release_binary)
	install -D -m 755 $(release_binary) $(DESTDIR)$(BINDIR)/tidegate
	cd lua && find . -name '*.lua' -exec install -D -m 644 {} $(abspath $(DESTDIR)$(LUADIR))/{} \;

clean:
	rm -rf $(BUILD)
