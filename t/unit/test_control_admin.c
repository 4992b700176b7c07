/* The admin server before clients that behave badly: control must never wait for one. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/admin_server.h"
#include "run_loop.h"

struct rig {
    struct tg_loop *loop;
    struct tg_admin_socket socket;
    struct tg_admin_server *server;
    struct tg_admin_call *kept; /* the last call of "later" */
    int calls;
    char folder[64];
};

static void on_call(void *context, struct tg_admin_call *call)
{
    struct rig *rig = context;
    const char *command = tg_admin_call_text(call, "command");
    rig->calls++;
    if (!command)
        tg_admin_call_refuse(call, "what?");
    else if (strcmp(command, "later") == 0)
        rig->kept = call;
    else
        tg_admin_call_answer(call, json_pack("{ss}", "echo", command));
}

static const struct tg_admin_server_ops ops = { .on_call = on_call };

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    char path[TG_SOCKET_PATH_MAX];
    struct tg_text why;
    tg_text_init(&why);
    strcpy(rig->folder, "/tmp/tidegate-unit.XXXXXX");
    if (!mkdtemp(rig->folder))
        return -1;
    snprintf(path, sizeof path, "%s/admin.sock", rig->folder);
    rig->loop = tg_loop_new(NULL, rig);
    if (!tg_admin_socket_bind(&rig->socket, path, &why) || !tg_admin_socket_listen(&rig->socket, &why))
        return -1;
    rig->server = tg_admin_server_new(rig->loop, &rig->socket, &ops, rig);
    *state = rig;
    return rig->server ? 0 : -1;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    if (rig->server)
        tg_admin_server_free(rig->server);
    tg_loop_free(rig->loop);
    tg_admin_socket_close(&rig->socket);
    rmdir(rig->folder);
    free(rig);
    return 0;
}

static int connect_client(struct rig *rig)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    memcpy(address.sun_path, rig->socket.path, strlen(rig->socket.path) + 1);
    int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    return client;
}

static void say(int client, const char *text)
{
    assert_int_equal(send(client, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Runs the loop until the client has a whole line, and compares it. */
static void expect_line(struct rig *rig, int client, const char *expected)
{
    char line[1024];
    size_t length = 0;
    for (int turns = 0; turns < 1000 && (length == 0 || line[length - 1] != '\n'); turns++) {
        run_turns(rig->loop, 3);
        if (recv(client, line + length, 1, MSG_DONTWAIT) == 1)
            length++;
    }
    line[length > 0 ? length - 1 : 0] = 0;
    assert_string_equal(line, expected);
}

static bool is_closed(struct rig *rig, int client)
{
    char byte;
    for (int turns = 0; turns < 100; turns++) {
        run_turns(rig->loop, 3);
        ssize_t got = recv(client, &byte, 1, MSG_DONTWAIT);
        if (got == 0)
            return true;
    }
    return false;
}

static void each_line_gets_its_reply_in_order(void **state)
{
    struct rig *rig = *state;
    int client = connect_client(rig);
    say(client, "{\"command\":\"a\"}\n{\"command\":\"b\"}\n");
    expect_line(rig, client, "{\"echo\":\"a\",\"ok\":true}");
    expect_line(rig, client, "{\"echo\":\"b\",\"ok\":true}");
    close(client);
}

static void a_line_may_come_byte_by_byte(void **state)
{
    struct rig *rig = *state;
    int client = connect_client(rig);
    for (const char *at = "{\"command\":\"a\"}\n"; *at; at++) {
        assert_int_equal(send(client, at, 1, MSG_NOSIGNAL), 1);
        run_turns(rig->loop, 2);
    }
    expect_line(rig, client, "{\"echo\":\"a\",\"ok\":true}");
    close(client);
}

static void what_is_no_object_is_refused(void **state)
{
    struct rig *rig = *state;
    int client = connect_client(rig);
    say(client, "reload\n");
    expect_line(rig, client, "{\"ok\":false,\"error\":\"a request is one JSON object in a line\"}");
    say(client, "[1]\n");
    expect_line(rig, client, "{\"ok\":false,\"error\":\"a request is one JSON object in a line\"}");
    say(client, "{\"command\":1}\n");
    expect_line(rig, client, "{\"ok\":false,\"error\":\"what?\"}");
    close(client);
}

static void a_request_without_end_is_cut_off(void **state)
{
    struct rig *rig = *state;
    int client = connect_client(rig);
    char much[4096];
    memset(much, ' ', sizeof much);
    for (int i = 0; i < 20; i++) {
        if (send(client, much, sizeof much, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            break;
        run_turns(rig->loop, 10);
    }
    assert_true(is_closed(rig, client));
    assert_int_equal(rig->calls, 0);
    close(client);
}

static void a_client_that_leaves_does_not_disturb_the_answer(void **state)
{
    struct rig *rig = *state;
    int client = connect_client(rig);
    say(client, "{\"command\":\"later\"}\n");
    run_until(rig->loop, &rig->calls, 1);
    close(client);
    run_turns(rig->loop, 10);
    tg_admin_call_answer(rig->kept, NULL);
    run_turns(rig->loop, 10);
}

static void a_client_that_ended_its_direction_still_gets_its_answer(void **state)
{
    struct rig *rig = *state;
    int client = connect_client(rig);
    say(client, "{\"command\":\"later\"}\n");
    shutdown(client, SHUT_WR);
    run_until(rig->loop, &rig->calls, 1);
    run_turns(rig->loop, 10);
    tg_admin_call_refuse(rig->kept, "caf\xe9");
    expect_line(rig, client, "{\"ok\":false,\"error\":\"caf?\"}");
    assert_true(is_closed(rig, client));
    close(client);
}

static void calls_outlive_the_server(void **state)
{
    struct rig *rig = *state;
    int client = connect_client(rig);
    say(client, "{\"command\":\"later\"}\n");
    run_until(rig->loop, &rig->calls, 1);
    tg_admin_server_free(rig->server);
    rig->server = NULL;
    tg_admin_call_answer(rig->kept, NULL);
    close(client);
}

static void many_clients_at_once_are_served_one_after_the_other(void **state)
{
    struct rig *rig = *state;
    int clients[70]; /* more than the server takes at a time */
    for (int i = 0; i < 70; i++) {
        clients[i] = connect_client(rig);
        run_turns(rig->loop, 5);
    }
    for (int i = 0; i < 70; i++) {
        say(clients[i], "{\"command\":\"a\"}\n");
        expect_line(rig, clients[i], "{\"echo\":\"a\",\"ok\":true}");
        close(clients[i]);
        run_turns(rig->loop, 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_line_gets_its_reply_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_line_may_come_byte_by_byte, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_object_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_request_without_end_is_cut_off, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_client_that_leaves_does_not_disturb_the_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_client_that_ended_its_direction_still_gets_its_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(calls_outlive_the_server, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_clients_at_once_are_served_one_after_the_other, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
