/* Phases: order and onion, waiting, tasks, cancelling, failures, and a VM that is dropped under way. */
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

/* One route whose request phase is this body. */
static void start_with_body(const char *body)
{
    struct tg_text text;
    tg_text_init(&text);
    tg_text_appendf(&text, "%stg.route { path = '/*', upstream = 'app', request = function(req)\n%s\nend }\n", RIG_HEAD,
                    body);
    rig_start_with(&rig, text.at);
    tg_text_deinit(&text);
}

static void answers(const char *path, const char *text)
{
    struct tg_exchange *exchange = rig_exchange(&rig, path, NULL);
    enum tg_hook_result result = rig_run(exchange, TG_PHASE_REQUEST);
    struct tg_slice got = rig_answer(exchange);
    if (result != TG_HOOK_ANSWERED || !tg_slice_equal(got, tg_slice_from_string(text)))
        print_error("got %d, %.*s\nexpected %s\n", (int)result, (int)got.length, got.at, text);
    assert_int_equal(result, TG_HOOK_ANSWERED);
    assert_true(tg_slice_equal(got, tg_slice_from_string(text)));
    rig_end(exchange);
}

static void fails(const char *path)
{
    struct tg_exchange *exchange = rig_exchange(&rig, path, NULL);
    assert_int_equal(rig_run(exchange, TG_PHASE_REQUEST), TG_HOOK_FAILED);
    rig_end(exchange);
}

static const char ONION[] =
    RIG_HEAD "local function note(req, what) req.ctx.seen = (req.ctx.seen or '') .. what .. ' ' end\n"
             "local function handler(name)\n"
             "  return {\n"
             "    request = name ~= 'c' and function(req) note(req, name)\n"
             "      if req.query.stop == name then return req:respond(200, 'by ' .. name) end\n"
             "      if req.query.fail == name then error 'deliberate' end\n"
             "      if req.query.wait == name then tg.sleep(10) end\n"
             "    end or nil,\n"
             "    response = function(req, res) note(req, name .. '>') res.headers['x-seen'] = req.ctx.seen:gsub(' $', "
             "'') end,\n"
             "    log = function(req) note(req, name .. '!') req.log.seen = req.ctx.seen end,\n"
             "  }\n"
             "end\n"
             "tg.route { path = '/*', upstream = 'app',\n"
             "  handlers = { handler 'a', handler 'b', handler 'c', handler 'd' } }\n";

static void sees(const char *path, enum tg_hook_result expected, const char *text)
{
    struct tg_exchange *exchange = rig_exchange(&rig, path, NULL);
    assert_int_equal(rig_run(exchange, TG_PHASE_REQUEST), expected);
    assert_int_equal(rig_run(exchange, TG_PHASE_RESPONSE), TG_HOOK_DONE);
    assert_int_equal(rig_run(exchange, TG_PHASE_LOG), TG_HOOK_DONE);
    struct tg_slice log = tg_text_slice(exchange->log_fields);
    if (!tg_slice_equal(log, tg_slice_from_string(text)))
        print_error("got %.*s\nexpected %s\n", (int)log.length, log.at, text);
    assert_true(tg_slice_equal(log, tg_slice_from_string(text)));
    rig_end(exchange);
}

static void handlers_that_were_not_reached_see_nothing(void **state)
{
    (void)state;
    rig_start_with(&rig, ONION);
    sees("/", TG_HOOK_DONE, ",\"seen\":\"a b d d> c> b> a> a! b! c! d! \"");
    sees("/?stop=b", TG_HOOK_ANSWERED, ",\"seen\":\"a b b> a> a! b! \"");
    sees("/?stop=d", TG_HOOK_ANSWERED, ",\"seen\":\"a b d d> c> b> a> a! b! c! d! \"");
    sees("/?fail=a", TG_HOOK_FAILED, ",\"seen\":\"a a> a! \"");
}

static void a_handler_that_waits_is_never_resumed_once_cancelled(void **state)
{
    (void)state;
    rig_start_with(&rig, ONION);
    struct tg_exchange *exchange = rig_exchange(&rig, "/?wait=b", NULL);
    assert_int_equal(rig_begin(exchange, TG_PHASE_REQUEST), TG_HOOK_PENDING);
    tg_script_hooks.cancel(exchange);
    assert_int_equal(rig_run(exchange, TG_PHASE_LOG), TG_HOOK_DONE);
    assert_true(tg_slice_equal(tg_text_slice(exchange->log_fields), TG_SLICE(",\"seen\":\"a b a! b! \"")));
    rig_end(exchange);
    struct tg_exchange *other = rig_exchange(&rig, "/?wait=b", NULL);
    assert_int_equal(rig_begin(other, TG_PHASE_REQUEST), TG_HOOK_PENDING);
    rig_end(other);
}

static void handlers_wait_anywhere(void **state)
{
    (void)state;
    start_with_body(
        "local made = coroutine.wrap(function(a)\n"
        "  tg.sleep(0.002) local b = coroutine.yield(a + 1) tg.sleep(0.002) return b * 2\n"
        "end)\n"
        "local first, second = made(1), made(5)\n"
        "local good, why = pcall(function() tg.sleep(0.002) error('after', 0) end)\n"
        "local meta = setmetatable({}, { __index = function(_, k) tg.sleep(0.002) return k end })\n"
        "local sorted = pcall(table.sort, { 2, 1 }, function(a, b) tg.sleep(0.001) return a < b end)\n"
        "tg.sleep(0.001)\n"
        "return req:respond(200, ('%s %s %s %s %s %s'):format(first, second, good, why, meta.key, sorted))");
    answers("/", "2 10 false after key false");
    start_with_body("coroutine.yield(1)");
    fails("/");
}

static void tasks_run_beside_and_give_results(void **state)
{
    (void)state;
    start_with_body("local a = tg.spawn(function(x) tg.sleep(0.01) return x, nil, 3 end, 'x')\n"
                    "local b = tg.spawn(function() error({}) end)\n"
                    "local c = tg.spawn(function() tg.sleep(60) end)\n"
                    "local x, y, z = a:wait()\n"
                    "local r1, why1 = b:wait()\n"
                    "local r2, why2 = c:wait(0.001)\n"
                    "c:cancel()\n"
                    "local r3, why3 = c:wait()\n"
                    "local i = tg.wait_any { c, a }\n"
                    "local d = tg.spawn(function() tg.sleep(0.001) end)\n"
                    "local all = tg.wait_all { a, b, c, d }\n"
                    "return req:respond(200, ('%s %s %s %s %s %s %s %s'):format(x, y, z, why1, why2, why3, i, all))");
    answers("/", "x nil 3 failed timeout cancelled 1 true");
}

static void tasks_end_with_their_request(void **state)
{
    (void)state;
    rig_start_with(&rig, RIG_HEAD "local count, kept = 0, nil\n"
                                  "tg.route { path = '/spawn', upstream = 'app', request = function(req)\n"
                                  "  kept = tg.spawn(function() tg.sleep(60) count = count + 1 end)\n"
                                  "  tg.sleep(0.001)\n"
                                  "end }\n"
                                  "tg.route { path = '/count', upstream = 'app', request = function(req)\n"
                                  "  local _, why = kept:wait()\n"
                                  "  return req:respond(200, count .. ' ' .. tostring(why))\n"
                                  "end }\n");
    struct tg_exchange *exchange = rig_exchange(&rig, "/spawn", NULL);
    assert_int_equal(rig_run(exchange, TG_PHASE_REQUEST), TG_HOOK_DONE);
    rig_end(exchange);
    answers("/count", "0 cancelled");
}

static void a_kept_request_raises_when_it_is_over(void **state)
{
    (void)state;
    rig_start_with(&rig, RIG_HEAD "local kept, headers\n"
                                  "tg.route { path = '/*', upstream = 'app', request = function(req)\n"
                                  "  if not kept then kept, headers = req, req.headers return end\n"
                                  "  local _, a = pcall(function() return kept.path end)\n"
                                  "  local _, b = pcall(function() return headers.host end)\n"
                                  "  local _, c = pcall(function() kept:respond(200) end)\n"
                                  "  return req:respond(200, a .. '|' .. b .. '|' .. c)\n"
                                  "end }\n");
    struct tg_exchange *exchange = rig_exchange(&rig, "/first", NULL);
    assert_int_equal(rig_run(exchange, TG_PHASE_REQUEST), TG_HOOK_DONE);
    rig_end(exchange);
    answers("/second", "gateway.lua:7: the request is over|gateway.lua:8: the request is over|"
                       "gateway.lua:9: the request is over");
}

static void the_context_of_a_request_is_its_own(void **state)
{
    (void)state;
    start_with_body("local before = req.ctx.x req.ctx.x = req.path\n"
                    "return req:respond(200, tostring(before) .. ' ' .. req.ctx.x)");
    answers("/a", "nil /a");
    answers("/b", "nil /b");
}

static void what_a_phase_may_return_is_checked(void **state)
{
    (void)state;
    start_with_body("if req.path == '/n' then return 403 end if req.path == '/t' then return {} end\n"
                    "if req.path == '/f' then return false end if req.path == '/nil' then return nil, 'why' end\n");
    fails("/n");
    fails("/t");
    fails("/f");
    struct tg_exchange *exchange = rig_exchange(&rig, "/nil", NULL);
    assert_int_equal(rig_run(exchange, TG_PHASE_REQUEST), TG_HOOK_DONE);
    rig_end(exchange);
}

static void failures_are_passed_over_where_the_route_says_so(void **state)
{
    (void)state;
    rig_start_with(
        &rig,
        RIG_HEAD "local bad = { request = function() error 'deliberate' end }\n"
                 "local must = { must_run = true, request = function(req) if req.query.fail then error 'x' end end }\n"
                 "local last = { request = function(req) return req:respond(200, 'reached') end }\n"
                 "tg.route { path = '/*', upstream = 'app', on_script_error = 'continue',\n"
                 "  handlers = { bad, must, last } }\n"
                 "tg.route { path = '/strict', upstream = 'app', handlers = { bad, last } }\n");
    answers("/", "reached");
    fails("/?fail=1");
    fails("/strict");
}

static void a_reroute_runs_the_new_chain_without_those_that_ran(void **state)
{
    (void)state;
    rig_start_with(&rig, RIG_HEAD "local count = { request = function(req) req.ctx.n = (req.ctx.n or 0) + 1 end }\n"
                                  "tg.use { count }\n"
                                  "tg.route { name = 'old', path = '/old', upstream = 'app',\n"
                                  "  request = function(req) return req:reroute 'new' end }\n"
                                  "tg.route { name = 'new', path = '/new', upstream = 'app', request = function(req)\n"
                                  "  return req:respond(200, req.ctx.n .. ' ' .. req.route.name) end }\n"
                                  "tg.route { path = '/lost', upstream = 'app', request = function(req)\n"
                                  "  return req:reroute 'nowhere' end }\n");
    struct tg_exchange *exchange = rig_exchange(&rig, "/old", NULL);
    assert_int_equal(rig_run(exchange, TG_PHASE_REQUEST), TG_HOOK_REROUTED);
    assert_int_equal(rig_run(exchange, TG_PHASE_REQUEST), TG_HOOK_ANSWERED);
    assert_true(tg_slice_equal(rig_answer(exchange), TG_SLICE("1 new")));
    rig_end(exchange);
    fails("/lost");
}

static void memory_and_stack_run_out_for_one_request_only(void **state)
{
    (void)state;
    rig_start_with(
        &rig, RIG_HEAD
        "tg.settings { scripts = { memory = 16 * tg.MB } }\n"
        "tg.route { path = '/*', upstream = 'app', request = function(req)\n"
        "  if req.path == '/memory' then local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end end\n"
        "  if req.path == '/long' then return req:respond(200, ('x'):rep(1e9)) end\n"
        "  if req.path == '/deep' then local function f() return 1 + f() end f() end\n"
        "  if req.path == '/gsub' then local function f() return (('x'):gsub('x', f)) end f() end\n"
        "  return req:respond(200, 'alive')\n"
        "end }\n");
    static const char *const PATHS[] = { "/memory", "/long", "/deep", "/gsub" };
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < 4; i++) {
            fails(PATHS[i]);
            answers("/", "alive");
        }
    assert_true(tg_script_vm_memory(rig.vm) < 32 << 20);
}

static void a_dropped_vm_takes_along_only_what_waits_in_it(void **state)
{
    (void)state;
    rig_start_with(&rig, RIG_HEAD "local h = { init = function(o) tg.sleep(0.01) o.ready = true end }\n"
                                  "function h.request(req, o)\n"
                                  "  if req.path == '/wait' then tg.sleep(60) end\n"
                                  "  if req.path == '/answer' then return req:respond(200, tostring(o.ready)) end\n"
                                  "end\n"
                                  "function h.response(req, res) res.headers['x-path'] = req.path end\n"
                                  "tg.route { path = '/*', upstream = 'app', handlers = { h } }\n");
    struct tg_exchange *waiting = rig_exchange(&rig, "/wait", NULL), *between = rig_exchange(&rig, "/between", NULL);
    assert_int_equal(rig_begin(waiting, TG_PHASE_REQUEST), TG_HOOK_PENDING);
    assert_int_equal(rig_run(between, TG_PHASE_REQUEST), TG_HOOK_DONE);
    assert_true(tg_script_rebuild(&rig.lease, &rig.error));
    assert_int_equal(rig_wait(waiting), TG_HOOK_FAILED);
    /* init runs again, and waits; what comes meanwhile begins afterwards */
    struct tg_exchange *early = rig_exchange(&rig, "/answer", NULL);
    assert_int_equal(rig_begin(early, TG_PHASE_REQUEST), TG_HOOK_PENDING);
    assert_int_equal(rig_wait(early), TG_HOOK_ANSWERED);
    assert_true(tg_slice_equal(rig_answer(early), TG_SLICE("true")));
    assert_int_equal(rig_run(between, TG_PHASE_RESPONSE), TG_HOOK_DONE);
    const struct tg_field *field = tg_fields_find(&between->response.fields, TG_FIELD_OTHER, TG_SLICE("x-path"));
    assert_true(field && tg_slice_equal(field->value, TG_SLICE("/between")));
    rig_end(waiting);
    rig_end(between);
    rig_end(early);
    answers("/answer", "true");
}

static void a_vm_can_end_while_handlers_wait_in_it(void **state)
{
    (void)state;
    start_with_body("tg.spawn(function() tg.sleep(60) end) tg.sleep(60)");
    struct tg_exchange *exchange = rig_exchange(&rig, "/", NULL);
    assert_int_equal(rig_begin(exchange, TG_PHASE_REQUEST), TG_HOOK_PENDING);
    tg_script_vm_free(rig.vm);
    rig.vm = NULL;
    assert_null(exchange->script);
    assert_null(rig.lease.script);
    assert_int_equal(rig_run(exchange, TG_PHASE_REQUEST), TG_HOOK_FAILED);
    rig_end(exchange);
}

static void many_requests_leave_nothing_behind(void **state)
{
    (void)state;
    start_with_body(
        "req.ctx.big = ('x'):rep(10000) .. req.path\n"
        "req.headers['x-a'] = req.headers.host .. tg.uuid() local t = tg.spawn(function() tg.sleep(0) end)\n"
        "t:wait() return req:respond(200, 'done')");
    for (int i = 0; i < 200; i++)
        answers("/", "done");
    size_t before = tg_script_vm_memory(rig.vm);
    for (int i = 0; i < 3000; i++)
        answers("/", "done");
    assert_true(tg_script_vm_memory(rig.vm) < before + (4 << 20));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(handlers_that_were_not_reached_see_nothing),
        TEST(a_handler_that_waits_is_never_resumed_once_cancelled),
        TEST(handlers_wait_anywhere),
        TEST(tasks_run_beside_and_give_results),
        TEST(tasks_end_with_their_request),
        TEST(a_kept_request_raises_when_it_is_over),
        TEST(the_context_of_a_request_is_its_own),
        TEST(what_a_phase_may_return_is_checked),
        TEST(failures_are_passed_over_where_the_route_says_so),
        TEST(a_reroute_runs_the_new_chain_without_those_that_ran),
        TEST(memory_and_stack_run_out_for_one_request_only),
        TEST(a_dropped_vm_takes_along_only_what_waits_in_it),
        TEST(a_vm_can_end_while_handlers_wait_in_it),
        TEST(many_requests_leave_nothing_behind),
    };
    return rig_main("script phases", tests, sizeof(tests) / sizeof(*tests));
}
