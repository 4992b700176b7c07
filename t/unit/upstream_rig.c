#include "upstream_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/serve.h"
#include "run_loop.h"

void up_server_start(struct up_server *server, struct tg_loop *loop);
void up_server_stop(struct up_server *server);

struct up *up;
static const char *next_name, *next_value;

static struct up_call *call_of(struct tg_client_side *side)
{
    return TG_CONTAINER_OF(side, struct up_call, side);
}

static void finish(struct up_call *call)
{
    call->exchange = NULL;
    tg_deadline_deinit(&call->deadline);
    up->over++;
}

/* --- the client's end --- */

static void send_informational(struct tg_client_side *side, const struct tg_response_head *head)
{
    (void)head;
    call_of(side)->informational++;
}

static void send_head(struct tg_client_side *side, const struct tg_response_head *head, bool end)
{
    struct up_call *call = call_of(side);
    const struct tg_field *field = tg_fields_find(&head->fields, TG_FIELD_OTHER, TG_SLICE("x-test"));
    call->head = true;
    call->status = head->status;
    call->end = call->end_with_head = end;
    if (field)
        snprintf(call->server_field, sizeof call->server_field, "%.*s", (int)field->value.length, field->value.at);
    up->heads++;
    up->ends += end;
}

static void body_ready(struct tg_client_side *side)
{
    struct up_call *call = call_of(side);
    const struct tg_fields *trailers;
    struct tg_buffer_queue queue;
    bool end = false;
    if (call->stalled)
        return;
    tg_buffer_queue_init(&queue);
    assert_true(tg_exchange_take_response(call->exchange, &queue, SIZE_MAX, &end, &trailers));
    call->got += tg_buffer_queue_length(&queue);
    tg_buffer_queue_deinit(&queue);
    call->trailers |= trailers != NULL;
    if (end && !call->end) {
        call->end = true;
        up->ends++;
    }
    tg_exchange_from_client_drained(call->exchange);
}

static void want_body(struct tg_client_side *side, bool say_continue)
{
    (void)say_continue;
    call_of(side)->want_body = true;
}

static void pause_body(struct tg_client_side *side)
{
    call_of(side)->paused = true;
}

static void resume_body(struct tg_client_side *side)
{
    call_of(side)->paused = false;
}

static void become_tunnel(struct tg_client_side *side)
{
    call_of(side)->tunnel = true;
    up->tunnels++;
}

static void reset(struct tg_client_side *side, enum tg_reason reason)
{
    struct up_call *call = call_of(side);
    call->reset = true;
    call->reason = reason;
    finish(call);
}

static void detach(struct tg_client_side *side)
{
    finish(call_of(side));
}

static const struct tg_client_side_ops client_ops = {
    send_informational, send_head, body_ready, want_body, pause_body, resume_body, become_tunnel, reset, detach,
};

static void expired(struct tg_deadline *deadline)
{
    struct up_call *call = TG_CONTAINER_OF(deadline, struct up_call, deadline);
    tg_deadline_set(deadline, tg_exchange_tick(call->exchange));
}

/* --- driving it --- */

void up_next_field(const char *name, const char *value)
{
    next_name = name;
    next_value = value;
}

static struct up_call *start(struct tg_request_head *head, struct tg_arena *arena)
{
    assert_true(up->call_count < UP_CALLS);
    struct up_call *call = &up->calls[up->call_count++];
    struct tg_address client, local;
    struct tg_client_info info = { &client, &local, NULL };
    const char *why;
    assert_true(tg_address_parse(TG_SLICE("127.0.0.1:9"), &client, &why));
    assert_true(tg_address_parse(TG_SLICE("127.0.0.1:80"), &local, &why));
    call->side = (struct tg_client_side){ .ops = &client_ops, .deadline = &call->deadline };
    tg_deadline_init(&call->deadline, up->loop, expired);
    call->exchange = tg_exchange_start(&up->worker, arena, head, &call->side, &info);
    assert_non_null(call->exchange);
    return call;
}

static void make_head(struct tg_request_head *head, struct tg_arena *arena, const char *method)
{
    const char *why;
    tg_arena_init(arena);
    head->version = TG_HTTP_1_1;
    head->method_text = tg_slice_from_string(method);
    head->method = tg_method_of(head->method_text);
    head->keep_alive = true;
    head->target.raw_path = head->target.path = TG_SLICE("/");
    head->authority.text = head->authority.host = TG_SLICE("a");
    tg_fields_init(&head->fields, arena);
    if (next_name)
        assert_true(
            tg_fields_add(&head->fields, tg_slice_from_string(next_name), tg_slice_from_string(next_value), &why));
    next_name = NULL;
}

struct up_call *up_start(const char *method, size_t length)
{
    struct tg_arena arena;
    struct tg_request_head head = { 0 };
    make_head(&head, &arena, method);
    head.framing = length == SIZE_MAX ? TG_FRAMING_CHUNKED : length > 0 ? TG_FRAMING_LENGTH : TG_FRAMING_NONE;
    head.content_length = length == SIZE_MAX ? 0 : length;
    return start(&head, &arena);
}

struct up_call *up_get(void)
{
    return up_start("GET", 0);
}

struct up_call *up_websocket(void)
{
    struct tg_arena arena;
    struct tg_request_head head = { 0 };
    make_head(&head, &arena, "GET");
    head.upgrade = TG_SLICE("websocket");
    return start(&head, &arena);
}

void up_send(struct up_call *call, size_t length, bool end)
{
    static char bytes[64 * 1024];
    memset(bytes, 'u', sizeof bytes);
    for (size_t part; length > 0; length -= part) {
        part = length < sizeof bytes ? length : sizeof bytes;
        tg_exchange_from_client_body(call->exchange, (struct tg_buffer){ NULL, bytes, part });
    }
    if (end)
        tg_exchange_from_client_end(call->exchange);
}

void up_leave(struct up_call *call)
{
    struct tg_exchange *exchange = call->exchange;
    finish(call);
    tg_exchange_from_client_left(exchange, TG_REASON_CLIENT_LEFT);
}

void up_drain(struct up_call *call)
{
    call->stalled = false;
    body_ready(&call->side);
}

void up_until(const int *value, int target)
{
    run_until(up->loop, value, target);
}

struct tg_pool_peer *up_entry(void)
{
    return tg_pool_find_peer(up->worker.pool, up->peer);
}

struct up_connection *up_connection(int index)
{
    assert_true(index < up->server.accepted);
    return &up->server.connections[index];
}

int up_pooled(void)
{
    int count = 0;
    for (struct tg_list *link = up_entry()->h2.next; link != &up_entry()->h2; link = link->next)
        count++;
    return count;
}

struct tg_upstream_h2 *up_pooled_at(int index)
{
    struct tg_list *link = up_entry()->h2.next;
    while (index-- > 0)
        link = link->next;
    assert_ptr_not_equal(link, &up_entry()->h2);
    return TG_CONTAINER_OF(link, struct tg_upstream_h2, link);
}

/* --- its life --- */

static double clock_monotonic(struct tg_clock *clock)
{
    struct tg_clock *system = tg_clock_system();
    return system->monotonic(system) + TG_CONTAINER_OF(clock, struct up_clock, clock)->ahead;
}

static double clock_wall(struct tg_clock *clock)
{
    (void)clock;
    struct tg_clock *system = tg_clock_system();
    return system->wall(system);
}

void up_advance(double seconds)
{
    up->clock.ahead += seconds;
    tg_loop_now_fresh(up->loop);
}

void up_fire(struct tg_deadline *deadline)
{
    deadline->expired(deadline);
}

static struct tg_tls_server *make_tls_server(const struct tls_identity *identity, struct tg_ticket_keys *tickets,
                                             bool h1_only)
{
    char why[512];
    struct tg_tls_certificate certificate = { .name = TG_SLICE("a"),
                                              .cert = tls_file("a.pem", identity->cert_pem),
                                              .key = tls_file("a.key", identity->key_pem) };
    struct tg_tls_server_options options = { .certificates = &certificate,
                                             .count = 1,
                                             .session_life = 86400,
                                             .h1_only = h1_only,
                                             .listener = TG_SLICE("127.0.0.1:443") };
    struct tg_tls_server *server = tg_tls_server_new(up->library, tickets, &options, why);
    assert_non_null(server);
    return server;
}

static void make_tls(void)
{
    char why[512];
    up->library = tg_tls_library_open(false, why);
    up->tickets = tg_ticket_keys_new();
    up->authority = tls_authority_make("authority");
    up->identity = tls_server_identity_make("a.example", &up->authority);
    up->stranger = tls_authority_make("stranger");
    up->both = make_tls_server(&up->identity, up->tickets, false);
    up->h1_only = make_tls_server(&up->identity, up->tickets, true);
    up->untrusted = make_tls_server(&up->stranger, NULL, false);
    up->server.tls = up->both;
    struct tg_tls_client_options options = {
        .verify = true, .ca = tls_file("ca.pem", up->authority.cert_pem), .offer_h1 = true, .offer_h2 = true
    };
    up->client = tg_tls_client_new(up->library, &options, why);
    assert_non_null(up->client);
}

static void end_tls(void)
{
    tg_tls_client_unref(up->client);
    tg_tls_server_unref(up->both);
    tg_tls_server_unref(up->h1_only);
    tg_tls_server_unref(up->untrusted);
    tls_identity_deinit(&up->stranger);
    tls_identity_deinit(&up->identity);
    tls_identity_deinit(&up->authority);
    tg_ticket_keys_free(up->tickets);
    tg_tls_library_close(up->library);
}

static void make_peer(enum tg_protocol protocol)
{
    char text[32];
    const char *why;
    struct tg_address address;
    snprintf(text, sizeof text, "127.0.0.1:%u", up->server.port);
    struct tg_slice name = tg_slice_from_string(text);
    assert_true(tg_address_parse(name, &address, &why));
    up->peer = tg_peer_registry_get(up->registry, name, name, &address, protocol, up->client);
    assert_non_null(up->peer);
}

static void make_group(void)
{
    up->group = up->snapshot->groups = calloc(1, sizeof *up->group);
    up->snapshot->group_count = 1;
    up->group->name = TG_SLICE("app");
    up->group->peers = calloc(1, sizeof *up->group->peers);
    up->group->peer_count = 1;
    up->group->peers[0] = (struct tg_group_peer){ .peer = up->peer, .weight = 1 };
    up->group->timeouts = up->snapshot->settings.timeouts;
    up->group->timeouts.connect = up->group->timeouts.tls = 10;
    up->group->timeouts.send = up->group->timeouts.first_byte = up->group->timeouts.between_bytes = 30;
    up->group->protocol = TG_PROTOCOL_H2;
    up->group->attempts = 3;
    up->group->pool_size = 512;
    up->group->pool_idle = 60;
    up->group->h2_streams = 100;
    up->group->h2_connections = 32;
}

static void make_route(void)
{
    char why[512];
    struct tg_route *route = up->route = up->snapshot->routes = calloc(1, sizeof *route);
    up->snapshot->route_count = 1;
    route->name = TG_SLICE("all");
    route->group = up->group;
    route->timeouts = up->snapshot->settings.timeouts;
    route->timeouts.connect = route->timeouts.tls = route->timeouts.send = route->timeouts.first_byte =
        route->timeouts.between_bytes = route->timeouts.total = INFINITY;
    route->timeouts.tunnel_idle = 60;
    route->body_limit = (uint64_t)1 << 40;
    up->snapshot->none = *route;
    up->snapshot->none.group = NULL;
    assert_true(
        tg_router_add(up->snapshot->router, route, TG_SLICE(""), TG_SLICE(""), TG_SLICE("/*"), 0, NULL, 0, why));
}

static void set_up(bool tls)
{
    up = calloc(1, sizeof *up);
    up->clock.clock = (struct tg_clock){ clock_monotonic, clock_wall };
    up->loop = tg_loop_new(&up->clock.clock, &up->worker);
    up->worker.count = 1;
    assert_true(tg_worker_init(&up->worker, up->loop, NULL, NULL));
    up->registry = tg_peer_registry_new(up->loop);
    up_server_start(&up->server, up->loop);
    up->snapshot = tg_snapshot_new();
    up->snapshot->settings.access_log_off = true;
    if (tls)
        make_tls();
    make_peer(tls ? TG_PROTOCOL_AUTO : TG_PROTOCOL_H2);
    make_group();
    make_route();
    assert_true(tg_snapshot_finish(up->snapshot));
    tg_list_init(&up->lease.exchanges);
    tg_list_init(&up->lease.calls);
    up->lease.snapshot = up->snapshot;
    up->lease.worker = &up->worker;
    tg_worker_switch(&up->worker, &up->lease);
}

int up_setup(void **state)
{
    (void)state;
    set_up(false);
    return 0;
}

int up_setup_tls(void **state)
{
    (void)state;
    set_up(true);
    return 0;
}

int up_teardown(void **state)
{
    (void)state;
    for (int i = 0; i < up->call_count; i++) {
        if (up->calls[i].exchange)
            up_leave(&up->calls[i]);
    }
    run_turns(up->loop, 3);
    assert_int_equal(up->worker.exchanges, 0);
    assert_int_equal(up->lease.pinned, 0);
    tg_worker_deinit(&up->worker);
    assert_int_equal(atomic_load(&up->peer->active), 0);
    assert_int_equal(atomic_load(&up->peer->idle), up->peer->parked_count);
    up_server_stop(&up->server);
    struct tg_group_peer *peers = up->group->peers;
    tg_snapshot_unref(up->snapshot);
    free(peers);
    free(up->group);
    free(up->route);
    tg_peer_registry_free(up->registry);
    tg_loop_free(up->loop);
    if (up->library)
        end_tls();
    tg_arena_release_thread_pool();
    tg_block_release_thread_pool();
    free(up);
    return 0;
}
