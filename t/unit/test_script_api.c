/* The objects that handlers get, one request each: what is read, what is set, and what raises. */
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

/* The request of rig_expect: the expression's value as text. */
#define VALUE(expression, text) rig_expect(&rig, "return req:respond(200, tostring(" expression "))", text)
#define RAISES(statement, message) rig_expect(&rig, statement, "raises " message)

static void properties_of_the_request_are_read(void **state)
{
    (void)state;
    VALUE("req.method", "GET");
    VALUE("req.path", "/r/a%2Fb/c/d");
    VALUE("req.raw_path", "/r/a%2Fb/c/d");
    VALUE("req.host .. ' ' .. req.port", "shop.example 8080");
    VALUE("req.url", "http://shop.example:8080/r/a%2Fb/c/d?page=2&tag=a+b&tag=c%20d&flag");
    VALUE("req.scheme .. req.version", "http1.1");
    VALUE("req.params.id .. ' ' .. req.params.rest", "a/b c/d");
    VALUE("req.params.nothing", "nil");
    VALUE("req.length", "3");
    VALUE("req.client.ip .. tostring(req.client.tls)", "192.0.2.7nil");
    VALUE("req.upstream .. req.generation", "app7");
    VALUE("req.upgrade", "nil");
    VALUE("#req.id", "32");
    VALUE("req.time_left", "inf");
    VALUE("req.times.total", "nil");
    VALUE("type(req.times.started)", "number");
}

static void unknown_names_and_later_ones_raise(void **state)
{
    (void)state;
    RAISES("return req.metod", "gateway.lua:6: req.metod: there is no such name");
    RAISES("req.metod = 1", "gateway.lua:6: req.metod: there is no such name");
    RAISES("req.id = 'x'", "gateway.lua:6: req.id can't be set");
    RAISES("return req:mirror('x')", "req.mirror is not available in this version of tidegate");
    RAISES("req.route = 'x'", "req.route can't be set; req:reroute goes to another one");
}

static void headers_are_one_text_whatever_the_lines(void **state)
{
    (void)state;
    VALUE("req.headers['user-agent']", "rig");
    VALUE("req.headers['USER-Agent']", "rig");
    VALUE("req.headers['x-two']", "one, two, three");
    VALUE("req.headers['x-three']", "nil");
    VALUE("req.headers.host", "shop.example:8080");
    VALUE("req.headers.te", "trailers");
    VALUE("table.concat(req.headers:all 'x-two', '|')", "one|two, three");
    VALUE("tostring(req.headers:any('x-two', 'three')) .. tostring(req.headers:any('x-two', 'thre'))", "truefalse");
    VALUE("tostring(req.headers:has 'x-two') .. tostring(req.headers:has 'get')", "truefalse");
    RAISES("return req.headers['set-cookie']", "use req.headers:all, :add and :remove");
    RAISES("return req.headers[1]", "the name of a header is a string, not a number");
}

static void headers_are_set_and_checked(void **state)
{
    (void)state;
    rig_expect(&rig,
               "local h = req.headers h['x-two'] = 'b' h['X-New'] = 12 h.link = { 'a', 'b' } h:add('link', 'c')\n"
               "h['user-agent'] = nil\n"
               "return req:respond(200, h['x-two'] .. h['x-new'] .. h.link .. tostring(h['user-agent']))",
               "b12a, b, cnil");
    rig_expect(&rig,
               "local n = 0 for name in req.headers:each() do n = n + 1 req.headers:add('x-more', '1') end\n"
               "return req:respond(200, tostring(n < req.headers:count()))",
               "true");
    RAISES("req.headers['x-a'] = true", "req.headers: header \"x-a\": a string, a number or a list of them expected");
    RAISES("req.headers['x-a'] = 'a\\nb: c'", "gateway.lua:6: req.headers: header \"x-a\": ");
    RAISES("req.headers['x a'] = 'b'", "gateway.lua:6: req.headers: header \"x a\": ");
    RAISES("req.headers['x-a'] = { 'fine', 'not\\0' }", "header \"x-a\": the value has a control character");
    RAISES("req.headers['content-length'] = 5", "header \"content-length\": belongs to the gateway");
    RAISES("req.headers['Transfer-Encoding'] = nil", "belongs to the gateway");
    RAISES("req.headers.host = 'other'", "header \"host\": is set by req.host");
    RAISES("req.headers.te = 'gzip'", "takes \"trailers\" only");
    RAISES("req.headers['set-cookie'] = 'a=b'", "would lose cookies");
}

static void query_and_cookies_are_read_and_written(void **state)
{
    (void)state;
    VALUE("req.query.page", "2");
    VALUE("req.query.tag", "a b");
    VALUE("table.concat(req.query:all 'tag', '|')", "a b|c d");
    VALUE("'<' .. req.query.flag .. '>' .. tostring(req.query.none)", "<>nil");
    rig_expect(&rig, "req.query.tag = 'x&y' return req:respond(200, req.raw_query)", "page=2&tag=x%26y&flag");
    rig_expect(&rig, "req.query.page = nil req.query:add('new', 1) return req:respond(200, req.raw_query)",
               "tag=a+b&tag=c%20d&flag&new=1");
    rig_expect(&rig, "req.raw_query = nil return req:respond(200, tostring(req.raw_query))", "nil");
    rig_expect(&rig,
               "local t = {} for n, v in req.query:each() do t[#t + 1] = n .. '=' .. v end\n"
               "return req:respond(200, table.concat(t, ' '))",
               "page=2 tag=a b tag=c d flag=");
    RAISES("req.raw_query = 'a b'", "req.raw_query: \"a b\": ");
    RAISES("req.query.x = {}", "req.query.x: a string or a number expected, got a table");
    VALUE("req.cookies.uid .. req.cookies.theme .. tostring(req.cookies.none)", "7darknil");
    RAISES("req.cookies.uid = '1'", "req.cookies is read only");
}

static void what_is_assigned_is_checked(void **state)
{
    (void)state;
    rig_expect(&rig, "req.path = '/x/../y/%7ez' return req:respond(200, req.path)", "/y/~z");
    rig_expect(&rig, "req.host = 'Other.Example:81' return req:respond(200, req.url)",
               "http://other.example:81/r/a%2Fb/c/d?page=2&tag=a+b&tag=c%20d&flag");
    rig_expect(&rig, "req.method = 'POST' return req:respond(200, req.method)", "POST");
    RAISES("req.path = 'x'", "gateway.lua:6: req.path: \"x\": ");
    RAISES("req.path = '/a/../../b'", "req.path: \"/a/../../b\": ");
    RAISES("req.path = '/a\\r\\nb'", "req.path: ");
    RAISES("req.method = 'GET /'", "req.method: \"GET /\": is no method");
    RAISES("req.method = 'HEAD'", "can't change from or to HEAD");
    RAISES("req.host = 'a b'", "req.host: ");
    RAISES("req.upstream = 'nothing'", "gateway.lua:6: req.upstream: unknown upstream \"nothing\"");
    RAISES("req.half_close = 'maybe'", "is \"answer\" or \"abort\"");
    RAISES("req.time_left = 0", "is a number of seconds above 0");
}

static void an_answer_is_text_or_json_and_checked_before_it_stands(void **state)
{
    (void)state;
    rig_expect(&rig, "return req:respond(200, { b = 1, a = { 'x' } })", "{\"a\":[\"x\"],\"b\":1}");
    rig_expect(&rig,
               "pcall(function() req:respond(200, 'bad', { ['x-a'] = 'a\\nb' }) end)\n"
               "pcall(function() req:respond(99, 'bad') end)\n"
               "return req:respond(200, 'good')",
               "good");
    RAISES("req:respond(204, function() end)", "a 204, 205 or 304 has no body");
    RAISES("req:respond('200')", "a status from 200 to 599 expected, got 200");
    RAISES("req:respond(204, 'x')", "a 204, 205 or 304 has no body");
    RAISES("req:respond(200, 'x', { upgrade = 'h2c' })", "on a 426 only");
    RAISES("req:respond(200, 'x', { ['content-length'] = 1 })", "belongs to the gateway");
    RAISES("req.respond(200, 'x')", "methods are called with a colon");
    RAISES("req.headers.add('x', 'y')", "methods are called with a colon");
    RAISES("req.is('text/html')", "methods are called with a colon");
    RAISES("local x = req.hedaers", "did you mean \"headers\"");
    RAISES("req:redirect('/x', 200)", "a status of 301, 302, 303, 307 or 308 expected");
    RAISES("req:redirect 'a\\r\\nb'", "req:redirect: ");
    rig_expect(&rig,
               "req:respond(200, 'first') local good, why = pcall(req.respond, req, 200, 'second')\n"
               "req.ctx.why = why return true",
               "first");
}

static void media_types_follow_the_accept_header(void **state)
{
    (void)state;
    VALUE("req:accepts('text/plain', 'text/html')", "text/html");
    VALUE("req:accepts('application/json', 'text/plain')", "text/plain");
    VALUE("req:accepts('application/json')", "nil");
    VALUE("tostring(req:is 'text/plain') .. tostring(req:is 'text/*') .. tostring(req:is 'text/html')",
          "truetruefalse");
    RAISES("req:accepts 'html'", "a media type such as \"text/html\" expected");
}

static void cookies_of_the_answer_are_checked(void **state)
{
    (void)state;
    RAISES("req:set_cookie('a b', 'x')", "the name of a cookie expected");
    RAISES("req:set_cookie('a', 'x;y')", "the value has a byte that a cookie can't have");
    RAISES("req:set_cookie('a', 'x', { maxage = 1 })", "unknown option \"maxage\"");
    RAISES("req:set_cookie('a', 'x', { same_site = 'none' })", "needs secure = true");
    RAISES("req:set_cookie('a', 'x', { path = '/;x' })", "has a byte that an attribute can't have");
    RAISES("req:set_response_header('connection', 'close')", "belongs to the gateway");
}

static void fields_of_the_answer_to_come_are_kept_for_it(void **state)
{
    (void)state;
    rig_start_with(&rig, RIG_HEAD "tg.route { path = '/*', upstream = 'app', request = function(req)\n"
                                  "req:set_cookie('uid', '1', { max_age = 5, secure = true, http_only = false })\n"
                                  "req:set_response_header('x-a', { 1, 'b' })\n"
                                  "req.log.user = 'a\"b' req.log.n = 1 req.log.user = 'c' req.log.none = nil\n"
                                  "end }\n");
    struct tg_exchange *exchange = rig_exchange(&rig, "/", NULL);
    assert_int_equal(rig_run(exchange, TG_PHASE_REQUEST), TG_HOOK_DONE);
    const struct tg_pending_field *field = exchange->pending_fields;
    assert_true(tg_slice_equal(field->value, TG_SLICE("uid=1; Path=/; Max-Age=5; Secure; SameSite=Lax")));
    assert_true(field->add);
    assert_false(field->next->add);
    assert_true(field->next->next->add);
    assert_true(tg_slice_equal(tg_text_slice(exchange->log_fields), TG_SLICE(",\"n\":1,\"user\":\"c\"")));
    rig_end(exchange);
}

static void the_standard_library_is_sealed(void **state)
{
    (void)state;
    VALUE("tostring(jit) .. tostring(setfenv) .. tostring(getfenv) .. tostring(newproxy) .. tostring(string.dump)",
          "nilnilnilnilnil");
    VALUE("tostring(package.loadlib) .. tostring(debug.getinfo) .. tostring(os.exit)", "nilnilnil");
    VALUE("tostring(getmetatable('')) .. tostring(getmetatable(_G)) .. tostring(('').dump)", "falsefalsenil");
    VALUE("load('return 1')()", "1");
    VALUE("select(2, load('\\27LJ'))", "attempt to load chunk with wrong mode");
    RAISES("x = 1", "gateway.lua:6: assignment to the global \"x\": write local x");
    RAISES("string.x = 1", "string.x: the standard library is read only");
    RAISES("rawset(string, 'x', 1)", "this table is read only");
    RAISES("rawset(_G, 'x', 1)", "this table is read only");
    RAISES("load('y = 1')()", "assignment to the global \"y\"");
    RAISES("io.open('/etc/hostname')", "io.open blocks the whole worker: ");
    RAISES("os.execute('true')", "os.execute blocks the whole worker: ");
    RAISES("require 'ffi'", "module 'ffi' is not for scripts");
    RAISES("require 'tidegate.runtime.waits'", "is not for scripts");
    RAISES("require 'handlers.new'", "was not loaded at load");
    RAISES("collectgarbage()", "the gateway collects by itself");
    RAISES("tg.route {}", "gateway.lua:6:");
}

static void library_functions_work_in_a_phase(void **state)
{
    (void)state;
    VALUE("tg.hash.crc32 '123456789'", "3421780262");
    VALUE("#tg.uuid() .. tg.uuid():sub(15, 15)", "364");
    VALUE("tg.random() < 1 and tg.now() > 1e9 and tg.clock() > 0", "true");
    VALUE("require 'string' == string", "true");
    VALUE("tg.json.decode('[1]')[1]", "1");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(properties_of_the_request_are_read),
        TEST(unknown_names_and_later_ones_raise),
        TEST(headers_are_one_text_whatever_the_lines),
        TEST(headers_are_set_and_checked),
        TEST(query_and_cookies_are_read_and_written),
        TEST(what_is_assigned_is_checked),
        TEST(an_answer_is_text_or_json_and_checked_before_it_stands),
        TEST(media_types_follow_the_accept_header),
        TEST(cookies_of_the_answer_are_checked),
        TEST(fields_of_the_answer_to_come_are_kept_for_it),
        TEST(the_standard_library_is_sealed),
        TEST(library_functions_work_in_a_phase),
    };
    return rig_main("script api", tests, sizeof(tests) / sizeof(*tests));
}
