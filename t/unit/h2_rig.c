#include "h2_rig.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/client_h2_state.h"
#include "proxy/serve.h"
#include "run_loop.h"

struct h2_rig *r;

const char *const h2_raw_get[] = { ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a", NULL };
const char *const h2_raw_post[] = { ":method", "POST", ":scheme", "http", ":path", "/", ":authority", "a", NULL };

static double clock_now(struct tg_clock *clock)
{
    return TG_CONTAINER_OF(clock, struct rig_clock, clock)->now;
}

/* --- Upstream's ends --- */

static size_t print_fields(const struct tg_fields *fields, char *text, size_t at, size_t capacity)
{
    text[at] = '\0';
    for (uint32_t i = 0; fields && i < fields->count; i++) {
        const struct tg_field *line = &fields->lines[i];
        if (line->removed || line->own)
            continue;
        at += (size_t)snprintf(text + at, capacity - at, "%.*s: %.*s\n", (int)line->name.length, line->name.at,
                               (int)line->value.length, line->value.at);
        assert_true(at < capacity);
    }
    return at;
}

static struct h2_up *up_of(struct tg_upstream_side *side)
{
    return TG_CONTAINER_OF(side, struct h2_up, side);
}

static void send_head(struct tg_upstream_side *side, const struct tg_request_head *head, bool raw_path, bool end)
{
    struct h2_up *up = up_of(side);
    (void)raw_path;
    static const char *const framings[] = { "none", "length", "chunked", "close" };
    up->head_end = up->end = end;
    int at = snprintf(up->head, sizeof up->head, "%.*s %.*s %.*s %s %.*s\n", (int)head->method_text.length,
                      head->method_text.at, (int)head->target.path.length, head->target.path.at,
                      (int)head->authority.text.length, head->authority.text.at, framings[head->framing],
                      (int)head->upgrade.length, head->upgrade.length ? head->upgrade.at : "");
    print_fields(&head->fields, up->head, (size_t)at, sizeof up->head);
}

static void body_ready(struct tg_upstream_side *side)
{
    struct h2_up *up = up_of(side);
    struct tg_buffer_queue taken;
    const struct tg_fields *trailers = NULL;
    bool end = false;
    if (r->ups_paused)
        return;
    tg_buffer_queue_init(&taken);
    assert_true(tg_exchange_take_request(up->exchange, &taken, SIZE_MAX, &end, &trailers));
    up->body += tg_buffer_queue_length(&taken);
    up->end |= end;
    if (end && trailers)
        print_fields(trailers, up->trailers, 0, sizeof up->trailers);
    tg_buffer_queue_deinit(&taken);
}

static void pause_body(struct tg_upstream_side *side)
{
    up_of(side)->held = true;
}

static void resume_body(struct tg_upstream_side *side)
{
    up_of(side)->held = false;
}

static void become_tunnel(struct tg_upstream_side *side)
{
    up_of(side)->tunnel = true;
}

static void reset(struct tg_upstream_side *side, enum tg_reason reason)
{
    (void)reason;
    up_of(side)->reset = true;
    up_of(side)->exchange = NULL;
}

static void detach(struct tg_upstream_side *side)
{
    up_of(side)->detached = true;
    up_of(side)->exchange = NULL;
}

static const struct tg_upstream_side_ops ups = {
    send_head, body_ready, pause_body, resume_body, become_tunnel, reset, detach,
};

static struct tg_upstream_side *acquire(struct tg_connector *connector, struct tg_exchange *exchange,
                                        struct tg_group *group, struct tg_peer *peer, double timeout, bool fresh,
                                        bool careful)
{
    (void)connector, (void)group, (void)timeout, (void)fresh, (void)careful;
    struct h2_up *up = &r->ups[r->up_count++ % RIG_UPS];
    *up = (struct h2_up){ .side = { &ups, peer, false }, .exchange = exchange };
    return &up->side;
}

static void cancel(struct tg_connector *connector, struct tg_exchange *exchange)
{
    (void)connector, (void)exchange;
}

struct h2_up *h2_up(int index)
{
    assert_true(index < r->up_count);
    return &r->ups[index % RIG_UPS];
}

static void append_all(struct tg_fields *fields, const char *const *pairs)
{
    for (; pairs && *pairs; pairs += 2) {
        struct tg_slice name = tg_slice_from_string(pairs[0]);
        assert_true(tg_fields_append(fields, tg_field_name_of(name), name, tg_slice_from_string(pairs[1])));
    }
}

void h2_up_head(struct h2_up *up, int status, enum tg_framing framing, uint64_t length, const char *const *pairs)
{
    struct tg_response_head head = { .status = (uint16_t)status,
                                     .version = TG_HTTP_1_1,
                                     .framing = framing,
                                     .content_length = length,
                                     .has_content_length = framing == TG_FRAMING_LENGTH,
                                     .keep_alive = true };
    assert_non_null(up->exchange);
    tg_fields_init(&head.fields, &up->exchange->arena);
    append_all(&head.fields, pairs);
    if (status == 101)
        head.upgrade = TG_SLICE("websocket");
    if (status < 200 && status != 101)
        tg_exchange_from_upstream_informational(up->exchange, &head);
    else
        tg_exchange_from_upstream_head(up->exchange, &head);
}

void h2_up_body(struct h2_up *up, const char *bytes, size_t length)
{
    up->full = !tg_exchange_from_upstream_body(up->exchange, (struct tg_buffer){ NULL, bytes, length });
}

void h2_up_trailers(struct h2_up *up, const char *const *pairs)
{
    struct tg_fields trailers;
    tg_fields_init(&trailers, &up->exchange->arena);
    append_all(&trailers, pairs);
    tg_exchange_from_upstream_trailers(up->exchange, &trailers);
}

void h2_up_end(struct h2_up *up)
{
    tg_exchange_from_upstream_end(up->exchange);
}

void h2_up_answer(struct h2_up *up, int status, const char *body)
{
    h2_up_head(up, status, TG_FRAMING_LENGTH, strlen(body), NULL);
    h2_up_body(up, body, strlen(body));
    h2_up_end(up);
    h2_settle();
}

/* --- The client's codec --- */

struct rig_stream *h2_seen(int32_t id)
{
    return &r->streams[(size_t)id / 2 % RIG_STREAMS];
}

static int on_begin_headers(nghttp2_session *codec, const nghttp2_frame *frame, void *user_data)
{
    (void)codec, (void)user_data;
    h2_seen(frame->hd.stream_id)->heads++;
    return 0;
}

static int on_header(nghttp2_session *codec, const nghttp2_frame *frame, const uint8_t *name, size_t name_length,
                     const uint8_t *value, size_t value_length, uint8_t flags, void *user_data)
{
    (void)codec, (void)flags, (void)user_data;
    struct rig_stream *stream = h2_seen(frame->hd.stream_id);
    size_t at = strlen(stream->head);
    if (name_length == 7 && memcmp(name, ":status", 7) == 0) {
        int status = atoi((const char *)value);
        stream->informational += status < 200;
        stream->status = status < 200 ? stream->status : status;
    } else {
        snprintf(stream->head + at, sizeof stream->head - at, "%.*s: %.*s\n", (int)name_length, (const char *)name,
                 (int)value_length, (const char *)value);
    }
    return 0;
}

static int on_frame(nghttp2_session *codec, const nghttp2_frame *frame, void *user_data)
{
    (void)codec, (void)user_data;
    struct rig_stream *stream = h2_seen(frame->hd.stream_id);
    if (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA)
        stream->end |= frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_HEADERS && stream->status)
        stream->trailers |= stream->end;
    if (frame->hd.type == NGHTTP2_RST_STREAM) {
        stream->reset = true;
        stream->reset_code = frame->rst_stream.error_code;
    }
    return 0;
}

static int on_chunk(nghttp2_session *codec, uint8_t flags, int32_t id, const uint8_t *data, size_t length,
                    void *user_data)
{
    (void)flags, (void)data, (void)user_data;
    h2_seen(id)->body += length;
    if (!r->holds_windows)
        nghttp2_session_consume(codec, id, length);
    return 0;
}

static int on_close(nghttp2_session *codec, int32_t id, uint32_t code, void *user_data)
{
    (void)codec, (void)user_data, (void)code;
    h2_seen(id)->closed = true;
    return 0;
}

static void make_client(void)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
    assert_int_equal(nghttp2_option_new(&option), 0);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    assert_int_equal(nghttp2_session_client_new2(&r->client, callbacks, NULL, option), 0);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    assert_int_equal(nghttp2_submit_settings(r->client, NGHTTP2_FLAG_NONE, NULL, 0), 0);
}

/* --- Frames that come --- */

static uint32_t number(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void frame_is_whole(void)
{
    static const char letters[] = "DHPRSUGAWC";
    uint8_t type = r->header[3];
    uint32_t id = number(r->header + 5), length = number(r->header) >> 8;
    size_t at = strlen(r->order);
    bool end = (type == NGHTTP2_DATA || type == NGHTTP2_HEADERS) && (r->header[4] & NGHTTP2_FLAG_END_STREAM);
    r->frames[type & 15]++;
    if (type < 10)
        snprintf(r->order + at, sizeof r->order - at, "%c%u%s%s ", letters[type], id,
                 type == NGHTTP2_DATA && length == 0 ? "=0" : "", end ? "+" : "");
    if (type == NGHTTP2_GOAWAY) {
        r->goaways++;
        r->goaway_last = (int32_t)(number(r->payload) & 0x7fffffff);
        r->goaway_code = number(r->payload + 4);
    }
    if (type == NGHTTP2_RST_STREAM) {
        r->resets++;
        r->last_reset_code = number(r->payload);
    }
}

static void look_at_frames(const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        if (r->header_have < 9) {
            r->header[r->header_have++] = *bytes++;
            length--;
            r->payload_left = number(r->header) >> 8;
            r->payload_have = 0;
        } else {
            size_t part = length < r->payload_left ? length : r->payload_left;
            for (size_t i = 0; i < part && r->payload_have < sizeof r->payload; i++)
                r->payload[r->payload_have++] = bytes[i];
            bytes += part;
            length -= part;
            r->payload_left -= part;
        }
        if (r->header_have == 9 && r->payload_left == 0) {
            frame_is_whole();
            r->header_have = 0;
        }
    }
}

/* --- Bytes --- */

static bool give_to_gateway(void)
{
    static uint8_t waiting[1 << 20];
    static size_t have;
    if (r->socket < 0 || !r->client || r->mute) {
        have = 0;
        return false;
    }
    const uint8_t *bytes;
    ssize_t length;
    while (have < sizeof waiting / 2 && (length = nghttp2_session_mem_send(r->client, &bytes)) > 0) {
        memcpy(waiting + have, bytes, (size_t)length);
        have += (size_t)length;
    }
    ssize_t sent = have ? send(r->socket, waiting, have, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
    if (sent <= 0) {
        have = errno == EPIPE || errno == ECONNRESET ? 0 : have;
        return false;
    }
    have -= (size_t)sent;
    memmove(waiting, waiting + sent, have);
    return true;
}

static bool take_from_gateway(void)
{
    static uint8_t bytes[65536];
    if (r->socket < 0 || r->deaf)
        return false;
    ssize_t length = recv(r->socket, bytes, sizeof bytes, MSG_DONTWAIT);
    r->closed_by_gateway |= length == 0 || (length < 0 && errno == ECONNRESET);
    if (length <= 0)
        return false;
    look_at_frames(bytes, (size_t)length);
    if (r->client)
        assert_int_equal(nghttp2_session_mem_recv(r->client, bytes, (size_t)length), length);
    return true;
}

void h2_settle(void)
{
    for (int idle = 0, rounds = 0; idle < 4; rounds++) {
        bool moved = give_to_gateway();
        run_turns(r->loop, 2);
        moved |= take_from_gateway();
        idle = moved ? 0 : idle + 1;
        assert_true(rounds < 100000);
    }
}

/* The loop's timers follow the system's clock: here the connection's is fired by hand. */
static void fire_what_is_due(void)
{
    struct tg_list *link = tg_list_first(&r->worker.clients);
    if (!link)
        return;
    struct tg_client_h2 *client = TG_CONTAINER_OF(tg_client_of_link(link), struct tg_client_h2, base);
    if (client->deadline.at <= r->clock.now)
        client->deadline.expired(&client->deadline);
}

void h2_wait(double seconds)
{
    double end = r->clock.now + seconds;
    while (r->clock.now < end) {
        r->clock.now = fmin(end, r->clock.now + 1);
        run_turns(r->loop, 1);
        fire_what_is_due();
        h2_settle();
    }
}

/* --- Set-up --- */

static struct tg_peer *make_peer(void)
{
    struct tg_peer *peer = calloc(1, sizeof *peer);
    atomic_store(&peer->references, 1000000);
    peer->serial = 1;
    peer->name = TG_SLICE("127.0.0.1:1");
    return peer;
}

static void make_snapshot(void)
{
    char why[512];
    r->snapshot = tg_snapshot_new();
    r->snapshot->settings.access_log_off = true;
    struct tg_group *group = calloc(1, sizeof *group);
    r->snapshot->groups = group;
    r->snapshot->group_count = 1;
    group->name = TG_SLICE("app");
    group->peers = calloc(1, sizeof *group->peers);
    group->peer_count = 1;
    group->peers[0].peer = make_peer();
    group->peers[0].weight = 1;
    group->timeouts = r->snapshot->settings.timeouts;
    group->timeouts.total = group->timeouts.send = group->timeouts.first_byte = group->timeouts.between_bytes =
        INFINITY;
    group->attempts = 1;
    struct tg_route *route = calloc(1, sizeof *route);
    r->snapshot->routes = route;
    r->snapshot->route_count = 1;
    route->name = TG_SLICE("all");
    route->group = group;
    route->timeouts = r->snapshot->settings.timeouts;
    route->timeouts.connect = route->timeouts.send = route->timeouts.first_byte = route->timeouts.between_bytes =
        route->timeouts.total = INFINITY;
    route->body_limit = 1 << 30;
    r->snapshot->none = *route;
    r->snapshot->none.group = NULL;
    assert_true(tg_router_add(r->snapshot->router, route, TG_SLICE(""), TG_SLICE(""), TG_SLICE("/*"), 0, NULL, 0, why));
    assert_true(tg_snapshot_finish(r->snapshot));
}

static void connect_client(bool raw)
{
    int ends[2];
    struct tg_address peer = { 0 };
    const char *why;
    static const struct tg_stream_ops none;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    assert_true(tg_address_parse(TG_SLICE("127.0.0.1:9"), &peer, &why));
    r->socket = ends[0];
    r->stream = tg_stream_attach(r->loop, (struct tg_socket){ ends[1], NULL }, &peer, &none, NULL);
    assert_non_null(r->stream);
    r->worker.connections++;
    struct tg_client_info info = { tg_stream_peer(r->stream), tg_stream_peer(r->stream), NULL };
    assert_true(
        tg_client_h2_new(&r->worker, r->stream, &info, tg_loop_now(r->loop) + r->snapshot->settings.timeouts.header));
    if (raw) {
        h2_raw_bytes(NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
        h2_raw_frame(NGHTTP2_SETTINGS, 0, 0, NULL, 0);
        if (!r->no_ack)
            h2_raw_frame(NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, NULL, 0);
    } else {
        make_client();
    }
    h2_settle();
}

static void disconnect(void)
{
    if (r->socket >= 0)
        close(r->socket);
    r->socket = -1;
    nghttp2_session_del(r->client);
    r->client = NULL;
    r->header_have = r->payload_left = 0;
    run_turns(r->loop, 4);
}

void h2_reconnect(bool raw)
{
    disconnect();
    memset(r->streams, 0, sizeof r->streams);
    memset(r->frames, 0, sizeof r->frames);
    r->order[0] = '\0';
    r->resets = r->goaways = 0;
    r->closed_by_gateway = r->deaf = false;
    connect_client(raw);
}

static int set_up(bool raw)
{
    r = calloc(1, sizeof *r);
    r->clock.clock = (struct tg_clock){ clock_now, clock_now };
    r->clock.now = 1000;
    r->loop = tg_loop_new(&r->clock.clock, &r->worker);
    r->worker.count = 1;
    assert_true(tg_worker_init(&r->worker, r->loop, NULL, NULL));
    r->connector = (struct tg_connector){ acquire, cancel };
    r->worker.connector = &r->connector;
    make_snapshot();
    tg_list_init(&r->lease.exchanges);
    r->lease.snapshot = r->snapshot;
    r->lease.worker = &r->worker;
    tg_worker_switch(&r->worker, &r->lease);
    r->target = (struct tg_accept_target){ r->loop, tg_worker_accepted, &r->worker.connections };
    r->worker.acceptor = tg_acceptor_new(&r->target, 1, 100);
    connect_client(raw);
    return 0;
}

int h2_rig_setup(void **state)
{
    (void)state;
    return set_up(false);
}

int h2_rig_setup_raw(void **state)
{
    (void)state;
    return set_up(true);
}

int h2_rig_teardown(void **state)
{
    (void)state;
    disconnect();
    assert_int_equal(r->worker.exchanges, 0);
    assert_int_equal(r->lease.pinned, 0);
    assert_true(tg_list_empty(&r->worker.clients));
    struct tg_group *group = r->snapshot->groups;
    struct tg_group_peer *entries = group->peers;
    struct tg_route *route = r->snapshot->routes;
    group->peer_count = 0;
    tg_acceptor_free(r->worker.acceptor);
    tg_worker_deinit(&r->worker);
    tg_snapshot_unref(r->snapshot);
    free(entries[0].peer);
    free(entries);
    free(group);
    free(route);
    tg_loop_free(r->loop);
    tg_arena_release_thread_pool();
    tg_block_release_thread_pool();
    free(r);
    return 0;
}

/* --- Requests --- */

static size_t to_lines(const char *const *pairs, nghttp2_nv *lines)
{
    size_t count = 0;
    for (; pairs[2 * count]; count++)
        lines[count] = (nghttp2_nv){ (uint8_t *)(uintptr_t)pairs[2 * count], (uint8_t *)(uintptr_t)pairs[2 * count + 1],
                                     strlen(pairs[2 * count]), strlen(pairs[2 * count + 1]), NGHTTP2_NV_FLAG_NONE };
    return count;
}

int32_t h2_request(const char *const *pairs, bool end)
{
    nghttp2_nv lines[64];
    size_t count = to_lines(pairs, lines);
    int32_t id = nghttp2_submit_headers(r->client, end ? NGHTTP2_FLAG_END_STREAM : 0, -1, NULL, lines, count, NULL);
    assert_true(id > 0);
    memset(h2_seen(id), 0, sizeof *h2_seen(id));
    h2_settle();
    return id;
}

int32_t h2_get(const char *path)
{
    const char *const pairs[] = { ":method", "GET", ":scheme", "http", ":path", path, ":authority", "a", NULL };
    return h2_request(pairs, true);
}

int32_t h2_post(const char *path, const char *length)
{
    const char *const pairs[] = { ":method",    "POST",  ":scheme",
                                  "http",       ":path", path,
                                  ":authority", "a",     length ? "content-length" : NULL,
                                  length,       NULL };
    return h2_request(pairs, false);
}

struct source {
    const char *at;
    size_t left;
    bool end;
};

static ssize_t read_source(nghttp2_session *codec, int32_t id, uint8_t *to, size_t length, uint32_t *flags,
                           nghttp2_data_source *source, void *user_data)
{
    (void)codec, (void)id, (void)user_data;
    struct source *from = source->ptr;
    size_t part = length < from->left ? length : from->left;
    if (part)
        memcpy(to, from->at, part);
    from->at += part;
    from->left -= part;
    if (from->left == 0)
        *flags |= NGHTTP2_DATA_FLAG_EOF | (from->end ? 0 : NGHTTP2_DATA_FLAG_NO_END_STREAM);
    return (ssize_t)part;
}

/* Runs until the codec has taken all, as far as the gateway's windows allow. */
void h2_body(int32_t id, const char *bytes, size_t length, bool end)
{
    static struct source sources[8];
    static int next;
    struct source *source = &sources[next++ % 8];
    *source = (struct source){ bytes, length, end };
    nghttp2_data_provider provider = { .source.ptr = source, .read_callback = read_source };
    assert_int_equal(nghttp2_submit_data(r->client, NGHTTP2_FLAG_END_STREAM, id, &provider), 0);
    h2_settle();
}

/* --- By hand --- */

void h2_raw_bytes(const void *bytes, size_t length)
{
    const char *at = bytes;
    for (int tries = 0; length > 0 && tries < 1000; tries++) {
        ssize_t sent = send(r->socket, at, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN)
            return;
        if (sent > 0) {
            at += sent;
            length -= (size_t)sent;
        }
        if (length > 0)
            h2_settle();
    }
}

void h2_raw_frame(uint8_t type, uint8_t flags, uint32_t id, const void *payload, size_t length)
{
    uint8_t frame[9 + 65536] = { (uint8_t)(length >> 16), (uint8_t)(length >> 8), (uint8_t)length,    type,       flags,
                                 (uint8_t)(id >> 24),     (uint8_t)(id >> 16),    (uint8_t)(id >> 8), (uint8_t)id };
    assert_true(length <= 65536);
    if (length)
        memcpy(frame + 9, payload, length);
    h2_raw_bytes(frame, 9 + length);
}

static size_t put_string(uint8_t *to, const char *text)
{
    size_t length = strlen(text), at = 0;
    if (length < 127) {
        to[at++] = (uint8_t)length;
    } else {
        size_t rest = length - 127;
        to[at++] = 127;
        for (; rest >= 128; rest /= 128)
            to[at++] = (uint8_t)(rest % 128 + 128);
        to[at++] = (uint8_t)rest;
    }
    memcpy(to + at, text, length);
    return at + length;
}

size_t h2_raw_block(uint8_t *to, const char *const *pairs)
{
    size_t at = 0;
    for (; *pairs; pairs += 2) {
        to[at++] = 0; /* a literal without indexing */
        at += put_string(to + at, pairs[0]);
        at += put_string(to + at, pairs[1]);
    }
    return at;
}

void h2_raw_headers(uint32_t id, uint8_t flags, const char *const *pairs)
{
    static uint8_t block[65536];
    h2_raw_frame(NGHTTP2_HEADERS, (uint8_t)(flags | NGHTTP2_FLAG_END_HEADERS), id, block, h2_raw_block(block, pairs));
}

bool h2_says(const char *text, const char *line)
{
    size_t length = strlen(line);
    for (const char *at = text; (at = strstr(at, line)) != NULL; at++)
        if ((at == text || at[-1] == '\n') && at[length] == '\n')
            return true;
    return false;
}
