/* The library context, and that a FIPS provider which isn't there is noticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <openssl/err.h>

#include "net/tls_library.h"

static void the_default_provider_serves(void **state)
{
    char why[512] = "";
    (void)state;
    struct tg_tls_library *library = tg_tls_library_open(false, why);
    assert_non_null(library);
    assert_false(tg_tls_library_is_fips(library));
    assert_true(tg_slice_equal(tg_tls_library_provider(library), TG_SLICE("default")));
    assert_null(tg_tls_library_context(library));
    assert_null(tg_tls_library_properties(library));
    assert_non_null(tg_tls_library_md5(library));
    tg_tls_library_close(library);
}

static void expect_no_fips(void)
{
    char why[512] = "";
    assert_null(tg_tls_library_open(true, why));
    if (!strstr(why, "FIPS provider"))
        fail_msg("'%s'", why);
    assert_non_null(strstr(why, "fipsinstall"));
    assert_int_equal(ERR_peek_error(), 0);
}

/* An empty folder for modules, so that it holds where a provider is installed, too. */
static void a_missing_fips_provider_is_said_with_what_to_do(void **state)
{
    char folder[] = "/tmp/tidegate-modules-XXXXXX";
    (void)state;
    assert_non_null(mkdtemp(folder));
    setenv("OPENSSL_MODULES", folder, 1);
    expect_no_fips();
    char why[512] = "";
    assert_null(tg_tls_library_open(true, why));
    assert_non_null(strstr(why, folder));
    unsetenv("OPENSSL_MODULES");
    remove(folder);
}

/* Where fipsinstall wasn't run, or its file isn't included, the module loads but doesn't check itself. */
static void without_its_configuration_it_does_not_serve(void **state)
{
    (void)state;
    setenv("OPENSSL_CONF", "/nowhere/openssl.cnf", 1);
    expect_no_fips();
    unsetenv("OPENSSL_CONF");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_provider_serves),
        cmocka_unit_test(a_missing_fips_provider_is_said_with_what_to_do),
        cmocka_unit_test(without_its_configuration_it_does_not_serve),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
