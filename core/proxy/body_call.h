/* One handler at work on one body, as a stage of its pipe: what comes waits in its input until the handler has read it,
 * what it writes goes on to the next stage. Also a function of a script that makes a whole body: it stands where
 * upstream would, and has no input. It lives in the exchange's arena, in the worker's thread. The proxy tells script/
 * through the hooks that something has come; script/ calls the functions below from inside the handler. Nothing of this
 * enters Lua, but for hooks.body_start, which only the exchange's own task calls. */
#ifndef TG_PROXY_BODY_CALL_H
#define TG_PROXY_BODY_CALL_H

#include "proxy/pipe.h"
#include "proxy/route.h"
#include "proxy/side.h"

struct tg_exchange;

/* What becomes of the bytes that come. */
enum tg_body_way {
    TG_BODY_READ, /* they wait for the handler */
    TG_BODY_PASS, /* they go on without it */
    TG_BODY_DROP,
};

struct tg_body_call {
    struct tg_body_stage stage;
    struct tg_body_pipe *pipe;
    struct tg_exchange *exchange;
    struct tg_body_call *next, *previous; /* of the same body, along the pipe */
    enum tg_phase phase;
    uint32_t use;  /* which handler */
    bool produces; /* it is the source: no stage */
    void *script;  /* script/'s part */

    struct tg_buffer_queue input;
    double length;    /* declared, of what comes in; NaN: unknown */
    uint64_t scanned; /* bytes of the input in which no end of line was found */
    enum tg_body_way way;
    uint64_t way_left; /* bytes until it is READ again; UINT64_MAX: to the end */
    bool input_ended;
    enum tg_reason input_failed; /* why the source broke off; then input_ended is set too */

    bool started;
    bool begun;    /* has read or written: the head can't be changed by it any more */
    bool changed;  /* has taken or given bytes: the declared length is over */
    bool finished; /* what was written is the whole body */
    bool answered; /* the handler has answered the request instead */
    bool over;     /* the handler has returned, or was cancelled */
    bool cancelled;
    bool failed; /* with a script error */
    bool wants_input, wants_room;
};

/* A call at the end of a list (exchange->request_bodies, ->response_bodies), not in the pipe yet. NULL: no memory. */
struct tg_body_call *tg_body_call_add(struct tg_exchange *exchange, struct tg_body_call **list,
                                      struct tg_body_pipe *pipe, enum tg_phase phase, uint32_t use);
/* Puts the calls into the pipe, in front of what waits in it. */
void tg_body_calls_enter(struct tg_body_call *list, struct tg_body_pipe *pipe);
/* The source has broken off. */
void tg_body_call_fail(struct tg_body_call *call, enum tg_reason reason);
/* Where the giver of the pipe puts what it gives: what counts for its back-pressure. */
const struct tg_buffer_queue *tg_body_calls_inlet(const struct tg_body_call *list, const struct tg_body_pipe *pipe);
/* Tells those that wait for room, if there is some again. */
void tg_body_calls_let_go_on(struct tg_body_call *list);
/* None may be resumed again, but one that has answered, which runs on without a body. */
void tg_body_calls_cancel(struct tg_body_call *list);
/* Forgets one that runs on, too. */
void tg_body_calls_end(struct tg_body_call *list);

/* Replaces the front of the queue by one buffer with the same bytes; false when out of memory: the queue is spoilt. */
bool tg_body_join_front(struct tg_buffer_queue *queue, uint64_t length) __attribute__((warn_unused_result));

/* --- For script/, from inside the handler --- */

/* The first read or write: from now on the head stays as it is. */
void tg_body_call_begin(struct tg_body_call *call);
/* The first bytes of the input, at most `limit`, without taking them; empty where there is none. */
struct tg_slice tg_body_call_look(const struct tg_body_call *call, uint64_t limit);
/* Its first `length` bytes in one piece, `length` being at most what there is; `at` is NULL when out of memory. */
struct tg_slice tg_body_call_gather(struct tg_body_call *call, uint64_t length);
/* Bytes to the first line feed and with it; 0: there is none in the first `limit` bytes. */
uint64_t tg_body_call_line(struct tg_body_call *call, uint64_t limit);
void tg_body_call_take(struct tg_body_call *call, uint64_t length);
/* false when out of memory: the body is broken off. */
bool tg_body_call_write(struct tg_body_call *call, struct tg_slice bytes) __attribute__((warn_unused_result));
/* What is next can't take more now. */
bool tg_body_call_is_full(const struct tg_body_call *call);
/* The next `length` bytes go this way, UINT64_MAX: all; wants_input is answered when they are through. */
void tg_body_call_send(struct tg_body_call *call, enum tg_body_way way, uint64_t length);
/* What was written is the whole body: it ends, in order, when the handler returns. */
void tg_body_call_finish(struct tg_body_call *call);
/* The handler is over: what it left of the input passes on, and the end with it. `failed`: by a script error. */
void tg_body_call_over(struct tg_body_call *call, bool failed);

#endif
