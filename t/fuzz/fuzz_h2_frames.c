/* Frames of a hostile client against a whole HTTP/2 connection whose routes answer by themselves. The first byte says
 * how the input is cut. Build with: clang -g -O1 -fsanitize=fuzzer,address,undefined -std=gnu11 -D_GNU_SOURCE -Icore
 * t/fuzz/fuzz_h2_frames.c <all of core but control/main.c> <build>/obj/embedded.o and the libraries of the gateway. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nghttp2/nghttp2.h>

#include "base/log.h"
#include "proxy/client_h2.h"
#include "proxy/exchange.h"
#include "proxy/serve.h"

enum { BIG = 200 * 1000, TURNS = 6 };

static struct tg_loop *loop;
static struct tg_worker worker;
static struct tg_snapshot *snapshot;
static struct tg_lease lease;
static struct tg_route routes[2];
static struct tg_accept_target target;
static char big[BIG];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "%s\n", what);
    abort();
}

static void add_route(struct tg_route *route, const char *path, struct tg_slice body)
{
    char why[512];
    route->name = TG_SLICE("route");
    route->timeouts = snapshot->settings.timeouts;
    route->body_limit = 1 << 20;
    route->respond_status = 200;
    route->respond_body = body;
    require(
        tg_router_add(snapshot->router, route, TG_SLICE(""), TG_SLICE(""), tg_slice_from_string(path), 0, NULL, 0, why),
        why);
}

static void set_up(void)
{
    loop = tg_loop_new(NULL, &worker);
    worker.count = 1;
    require(loop && tg_worker_init(&worker, loop, NULL, NULL), "no loop");
    snapshot = tg_snapshot_new();
    snapshot->settings.access_log_off = true;
    tg_log_set_level(TG_LOG_ERROR);
    memset(big, 'b', sizeof big);
    add_route(&routes[0], "/", TG_SLICE("ok"));
    add_route(&routes[1], "/*", tg_slice_of(big, sizeof big));
    require(tg_snapshot_finish(snapshot), "no snapshot");
    tg_list_init(&lease.exchanges);
    lease.snapshot = snapshot;
    lease.worker = &worker;
    tg_worker_switch(&worker, &lease);
    target = (struct tg_accept_target){ loop, tg_worker_accepted, &worker.connections };
    worker.acceptor = tg_acceptor_new(&target, 1, 100);
}

struct turn {
    struct tg_message message;
    bool again;
};

/* The loop looks at no socket once it was told to stop: so in the turn after. */
static void stop(struct tg_message *message, struct tg_loop *stopped)
{
    struct turn *turn = TG_CONTAINER_OF(message, struct turn, message);
    turn->again = !turn->again;
    if (turn->again)
        tg_loop_post(stopped, message);
    else
        tg_loop_stop(stopped);
}

static void run_turn(void)
{
    struct turn turn = { .message.run = stop };
    tg_loop_post(loop, &turn.message);
    tg_loop_run(loop);
}

static void exchange_bytes(int client, const char *bytes, size_t length)
{
    static char room[1 << 18];
    if (length && send(client, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return;
    for (int i = 0; i < TURNS; i++) {
        run_turn();
        while (recv(client, room, sizeof room, MSG_DONTWAIT) > 0)
            ;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char greeting[] = NGHTTP2_CLIENT_MAGIC "\0\0\0\4\0\0\0\0\0";
    static const struct tg_stream_ops none;
    struct tg_address peer = { 0 };
    const char *why;
    int ends[2];
    if (!loop)
        set_up();
    if (size < 2 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0)
        return 0;
    require(tg_address_parse(TG_SLICE("127.0.0.1:9"), &peer, &why), "no address");
    struct tg_stream *stream = tg_stream_attach(loop, (struct tg_socket){ ends[1], NULL }, &peer, &none, NULL);
    struct tg_client_info info = { tg_stream_peer(stream), tg_stream_peer(stream), NULL };
    worker.connections++;
    require(stream && tg_client_h2_new(&worker, stream, &info, tg_loop_now(loop) + 10), "no connection");
    exchange_bytes(ends[0], greeting, sizeof greeting - 1);
    size_t first = 1 + (size - 1) * data[0] / 255;
    exchange_bytes(ends[0], (const char *)data + 1, first - 1);
    exchange_bytes(ends[0], (const char *)data + first, size - first);
    close(ends[0]);
    for (int i = 0; i < 100 && !tg_list_empty(&worker.clients); i++)
        run_turn();
    require(tg_list_empty(&worker.clients), "a connection that doesn't end");
    require(worker.exchanges == 0, "an exchange that doesn't end");
    return 0;
}
