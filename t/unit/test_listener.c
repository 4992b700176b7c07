#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/listener.h"

static char folder[] = "/tmp/tidegate-listener-XXXXXX";
static char why[256];

static struct tg_address address_of(const char *text)
{
    struct tg_address address;
    const char *problem;
    assert_true(tg_address_parse(tg_slice_from_string(text), &address, &problem));
    return address;
}

static struct tg_address path_address(const char *name, char path[108])
{
    char text[128];
    snprintf(path, 108, "%s/%s", folder, name);
    snprintf(text, sizeof(text), "unix:%s", path);
    return address_of(text);
}

static bool answers(const struct tg_address *address)
{
    int raw = socket(address->any.sa_family, SOCK_STREAM, 0);
    bool connected = connect(raw, &address->any, address->length) == 0;
    close(raw);
    return connected;
}

static bool exists(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0;
}

static void port_zero_becomes_the_port_that_was_chosen(void **state)
{
    (void)state;
    struct tg_address any = address_of("127.0.0.1:0");
    struct tg_listener *listener = tg_listener_open(&any, why);
    assert_non_null(listener);
    struct tg_address bound = *tg_listener_address(listener);
    assert_true(tg_address_port(&bound) > 0);
    assert_true(answers(&bound));
    tg_listener_close(listener);
    assert_false(answers(&bound));
}

static void a_second_listener_at_an_address_is_refused_with_advice(void **state)
{
    (void)state;
    struct tg_address any = address_of("[::1]:0");
    struct tg_listener *listener = tg_listener_open(&any, why);
    assert_non_null(listener);
    assert_null(tg_listener_open(tg_listener_address(listener), why));
    assert_memory_equal(why, "[::1]:", 6);
    assert_non_null(strstr(why, "already in use"));
    tg_listener_close(listener);
}

static void an_address_of_another_machine_is_refused(void **state)
{
    (void)state;
    struct tg_address foreign = address_of("192.0.2.1:0");
    assert_null(tg_listener_open(&foreign, why));
    assert_string_equal(why, "192.0.2.1:0: this machine has no such address");
}

static void a_unix_path_goes_with_its_listener(void **state)
{
    (void)state;
    char path[108];
    struct tg_address address = path_address("goes", path);
    struct tg_listener *listener = tg_listener_open(&address, why);
    assert_non_null(listener);
    assert_true(answers(&address));
    tg_listener_close(listener);
    assert_false(exists(path));
}

static void a_path_left_by_a_dead_process_is_replaced_and_a_live_one_refused(void **state)
{
    (void)state;
    char path[108];
    struct tg_address address = path_address("left", path);
    int dead = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(dead, &address.any, address.length), 0);
    close(dead);
    assert_true(exists(path));
    struct tg_listener *listener = tg_listener_open(&address, why);
    assert_non_null(listener);
    assert_null(tg_listener_open(&address, why));
    assert_non_null(strstr(why, "already in use"));
    assert_true(answers(&address));
    tg_listener_close(listener);
}

static void a_file_in_the_way_is_never_removed(void **state)
{
    (void)state;
    char path[108];
    struct tg_address address = path_address("file", path);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    assert_null(tg_listener_open(&address, why));
    assert_non_null(strstr(why, "isn't a socket"));
    assert_true(exists(path));
    unlink(path);
}

static void a_path_that_another_has_taken_over_is_left_alone(void **state)
{
    (void)state;
    char path[108], aside[120];
    struct tg_address address = path_address("taken", path);
    snprintf(aside, sizeof(aside), "%s-aside", path);
    struct tg_listener *old = tg_listener_open(&address, why);
    assert_int_equal(rename(path, aside), 0);
    struct tg_listener *new = tg_listener_open(&address, why);
    assert_non_null(new);
    tg_listener_close(old);
    assert_true(exists(path));
    assert_true(answers(&address));
    tg_listener_close(new);
    unlink(aside);
}

/* Before any other: the environment is read when the first listener opens. */
static void an_inherited_socket_is_adopted(void **state)
{
    (void)state;
    char path[108], number[16];
    struct tg_address address = path_address("inherited", path);
    int raw = socket(AF_UNIX, SOCK_STREAM, 0);
    if (raw != 3) {
        dup2(raw, 3);
        close(raw);
    }
    assert_int_equal(bind(3, &address.any, address.length), 0);
    assert_int_equal(listen(3, 1), 0);
    snprintf(number, sizeof(number), "%d", getpid());
    setenv("LISTEN_PID", number, 1);
    setenv("LISTEN_FDS", "1", 1);
    struct tg_listener *listener = tg_listener_open(&address, why);
    assert_non_null(listener);
    assert_null(getenv("LISTEN_FDS"));
    assert_true(fcntl(3, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(3, F_GETFL) & O_NONBLOCK);
    assert_true(answers(&address));
    tg_listener_close(listener);
    assert_false(answers(&address));
    assert_true(exists(path)); /* it belongs to whoever made it */
    unlink(path);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_inherited_socket_is_adopted),
        cmocka_unit_test(port_zero_becomes_the_port_that_was_chosen),
        cmocka_unit_test(a_second_listener_at_an_address_is_refused_with_advice),
        cmocka_unit_test(an_address_of_another_machine_is_refused),
        cmocka_unit_test(a_unix_path_goes_with_its_listener),
        cmocka_unit_test(a_path_left_by_a_dead_process_is_replaced_and_a_live_one_refused),
        cmocka_unit_test(a_file_in_the_way_is_never_removed),
        cmocka_unit_test(a_path_that_another_has_taken_over_is_left_alone),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
