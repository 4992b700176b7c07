/* Loading: what is refused, with which words, and that all VMs of a generation agree. */
#include <stdio.h>
#include <stdlib.h>

#include "script/source.h"
#include "script_rig.h"

static struct rig rig;

static int set_up(void **state)
{
    (void)state;
    rig_init(&rig);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_deinit(&rig);
    return 0;
}

static void refused(const char *gateway, const char *error)
{
    rig_write(&rig, "gateway.lua", gateway);
    assert_false(rig_start(&rig));
    rig_expect_error(&rig, error);
}

static void a_configuration_becomes_a_snapshot(void **state)
{
    (void)state;
    rig_start_with(&rig,
                   RIG_HEAD "tg.settings { limits = { head = 4096 }, timeouts = { idle = 9 } }\n"
                            "tg.route { name = 'r', path = '/x/:id', upstream = 'app', method = 'GET',\n"
                            "  timeouts = { first_byte = 3 }, request = function() end, log = function() end }\n");
    const struct tg_snapshot *snapshot = rig.snapshot;
    assert_int_equal(snapshot->generation, 7);
    assert_int_equal(snapshot->listener_count, 1);
    assert_int_equal(snapshot->group_count, 1);
    assert_int_equal(snapshot->groups[0].peer_count, 1);
    assert_int_equal(snapshot->settings.limits.head, 4096);
    const struct tg_route *route = tg_snapshot_route(snapshot, TG_SLICE("r"));
    assert_non_null(route);
    assert_ptr_equal(route->group, &snapshot->groups[0]);
    assert_true(route->timeouts.first_byte == 3);
    assert_int_equal(route->phases, 1u << TG_PHASE_REQUEST | 1u << TG_PHASE_LOG);
    assert_true(tg_slice_equal(route->declared_at, TG_SLICE("gateway.lua:5")));
}

static void chains_run_backwards_on_the_way_back(void **state)
{
    (void)state;
    rig_start_with(&rig, RIG_HEAD "local a = { request = function() end, response = function() end }\n"
                                  "local b = { request = function() end, response = function() end }\n"
                                  "tg.use { a }\n"
                                  "tg.route { path = '/*', upstream = 'app', handlers = { b } }\n");
    const struct tg_route *route = &rig.snapshot->routes[0];
    const struct tg_chain *in = &route->chains[TG_PHASE_REQUEST], *back = &route->chains[TG_PHASE_RESPONSE];
    assert_int_equal(in->count, 2);
    assert_int_equal(back->count, 2);
    assert_int_equal(in->uses[0], back->uses[1]);
    assert_int_equal(in->uses[1], back->uses[0]);
    assert_int_equal(rig.snapshot->none.chains[TG_PHASE_REQUEST].count, 1);
}

static void an_error_says_file_line_and_reason(void **state)
{
    (void)state;
    refused("local tg = require 'tidegate'\nlocal x = = 1\n", "gateway.lua:2: unexpected symbol near '='");
    refused(RIG_HEAD "error 'deliberate'\n", "gateway.lua:4: deliberate");
    refused(RIG_HEAD "tg.route { path = '/*', upstream = 'ap' }\n", "unknown upstream \"ap\"");
    refused(RIG_HEAD "local x = nil\nreturn x.y\n", "gateway.lua:5: attempt to index local 'x'");
    refused(RIG_HEAD "error {}\n", "an error that is a table was raised");
    rig_write(&rig, "gateway.lua", "");
    assert_false(rig_load(&rig));
}

static void a_syntax_error_in_a_handler_that_no_request_uses_is_found(void **state)
{
    (void)state;
    rig_write(&rig, "handlers/broken.lua", "local h = {}\nfunction h.request(req\nreturn h\n");
    refused(RIG_HEAD "tg.route { path = '/never', upstream = 'app', handlers = { 'handlers.broken' } }\n",
            "handlers/broken.lua:3:");
}

static void a_module_that_is_not_there_is_named_with_its_place(void **state)
{
    (void)state;
    refused(RIG_HEAD "local x = require 'handlers.nothing'\n", "gateway.lua:4: module 'handlers.nothing' not found");
    refused(RIG_HEAD "local x = require '../secret'\n", "module '../secret' not found");
}

static void two_routes_that_tie_are_named(void **state)
{
    (void)state;
    refused(RIG_HEAD "tg.route { name = 'a', path = '/x', upstream = 'app' }\n"
                     "tg.route { name = 'b', path = '/x', upstream = 'app' }\n",
            "gateway.lua:5: tg.route: route \"b\" ties with route \"a\" (gateway.lua:4)");
}

static void a_top_level_that_never_returns_is_stopped(void **state)
{
    (void)state;
    rig.load_time = 0.2;
    refused("local tg = require 'tidegate'\n\nwhile true do end\n",
            "gateway.lua:3: the top level ran longer than 0.2 s");
    refused("while true do pcall(function() while true do end end) end\n", "ran longer than 0.2 s");
    refused(RIG_HEAD "local function f() while true do local s = ('x'):rep(10) end end\nf()\n", "gateway.lua:4:");
    refused("local tg = require 'tidegate'\ntg.sleep(30)\n", "gateway.lua:2: the top level ran longer");
    rig.load_time = 10;
}

static void an_init_that_never_returns_is_stopped(void **state)
{
    (void)state;
    rig.load_time = 0.3;
    refused(RIG_HEAD "local h = { request = function() end, init = function() while true do end end }\n"
                     "tg.route { path = '/*', upstream = 'app', handlers = { h } }\n",
            "init ran longer than 0.3 s");
    refused(RIG_HEAD "local h = { request = function() end, init = function() tg.sleep(60) end }\n"
                     "tg.route { path = '/*', upstream = 'app', handlers = { h } }\n",
            "waited longer than 0.3 s");
    rig.load_time = 10;
}

static void an_init_that_raises_is_named_with_its_use(void **state)
{
    (void)state;
    rig_write(&rig, "handlers/h.lua",
              "local h = {}\nfunction h.init(o)\n  error 'no key'\nend\nfunction h.request() end\nreturn h\n");
    refused(RIG_HEAD "tg.route { path = '/*', upstream = 'app', handlers = { 'handlers.h' } }\n",
            "gateway.lua:4: init of handlers.h, in worker 0: handlers/h.lua:3: no key");
}

static void init_may_wait_and_its_options_stay(void **state)
{
    (void)state;
    rig_write(&rig, "handlers/h.lua",
              "local tg = require 'tidegate'\nlocal h = {}\n"
              "function h.init(o) local t = tg.spawn(function() tg.sleep(0.01) return 5 end) o.five = t:wait() end\n"
              "function h.request(req, o) return req:respond(200, tostring(o.five)) end\nreturn h\n");
    rig_start_with(&rig, RIG_HEAD "tg.route { path = '/*', upstream = 'app', handlers = { 'handlers.h' } }\n");
    struct tg_exchange *exchange = rig_exchange(&rig, "/", NULL);
    assert_int_equal(rig_run(exchange, TG_PHASE_REQUEST), TG_HOOK_ANSWERED);
    assert_true(tg_slice_equal(rig_answer(exchange), TG_SLICE("5")));
    rig_end(exchange);
}

static void a_top_level_that_says_other_things_in_a_worker_is_refused(void **state)
{
    (void)state;
    refused(RIG_HEAD "tg.route { path = '/' .. tg.uuid(), upstream = 'app' }\n",
            "the top level declares something else in worker 0 than in the loader: ");
}

static void the_second_vm_reads_nothing_from_the_disk(void **state)
{
    (void)state;
    rig_write(&rig, "text", "first");
    rig_write(&rig, "handlers/h.lua", "return { request = function(req) return req:respond(200, 'old') end }");
    setenv("TIDEGATE_RIG", "one", 1);
    rig_write(&rig, "gateway.lua",
              RIG_HEAD "assert(tg.file 'text' == 'first')\nassert(tg.env('TIDEGATE_RIG', '') == 'one')\n"
                       "tg.route { path = '/*', upstream = 'app', handlers = { 'handlers.h' } }\n");
    assert_true(rig_start(&rig));
    rig_write(&rig, "text", "second");
    rig_write(&rig, "handlers/h.lua", "this is no Lua");
    rig_write(&rig, "gateway.lua", "neither is this");
    setenv("TIDEGATE_RIG", "two", 1);
    struct tg_text error;
    tg_text_init(&error);
    bool rebuilt = tg_script_rebuild(&rig.lease, &error);
    if (!rebuilt)
        print_error("%s\n", error.at);
    assert_true(rebuilt);
    tg_text_deinit(&error);
    struct tg_exchange *exchange = rig_exchange(&rig, "/", NULL);
    assert_int_equal(rig_run(exchange, TG_PHASE_REQUEST), TG_HOOK_ANSWERED);
    assert_true(tg_slice_equal(rig_answer(exchange), TG_SLICE("old")));
    rig_end(exchange);
}

static void what_was_read_is_listed_with_its_digest(void **state)
{
    (void)state;
    static const uint8_t digest_of_abc[] = { 0xba, 0x78, 0x16, 0xbf };
    rig_write(&rig, "part/a.lua", "local tg = require 'tidegate'\ntg.route { path = '/a', upstream = 'app' }\n");
    rig_write(&rig, "text", "abc");
    rig_start_with(&rig, RIG_HEAD "tg.file 'text'\ntg.include 'part/*.lua'\n");
    bool text = false, part = false, folder = false;
    for (size_t i = 0; i < tg_generation_source_count(rig.source); i++) {
        const struct tg_source_entry *entry = tg_generation_source_entry(rig.source, i);
        const char *end = entry->path.at + entry->path.length;
        if (entry->kind == TG_SOURCE_FILE && memcmp(end - 5, "/text", 5) == 0)
            text = memcmp(entry->sha256, digest_of_abc, 4) == 0;
        part |= entry->kind == TG_SOURCE_FILE && memcmp(end - 6, "/a.lua", 6) == 0;
        folder |= entry->kind == TG_SOURCE_FOLDER && memcmp(end - 6, "/part/", 6) == 0;
    }
    assert_true(text);
    assert_true(part);
    assert_true(folder);
}

static void a_load_is_given_up_when_asked(void **state)
{
    (void)state;
    const _Atomic bool cancel = true;
    char path[256];
    rig_write(&rig, "gateway.lua", "while true do end\n");
    snprintf(path, sizeof(path), "%sgateway.lua", rig.folder);
    struct tg_script_load_options options = {
        .file = path, .registry = rig.registry, .tls = &rig.tls, .cancel = &cancel
    };
    tg_text_clear(&rig.error);
    assert_false(tg_script_load(&options, &rig.source, &rig.snapshot, &rig.error));
    rig_expect_error(&rig, "the load was given up");
}

static void a_key_is_read_by_the_core_alone_and_wiped_when_the_load_is_over(void **state)
{
    (void)state;
    struct tg_slice path = TG_SLICE("a.key");
    rig_write(&rig, "a.key", "no key at all");
    rig_write(&rig, "gateway.lua",
              RIG_HEAD "tg.upstream 'tls' { '127.0.0.1:1', tls = { cert = 'a.key', key = 'a.key' } }\n");
    assert_false(rig_load(&rig));
    rig_expect_error(&rig, "gateway.lua:4: tg.upstream: \"tls\": tls: a.key: ");

    rig_write(&rig, "gateway.lua",
              RIG_HEAD "pcall(tg.upstream 'tls', { '127.0.0.1:1', tls = { cert = 'a.key', key = 'none.key' } })\n"
                       "tg.route { path = '/*', upstream = 'app' }\n");
    assert_true(rig_load(&rig));
    const struct tg_source_secret *secret = tg_map_get(rig.source->secrets, path);
    assert_non_null(secret);
    assert_int_equal(strlen(secret->digest), 64);
    assert_null(tg_source_secret(rig.source, path).at);
    struct tg_vm *vm = tg_script_vm_new(rig.source, rig.snapshot, 0, NULL, &rig.error);
    assert_non_null(vm);
    tg_script_vm_free(vm);
}

static void check_loads_and_runs_init(void **state)
{
    (void)state;
    char path[256];
    snprintf(path, sizeof(path), "%sgateway.lua", rig.folder);
    struct tg_text warnings;
    tg_text_init(&warnings);
    struct tg_script_load_options options = {
        .file = path,
        .registry = rig.registry,
        .tls = &rig.tls,
        .warnings = &warnings,
    };
    rig_write(&rig, "gateway.lua",
              RIG_HEAD "tg.route { path = '/*', upstream = 'app', handlers = { { request = function() end,\n"
                       "init = function() tg.sleep(0.01) error 'in init' end } } }\n");
    tg_text_clear(&rig.error);
    assert_false(tg_script_check(&options, &rig.error));
    rig_expect_error(&rig, "gateway.lua:5: in init");
    rig_write(&rig, "gateway.lua", RIG_HEAD "tg.route { path = '/*', upstream = 'app' }\n");
    assert_true(tg_script_check(&options, &rig.error));
    assert_int_equal(warnings.length, 0);
    tg_text_deinit(&warnings);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_configuration_becomes_a_snapshot),
        TEST(chains_run_backwards_on_the_way_back),
        TEST(an_error_says_file_line_and_reason),
        TEST(a_key_is_read_by_the_core_alone_and_wiped_when_the_load_is_over),
        TEST(a_syntax_error_in_a_handler_that_no_request_uses_is_found),
        TEST(a_module_that_is_not_there_is_named_with_its_place),
        TEST(two_routes_that_tie_are_named),
        TEST(a_top_level_that_never_returns_is_stopped),
        TEST(an_init_that_never_returns_is_stopped),
        TEST(an_init_that_raises_is_named_with_its_use),
        TEST(init_may_wait_and_its_options_stay),
        TEST(a_top_level_that_says_other_things_in_a_worker_is_refused),
        TEST(the_second_vm_reads_nothing_from_the_disk),
        TEST(what_was_read_is_listed_with_its_digest),
        TEST(a_load_is_given_up_when_asked),
        TEST(check_loads_and_runs_init),
    };
    return rig_main("script load", tests, sizeof(tests) / sizeof(*tests));
}
