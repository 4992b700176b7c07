#include "exchange_rig.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/serve.h"

static double clock_now(struct tg_clock *clock)
{
    return TG_CONTAINER_OF(clock, struct still_clock, clock)->now;
}

struct exchange_rig *f;

static void print_fields(const struct tg_fields *fields, char *text, size_t capacity)
{
    size_t at = 0;
    text[0] = '\0';
    for (uint32_t i = 0; fields && i < fields->count; i++) {
        const struct tg_field *line = &fields->lines[i];
        if (line->removed || line->own)
            continue;
        at += (size_t)snprintf(text + at, capacity - at, "%.*s: %.*s\n", (int)line->name.length, line->name.at,
                               (int)line->value.length, line->value.at);
        assert_true(at < capacity);
    }
}

/* --- The client's end --- */

static void client_informational(struct tg_client_side *side, const struct tg_response_head *head)
{
    (void)side;
    (void)head;
    f->informational++;
}

static void client_head(struct tg_client_side *side, const struct tg_response_head *head, bool end)
{
    (void)side;
    f->status = head->status;
    f->declared_length = head->framing == TG_FRAMING_LENGTH;
    print_fields(&head->fields, f->head, sizeof f->head);
    f->got_end = end;
}

static void client_body_ready(struct tg_client_side *side)
{
    (void)side;
    const struct tg_fields *trailers;
    bool end;
    assert_true(tg_exchange_take_response(f->exchange, &f->got, SIZE_MAX, &end, &trailers));
    f->got_end = end;
    if (end)
        print_fields(trailers, f->trailers, sizeof f->trailers);
}

static void client_want_body(struct tg_client_side *side, bool say_continue)
{
    (void)side;
    (void)say_continue;
    f->body_wanted = true;
}

static void client_pause(struct tg_client_side *side)
{
    (void)side;
    f->body_paused = true;
}

static void client_resume(struct tg_client_side *side)
{
    (void)side;
    f->body_paused = false;
}

static void client_tunnel(struct tg_client_side *side)
{
    (void)side;
}

static void client_reset(struct tg_client_side *side, enum tg_reason reason)
{
    (void)side;
    f->client_reset = true;
    f->client_reset_reason = reason;
}

static void client_detach(struct tg_client_side *side)
{
    (void)side;
    f->client_detached = true;
}

static const struct tg_client_side_ops client_ops = {
    client_informational, client_head,   client_body_ready, client_want_body, client_pause,
    client_resume,        client_tunnel, client_reset,      client_detach,
};

/* --- The upstream's end --- */

static void upstream_head(struct tg_upstream_side *side, const struct tg_request_head *head, bool raw_path, bool end)
{
    (void)side;
    (void)raw_path;
    print_fields(&head->fields, f->outgoing, sizeof f->outgoing);
    f->heads_sent++;
    f->sent_end = end;
}

static void upstream_body_ready(struct tg_upstream_side *side)
{
    (void)side;
    const struct tg_fields *trailers;
    bool end;
    if (f->upstream_paused)
        return;
    assert_true(tg_exchange_take_request(f->exchange, &f->sent, SIZE_MAX, &end, &trailers));
    f->sent_end = end;
}

static void upstream_pause(struct tg_upstream_side *side)
{
    (void)side;
    f->upstream_held = true;
}

static void upstream_resume(struct tg_upstream_side *side)
{
    (void)side;
    f->upstream_held = false;
}

static void upstream_tunnel(struct tg_upstream_side *side)
{
    (void)side;
}

static void upstream_reset(struct tg_upstream_side *side, enum tg_reason reason)
{
    (void)side;
    f->upstream_reset = true;
    f->upstream_reset_reason = reason;
}

static void upstream_detach(struct tg_upstream_side *side)
{
    (void)side;
    f->upstream_detached = true;
}

static const struct tg_upstream_side_ops upstream_ops = {
    upstream_head,   upstream_body_ready, upstream_pause,  upstream_resume,
    upstream_tunnel, upstream_reset,      upstream_detach,
};

static struct tg_upstream_side *acquire(struct tg_connector *connector, struct tg_exchange *exchange,
                                        struct tg_group *group, struct tg_peer *peer, double timeout, bool fresh,
                                        bool careful)
{
    (void)connector;
    (void)group;
    (void)timeout;
    (void)careful;
    f->acquired++;
    f->fresh_asked = fresh;
    f->asked = peer;
    if (f->refuse || f->fail_connect)
        tg_exchange_from_connector_failed(exchange, f->refuse ? TG_REASON_REFUSED : f->fail_connect,
                                          f->refuse ? NULL : "why it failed");
    if (f->refuse || f->fail_connect || f->never_connects)
        return NULL;
    f->upstream = (struct tg_upstream_side){ &upstream_ops, peer, f->reused && !fresh };
    return &f->upstream;
}

static void cancel(struct tg_connector *connector, struct tg_exchange *exchange)
{
    (void)connector;
    (void)exchange;
    f->canceled = true;
}

/* --- Handlers --- */

static enum tg_hook_result hook_run(struct tg_exchange *exchange, enum tg_phase phase)
{
    (void)phase;
    f->hook_runs++;
    if (f->hook_result == TG_HOOK_ANSWERED)
        assert_true(tg_exchange_respond(exchange, 403, NULL));
    return f->hook_result;
}

static void hook_cancel(struct tg_exchange *exchange)
{
    (void)exchange;
    f->hook_cancels++;
}

/* --- Driving it --- */

static void stop(struct tg_message *message, struct tg_loop *loop)
{
    (void)message;
    tg_loop_stop(loop);
}

/* Runs what is due now. */
void turn(void)
{
    struct tg_message message = { .run = stop };
    tg_loop_post(f->loop, &message);
    tg_loop_run(f->loop);
}

static void deadline_expired(struct tg_deadline *deadline)
{
    bool over = f->client_reset || f->client_detached;
    tg_deadline_set(deadline, over ? INFINITY : tg_exchange_tick(f->exchange));
}

static struct tg_peer *make_peer(uint32_t index)
{
    struct tg_peer *peer = calloc(1, sizeof *peer);
    atomic_store(&peer->references, 1000);
    peer->index = index;
    peer->serial = index + 1;
    peer->name = TG_SLICE("127.0.0.1:1");
    return peer;
}

static void make_snapshot(void)
{
    f->snapshot = tg_snapshot_new();
    f->snapshot->settings.access_log_off = true;
    f->snapshot->groups = calloc(1, sizeof(struct tg_group));
    f->snapshot->group_count = 1;
    struct tg_group *group = f->snapshot->groups;
    group->name = TG_SLICE("app");
    group->peers = calloc(2, sizeof *group->peers);
    group->peer_count = 2;
    for (uint32_t i = 0; i < 2; i++) {
        group->peers[i].peer = make_peer(i);
        group->peers[i].weight = 1;
    }
    group->timeouts = f->snapshot->settings.timeouts;
    group->timeouts.first_byte = 60;
    group->attempts = 3;
    struct tg_route *route = calloc(1, sizeof *route);
    f->snapshot->routes = route;
    f->snapshot->route_count = 1;
    route->name = TG_SLICE("all");
    route->group = group;
    route->timeouts = f->snapshot->settings.timeouts;
    route->timeouts.connect = route->timeouts.send = route->timeouts.first_byte = route->timeouts.between_bytes =
        INFINITY;
    route->timeouts.total = INFINITY;
    route->body_limit = 1 << 20;
    f->snapshot->none = *route;
    f->snapshot->none.group = NULL;
    if (!f->snapshot->router)
        f->snapshot->router = tg_router_new();
    char why[512];
    assert_true(tg_router_add(f->snapshot->router, route, TG_SLICE(""), TG_SLICE(""), TG_SLICE("/*"), 0, NULL, 0, why));
    assert_true(tg_snapshot_finish(f->snapshot));
}

int exchange_rig_setup(void **state)
{
    (void)state;
    f = calloc(1, sizeof *f);
    f->clock.clock = (struct tg_clock){ clock_now, clock_now };
    f->clock.now = 1000;
    f->version = TG_HTTP_1_1;
    f->loop = tg_loop_new(&f->clock.clock, &f->worker);
    f->worker.count = 1;
    f->hooks = (struct tg_hooks){ .run = hook_run, .cancel = hook_cancel };
    assert_true(tg_worker_init(&f->worker, f->loop, &f->hooks, NULL));
    f->connector = (struct tg_connector){ acquire, cancel };
    f->worker.connector = &f->connector;
    make_snapshot();
    tg_list_init(&f->lease.exchanges);
    f->lease.snapshot = f->snapshot;
    f->lease.worker = &f->worker;
    tg_worker_switch(&f->worker, &f->lease);
    f->client = (struct tg_client_side){ .ops = &client_ops, .deadline = &f->deadline };
    tg_deadline_init(&f->deadline, f->loop, deadline_expired);
    tg_deadline_set(&f->deadline, INFINITY);
    tg_buffer_queue_init(&f->got);
    tg_buffer_queue_init(&f->sent);
    return 0;
}

int exchange_rig_teardown(void **state)
{
    (void)state;
    turn();
    assert_int_equal(f->worker.exchanges, 0);
    assert_int_equal(f->lease.pinned, 0);
    tg_buffer_queue_deinit(&f->got);
    tg_buffer_queue_deinit(&f->sent);
    tg_deadline_deinit(&f->deadline);
    struct tg_group *group = f->snapshot->groups;
    struct tg_route *route = f->snapshot->routes;
    struct tg_peer *peers[2] = { group->peers[0].peer, group->peers[1].peer };
    struct tg_group_peer *entries = group->peers;
    group->peer_count = 0;
    tg_snapshot_unref(f->snapshot);
    for (int i = 0; i < 2; i++)
        free(peers[i]);
    free(entries);
    free(group);
    free(route);
    tg_worker_deinit(&f->worker);
    tg_loop_free(f->loop);
    tg_arena_release_thread_pool();
    tg_block_release_thread_pool();
    free(f);
    return 0;
}

static void append_all(struct tg_fields *fields, const char *const *pairs)
{
    for (; pairs && *pairs; pairs += 2) {
        struct tg_slice name = tg_slice_from_string(pairs[0]);
        assert_true(tg_fields_append(fields, tg_field_name_of(name), name, tg_slice_from_string(pairs[1])));
    }
}

void start(enum tg_method method, struct tg_slice text, enum tg_framing framing, uint64_t length)
{
    struct tg_arena arena;
    tg_arena_init(&arena);
    struct tg_request_head head = { .method = method,
                                    .version = f->version,
                                    .method_text = text,
                                    .framing = framing,
                                    .content_length = length,
                                    .expect_continue = f->expect_continue,
                                    .extended_connect = f->extended_connect,
                                    .keep_alive = true };
    head.target.raw_path = head.target.path = f->path ? tg_slice_from_string(f->path) : TG_SLICE("/");
    head.authority.text = head.authority.host = TG_SLICE("a");
    tg_fields_init(&head.fields, &arena);
    append_all(&head.fields, f->request_fields);
    if (f->client_reset || f->client_detached)
        tg_deadline_set(&f->deadline, INFINITY);
    f->client_reset = f->client_detached = f->got_end = false;
    const char *why;
    assert_true(tg_address_parse(TG_SLICE("127.0.0.1:9"), &f->peer, &why));
    assert_true(tg_address_parse(TG_SLICE("127.0.0.1:80"), &f->local, &why));
    f->info.peer = &f->peer;
    f->info.local = &f->local;
    f->exchange = tg_exchange_start(&f->worker, &arena, &head, &f->client, &f->info);
    assert_non_null(f->exchange);
    turn();
}

void get(void)
{
    start(TG_METHOD_GET, TG_SLICE("GET"), TG_FRAMING_NONE, 0);
}

struct tg_buffer bytes(const char *text)
{
    return (struct tg_buffer){ NULL, text, strlen(text) };
}

void answer_head_with(int status, enum tg_framing framing, uint64_t length, const char *const *fields)
{
    struct tg_response_head head = { .status = (uint16_t)status,
                                     .version = TG_HTTP_1_1,
                                     .framing = framing,
                                     .content_length = length,
                                     .has_content_length = framing == TG_FRAMING_LENGTH,
                                     .keep_alive = true };
    tg_fields_init(&head.fields, &f->exchange->arena);
    append_all(&head.fields, fields);
    tg_exchange_from_upstream_head(f->exchange, &head);
}

void answer_head(int status, enum tg_framing framing, uint64_t length)
{
    answer_head_with(status, framing, length, NULL);
}

void answer_whole(void)
{
    answer_head(200, TG_FRAMING_LENGTH, 5);
    tg_exchange_from_upstream_body(f->exchange, bytes("hello"));
    tg_exchange_from_upstream_end(f->exchange);
    turn();
}

void use_phase(enum tg_phase phase, enum tg_hook_result result)
{
    f->snapshot->routes[0].phases = 1u << phase;
    f->hook_result = result;
}

bool has_line(const char *fields, const char *line)
{
    size_t length = strlen(line);
    for (const char *at = fields; (at = strstr(at, line)) != NULL; at++)
        if ((at == fields || at[-1] == '\n') && at[length] == '\n')
            return true;
    return false;
}
