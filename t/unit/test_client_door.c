/* The door over pairs of sockets: what comes before a connection's codec. The route answers by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/socket.h>

#include "door_rig.h"
#include "proxy/serve.h"

static const char PREFACE[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/* --- Clear connections --- */

static void test_a_request_is_answered_wherever_its_first_bytes_are_split(void **state)
{
    (void)state;
    static const char post[] = "PRIX / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    for (size_t split = 1; split < sizeof post - 1; split++) {
        door_open_from("127.0.0.1:9");
        door_send(post, split);
        door_send(post + split, sizeof post - 1 - split);
        door_wait_for("HTTP/1.1 200");
        door_close_client();
    }
}

static void test_what_begins_like_the_preface_and_goes_on_otherwise_is_http_1(void **state)
{
    (void)state;
    door_open_from("127.0.0.1:9");
    door_send("PR", 2);
    assert_false(tg_list_empty(&door.worker.clients));
    door_send("OPFIND / HTTP/1.1\r\nHost: a\r\n\r\n", 30);
    door_wait_for("HTTP/1.1 200");
    door_close_client();
}

static bool answered_with_a_frame(void)
{
    for (int i = 0; i < 20 && door.length < 9; i++)
        door_read_some();
    return door.length >= 9 && door.got[3] == 4; /* SETTINGS */
}

static void test_the_preface_of_http_2_is_known_at_every_split(void **state)
{
    (void)state;
    static const char settings[] = { 0, 0, 0, 4, 0, 0, 0, 0, 0 };
    for (size_t split = 1; split <= sizeof PREFACE - 1; split++) {
        door_open_from("127.0.0.1:9");
        door_send(PREFACE, split);
        if (split < sizeof PREFACE - 1)
            door_send(PREFACE + split, sizeof PREFACE - 1 - split);
        door_send(settings, sizeof settings);
        assert_true(answered_with_a_frame());
        door_close_client();
    }
}

/* --- Time, and the end --- */

static void pass_time_until(double seconds)
{
    while (door_elapsed() < seconds)
        run_turns(door.loop, 1);
}

/* [T11] The limit counts from the accept. */
static void test_a_silent_connection_is_closed_in_time(void **state)
{
    (void)state;
    door.snapshot->settings.timeouts.header = 0.2;
    door_open_from("127.0.0.1:9");
    door_wait_for_end();
    assert_true(door_elapsed() >= 0.2);
    assert_int_equal(door.length, 0);
    door_close_client();
}

/* [T11] Were the limit to begin anew with the codec, the end would come after 1.7 s. */
static void test_no_step_gets_time_of_its_own(void **state)
{
    (void)state;
    door.snapshot->settings.timeouts.header = 1;
    door_open_from("127.0.0.1:9");
    pass_time_until(0.7);
    door_send("PR", 2);
    door_send("OPFIND / HT", 11);
    door_wait_for("HTTP/1.1 408");
    assert_true(door_elapsed() < 1.4);
    door_close_client();
}

/* [T11] */
static void test_half_a_preface_is_a_head_that_comes_too_slowly(void **state)
{
    (void)state;
    door.snapshot->settings.timeouts.header = 0.2;
    door_open_from("127.0.0.1:9");
    door_send("PRI *", 5);
    door_wait_for("HTTP/1.1 408");
    door_close_client();
}

static void test_an_end_before_the_first_byte_ends_it(void **state)
{
    (void)state;
    door_open_from("127.0.0.1:9");
    assert_int_equal(shutdown(door.client, SHUT_WR), 0);
    door_wait_for_end();
    door_close_client();
    door_open_from("127.0.0.1:9");
    door_close_client();
}

static void test_a_drain_closes_what_is_idle_in_the_door(void **state)
{
    (void)state;
    door_open_from("127.0.0.1:9");
    tg_worker_drain(&door.worker, 0.2, tg_loop_now_fresh(door.loop) + 30);
    door_read_some();
    assert_false(door.ended);
    door_wait_for_end();
    door_close_client();
}

static void test_a_kill_ends_it_at_once(void **state)
{
    (void)state;
    door_open_from("127.0.0.1:9");
    tg_client_kill(tg_list_first(&door.worker.clients));
    door_wait_for_end();
    door_close_client();
}

/* --- The PROXY header --- */

static struct tg_cidr sender;

static void take_headers_from(const char *range)
{
    assert_true(tg_cidr_parse(tg_slice_from_string(range), &sender));
    door.listener.proxy_protocol = true;
    door.listener.senders = (struct tg_trusted_proxies){ &sender, 1 };
}

static const char SAYING_WHO[] = "PROXY TCP4 10.1.2.3 127.0.0.1 12345 80\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
static const size_t HEADER_LENGTH = 40;

static void expect_peer(const char *ip)
{
    char text[46];
    struct tg_ip peer;
    const struct tg_client *client = tg_client_of_link(tg_list_first(&door.worker.clients));
    tg_address_ip(client->info.peer, peer.bytes);
    text[tg_ip_format(&peer, text)] = '\0';
    assert_string_equal(text, ip);
}

/* [N08] */
static void test_a_header_and_the_request_behind_it_are_read_at_every_split(void **state)
{
    (void)state;
    take_headers_from("192.0.2.0/24");
    for (size_t split = 1; split < sizeof SAYING_WHO - 1; split++) {
        door_open_from("192.0.2.7:9");
        door_send(SAYING_WHO, split);
        door_send(SAYING_WHO + split, sizeof SAYING_WHO - 1 - split);
        door_wait_for("HTTP/1.1 200");
        expect_peer("10.1.2.3");
        door_close_client();
    }
}

/* [N08] */
static void test_a_header_comes_byte_by_byte(void **state)
{
    (void)state;
    take_headers_from("192.0.2.0/24");
    door_open_from("192.0.2.7:9");
    for (size_t i = 0; i < sizeof SAYING_WHO - 1; i++)
        door_send(SAYING_WHO + i, 1);
    door_wait_for("HTTP/1.1 200");
    expect_peer("10.1.2.3");
    door_close_client();
}

static void test_a_header_of_version_2_is_taken(void **state)
{
    (void)state;
    static const char bytes[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\x0a\x01\x02\x03\x7f\x00\x00\x01\x30\x39\x01\xbb"
                                "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    take_headers_from("192.0.2.0/24");
    door_open_from("192.0.2.7:9");
    door_send(bytes, sizeof bytes - 1);
    door_wait_for("HTTP/1.1 200");
    expect_peer("10.1.2.3");
    door_close_client();
}

/* [N07] */
static void test_a_local_header_keeps_the_peer(void **state)
{
    (void)state;
    static const char bytes[] = "\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    take_headers_from("192.0.2.0/24");
    door_open_from("192.0.2.7:9");
    door_send(bytes, sizeof bytes - 1);
    door_wait_for("HTTP/1.1 200");
    expect_peer("192.0.2.7");
    door_close_client();
}

/* [N06] */
static void test_a_sender_without_a_header_is_closed(void **state)
{
    (void)state;
    take_headers_from("192.0.2.0/24");
    door_open_from("192.0.2.7:9");
    door_send(SAYING_WHO + HEADER_LENGTH, sizeof SAYING_WHO - 1 - HEADER_LENGTH);
    door_wait_for_end();
    assert_int_equal(door.length, 0);
    door_close_client();
}

/* [N06] */
static void test_a_header_of_somebody_else_is_no_header(void **state)
{
    (void)state;
    take_headers_from("192.0.2.0/24");
    door_open_from("198.51.100.7:9");
    door_send(SAYING_WHO, sizeof SAYING_WHO - 1);
    door_wait_for("HTTP/1.1 400");
    door_close_client();
    door_open_from("198.51.100.7:9");
    door_send(SAYING_WHO + HEADER_LENGTH, sizeof SAYING_WHO - 1 - HEADER_LENGTH);
    door_wait_for("HTTP/1.1 200");
    expect_peer("198.51.100.7");
    door_close_client();
}

/* [N08, T11] */
static void test_the_time_limit_runs_while_a_header_is_awaited(void **state)
{
    (void)state;
    take_headers_from("192.0.2.0/24");
    door.snapshot->settings.timeouts.header = 0.2;
    door_open_from("192.0.2.7:9");
    door_send(SAYING_WHO, HEADER_LENGTH - 1);
    door_wait_for_end();
    assert_int_equal(door.length, 0);
    door_close_client();
    door_open_from("192.0.2.7:9");
    door_send(SAYING_WHO, HEADER_LENGTH);
    door_wait_for_end();
    assert_int_equal(door.length, 0);
    door_close_client();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, door_rig_set_up, door_rig_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_a_request_is_answered_wherever_its_first_bytes_are_split),
        TEST(test_what_begins_like_the_preface_and_goes_on_otherwise_is_http_1),
        TEST(test_the_preface_of_http_2_is_known_at_every_split),
        TEST(test_a_silent_connection_is_closed_in_time),
        TEST(test_no_step_gets_time_of_its_own),
        TEST(test_half_a_preface_is_a_head_that_comes_too_slowly),
        TEST(test_an_end_before_the_first_byte_ends_it),
        TEST(test_a_drain_closes_what_is_idle_in_the_door),
        TEST(test_a_kill_ends_it_at_once),
        TEST(test_a_header_and_the_request_behind_it_are_read_at_every_split),
        TEST(test_a_header_comes_byte_by_byte),
        TEST(test_a_header_of_version_2_is_taken),
        TEST(test_a_local_header_keeps_the_peer),
        TEST(test_a_sender_without_a_header_is_closed),
        TEST(test_a_header_of_somebody_else_is_no_header),
        TEST(test_the_time_limit_runs_while_a_header_is_awaited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
