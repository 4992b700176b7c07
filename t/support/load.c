/* load: a client that keeps many connections busy and checks each answer.
 *
 *     load --port P [--connections N] [--seconds S] [--count N] [--path PATH] [--paths N] [--new] [--rate R]
 *          [--even] [--same FIELD,FIELD,...] [--field LINE] [--mixed SEED]
 *
 *   --paths N   puts /oI in front of the path, with I the number of the connection, modulo N
 *   --new       opens a connection for each request
 *   --rate R    R requests a second in all, at random times, instead of one after the other; never two at once on the
 *               same connection. --even: in equal steps
 *   --same      these response fields must be there and agree; a line "floor N" on the standard input says that the
 *               first of them, a number, may not be below N for requests that begin from then on. "floor N" is answered
 *               with a line "floor N" when every request that began before has ended
 *   --mixed     GET, POST with length and chunked, HEAD, 100-continue, pipelined, HTTP/1.0, with bodies of the pattern
 *               checked at both ends (the origin must be t/support/origin)
 * Prints {"requests":N,"failed":N,"connects":N,"seconds":S,"errors":[...]}. A request fails where its answer is
 * malformed, isn't whole, isn't a 200, or isn't what was asked for. One thread. */
#include "pattern.h"
#include "strict_head.h"
#include "text_buffer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { INPUT_ROOM = 1 << 20, WANTED_MOST = 8, SAME_MOST = 8, SHOWN_ERRORS = 20 };

/* An answer that is awaited. */
struct wanted {
    uint64_t seed, size;
    bool head_only, closes, continues, checks_body;
    long floor;
};

struct slot {
    int socket;
    uint32_t interest;
    struct text_buffer output, held; /* held: a body that waits for 100 */
    char *input;
    size_t input_start, input_end;
    struct wanted wanted[WANTED_MOST];
    unsigned wanted_count, serial;
    bool in_body, close_delimited, closes;
    struct strict_head head;
    struct strict_body body;
    uint64_t received;
    double deadline, ready_at;
};

static struct {
    int set, port, paths;
    unsigned slots;
    double seconds, rate, started;
    uint64_t count, begun, ended, failed, connects, random;
    const char *path, *field;
    char *same[SAME_MOST];
    unsigned same_count, error_count;
    bool fresh, mixed, even;
    long floor, floor_told;
    char *errors[SHOWN_ERRORS];
    struct slot *all;
} load = { .slots = 1, .path = "/", .seconds = 3600, .count = UINT64_MAX, .random = 88172645463325252u };

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static uint64_t random_below(uint64_t limit)
{
    load.random ^= load.random << 13;
    load.random ^= load.random >> 7;
    load.random ^= load.random << 17;
    return load.random % limit;
}

static void slot_close(struct slot *slot)
{
    if (slot->socket >= 0)
        close(slot->socket);
    slot->socket = -1;
    slot->interest = 0;
    slot->input_start = slot->input_end = 0;
    slot->output.start = slot->output.end = slot->held.start = slot->held.end = 0;
    slot->wanted_count = 0;
    slot->in_body = false;
    slot->closes = false;
}

static void fail(struct slot *slot, const char *why)
{
    uint64_t lost = slot->wanted_count > 0 ? slot->wanted_count : 1;
    if (load.error_count < SHOWN_ERRORS) {
        char text[512];
        snprintf(text, sizeof text, "%.1f s, request %u of its connection: %s: %.*s", now() - load.started,
                 slot->serial, why, (int)slot->head.first.length, slot->head.first.at ? slot->head.first.at : "");
        load.errors[load.error_count++] = strdup(text);
    }
    load.failed += lost;
    load.ended += slot->wanted_count;
    slot_close(slot);
}

/* ---- requests ---- */

static struct wanted *add_wanted(struct slot *slot)
{
    struct wanted *wanted = &slot->wanted[slot->wanted_count++];
    *wanted = (struct wanted){ .floor = load.floor };
    slot->serial++;
    load.begun++;
    return wanted;
}

static void add_plain(struct slot *slot)
{
    add_wanted(slot);
    char prefix[32] = "";
    if (load.paths > 0)
        snprintf(prefix, sizeof prefix, "/o%d", (int)(slot - load.all) % load.paths);
    text_print(&slot->output, "GET %s%s HTTP/1.1\r\nHost: load.example\r\n%s%s\r\n", prefix, load.path,
               load.field ? load.field : "", load.field ? "\r\n" : "");
}

static uint64_t random_size(void)
{
    static const uint64_t sizes[] = { 0, 1, 100, 4096, 16384, 65536, 65537, 200000 };
    return random_below(3) == 0 ? sizes[random_below(8)] : random_below(3000);
}

static void add_pattern(struct text_buffer *to, uint64_t seed, uint64_t offset, uint64_t length)
{
    pattern_fill(seed, offset, (unsigned char *)text_reserve(to, length), length);
    to->end += length;
}

static void add_chunks(struct text_buffer *to, uint64_t seed, uint64_t length)
{
    for (uint64_t offset = 0; offset < length;) {
        uint64_t most = 1 + random_below(20000), part = most < length - offset ? most : length - offset;
        text_print(to, "%llx%s\r\n", (unsigned long long)part, random_below(4) ? "" : ";ext=\"a;b\"");
        add_pattern(to, seed, offset, part);
        text_add(to, "\r\n", 2);
        offset += part;
    }
    text_print(to, random_below(2) ? "0\r\n\r\n" : "0\r\nX-Sum: abc\r\n\r\n");
}

static void add_target(struct slot *slot, struct wanted *wanted, const char *method, const char *more)
{
    bool chunked = random_below(2);
    text_print(&slot->output, "%s /mixed?body=%llu&seed=%llu%s%s", method, (unsigned long long)wanted->size,
               (unsigned long long)wanted->seed, chunked ? "&chunked=1&ext=1&trailer=X-T:%20v&chunk=7000" : "", more);
}

static struct wanted *add_asked(struct slot *slot)
{
    struct wanted *wanted = add_wanted(slot);
    wanted->checks_body = true;
    wanted->seed = 1 + random_below(1000);
    wanted->size = random_size();
    return wanted;
}

static void add_get(struct slot *slot, bool head_only)
{
    struct wanted *wanted = add_asked(slot);
    wanted->head_only = head_only;
    add_target(slot, wanted, head_only ? "HEAD" : "GET", "");
    text_print(&slot->output, " HTTP/1.1\r\nHost: load.example\r\n\r\n");
}

static void add_post(struct slot *slot, bool chunked, bool continues)
{
    struct wanted *wanted = add_asked(slot);
    uint64_t seed = 1 + random_below(1000), size = random_size() + continues;
    char more[64];
    snprintf(more, sizeof more, "&check=%llu&expect=%llu", (unsigned long long)seed, (unsigned long long)size);
    add_target(slot, wanted, "POST", more);
    text_print(&slot->output, " HTTP/1.1\r\nHost: load.example\r\n%s", continues ? "Expect: 100-continue\r\n" : "");
    if (chunked)
        text_print(&slot->output, "Transfer-Encoding: chunked\r\n\r\n");
    else
        text_print(&slot->output, "Content-Length: %llu\r\n\r\n", (unsigned long long)size);
    struct text_buffer *body = continues ? &slot->held : &slot->output;
    if (chunked)
        add_chunks(body, seed, size);
    else
        add_pattern(body, seed, 0, size);
    wanted->continues = continues;
}

static void add_one_zero(struct slot *slot)
{
    struct wanted *wanted = add_asked(slot);
    bool keeps = random_below(2);
    wanted->closes = !keeps;
    add_target(slot, wanted, "GET", "");
    text_print(&slot->output, " HTTP/1.0\r\nHost: load.example\r\n%s\r\n", keeps ? "Connection: keep-alive\r\n" : "");
}

static void add_mixed(struct slot *slot)
{
    switch (random_below(8)) {
    case 0: add_get(slot, false); break;
    case 1: add_get(slot, true); break;
    case 2: add_post(slot, false, false); break;
    case 3: add_post(slot, true, false); break;
    case 4: add_post(slot, random_below(2), true); break;
    case 5: add_one_zero(slot); break;
    default:
        for (uint64_t left = 2 + random_below(5); left > 0; left--) {
            if (random_below(3) == 0)
                add_post(slot, random_below(2), false);
            else
                add_get(slot, random_below(4) == 0);
        }
    }
}

/* ---- sockets ---- */

static void set_interest(struct slot *slot)
{
    if (slot->socket < 0)
        return;
    uint32_t interest = (uint32_t)EPOLLIN | (text_length(&slot->output) > 0 ? (uint32_t)EPOLLOUT : 0);
    if (interest == slot->interest)
        return;
    struct epoll_event event = { .events = interest, .data.ptr = slot };
    epoll_ctl(load.set, slot->interest ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, slot->socket, &event);
    slot->interest = interest;
}

static bool slot_connect(struct slot *slot)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)load.port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int yes = 1;
    slot->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (slot->socket < 0 || connect(slot->socket, (struct sockaddr *)&address, sizeof address) != 0) {
        fail(slot, strerror(errno));
        return false;
    }
    fcntl(slot->socket, F_SETFL, O_NONBLOCK);
    setsockopt(slot->socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    slot->serial = 0;
    load.connects++;
    return true;
}

static void flush(struct slot *slot)
{
    while (text_length(&slot->output) > 0) {
        ssize_t sent =
            send(slot->socket, slot->output.at + slot->output.start, text_length(&slot->output), MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN)
            break;
        if (sent < 0) {
            /* an answer may still be there to read, or the end of it */
            slot->output.start = slot->output.end;
            break;
        }
        slot->output.start += (size_t)sent;
    }
    set_interest(slot);
}

static bool over(void)
{
    return load.begun >= load.count || now() - load.started >= load.seconds;
}

static void begin(struct slot *slot)
{
    if (load.fresh)
        slot_close(slot);
    if (slot->socket < 0 && !slot_connect(slot)) {
        slot->ready_at = now() + 0.05;
        return;
    }
    if (load.mixed)
        add_mixed(slot);
    else
        add_plain(slot);
    slot->deadline = now() + 20;
    flush(slot);
}

/* ---- answers ---- */

static void check_same(struct slot *slot, const struct wanted *wanted, const char **wrong)
{
    const struct strict_field *first = NULL;
    for (unsigned i = 0; i < load.same_count; i++) {
        const struct strict_field *field = strict_find(&slot->head, load.same[i]);
        if (!field) {
            *wrong = "a field of the generation is missing";
            return;
        }
        first = first ? first : field;
        if (field->value.length != first->value.length ||
            memcmp(field->value.at, first->value.at, first->value.length) != 0)
            *wrong = "an answer of two generations";
    }
    if (first && strtol(first->value.at, NULL, 10) < wanted->floor)
        *wrong = "an answer of an old generation";
}

static void end_answer(struct slot *slot)
{
    struct wanted wanted = slot->wanted[0];
    if (wanted.checks_body && !wanted.head_only && slot->received != wanted.size) {
        fail(slot, "a body of another length");
        return;
    }
    memmove(slot->wanted, slot->wanted + 1, --slot->wanted_count * sizeof *slot->wanted);
    slot->in_body = false;
    load.ended++;
    if (slot->closes && slot->wanted_count > 0)
        fail(slot, "the connection closes before all answers");
    else if (slot->closes)
        slot_close(slot);
}

static bool take_body(struct slot *slot, const char *at, size_t length)
{
    const struct wanted *wanted = &slot->wanted[0];
    if (wanted->checks_body && (slot->received + length > wanted->size ||
                                !pattern_matches(wanted->seed, slot->received, (const unsigned char *)at, length))) {
        fail(slot, "the body's bytes differ");
        return false;
    }
    slot->received += length;
    return true;
}

static const char *check_head(struct slot *slot, int status)
{
    const char *wrong = NULL;
    struct strict_framing framing;
    const struct wanted *wanted = &slot->wanted[0];
    wrong = strict_framing_of(&slot->head, &framing);
    if (status != 200)
        wrong = "a status other than 200";
    if (wanted->continues && text_length(&slot->held) > 0)
        wrong = "a final answer without 100";
    if (!wrong)
        check_same(slot, wanted, &wrong);
    const struct strict_field *connection = strict_find(&slot->head, "connection");
    slot->closes = connection && strict_equals(connection->value, "close");
    slot->close_delimited = !framing.chunked && !framing.has_length;
    if (wanted->head_only)
        framing = (struct strict_framing){ 0 }, slot->close_delimited = false;
    else if (slot->close_delimited && !wanted->closes && !slot->closes)
        wrong = "no framing";
    slot->closes = slot->closes || wanted->closes;
    strict_body_begin(&slot->body, framing);
    slot->received = 0;
    slot->in_body = true;
    return wrong;
}

/* One step; false when more bytes are needed or the slot is closed. */
static bool read_head(struct slot *slot, const char *at, size_t length)
{
    long end = strict_head_end(at, length, 1);
    if (end == 0)
        return false;
    const char *wrong = end < 0 ? "a bare LF" : strict_head_parse(&slot->head, at, (size_t)end, false);
    struct strict_text line = slot->head.first;
    if (!wrong && (line.length < 13 || memcmp(line.at, "HTTP/1.1 ", 9) != 0))
        wrong = "a malformed status line";
    int status = wrong ? 0 : atoi(line.at + 9);
    if (!wrong && slot->wanted_count == 0)
        wrong = "an answer that nobody asked for";
    if (!wrong && status == 100 && slot->wanted[0].continues) {
        text_add(&slot->output, slot->held.at + slot->held.start, text_length(&slot->held));
        slot->held.start = slot->held.end = 0;
        slot->input_start += (size_t)end;
        flush(slot);
        return true;
    }
    if (!wrong)
        wrong = check_head(slot, status);
    if (wrong) {
        fail(slot, wrong);
        return false;
    }
    slot->input_start += (size_t)end;
    return true;
}

static bool read_body(struct slot *slot, const char *at, size_t length)
{
    struct strict_body *body = &slot->body;
    if (slot->close_delimited) {
        if (length > 0 && take_body(slot, at, length))
            slot->input_start += length;
        return false;
    }
    long used = 0;
    switch (body->step) {
    case STRICT_DONE: end_answer(slot); return slot->socket >= 0;
    case STRICT_SIZE_LINE: used = strict_size_line(body, at, length); break;
    case STRICT_DATA:
        used = (long)(body->left < length ? body->left : length);
        if (!take_body(slot, at, (size_t)used))
            return false;
        body->left -= (uint64_t)used;
        if (body->left == 0)
            body->step = body->chunked ? STRICT_DATA_END : STRICT_DONE;
        break;
    case STRICT_DATA_END:
        used = length < 2 ? 0 : memcmp(at, "\r\n", 2) == 0 ? 2 : -1;
        if (used == 2)
            body->step = STRICT_SIZE_LINE;
        break;
    case STRICT_TRAILERS:
        used = strict_head_end(at, length, 0);
        if (used > 0)
            body->step = STRICT_DONE;
        break;
    }
    if (used < 0)
        fail(slot, "a malformed chunk");
    else
        slot->input_start += (size_t)used;
    return used > 0;
}

static void read_answers(struct slot *slot)
{
    for (bool more = true; more && slot->socket >= 0;) {
        const char *at = slot->input + slot->input_start;
        size_t length = slot->input_end - slot->input_start;
        if (slot->in_body)
            more = read_body(slot, at, length);
        else
            more = length > 0 && read_head(slot, at, length);
    }
}

static void input_ended(struct slot *slot)
{
    if (slot->in_body && slot->close_delimited)
        end_answer(slot);
    else if (slot->wanted_count > 0)
        fail(slot, "the connection ended before the answer did");
    else
        slot_close(slot);
}

static void readable(struct slot *slot)
{
    memmove(slot->input, slot->input + slot->input_start, slot->input_end - slot->input_start);
    slot->input_end -= slot->input_start;
    slot->input_start = 0;
    ssize_t got = recv(slot->socket, slot->input + slot->input_end, INPUT_ROOM - slot->input_end, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        slot->head.first.length = 0;
        input_ended(slot);
        return;
    }
    slot->input_end += (size_t)got;
    read_answers(slot);
}

/* ---- the loop ---- */

/* With a rate: also says when the next one may. */
static bool may_start(struct slot *slot, double time)
{
    if (over())
        return false;
    if (load.rate <= 0)
        return true;
    double step = load.slots / load.rate;
    slot->ready_at += load.even ? step : -log(((double)random_below(1000000) + 1) / 1000001) * step;
    if (slot->ready_at < time)
        slot->ready_at = time;
    return true;
}

/* True while an answer is awaited by a request that began below the floor. */
static bool is_behind(void)
{
    for (unsigned i = 0; i < load.slots; i++)
        for (unsigned n = 0; n < load.all[i].wanted_count; n++)
            if (load.all[i].wanted[n].floor < load.floor)
                return true;
    return false;
}

static void read_orders(void)
{
    char text[256];
    ssize_t got = read(0, text, sizeof text - 1);
    if (got <= 0) {
        load.seconds = 0;
        epoll_ctl(load.set, EPOLL_CTL_DEL, 0, NULL);
        return;
    }
    text[got] = '\0';
    for (char *line = text, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        if (strncmp(line, "floor ", 6) == 0)
            load.floor = strtol(line + 6, NULL, 10);
        else if (strcmp(line, "stop") == 0)
            load.seconds = 0;
    }
}

static bool start_and_expire(void)
{
    bool busy = false;
    double time = now();
    for (unsigned i = 0; i < load.slots; i++) {
        struct slot *slot = &load.all[i];
        if (slot->wanted_count > 0 && time > slot->deadline)
            fail(slot, "no answer within 20 s");
        if (slot->wanted_count == 0 && time >= slot->ready_at && may_start(slot, time))
            begin(slot);
        busy = busy || slot->wanted_count > 0;
    }
    return busy || !over();
}

static void run(void)
{
    struct epoll_event events[128];
    while (start_and_expire()) {
        int timeout = load.rate > 0 ? 1 : 20;
        int count = epoll_wait(load.set, events, 128, timeout);
        for (int i = 0; i < count; i++) {
            struct slot *slot = events[i].data.ptr;
            if (!slot) {
                read_orders();
                continue;
            }
            if (slot->socket >= 0 && (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
                readable(slot);
            if (slot->socket >= 0)
                flush(slot);
        }
        if (load.floor_told != load.floor && !is_behind()) {
            load.floor_told = load.floor;
            printf("floor %ld\n", load.floor);
            fflush(stdout);
        }
    }
}

static void report(void)
{
    struct text_buffer text = { 0 };
    text_print(&text, "{\"requests\":%llu,\"failed\":%llu,\"connects\":%llu,\"seconds\":%.3f,\"errors\":[",
               (unsigned long long)load.ended, (unsigned long long)load.failed, (unsigned long long)load.connects,
               now() - load.started);
    for (unsigned i = 0; i < load.error_count; i++) {
        text_print(&text, i > 0 ? "," : "");
        text_add_json(&text, load.errors[i], strlen(load.errors[i]));
    }
    printf("%.*s]}\n", (int)text_length(&text), text.at);
}

static void read_same(char *list)
{
    for (char *name; (name = strsep(&list, ",")) && load.same_count < SAME_MOST;)
        load.same[load.same_count++] = name;
}

static void read_option(const char *name)
{
    if (strcmp(name, "port") == 0)
        load.port = atoi(optarg);
    else if (strcmp(name, "connections") == 0)
        load.slots = (unsigned)atoi(optarg);
    else if (strcmp(name, "seconds") == 0)
        load.seconds = atof(optarg);
    else if (strcmp(name, "count") == 0)
        load.count = strtoull(optarg, NULL, 10);
    else if (strcmp(name, "path") == 0)
        load.path = optarg;
    else if (strcmp(name, "paths") == 0)
        load.paths = atoi(optarg);
    else if (strcmp(name, "rate") == 0)
        load.rate = atof(optarg);
    else if (strcmp(name, "field") == 0)
        load.field = optarg;
    else if (strcmp(name, "same") == 0)
        read_same(optarg);
    else if (strcmp(name, "mixed") == 0)
        load.mixed = true, load.random += strtoull(optarg, NULL, 10) * 7919;
    else if (strcmp(name, "even") == 0)
        load.even = true;
    else
        load.fresh = true;
}

int main(int count, char **arguments)
{
    static const char *names[] = { "port", "connections", "seconds", "count", "path", "paths",
                                   "rate", "same",        "field",   "mixed", "new",  "even" };
    struct option options[13] = { 0 };
    for (int i = 0; i < 12; i++)
        options[i] = (struct option){ names[i], i < 10 ? required_argument : no_argument, NULL, 'x' };
    for (int index = 0, option; (option = getopt_long(count, arguments, "", options, &index)) != -1;) {
        if (option != 'x')
            return 2;
        read_option(names[index]);
    }
    signal(SIGPIPE, SIG_IGN);
    load.set = epoll_create1(EPOLL_CLOEXEC);
    load.all = calloc(load.slots, sizeof *load.all);
    for (unsigned i = 0; i < load.slots; i++) {
        load.all[i].socket = -1;
        load.all[i].input = malloc(INPUT_ROOM);
    }
    load.started = now();
    if (load.rate > 0)
        for (unsigned i = 0; i < load.slots; i++)
            load.all[i].ready_at = load.started + i / load.rate;
    struct epoll_event input = { .events = EPOLLIN };
    epoll_ctl(load.set, EPOLL_CTL_ADD, 0, &input);
    run();
    report();
    return load.failed > 0;
}
