/* An exchange between two sides that are implemented here, with a clock that stands still unless moved. */
#ifndef TG_UNIT_EXCHANGE_RIG_H
#define TG_UNIT_EXCHANGE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/exchange.h"

struct still_clock {
    struct tg_clock clock;
    double now;
};

/* One client, one upstream connection at a time, one route to a group of two peers. */
struct exchange_rig {
    struct still_clock clock;
    struct tg_loop *loop;
    struct tg_worker worker;
    struct tg_snapshot *snapshot;
    struct tg_group group;
    struct tg_route route;
    struct tg_lease lease;
    struct tg_exchange *exchange;

    struct tg_client_side client;
    struct tg_deadline deadline;
    struct tg_client_info info; /* of the request to come */
    struct tg_address peer, local;
    const char *const *request_fields; /* of the request to come: name, value, ..., NULL */
    enum tg_version version;
    const char *path;     /* NULL: "/" */
    int status;           /* of the head that the client got */
    bool declared_length; /* likewise */
    char head[1024];      /* its fields, "name: value\n" each */
    char trailers[1024];  /* likewise, those that came with the end */
    enum tg_reason client_reset_reason, upstream_reset_reason;
    struct tg_buffer_queue got;
    bool got_end, client_reset, client_detached, body_wanted, body_paused;
    int informational;

    struct tg_connector connector;
    struct tg_upstream_side upstream;
    bool refuse, reused, upstream_reset, upstream_detached, canceled, fresh_asked, never_connects, upstream_paused;
    bool upstream_held; /* told to pause */
    int acquired, heads_sent;
    enum tg_reason fail_connect;            /* not 0: what each connect comes to */
    struct tg_peer *asked;                  /* the last peer that a connection was asked for */
    char outgoing[2048];                    /* fields of the last head sent */
    bool expect_continue, extended_connect; /* in the request */
    struct tg_buffer_queue sent;
    bool sent_end;

    struct tg_hooks hooks;
    enum tg_hook_result hook_result;
    int hook_runs, hook_cancels;
};

extern struct exchange_rig *f;

/* setup and teardown of each test. */
int exchange_rig_setup(void **state);
int exchange_rig_teardown(void **state);
#define TEST(name) cmocka_unit_test_setup_teardown(name, exchange_rig_setup, exchange_rig_teardown)

/* Runs what is due now. */
void turn(void);
/* Starts f->exchange and runs what is due. */
void start(enum tg_method method, struct tg_slice text, enum tg_framing framing, uint64_t length);
void get(void);
struct tg_buffer bytes(const char *text);
/* What upstream says; nothing of it runs before turn(), but for answer_whole. */
void answer_head(int status, enum tg_framing framing, uint64_t length);
/* With fields: name, value, ..., NULL. */
void answer_head_with(int status, enum tg_framing framing, uint64_t length, const char *const *fields);
void answer_whole(void);
void use_phase(enum tg_phase phase, enum tg_hook_result result);
/* Whether the line "name: value" is among the fields; `line` without its end. */
bool has_line(const char *fields, const char *line);

#endif
