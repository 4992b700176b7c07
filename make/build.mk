# From core/, lua/ and scripts/ to the binaries of each variant, the unit test programs and the support programs.

core_sources := $(sort $(shell find core -name '*.c'))
embedded_files := $(sort $(shell find lua scripts -name '*.lua' 2>/dev/null) $(wildcard core/script/abi.h))
unit_tests := $(sort $(wildcard t/unit/test_*.c))
unit_parts := $(filter-out $(unit_tests),$(sort $(wildcard t/unit/*.c)))
support_sources := $(sort $(wildcard t/support/*.c))

# Asked once, and only when something is compiled: on a fresh machine pkg-config comes with `make deps`.
package_cflags = $(eval package_cflags := $$(shell pkg-config --cflags luajit jansson zlib openssl libnghttp2 libpcre2-8))$(package_cflags)
package_libs = $(eval package_libs := $$(shell pkg-config --libs luajit jansson zlib openssl libnghttp2 libpcre2-8))$(package_libs)

warnings := -Wall -Wextra -Wshadow -Wconversion -Werror
common_cflags = -std=gnu11 -D_GNU_SOURCE -Icore -g -fno-omit-frame-pointer -fno-strict-aliasing -pthread $(warnings) \
	$(package_cflags) $(CFLAGS_EXTRA)
common_ldflags := -pthread -rdynamic -Wl,-z,relro,-z,now
libraries = -l:liblua5.1-cjson.a $(package_libs) -lev -lm

release_cflags = -O2 $(common_cflags)
release_ldflags := $(common_ldflags)
# The sanitizers' instrumentation makes gcc see uninitialised reads that are none.
asan_cflags = -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -Wno-maybe-uninitialized $(common_cflags)
asan_ldflags := -fsanitize=address,undefined $(common_ldflags)
tsan_cflags = -O1 -fsanitize=thread -Wno-maybe-uninitialized -Wno-tsan $(common_cflags)
tsan_ldflags := -fsanitize=thread $(common_ldflags)

main_source := core/control/main.c

.PHONY: force
force:
.SECONDARY:
.DELETE_ON_ERROR:

# A stamp holds its last content, so that whatever depends on it is made again only when the content changes.
write_stamp = @mkdir -p $(@D); echo '$(subst ','\'',$(1))' | cmp -s - $@ || echo '$(subst ','\'',$(1))' > $@

# $(1): variant
define variant_rules
$(1)_objects := $$(core_sources:%.c=$(BUILD)/obj/$(1)/%.o)
$(1)_parts := $$(filter-out $(BUILD)/obj/$(1)/$$(main_source:.c=.o),$$($(1)_objects)) $(BUILD)/obj/embedded.o

$(BUILD)/obj/$(1)/flags: force
	$$(call write_stamp,$$(CC) $$($(1)_cflags) $$($(1)_ldflags) $$(libraries))

$(BUILD)/obj/$(1)/sources: force
	$$(call write_stamp,$$(core_sources))

$(BUILD)/obj/$(1)/%.o: %.c $(BUILD)/obj/$(1)/flags
	@mkdir -p $$(@D)
	$$(quiet_cc)$$(CC) $$($(1)_cflags) -MMD -MP -c $$< -o $$@

$$($(1)_binary): $$($(1)_objects) $(BUILD)/obj/embedded.o $(BUILD)/obj/$(1)/sources
	@mkdir -p $$(@D)
	$$(quiet_ld)$$(CC) $$($(1)_ldflags) $$(filter %.o,$$^) $$(libraries) -o $$@

-include $$($(1)_objects:.o=.d)
endef

# $(1): variant, $(2): folder of the programs
define unit_rules
$(2)/%: $(BUILD)/obj/$(1)/t/unit/%.o $$(unit_parts:%.c=$(BUILD)/obj/$(1)/%.o) $$($(1)_parts) $(BUILD)/obj/$(1)/sources
	@mkdir -p $$(@D)
	$$(quiet_ld)$$(CC) $$($(1)_ldflags) $$(filter %.o,$$^) $$(libraries) -lcmocka -o $$@

-include $$(patsubst %.c,$(BUILD)/obj/$(1)/%.d,$$(unit_tests) $$(unit_parts))
endef

ifndef V
quiet_cc = @echo "  cc  $@";
quiet_ld = @echo "  ld  $@";
endif

$(foreach variant,release asan tsan,$(eval $(call variant_rules,$(variant))))

unit_programs := $(unit_tests:t/unit/%.c=$(BUILD)/unit/%)
unit_thread_programs := $(patsubst t/unit/%.c,$(BUILD)/unit-tsan/%,$(filter t/unit/test_thread_%,$(unit_tests)))
$(eval $(call unit_rules,asan,$(BUILD)/unit))
$(eval $(call unit_rules,tsan,$(BUILD)/unit-tsan))

unit: $(unit_programs) $(unit_thread_programs)

# The Lua library, the shipped scripts and the FFI declarations, as text inside the binary.
$(BUILD)/obj/embedded.list: force
	$(call write_stamp,$(embedded_files))

$(BUILD)/obj/embedded.S: $(BUILD)/obj/embedded.list tools/embed.lua $(embedded_files)
	@$(LUAJIT) tools/embed.lua $@ $(embedded_files)

$(BUILD)/obj/embedded.o: $(BUILD)/obj/embedded.S
	$(quiet_cc)$(CC) -c $< -o $@

support_programs := $(support_sources:t/support/%.c=$(BUILD)/support/%)
support: $(support_programs)

$(BUILD)/support/%: $(BUILD)/obj/release/t/support/%.o
	@mkdir -p $(@D)
	$(quiet_ld)$(CC) -pthread $< -lssl -lcrypto -lz -lm -o $@

-include $(support_sources:%.c=$(BUILD)/obj/release/%.d)

binaries: $(release_binary) $(asan_binary) $(tsan_binary)
