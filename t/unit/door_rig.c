#include "door_rig.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/client_door.h"
#include "proxy/serve.h"
#include "run_loop.h"

struct door_rig door;

void door_open_from(const char *peer_text)
{
    int ends[2];
    struct tg_address peer = { 0 };
    const char *why;
    static const struct tg_stream_ops none;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    assert_true(tg_address_parse(tg_slice_from_string(peer_text), &peer, &why));
    door.client = ends[0];
    door.length = 0;
    door.got[0] = 0;
    door.ended = false;
    struct tg_stream *stream = tg_stream_attach(door.loop, (struct tg_socket){ ends[1], NULL }, &peer, &none, NULL);
    assert_non_null(stream);
    door.listener.address = *tg_stream_local(stream);
    door.worker.connections++;
    door.opened = tg_loop_now_fresh(door.loop);
    assert_true(tg_client_door_open(&door.worker, stream, false));
}

static void heed_quiet(struct tg_worker *worker)
{
    (void)worker;
}

void door_close_client(void)
{
    close(door.client);
    run_turns(door.loop, 4);
    assert_true(tg_list_empty(&door.worker.clients));
    assert_int_equal(door.worker.connections, 0);
}

int door_rig_set_up(void **state)
{
    (void)state;
    char why[512];
    memset(&door, 0, sizeof door);
    door.loop = tg_loop_new(NULL, &door.worker);
    door.worker.count = 1;
    door.worker.quiet = heed_quiet;
    assert_true(tg_worker_init(&door.worker, door.loop, NULL, NULL));
    door.snapshot = tg_snapshot_new();
    door.snapshot->settings.access_log_off = true;
    door.snapshot->listeners = &door.listener;
    door.snapshot->listener_count = 1;
    door.listener.name = TG_SLICE("test");
    door.route.name = TG_SLICE("route");
    door.route.timeouts = door.snapshot->settings.timeouts;
    door.route.body_limit = 1 << 20;
    door.route.respond_status = 200;
    door.route.respond_body = TG_SLICE("ok");
    assert_true(
        tg_router_add(door.snapshot->router, &door.route, TG_SLICE(""), TG_SLICE(""), TG_SLICE("/*"), 0, NULL, 0, why));
    assert_true(tg_snapshot_finish(door.snapshot));
    tg_list_init(&door.lease.exchanges);
    tg_list_init(&door.lease.calls);
    door.lease.snapshot = door.snapshot;
    door.lease.worker = &door.worker;
    tg_worker_switch(&door.worker, &door.lease);
    door.target = (struct tg_accept_target){ door.loop, tg_worker_accepted, &door.worker.connections };
    door.worker.acceptor = tg_acceptor_new(&door.target, 1, 100);
    return 0;
}

int door_rig_tear_down(void **state)
{
    (void)state;
    assert_int_equal(door.worker.exchanges, 0);
    assert_int_equal(door.lease.pinned, 0);
    assert_true(tg_list_empty(&door.worker.clients));
    tg_acceptor_free(door.worker.acceptor);
    tg_worker_deinit(&door.worker);
    door.snapshot->listener_count = 0;
    tg_snapshot_unref(door.snapshot);
    tg_loop_free(door.loop);
    tg_arena_release_thread_pool();
    tg_block_release_thread_pool();
    return 0;
}

void door_read_some(void)
{
    ssize_t got;
    run_turns(door.loop, 2);
    do {
        got = recv(door.client, door.got + door.length, sizeof door.got - 1 - door.length, 0);
        door.length += got > 0 ? (size_t)got : 0;
    } while (got > 0);
    if (got == 0 || (got < 0 && errno != EAGAIN))
        door.ended = true;
    door.got[door.length] = '\0';
}

void door_send(const char *bytes, size_t length)
{
    assert_int_equal(send(door.client, bytes, length, MSG_NOSIGNAL), length);
    run_turns(door.loop, 1);
}

double door_elapsed(void)
{
    return tg_loop_now_fresh(door.loop) - door.opened;
}

void door_wait_for(const char *text)
{
    do
        door_read_some();
    while (!strstr(door.got, text) && !door.ended && door_elapsed() < 20);
    assert_non_null(strstr(door.got, text));
}

void door_wait_for_end(void)
{
    while (!door.ended && door_elapsed() < 20)
        door_read_some();
    assert_true(door.ended);
}
