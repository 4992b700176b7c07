/* The door of a listener with TLS: handshakes with a client of OpenSSL's own over a pair of sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/ssl.h>

#include "door_rig.h"
#include "tls_rig.h"

static int set_up(void **state)
{
    tls_rig_set_up(state);
    tg_loop_free(rig.loop);
    door_rig_set_up(state);
    rig.loop = door.loop;
    door.listener.tls = rig.server;
    return 0;
}

static int tear_down(void **state)
{
    door_rig_tear_down(state);
    rig.loop = tg_loop_new(NULL, NULL);
    return tls_rig_tear_down(state);
}

static struct tls_raw raw;

/* `protocols`: as ALPN has them on the wire; empty: none. */
static void begin_handshake(struct tg_slice protocols)
{
    tls_raw_connect(&raw, door.client, 0);
    if (protocols.length > 0)
        assert_int_equal(SSL_set_alpn_protos(raw.ssl, (const unsigned char *)protocols.at, (unsigned)protocols.length),
                         0);
}

static void shake_hands(struct tg_slice protocols)
{
    begin_handshake(protocols);
    while (!raw.handshaken && !raw.socket_ended && door_elapsed() < 20)
        tls_raw_turns(&raw, 1);
    assert_true(raw.handshaken);
}

static void wait_for(const char *text)
{
    while (!(raw.text.at && strstr(raw.text.at, text)) && door_elapsed() < 20)
        tls_raw_turns(&raw, 1);
    assert_true(raw.text.at && strstr(raw.text.at, text));
}

static void wait_for_end(void)
{
    while (!raw.socket_ended && door_elapsed() < 20)
        tls_raw_turns(&raw, 1);
    assert_true(raw.socket_ended);
}

static void close_all(void)
{
    tls_raw_close(&raw);
    run_turns(door.loop, 4);
    assert_true(tg_list_empty(&door.worker.clients));
    assert_int_equal(door.worker.connections, 0);
}

static const char GET[] = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";

static void get(void)
{
    tls_raw_write(&raw, GET, sizeof GET - 1);
    wait_for("HTTP/1.1 200");
}

static void test_without_alpn_it_is_http_1(void **state)
{
    (void)state;
    door_open_from("127.0.0.1:9");
    shake_hands(TG_SLICE(""));
    get();
    const struct tg_client *client = tg_client_of_link(tg_list_first(&door.worker.clients));
    assert_non_null(client->info.tls);
    assert_int_equal(client->info.tls->alpn, TG_ALPN_NONE);
    close_all();
}

static void test_alpn_says_http_1(void **state)
{
    (void)state;
    door_open_from("127.0.0.1:9");
    shake_hands(TG_SLICE("\x08http/1.1"));
    get();
    close_all();
}

static void wait_for_bytes(size_t length)
{
    while (raw.text.length < length && !raw.socket_ended && door_elapsed() < 20)
        tls_raw_turns(&raw, 1);
    assert_true(raw.text.length >= length);
}

static void test_alpn_says_http_2(void **state)
{
    (void)state;
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0";
    door_open_from("127.0.0.1:9");
    shake_hands(TG_SLICE("\x02"
                         "h2\x08http/1.1"));
    tls_raw_write(&raw, preface, sizeof preface);
    wait_for_bytes(9);
    assert_int_equal(raw.text.at[3], 4); /* SETTINGS */
    close_all();
}

/* [T09] */
static void test_http_1_spoken_where_http_2_was_chosen_is_refused(void **state)
{
    (void)state;
    door_open_from("127.0.0.1:9");
    shake_hands(TG_SLICE("\x02"
                         "h2"));
    tls_raw_write(&raw, GET, sizeof GET - 1);
    wait_for_end();
    assert_true(raw.text.length == 0 || !memmem(raw.text.at, raw.text.length, "HTTP/1.1", 8));
    close_all();
}

/* [T09] */
static void test_http_2_spoken_where_http_1_was_chosen_is_refused(void **state)
{
    (void)state;
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    door_open_from("127.0.0.1:9");
    shake_hands(TG_SLICE("\x08http/1.1"));
    tls_raw_write(&raw, preface, sizeof preface - 1);
    wait_for("HTTP/1.1 505");
    wait_for_end();
    close_all();
}

/* [T09] */
static void test_alpn_without_a_protocol_of_ours_fails_the_handshake(void **state)
{
    (void)state;
    door_open_from("127.0.0.1:9");
    begin_handshake(TG_SLICE("\x03"
                             "ftp"));
    wait_for_end();
    assert_false(raw.handshaken);
    close_all();
}

static void test_a_clear_request_is_told_what_the_port_speaks(void **state)
{
    (void)state;
    door_open_from("127.0.0.1:9");
    door_send("GET / HTTP/1.1\r\n", 16);
    door_wait_for("HTTP/1.1 400 Bad Request\r\n");
    door_wait_for("https://");
    const char *body = strstr(door.got, "\r\n\r\n") + 4;
    assert_non_null(strstr(door.got, "content-length: 47\r\n"));
    assert_int_equal(strlen(body), 47);
    door_wait_for_end();
    door_close_client();
}

/* A reload has taken the listener away. */
static void test_a_listener_that_is_gone_leaves_no_clear_way_in(void **state)
{
    (void)state;
    door_open_from("127.0.0.1:9");
    run_turns(door.loop, 1);
    door.snapshot->listener_count = 0;
    door_send(GET, sizeof GET - 1);
    door_wait_for_end();
    assert_int_equal(door.length, 0);
    door_close_client();
    door.snapshot->listener_count = 1;
}

static void test_the_first_byte_may_come_alone(void **state)
{
    (void)state;
    door_open_from("127.0.0.1:9");
    begin_handshake(TG_SLICE(""));
    struct tg_text hello = tls_raw_take_output(&raw);
    for (size_t i = 0; i < hello.length; i++)
        door_send(hello.at + i, 1);
    tg_text_deinit(&hello);
    while (!raw.handshaken && door_elapsed() < 20)
        tls_raw_turns(&raw, 1);
    get();
    close_all();
}

/* [N08] */
static void test_a_proxy_header_may_be_glued_to_the_client_hello(void **state)
{
    (void)state;
    static const char header[] = "PROXY TCP4 10.1.2.3 127.0.0.1 12345 443\r\n";
    static struct tg_cidr sender;
    assert_true(tg_cidr_parse(TG_SLICE("192.0.2.0/24"), &sender));
    door.listener.proxy_protocol = true;
    door.listener.senders = (struct tg_trusted_proxies){ &sender, 1 };
    for (size_t behind = 0; behind < 12; behind++) {
        door_open_from("192.0.2.7:9");
        begin_handshake(TG_SLICE(""));
        struct tg_text hello = tls_raw_take_output(&raw), both;
        tg_text_init(&both);
        tg_text_append(&both, tg_slice_of(header, sizeof header - 1));
        tg_text_append(&both, tg_text_slice(&hello));
        door_send(both.at, sizeof header - 1 + behind);
        door_send(both.at + sizeof header - 1 + behind, hello.length - behind);
        tg_text_deinit(&hello);
        tg_text_deinit(&both);
        while (!raw.handshaken && door_elapsed() < 20)
            tls_raw_turns(&raw, 1);
        get();
        close_all();
    }
}

/* [T11] A byte at a time doesn't buy time, nor does a finished handshake. */
static void test_a_handshake_has_the_time_of_the_accept(void **state)
{
    (void)state;
    door.snapshot->settings.timeouts.header = 0.3;
    door_open_from("127.0.0.1:9");
    begin_handshake(TG_SLICE(""));
    struct tg_text hello = tls_raw_take_output(&raw);
    door_send(hello.at, hello.length / 2);
    tg_text_deinit(&hello);
    door_wait_for_end();
    assert_true(door_elapsed() >= 0.3);
    close_all();
    door_open_from("127.0.0.1:9");
    shake_hands(TG_SLICE(""));
    wait_for_end();
    close_all();
}

static void test_a_client_may_go_in_the_middle_of_a_handshake(void **state)
{
    (void)state;
    door_open_from("127.0.0.1:9");
    begin_handshake(TG_SLICE(""));
    struct tg_text hello = tls_raw_take_output(&raw);
    door_send(hello.at, hello.length / 2);
    tg_text_deinit(&hello);
    close_all();
}

static void test_a_kill_ends_a_handshake(void **state)
{
    (void)state;
    door_open_from("127.0.0.1:9");
    begin_handshake(TG_SLICE(""));
    struct tg_text hello = tls_raw_take_output(&raw);
    door_send(hello.at, hello.length / 2);
    tg_text_deinit(&hello);
    tg_client_kill(tg_list_first(&door.worker.clients));
    door_wait_for_end();
    close_all();
}

/* However many fail, few are written out. */
static void test_failed_handshakes_are_counted_between_lines(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        door_open_from("127.0.0.1:9");
        door_send("\x16\x03\x01\xff\xff garbage", 13);
        door_wait_for_end();
        door_close_client();
    }
    assert_true(door.worker.door_logged_at > 0);
    assert_true(door.worker.door_unlogged >= 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_without_alpn_it_is_http_1),
        TEST(test_alpn_says_http_1),
        TEST(test_alpn_says_http_2),
        TEST(test_http_1_spoken_where_http_2_was_chosen_is_refused),
        TEST(test_http_2_spoken_where_http_1_was_chosen_is_refused),
        TEST(test_alpn_without_a_protocol_of_ours_fails_the_handshake),
        TEST(test_a_clear_request_is_told_what_the_port_speaks),
        TEST(test_a_listener_that_is_gone_leaves_no_clear_way_in),
        TEST(test_the_first_byte_may_come_alone),
        TEST(test_a_proxy_header_may_be_glued_to_the_client_hello),
        TEST(test_a_handshake_has_the_time_of_the_accept),
        TEST(test_a_client_may_go_in_the_middle_of_a_handshake),
        TEST(test_a_kill_ends_a_handshake),
        TEST(test_failed_handshakes_are_counted_between_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
