/* For tests: a generation from files written by the test, its VM in a worker without sockets, and exchanges whose
 * phases are run one by one through the hooks. */
#ifndef TG_UNIT_SCRIPT_RIG_H
#define TG_UNIT_SCRIPT_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/exchange.h"
#include "proxy/peer.h"
#include "script/script.h"

struct rig {
    char folder[64]; /* temporary, ended by a slash */
    struct tg_loop *loop;
    struct tg_worker worker;
    struct tg_lease lease;
    struct tg_peer_registry *registry;
    struct tg_script_tls tls;
    struct tg_generation_source *source;
    struct tg_snapshot *snapshot;
    struct tg_vm *vm;
    struct tg_text error;
    double load_time;
    int attached; /* 1: well, 2: not */
    int stepped;  /* exchanges that were woken */
};

/* What every configuration of the tests begins with. */
#define RIG_HEAD                                                                                                       \
    "local tg = require 'tidegate'\n"                                                                                  \
    "tg.listen '127.0.0.1:1'\n"                                                                                        \
    "tg.upstream 'app' { '127.0.0.1:2' }\n"

void rig_init(struct rig *rig);
void rig_deinit(struct rig *rig);
void rig_write(struct rig *rig, const char *name, const char *text);
/* Loads gateway.lua: source and snapshot. */
bool rig_load(struct rig *rig);
/* The same, then VM and init. */
bool rig_start(struct rig *rig);
/* A gateway.lua that must start. */
void rig_start_with(struct rig *rig, const char *gateway);
/* The error of the last of these must have this in it. */
void rig_expect_error(struct rig *rig, const char *part);

/* An exchange at the start of its request phase. `head` may be NULL: a GET of `path`. */
struct tg_exchange *rig_exchange(struct rig *rig, const char *path, const char *head);
/* Runs the phase until it is over. */
enum tg_hook_result rig_run(struct tg_exchange *exchange, enum tg_phase phase);
/* Starts it only; rig_wait waits for the end of one that was pending. */
enum tg_hook_result rig_begin(struct tg_exchange *exchange, enum tg_phase phase);
enum tg_hook_result rig_wait(struct tg_exchange *exchange);
void rig_end(struct tg_exchange *exchange);
/* One request through one handler: its request phase is this body, which ends in `return req:respond(200, ...)`. The
 * answer's body must be `answer`; where it begins with "raises ", the phase must fail with that in the error log. */
void rig_expect(struct rig *rig, const char *body, const char *answer);
struct tg_slice rig_answer(struct tg_exchange *exchange);
/* Runs the tests in a thread with the stack that Lua needs. */
int rig_main(const char *name, const struct CMUnitTest *tests, size_t count);

#endif
