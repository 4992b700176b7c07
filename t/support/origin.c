/* origin: the strict test origin.
 *
 *     origin [--ports N] [--idle MS] [--unix PATH]
 *
 * It listens on N loopback ports of its own choice, checks every byte of what the gateway sends, and answers as the
 * request asks (origin_plan.h). It prints one line of JSON, {"ports":[...]}, and runs until its input ends. Deviations
 * from the one right form are counted, printed, and shown by GET /origin/stats on any of its ports; GET /origin/reset
 * sets all counts to zero, GET /origin/close closes the idle connections, GET /origin/requests shows the last requests.
 * One thread. */
#include "origin_answer.h"

/* ---- the origin's own paths ---- */

static void add_stats(struct text_buffer *to)
{
    unsigned open = 0;
    for (struct connection *at = origin.first; at; at = at->next)
        open += !at->listening && !at->dead;
    text_print(to,
               "{\"accepted\":%llu,\"open\":%u,\"requests\":%llu,\"violations\":%llu,\"cut_requests\":%llu,"
               "\"left_early\":%llu,\"resets\":%llu,\"tunnel_bytes\":%llu,\"texts\":[",
               (unsigned long long)origin.count.accepted, open - 1, (unsigned long long)origin.count.requests,
               (unsigned long long)origin.count.violations, (unsigned long long)origin.count.cut_requests,
               (unsigned long long)origin.count.left_early, (unsigned long long)origin.count.resets,
               (unsigned long long)origin.count.tunnel_bytes);
    for (uint64_t i = 0; i < origin.count.violations && i < SHOWN_VIOLATIONS; i++) {
        text_print(to, i > 0 ? "," : "");
        text_add_json(to, origin.violations[i], strlen(origin.violations[i]));
    }
    text_print(to, "],\"accepted_on\":[");
    for (unsigned i = 0; i < origin.port_count; i++)
        text_print(to, "%s%llu", i > 0 ? "," : "", (unsigned long long)origin.count.on_port[i]);
    text_print(to, "]}");
}

static void add_requests(struct text_buffer *to)
{
    uint64_t first = origin.remembered_count > REMEMBERED ? origin.remembered_count - REMEMBERED : 0;
    text_print(to, "[");
    for (uint64_t i = first; i < origin.remembered_count; i++)
        text_print(to, "%s%s", i > first ? "," : "", origin.remembered[i % REMEMBERED]);
    text_print(to, "]");
}

static void close_idle_connections(const struct connection *asking)
{
    for (struct connection *at = origin.first; at; at = at->next)
        if (!at->listening && at != asking && at->answering == ANSWER_NONE && at->reading == READ_HEAD)
            connection_end(at, false);
}

/* True when the request was for the origin itself. Such requests come from the test and are not counted. */
static bool serve_control(struct connection *connection, size_t end)
{
    const char *at = connection->input + connection->input_start;
    if (end < 12 || memcmp(at, "GET /origin/", 12) != 0)
        return false;
    struct text_buffer body = { 0 };
    origin.count.accepted--;
    origin.count.on_port[connection->listener]--;
    if (memcmp(at + 12, "requests", 8) == 0)
        add_requests(&body);
    else
        add_stats(&body);
    if (memcmp(at + 12, "reset", 5) == 0) {
        memset(&origin.count, 0, sizeof origin.count);
        origin.remembered_count = 0;
    }
    if (memcmp(at + 12, "close", 5) == 0)
        close_idle_connections(connection);
    text_print(&connection->output, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", body.end);
    text_add(&connection->output, body.at, body.end);
    text_free(&body);
    connection->answering = ANSWER_END;
    connection->closing = true;
    connection->reading = READ_DISCARD;
    return true;
}

/* ---- tunnels ---- */

static void add_accept_key(struct connection *connection)
{
    const struct strict_field *key = strict_find(&connection->head, "sec-websocket-key");
    if (!key)
        return;
    char text[256];
    unsigned char digest[SHA_DIGEST_LENGTH], encoded[64];
    int length =
        snprintf(text, sizeof text, "%.*s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", (int)key->value.length, key->value.at);
    SHA1((unsigned char *)text, (size_t)length, digest);
    EVP_EncodeBlock(encoded, digest, sizeof digest);
    text_print(&connection->output, "Sec-WebSocket-Accept: %s\r\n", (char *)encoded);
}

static void begin_tunnel(struct connection *connection)
{
    struct plan *plan = &connection->plan;
    const struct strict_field *upgrade = strict_find(&connection->head, "upgrade");
    text_print(&connection->output, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: %.*s\r\nConnection: Upgrade\r\n",
               (int)upgrade->value.length, upgrade->value.at);
    add_accept_key(connection);
    add_literal(connection, "\r\n");
    text_add(&connection->output, plan->first.at, plan->first.length);
    connection->reading = READ_TUNNEL;
    connection->total = plan->tunnel == TUNNEL_GENERATE && plan->body != UNSET ? (uint64_t)plan->body : 0;
    connection->produced = connection->received = 0;
}

static void produce_tunnel(struct connection *connection)
{
    while (connection->produced < connection->total && text_length(&connection->output) < OUTPUT_PIECE)
        add_body_piece(connection, next_piece(connection));
    bool over = connection->half_closed || connection->plan.fin || connection->plan.tunnel == TUNNEL_GENERATE;
    if (over && text_length(&connection->output) == 0 && connection->produced == connection->total &&
        connection->answering != ANSWER_DONE) {
        shutdown(connection->socket, SHUT_WR);
        connection->answering = ANSWER_DONE;
        if (connection->half_closed)
            connection_end(connection, false);
    }
}

static void tunnel_bytes(struct connection *connection, const char *at, size_t length)
{
    struct plan *plan = &connection->plan;
    origin.count.tunnel_bytes += length;
    if (plan->check != UNSET &&
        !pattern_matches((uint64_t)plan->check, connection->received, (const unsigned char *)at, length))
        violation(connection, "the tunnel's bytes differ");
    connection->received += length;
    if (plan->tunnel == TUNNEL_ECHO && !plan->fin)
        text_add(&connection->output, at, length);
}

static void tunnel_end(struct connection *connection)
{
    connection->half_closed = true;
    if (connection->answering == ANSWER_DONE) {
        connection_end(connection, false);
        return;
    }
    if (connection->plan.tunnel == TUNNEL_SINK)
        text_print(&connection->output, "%llu", (unsigned long long)connection->received);
    text_add(&connection->output, connection->plan.bye.at, connection->plan.bye.length);
}

/* ---- reading ---- */

static void body_bytes(struct connection *connection, const char *at, size_t length)
{
    const struct plan *plan = &connection->plan;
    if (!plan->no_sha)
        EVP_DigestUpdate(connection->digest, at, length);
    if (plan->check != UNSET &&
        !pattern_matches((uint64_t)plan->check, connection->received, (const unsigned char *)at, length))
        violation(connection, "the body's bytes differ");
    connection->received += length;
    if (plan->slow > 0) {
        connection->read_at = now_ms() + plan->every;
        wake(connection->read_at);
    }
}

static void request_is_whole(struct connection *connection)
{
    const struct plan *plan = &connection->plan;
    if (plan->expect != UNSET && (uint64_t)plan->expect != connection->received)
        violation(connection, "the body's length differs");
    connection->reading = READ_NOTHING;
    remember(connection);
    if (plan->tunnel != TUNNEL_NONE && connection->upgrades)
        begin_tunnel(connection);
    else
        schedule_answer(connection);
}

static void begin_body(struct connection *connection)
{
    struct strict_framing framing;
    const char *wrong = strict_framing_of(&connection->head, &framing);
    if (wrong)
        violation(connection, wrong);
    strict_body_begin(&connection->body, framing);
    connection->received = 0;
    connection->trailer_text.start = connection->trailer_text.end = 0;
    if (!connection->digest)
        connection->digest = EVP_MD_CTX_new();
    EVP_DigestInit_ex(connection->digest, EVP_sha256(), NULL);
    connection->reading = READ_BODY;
    if (connection->plan.early)
        schedule_answer(connection);
    else if (connection->expects && !connection->plan.no_continue)
        add_literal(connection, "HTTP/1.1 100 Continue\r\n\r\n");
}

static void give_up_reading(struct connection *connection, const char *why)
{
    violation(connection, why);
    connection->reading = READ_DISCARD;
    add_literal(connection, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    connection->answering = ANSWER_END;
    connection->closing = true;
}

static bool read_head(struct connection *connection)
{
    const char *at = connection->input + connection->input_start;
    long end = strict_head_end(at, connection->input_end - connection->input_start, 1);
    if (end == 0)
        return false;
    if (end < 0) {
        give_up_reading(connection, "a line of the head ends in a bare LF");
        return false;
    }
    if (serve_control(connection, (size_t)end))
        return true;
    connection->requests++;
    origin.count.requests++;
    *connection->wrong = '\0';
    connection->head_text.start = connection->head_text.end = 0;
    text_add(&connection->head_text, at, (size_t)end);
    connection->input_start += (size_t)end;
    const char *wrong = strict_head_parse(&connection->head, connection->head_text.at, (size_t)end, false);
    if (wrong)
        violation(connection, wrong);
    check_request_line(connection, connection->head.first);
    check_fields(connection);
    begin_body(connection);
    return true;
}

static bool read_trailers(struct connection *connection, const char *at, size_t length)
{
    long end = strict_head_end(at, length, 0);
    if (end == 0)
        return false;
    if (end < 0) {
        give_up_reading(connection, "a trailer line ends in a bare LF");
        return false;
    }
    text_add(&connection->trailer_text, at, (size_t)end);
    struct strict_head trailers;
    const char *wrong = strict_head_parse(&trailers, connection->trailer_text.at, (size_t)end, true);
    if (wrong)
        violation(connection, wrong);
    connection->input_start += (size_t)end;
    connection->body.step = STRICT_DONE;
    return true;
}

static size_t data_length(const struct connection *connection, size_t length)
{
    uint64_t most = connection->body.left < length ? connection->body.left : length;
    if (connection->plan.slow > 0 && most > (uint64_t)connection->plan.slow)
        most = (uint64_t)connection->plan.slow;
    return (size_t)most;
}

static bool read_data(struct connection *connection, const char *at, size_t length)
{
    size_t part = data_length(connection, length);
    if (part == 0 || connection->read_at > 0)
        return false;
    body_bytes(connection, at, part);
    connection->input_start += part;
    connection->body.left -= part;
    if (connection->body.left == 0)
        connection->body.step = connection->body.chunked ? STRICT_DATA_END : STRICT_DONE;
    return true;
}

/* One step of the body; false when more bytes are needed. */
static bool read_body(struct connection *connection)
{
    const char *at = connection->input + connection->input_start;
    size_t length = connection->input_end - connection->input_start;
    struct strict_body *body = &connection->body;
    if (body->step == STRICT_DONE) {
        request_is_whole(connection);
        return true;
    }
    if (body->step == STRICT_DATA)
        return read_data(connection, at, length);
    if (body->step == STRICT_TRAILERS)
        return read_trailers(connection, at, length);
    long used = body->step == STRICT_SIZE_LINE ? strict_size_line(body, at, length) : length < 2 ? 0 : 2;
    if (body->step == STRICT_DATA_END && used == 2) {
        used = memcmp(at, "\r\n", 2) == 0 ? 2 : -1;
        body->step = STRICT_SIZE_LINE;
    }
    if (used < 0)
        give_up_reading(connection, "chunk syntax that isn't canonical");
    connection->input_start += used > 0 ? (size_t)used : 0;
    return used > 0;
}

static void read_input(struct connection *connection)
{
    bool more = true;
    while (more && !connection->dead) {
        size_t length = connection->input_end - connection->input_start;
        if (connection->reading == READ_HEAD)
            more = length > 0 && read_head(connection);
        else if (connection->reading == READ_BODY)
            more = read_body(connection);
        else
            more = false;
    }
    size_t length = connection->input_end - connection->input_start;
    if (connection->reading == READ_TUNNEL)
        tunnel_bytes(connection, connection->input + connection->input_start, length);
    else if (connection->reading == READ_NOTHING && length > 0 && connection->answering != ANSWER_DONE) {
        char text[256];
        snprintf(text, sizeof text, "bytes behind a request that isn't answered yet: %.*s: %.*s",
                 (int)connection->head.first.length, connection->head.first.at, (int)length,
                 connection->input + connection->input_start);
        violation(connection, text);
        connection->reading = READ_DISCARD;
        connection->closing = true;
    }
    if (connection->reading == READ_TUNNEL || connection->reading == READ_DISCARD)
        connection->input_start = connection->input_end = 0;
}

static void input_ended(struct connection *connection, bool reset)
{
    if (reset)
        origin.count.resets++;
    if (connection->reading == READ_TUNNEL && !reset) {
        tunnel_end(connection);
        return;
    }
    if (connection->reading == READ_BODY || (connection->reading == READ_HEAD && connection->input_end > 0))
        origin.count.cut_requests++;
    if (connection->reading == READ_BODY)
        remember(connection);
    if (connection->answering != ANSWER_NONE && connection->answering != ANSWER_DONE)
        origin.count.left_early++;
    connection_end(connection, false);
}

static void readable(struct connection *connection)
{
    memmove(connection->input, connection->input + connection->input_start,
            connection->input_end - connection->input_start);
    connection->input_end -= connection->input_start;
    connection->input_start = 0;
    size_t room = INPUT_ROOM - connection->input_end;
    ssize_t got = room ? recv(connection->socket, connection->input + connection->input_end, room, 0) : 1;
    if (room == 0)
        return;
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        input_ended(connection, got < 0);
        return;
    }
    connection->input_end += (size_t)got;
    connection->idle_since = now_ms();
    read_input(connection);
}

/* ---- writing ---- */

static void finish_request(struct connection *connection)
{
    connection->answering = ANSWER_DONE;
    if (connection->closing) {
        connection_end(connection, connection->plan.reset);
        return;
    }
    if (connection->reading == READ_BODY || connection->reading == READ_DISCARD)
        return;
    connection->answering = ANSWER_NONE;
    connection->reading = READ_HEAD;
    connection->idle_since = now_ms();
    if (origin.idle_limit > 0)
        wake(connection->idle_since + origin.idle_limit);
    read_input(connection);
}

static void flush(struct connection *connection)
{
    while (text_length(&connection->output) > 0) {
        ssize_t sent = send(connection->socket, connection->output.at + connection->output.start,
                            text_length(&connection->output), MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN)
            return;
        if (sent < 0) {
            origin.count.left_early++;
            connection_end(connection, false);
            return;
        }
        connection->output.start += (size_t)sent;
        if (connection->reading == READ_TUNNEL)
            produce_tunnel(connection);
        else
            produce(connection);
    }
}

/* Lets the connection do all it can: answer, write, take the next request. */
static void advance(struct connection *connection)
{
    for (int64_t turns = 0; !connection->dead && turns < 1000; turns++) {
        if (connection->reading == READ_TUNNEL)
            produce_tunnel(connection);
        else
            produce(connection);
        if (connection->dead)
            return;
        flush(connection);
        if (connection->dead || text_length(&connection->output) > 0)
            break;
        bool done = connection->answering == ANSWER_END ||
                    (connection->answering == ANSWER_DONE && connection->reading == READ_NOTHING);
        if (!done)
            break;
        finish_request(connection);
    }
    if (!connection->dead)
        set_interest(connection);
}

/* ---- time ---- */

static void check_times(struct connection *connection, int64_t now)
{
    if (connection->wake_at > 0 && now >= connection->wake_at) {
        connection->wake_at = 0;
        if (connection->answering == ANSWER_WAITS)
            start_answer(connection);
        advance(connection);
    }
    if (!connection->dead && connection->read_at > 0 && now >= connection->read_at) {
        connection->read_at = 0;
        read_input(connection);
        advance(connection);
    }
    bool idle = connection->answering == ANSWER_NONE && connection->reading == READ_HEAD && !connection->listening;
    if (!connection->dead && idle && origin.idle_limit > 0 && now >= connection->idle_since + origin.idle_limit)
        connection_end(connection, false);
    if (connection->dead)
        return;
    if (connection->wake_at > 0)
        wake(connection->wake_at);
    if (connection->read_at > 0)
        wake(connection->read_at);
    if (idle && origin.idle_limit > 0)
        wake(connection->idle_since + origin.idle_limit);
}

static void pass_time(void)
{
    int64_t now = now_ms();
    if (now < origin.next_wake)
        return;
    origin.next_wake = INT64_MAX;
    for (struct connection *at = origin.first, *next; at; at = next) {
        if (!at->dead)
            check_times(at, now);
        next = at->next;
        if (at->dead)
            connection_free(at);
    }
}

static void serve(void)
{
    struct epoll_event events[256];
    for (;;) {
        int64_t wait = origin.next_wake - now_ms();
        int timeout = origin.next_wake == INT64_MAX ? -1 : wait < 0 ? 0 : wait > 60000 ? 60000 : (int)wait;
        int count = epoll_wait(origin.set, events, 256, timeout);
        for (int i = 0; i < count; i++) {
            struct connection *connection = events[i].data.ptr;
            if (!connection)
                exit(0);
            if (connection->dead)
                continue;
            if (connection->listening) {
                accept_all(connection);
                continue;
            }
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                readable(connection);
            if (!connection->dead)
                advance(connection);
        }
        pass_time();
    }
}

/* ---- starting ---- */

static void listen_on(int socket, const struct sockaddr *address, socklen_t length)
{
    if (socket < 0 || bind(socket, address, length) != 0 || listen(socket, 4096) != 0) {
        perror("origin: listen");
        exit(1);
    }
    connection_new(socket, true, origin.port_count);
}

static void open_port(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int socket_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    listen_on(socket_, (struct sockaddr *)&address, sizeof address);
    socklen_t length = sizeof address;
    getsockname(socket_, (struct sockaddr *)&address, &length);
    origin.ports[origin.port_count++] = ntohs(address.sin_port);
}

static void open_path(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int socket_ = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    listen_on(socket_, (struct sockaddr *)&address, sizeof address);
    origin.port_count++;
}

int main(int count, char **arguments)
{
    static const struct option options[] = { { "ports", required_argument, NULL, 'p' },
                                             { "idle", required_argument, NULL, 'i' },
                                             { "unix", required_argument, NULL, 'u' },
                                             { 0 } };
    const char *path = NULL;
    int ports = 1;
    for (int option; (option = getopt_long(count, arguments, "", options, NULL)) != -1;) {
        if (option == 'p')
            ports = atoi(optarg);
        else if (option == 'i')
            origin.idle_limit = atoi(optarg);
        else if (option == 'u')
            path = optarg;
        else
            return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    origin.set = epoll_create1(EPOLL_CLOEXEC);
    origin.next_wake = INT64_MAX;
    struct epoll_event input = { .events = EPOLLIN };
    epoll_ctl(origin.set, EPOLL_CTL_ADD, 0, &input);
    printf("{\"ports\":[");
    for (int i = 0; i < ports; i++) {
        open_port();
        printf("%s%u", i > 0 ? "," : "", origin.ports[i]);
    }
    if (path)
        open_path(path);
    printf("]}\n");
    fflush(stdout);
    serve();
}
