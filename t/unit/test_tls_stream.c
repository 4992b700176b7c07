/* A stream under TLS against another one, and against OpenSSL moved by hand. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tls_rig.h"

enum { MEGABYTE = 1 << 20 };

static char *pattern(size_t length)
{
    char *at = malloc(length);
    assert_non_null(at);
    for (size_t i = 0; i < length; i++)
        at[i] = (char)(i * 7 + i / 251 + i / 65521);
    return at;
}

static bool is(struct tg_slice slice, const char *text)
{
    return tg_slice_equal(slice, tg_slice_from_string(text));
}

static void raw_client(struct tls_raw *raw, struct tls_ear *ear, int version)
{
    tls_raw_connect(raw, tls_ear_serve(ear, false), version);
    tls_raw_shake_hands(raw, ear);
}

/* --- both ways --- */

static void bytes_go_both_ways_under_each_version(void **state)
{
    (void)state;
    static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
    for (int i = 0; i < 2; i++) {
        struct tls_ear ear = { 0 };
        struct tls_raw raw = { 0 };
        raw_client(&raw, &ear, versions[i]);
        const struct tg_tls_facts *facts = tg_stream_tls_facts(ear.stream);
        assert_true(is(facts->version, i == 0 ? "TLSv1.2" : "TLSv1.3"));
        assert_true(is(facts->sni, "a.example"));
        assert_int_equal(facts->ja3.length, 32);
        assert_false(facts->has_certificate || facts->resumed || facts->verified);
        tls_raw_write(&raw, "low tide", 8);
        run_until(rig.loop, &ear.bytes, 8);
        assert_string_equal(ear.text.at, "low tide");
        assert_int_equal(tg_stream_received(ear.stream), 8);
        tls_ear_send(&ear, "high tide", 9);
        tls_raw_turns(&raw, 3);
        assert_string_equal(raw.text.at, "high tide");
        assert_int_equal(tg_stream_unsent(ear.stream), 0);
        tls_raw_close(&raw);
        tls_ear_close(&ear);
    }
}

static void a_megabyte_goes_both_ways_at_once(void **state)
{
    (void)state;
    struct tls_ear server = { 0 }, client = { 0 };
    char *bytes = pattern(MEGABYTE);
    tls_ears_connect(&server, &client);
    assert_true(is(tg_stream_tls_facts(client.stream)->version, "TLSv1.3"));
    assert_int_equal(tg_stream_tls_facts(client.stream)->alpn, TG_ALPN_H1);
    assert_int_equal(tg_stream_tls_facts(server.stream)->alpn, TG_ALPN_H1);
    tls_ear_send(&client, bytes, MEGABYTE);
    tls_ear_send(&server, bytes, MEGABYTE);
    run_until(rig.loop, &server.bytes, MEGABYTE);
    run_until(rig.loop, &client.bytes, MEGABYTE);
    assert_memory_equal(server.text.at, bytes, MEGABYTE);
    assert_memory_equal(client.text.at, bytes, MEGABYTE);
    assert_int_equal(server.drains, 1);
    assert_int_equal(client.drains, 1);
    assert_true(tg_stream_sent(server.stream) > MEGABYTE);
    tls_ear_close(&server);
    tls_ear_close(&client);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bytes_go_both_ways_under_each_version, tls_rig_set_up, tls_rig_tear_down),
        cmocka_unit_test_setup_teardown(a_megabyte_goes_both_ways_at_once, tls_rig_set_up, tls_rig_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
