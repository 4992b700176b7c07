/* For tests: exchanges that go through a worker's real pool to a server of HTTP/2 in the same loop, which speaks
 * through nghttp2 and does as it is told. */
#ifndef TG_UNIT_UPSTREAM_RIG_H
#define TG_UNIT_UPSTREAM_RIG_H

#include <ev.h>
#include <nghttp2/nghttp2.h>

#include "net/tls_client.h"
#include "proxy/exchange.h"
#include "proxy/pool_state.h"
#include "tls_material.h"

enum { UP_CALLS = 400, UP_CONNECTIONS = 128 };

/* --- the server --- */

enum up_answer {
    UP_HOLD,   /* none, until the test says so */
    UP_HELLO,  /* 200 and "hello" */
    UP_REFUSE, /* REFUSED_STREAM */
    UP_EMPTY,  /* a head with END_STREAM: 200, grpc-status: 5 */
};

struct up_server;

struct up_connection {
    struct up_server *server;
    struct tg_stream *stream;
    nghttp2_session *session; /* NULL: HTTP/1 was chosen */
    bool open;
    int32_t streams[UP_CALLS]; /* of requests, in the order in which they came */
    int requests;
    int open_streams, most_open; /* as the server sees it */
    int ended;                   /* requests that came whole */
    int resets;
    uint32_t reset_code; /* the last one */
    int pings, goaways;
    uint64_t body; /* bytes of all requests */
    int trailers;  /* sections that came after a body */
};

struct up_server {
    struct tg_loop *loop;
    int listener;
    ev_io accepting;
    uint16_t port;
    enum up_answer answer;
    bool answer_at_end; /* when the request is whole, not at its head */
    bool no_ping_ack;
    bool late_settings; /* they are sent by up_greet */
    bool websocket;     /* announces RFC 8441 */
    const char *raw;    /* what is said to each connection instead of HTTP/2 */
    const char *h1;     /* the answer where HTTP/1 was chosen; NULL: 200, "hello" */
    bool h1_closes;     /* behind that */
    uint32_t limit;     /* of streams */
    int32_t window;     /* for each request body; 0: the default */
    struct up_connection connections[UP_CONNECTIONS];
    struct tg_tls_server *tls; /* NULL: clear */
    int accepted, closed, requests, resets, refused, pings, h1_requests, resumed;
    char head[4096]; /* of the last request: "name: value\n" ... */
};

void up_respond(struct up_connection *connection, int32_t id, const char *status, const char *body, bool end);
void up_submit(struct up_connection *connection, int32_t id, const nghttp2_nv *lines, size_t count, bool end);
/* More bytes of a body, and perhaps its end, on a stream whose head didn't end it. */
void up_data(struct up_connection *connection, int32_t id, size_t length, bool end);
void up_trailers(struct up_connection *connection, int32_t id, const char *name, const char *value);
void up_reset(struct up_connection *connection, int32_t id, uint32_t code);
void up_goaway(struct up_connection *connection, int32_t last, uint32_t code, const char *debug);
void up_greet(struct up_connection *connection, uint32_t limit);
void up_flush(struct up_connection *connection);
/* Bytes that nghttp2 wouldn't send. */
void up_write(struct up_connection *connection, const void *bytes, size_t length);
void up_close(struct up_connection *connection);
void up_stop_listening(void);

/* --- the exchanges --- */

struct up_call {
    struct tg_client_side side;
    struct tg_deadline deadline;
    struct tg_exchange *exchange; /* NULL: over */
    int status;
    uint64_t got; /* bytes of the body */
    int informational;
    bool head, end_with_head, end, reset, tunnel, trailers, want_body, paused, stalled;
    enum tg_reason reason;
    char server_field[64]; /* the value of x-test */
};

struct up_clock {
    struct tg_clock clock;
    double ahead; /* of the system's */
};

struct up {
    struct up_clock clock;
    struct tg_loop *loop;
    struct tg_worker worker;
    struct tg_lease lease;
    struct tg_snapshot *snapshot;
    struct tg_peer_registry *registry;
    struct tg_group *group;
    struct tg_route *route;
    struct tg_peer *peer;
    struct up_server server;
    struct up_call calls[UP_CALLS];
    int call_count;
    int heads, ends, over, tunnels; /* calls that got so far */

    /* Where under TLS. */
    struct tg_tls_library *library;
    struct tg_ticket_keys *tickets;
    struct tls_identity authority, identity, stranger;
    /* What the server may use: h2 and h1, h1 alone, or a certificate that isn't trusted. */
    struct tg_tls_server *both, *h1_only, *untrusted;
    struct tg_tls_client *client;
};

extern struct up *up;

/* A peer of HTTP/2 without TLS; one of any protocol under TLS, whose server speaks both. */
int up_setup(void **state);
int up_setup_tls(void **state);
int up_teardown(void **state);
/* A request of this method; `length`: of its body, which up_send gives; SIZE_MAX: it ends when it is told so; 0: none.
 */
struct up_call *up_start(const char *method, size_t length);
struct up_call *up_get(void);
struct up_call *up_websocket(void);
/* The next request carries this field. */
void up_next_field(const char *name, const char *value);
void up_send(struct up_call *call, size_t length, bool end);
/* The client goes away. */
void up_leave(struct up_call *call);
/* Takes what waits for a call that was stalled, and all that comes from now on. */
void up_drain(struct up_call *call);
/* Until so many have got their head, their end, or are over. */
void up_until(const int *value, int target);
/* Lets time pass; what is due is up to up_fire. */
void up_advance(double seconds);
void up_fire(struct tg_deadline *deadline);
/* What the pool has of the peer. */
struct tg_pool_peer *up_entry(void);
struct up_connection *up_connection(int index);
/* The pool's HTTP/2 connections: how many, and the one at this place. */
int up_pooled(void);
struct tg_upstream_h2 *up_pooled_at(int index);

#endif
