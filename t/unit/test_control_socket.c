#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/admin_socket.h"

struct place {
    char folder[64], path[TG_SOCKET_PATH_MAX];
    struct tg_text why;
};

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    strcpy(place->folder, "/tmp/tidegate-unit.XXXXXX");
    if (!mkdtemp(place->folder))
        return -1;
    snprintf(place->path, sizeof place->path, "%s/admin.sock", place->folder);
    tg_text_init(&place->why);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    char lock[128];
    snprintf(lock, sizeof lock, "%.100s.lock", place->path);
    unlink(lock);
    unlink(place->path);
    assert_int_equal(rmdir(place->folder), 0);
    tg_text_deinit(&place->why);
    free(place);
    return 0;
}

static bool exists(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0;
}

static void the_socket_is_its_users_alone_and_goes_at_the_end(void **state)
{
    struct place *place = *state;
    struct tg_admin_socket admin;
    struct stat status;
    assert_true(tg_admin_socket_bind(&admin, place->path, &place->why));
    assert_true(tg_admin_socket_listen(&admin, &place->why));
    assert_int_equal(stat(place->path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    tg_admin_socket_close(&admin);
    assert_false(exists(place->path));
}

static void a_second_gateway_is_refused_while_the_first_lives(void **state)
{
    struct place *place = *state;
    struct tg_admin_socket first, second;
    assert_true(tg_admin_socket_bind(&first, place->path, &place->why));
    assert_false(tg_admin_socket_bind(&second, place->path, &place->why));
    assert_non_null(strstr(place->why.at, "another gateway"));
    assert_true(exists(place->path));
    tg_admin_socket_close(&first);
    assert_true(tg_admin_socket_bind(&second, place->path, &place->why));
    tg_admin_socket_close(&second);
}

/* The lock goes with the process that held it, the files stay. */
static void what_a_dead_gateway_left_is_replaced(void **state)
{
    struct place *place = *state;
    struct tg_admin_socket dead, next;
    assert_true(tg_admin_socket_bind(&dead, place->path, &place->why));
    close(dead.lock);
    close(dead.descriptor);
    assert_true(exists(place->path));
    assert_true(tg_admin_socket_bind(&next, place->path, &place->why));
    tg_admin_socket_close(&next);
}

static void a_file_that_is_no_socket_is_not_removed(void **state)
{
    struct place *place = *state;
    struct tg_admin_socket admin;
    FILE *file = fopen(place->path, "w");
    assert_non_null(file);
    fclose(file);
    assert_false(tg_admin_socket_bind(&admin, place->path, &place->why));
    assert_true(exists(place->path));
}

static void a_path_that_is_too_long_is_refused_with_its_limit(void **state)
{
    struct place *place = *state;
    char path[TG_SOCKET_PATH_MAX], given[200];
    memset(given, 'a', sizeof given - 1);
    given[sizeof given - 1] = 0;
    assert_false(tg_socket_path(given, false, path, &place->why));
    assert_non_null(strstr(place->why.at, "107"));
    given[107] = 0;
    assert_true(tg_socket_path(given, false, path, &place->why));
    assert_false(tg_socket_path("", false, path, &place->why));
}

static void the_usual_place_is_the_runtime_folder(void **state)
{
    struct place *place = *state;
    char path[TG_SOCKET_PATH_MAX], expected[TG_SOCKET_PATH_MAX];
    setenv("XDG_RUNTIME_DIR", place->folder, 1);
    assert_true(tg_socket_path(NULL, true, path, &place->why));
    snprintf(expected, sizeof expected, "%s/tidegate.sock", place->folder);
    assert_string_equal(path, expected);
    assert_true(tg_socket_path_is_default(expected));
    assert_false(tg_socket_path_is_default(place->path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_socket_is_its_users_alone_and_goes_at_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_second_gateway_is_refused_while_the_first_lives, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_dead_gateway_left_is_replaced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_is_no_socket_is_not_removed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_path_that_is_too_long_is_refused_with_its_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_usual_place_is_the_runtime_folder, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
