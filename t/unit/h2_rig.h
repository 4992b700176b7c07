/* A client's HTTP/2 connection over a pair of sockets: before it a real codec, or frames made by hand; behind it
 * upstream sides that the test plays. The clock stands still unless moved. */
#ifndef TG_UNIT_H2_RIG_H
#define TG_UNIT_H2_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <nghttp2/nghttp2.h>

#include "proxy/client_h2.h"
#include "proxy/exchange.h"

enum { RIG_STREAMS = 512, RIG_UPS = 1024 };

/* What the client saw of a stream; at id / 2. */
struct rig_stream {
    int status, informational, heads;
    size_t body;
    bool end, closed, reset, trailers;
    uint32_t reset_code;
    char head[1024]; /* "name: value\n" each, trailers behind */
};

/* The upstream's end of an exchange, in the order in which they were asked for. */
struct h2_up {
    struct tg_upstream_side side;
    struct tg_exchange *exchange; /* NULL: over */
    bool end, reset, detached, held, head_end, tunnel, full;
    size_t body;
    char head[2048]; /* "METHOD path authority framing\n", then "name: value\n" each */
    char trailers[512];
};

struct rig_clock {
    struct tg_clock clock;
    double now;
};

struct h2_rig {
    struct rig_clock clock;
    struct tg_loop *loop;
    struct tg_worker worker;
    struct tg_snapshot *snapshot;
    struct tg_lease lease;
    struct tg_accept_target target;
    struct tg_connector connector;
    struct tg_stream *stream; /* the gateway's end */
    int socket;               /* the client's; -1: closed */
    bool closed_by_gateway;

    nghttp2_session *client; /* NULL: frames by hand */
    bool holds_windows;      /* the client's codec gives no window back */
    bool deaf;               /* nothing is read from the socket */
    bool no_ack;             /* a client without codec doesn't acknowledge our SETTINGS */
    bool mute;               /* nothing is sent to it */
    struct rig_stream streams[RIG_STREAMS];

    /* Frames that came, whoever reads them. */
    uint8_t header[9];
    size_t header_have, payload_left, payload_have;
    uint8_t payload[64]; /* its begin */
    int frames[16];      /* by type */
    int goaways;
    int32_t goaway_last;
    uint32_t goaway_code;
    int resets;
    uint32_t last_reset_code;
    char order[2048]; /* "S H1 D1 H1+ R3 ": letters of types, streams, '+' for END_STREAM, 0 for empty DATA */

    struct h2_up ups[RIG_UPS];
    int up_count;
    bool ups_paused; /* they take no body */
};

extern struct h2_rig *r;

int h2_rig_setup(void **state);     /* with a codec as client */
int h2_rig_setup_raw(void **state); /* without; preface and SETTINGS are sent */
int h2_rig_teardown(void **state);
#define H2_TEST(name) cmocka_unit_test_setup_teardown(name, h2_rig_setup, h2_rig_teardown)
#define H2_RAW_TEST(name) cmocka_unit_test_setup_teardown(name, h2_rig_setup_raw, h2_rig_teardown)

/* A new connection in place of the one there is, after settings were changed. */
void h2_reconnect(bool raw);
/* Moves bytes both ways and runs what is due until nothing happens any more. */
void h2_settle(void);
/* Time passes. */
void h2_wait(double seconds);

/* By the codec. Pairs: name, value, ..., NULL. */
int32_t h2_request(const char *const *pairs, bool end);
int32_t h2_get(const char *path);
int32_t h2_post(const char *path, const char *length); /* a body follows; length NULL: undeclared */
void h2_body(int32_t id, const char *bytes, size_t length, bool end);
struct rig_stream *h2_seen(int32_t id);

/* By hand. */
void h2_raw_bytes(const void *bytes, size_t length);
void h2_raw_frame(uint8_t type, uint8_t flags, uint32_t id, const void *payload, size_t length);
/* HEADERS with literal lines. */
void h2_raw_headers(uint32_t id, uint8_t flags, const char *const *pairs);
size_t h2_raw_block(uint8_t *to, const char *const *pairs);
extern const char *const h2_raw_get[]; /* GET / */
extern const char *const h2_raw_post[];

/* Upstream. */
struct h2_up *h2_up(int index);
void h2_up_head(struct h2_up *up, int status, enum tg_framing framing, uint64_t length, const char *const *pairs);
void h2_up_body(struct h2_up *up, const char *bytes, size_t length);
void h2_up_trailers(struct h2_up *up, const char *const *pairs);
void h2_up_end(struct h2_up *up);
void h2_up_answer(struct h2_up *up, int status, const char *body); /* whole */

bool h2_says(const char *text, const char *line);

#endif
