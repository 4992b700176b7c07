#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/listener_set.h"

struct rig {
    struct tg_loop *loop;
    struct tg_acceptor *acceptor;
    _Atomic uint32_t connections;
    struct tg_listener_set set;
    struct tg_text why;
};

static void accepted(struct tg_loop *loop, struct tg_stream *stream, struct tg_listener *listener)
{
    (void)loop;
    (void)listener;
    tg_stream_close(stream);
}

/* Two targets, so that a thread of its own accepts. */
static int set_up(void **state)
{
    static struct rig rig;
    rig = (struct rig){ .loop = tg_loop_new(NULL, NULL) };
    tg_text_init(&rig.why);
    const struct tg_accept_target targets[] = { { rig.loop, accepted, &rig.connections },
                                                { rig.loop, accepted, &rig.connections } };
    rig.acceptor = tg_acceptor_new(targets, 2, 100);
    *state = &rig;
    return rig.acceptor ? 0 : -1;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    tg_listener_set_close(&rig->set, rig->acceptor);
    tg_acceptor_free(rig->acceptor);
    tg_loop_free(rig->loop);
    tg_text_deinit(&rig->why);
    return 0;
}

static struct tg_address parse(const char *text)
{
    struct tg_address address;
    const char *problem;
    assert_true(tg_address_parse(tg_slice_from_string(text), &address, &problem));
    return address;
}

static bool open_all(struct rig *rig, struct tg_snapshot *snapshot, struct tg_listener_config *configs, size_t count)
{
    *snapshot = (struct tg_snapshot){ .listeners = configs, .listener_count = count };
    return tg_listener_set_open(&rig->set, snapshot, &rig->why);
}

static void a_listener_that_stays_is_not_touched(void **state)
{
    struct rig *rig = *state;
    struct tg_snapshot snapshot;
    struct tg_listener_config first[] = { { .address = parse("127.0.0.1:0") } };
    assert_true(open_all(rig, &snapshot, first, 1));
    assert_true(tg_listener_set_settle(&rig->set, rig->acceptor, &rig->why));
    const struct tg_listener *listener = rig->set.at[0].listener;
    assert_int_not_equal(tg_address_port(&first[0].address), 0);

    struct tg_listener_config second[] = { { .address = parse("127.0.0.1:0") }, { .address = parse("127.0.0.1:0") } };
    assert_true(open_all(rig, &snapshot, second, 2));
    assert_true(tg_listener_set_settle(&rig->set, rig->acceptor, &rig->why));
    assert_int_equal(rig->set.count, 2);
    assert_ptr_equal(rig->set.at[0].listener, listener);
    assert_true(tg_address_equal(&second[0].address, &first[0].address));
    assert_false(tg_address_equal(&second[1].address, &first[0].address));
}

static void a_listener_that_has_gone_is_closed_once_settled(void **state)
{
    struct rig *rig = *state;
    struct tg_snapshot snapshot;
    struct tg_listener_config configs[] = { { .address = parse("127.0.0.1:0") } };
    assert_true(open_all(rig, &snapshot, configs, 1));
    assert_true(tg_listener_set_settle(&rig->set, rig->acceptor, &rig->why));
    assert_true(open_all(rig, &snapshot, NULL, 0));
    assert_int_equal(rig->set.count, 1);
    assert_true(tg_listener_set_settle(&rig->set, rig->acceptor, &rig->why));
    assert_int_equal(rig->set.count, 0);
    assert_true(open_all(rig, &snapshot, configs, 1)); /* the port is free again */
}

static void one_that_cannot_be_opened_leaves_all_as_they_were(void **state)
{
    struct rig *rig = *state;
    struct tg_snapshot snapshot;
    char why[256];
    struct tg_address any = parse("127.0.0.1:0");
    struct tg_listener *taken = tg_listener_open(&any, why);
    struct tg_listener_config configs[] = { { .address = any }, { .address = *tg_listener_address(taken) } };
    assert_true(open_all(rig, &snapshot, configs, 1));
    assert_true(tg_listener_set_settle(&rig->set, rig->acceptor, &rig->why));
    assert_false(open_all(rig, &snapshot, configs, 2));
    assert_non_null(strstr(rig->why.at, "in use"));
    assert_int_equal(rig->set.count, 1);
    assert_true(rig->set.at[0].accepting);
    tg_listener_close(taken);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_listener_that_stays_is_not_touched, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_listener_that_has_gone_is_closed_once_settled, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_cannot_be_opened_leaves_all_as_they_were, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
