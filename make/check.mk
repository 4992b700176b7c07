# Lint and tests.

c_files := $(sort $(shell find core t -name node_modules -prune -o -name '*.[ch]' -print))
lua_files := $(sort $(shell find lua scripts t tools -name node_modules -prune -o -name '*.lua' -print 2>/dev/null))
shell_files := $(wildcard tools/*.sh)

.PHONY: lint-format lint-c lint-lua lint-layers lint-traps lint-docs

lint: deps-lint
	+@$(submake) lint-format lint-c lint-lua lint-layers lint-traps lint-docs

.PHONY: deps-lint
deps-lint:
	@tools/packages.sh build lint

lint-format:
	@clang-format --dry-run -Werror $(c_files)
	@for file in $(shell_files); do bash -n $$file || exit 1; done

# cppcheck doesn't read jansson's header, whose loops look like calls.
json_loops := '-Djson_array_foreach(array,index,value)=while (index = 0, value = json_array_get(array, index))' \
	'-Djson_object_foreach(object,key,value)=while (key = json_object_iter_key(object), value = json_object_get(object, key))'

lint-c:
	@mkdir -p $(BUILD)/cppcheck
	@cppcheck --quiet --std=c11 --language=c --library=posix --enable=warning,performance,portability \
		--inline-suppr --suppressions-list=.cppcheck --cppcheck-build-dir=$(BUILD)/cppcheck \
		--error-exitcode=1 -j $(shell nproc) -D__GNUC__ $(json_loops) -Icore core

lint-lua:
	@luacheck --quiet --no-color --no-cache $(lua_files) $(wildcard *.rockspec)

lint-layers:
	@$(LUAJIT) tools/check_layers.lua

lint-traps:
	@$(LUAJIT) tools/check_traps.lua

lint-docs:
	@$(LUAJIT) tools/check_docs.lua

format:
	clang-format -i $(c_files)

# ONLY=text runs the tests whose file name contains it, and no lint.
test:
	+@BUILD='$(BUILD)' ONLY='$(ONLY)' SUBMAKE='$(submake)' tools/test.sh

# h2spec against the gateway, where Go is at hand. Not part of test: it wants the Go module proxy.
.PHONY: conformance
conformance:
	@tools/packages.sh build test
	+@$(submake) VARIANT=asan all support
	@BUILD='$(BUILD)' TIDEGATE_BIN=$(abspath $(asan_binary)) TIDEGATE_SUPPORT=$(abspath $(BUILD)/support) t/conformance/run.sh
