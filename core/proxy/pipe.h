/* A body direction: bytes wait here when the side that should take them is slower than the side that gives. Above the
 * high mark the giver is paused, below the low mark it resumes; the exchange sees to both. A direction may have stages
 * between giver and taker (script, compression, mirror, cache). */
#ifndef TG_PROXY_PIPE_H
#define TG_PROXY_PIPE_H

#include "base/buffer.h"

enum { TG_PIPE_HIGH = 256 * 1024, TG_PIPE_LOW = 64 * 1024 };

struct tg_exchange;
struct tg_body_pipe;

/* A stage takes what the giver brings and hands on what it makes of it with tg_pipe_emit, or to the next stage. */
struct tg_body_stage {
    struct tg_body_stage *next; /* NULL: the pipe itself */
    /* A piece of the body; takes over the reference. Called by the exchange, never inside a call of the taker. */
    void (*put)(struct tg_body_stage *stage, struct tg_exchange *exchange, struct tg_buffer piece);
    /* No more will come; ended in order. A stage passes it on when its own output is done. */
    void (*end)(struct tg_body_stage *stage, struct tg_exchange *exchange);
};

struct tg_body_pipe {
    struct tg_buffer_queue waiting;
    struct tg_body_stage *stages; /* NULL: none */
    uint64_t passed;              /* bytes that entered the pipe */
    bool giver_paused;
    bool ended;  /* the giver has given all, in order */
    bool failed; /* the giver broke off: what was passed is no whole body */
};

#endif
