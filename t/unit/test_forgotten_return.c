/* What `tidegate check` warns about: decisions without return. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "script/forgotten_return.h"

static void expect(const char *text, const char *warning)
{
    struct tg_text warnings;
    tg_text_init(&warnings);
    tg_forgotten_return_find(tg_slice_from_string(text), TG_SLICE("a.lua"), &warnings);
    if (warning)
        assert_non_null(strstr(warnings.length ? warnings.at : "", warning));
    else
        assert_int_equal(warnings.length, 0);
    tg_text_deinit(&warnings);
}

static void a_decision_as_a_statement_is_found_with_its_line(void **state)
{
    (void)state;
    expect("function h.request(req)\n  req:respond(403)\n  req.path = '/x'\nend\n", "a.lua:2: respond without return");
    expect("if bad then req:redirect '/login' end\n", "a.lua:1: redirect without return");
    expect("local f = function(req) req:reroute() end\n", "a.lua:1: reroute without return");
    expect("else context.req:respond { 1 }\n", "a.lua:1: respond");
}

static void a_decision_that_is_returned_or_used_is_none(void **state)
{
    (void)state;
    expect("return req:respond(403)\n", NULL);
    expect("if bad then return req:respond(403) end\n", NULL);
    expect("local decided = req:respond(403)\n", NULL);
    expect("  req:respond(403)\n  return\n", NULL);
    expect("-- req:respond(403)\n", NULL);
    expect("if x then -- then req:respond(1)\n", NULL);
    expect("req:respond_later(403)\n", NULL);
    expect("", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_decision_as_a_statement_is_found_with_its_line),
        cmocka_unit_test(a_decision_that_is_returned_or_used_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
