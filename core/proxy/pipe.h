/* A body direction: bytes wait here when the side that should take them is slower than the side that gives. Above the
 * high mark the giver is paused, below the low mark it resumes; the exchange sees to both. A direction may have stages
 * between giver and taker (script, compression, mirror, cache). */
#ifndef TG_PROXY_PIPE_H
#define TG_PROXY_PIPE_H

#include "base/buffer.h"

enum { TG_PIPE_HIGH = 256 * 1024, TG_PIPE_LOW = 64 * 1024 };

struct tg_body_pipe;

/* A stage takes what comes before it and hands on what it makes of that, now or later. It belongs to whoever added it,
 * and lives as long as the pipe. Whoever adds a stage that changes bytes has changed the framing of the message's head.
 */
struct tg_body_stage {
    struct tg_body_stage *next; /* set by tg_body_pipe_add_stage */
    /* A piece of the body; takes over the reference. Never called inside a call of the taker. */
    void (*put)(struct tg_body_stage *stage, struct tg_body_pipe *pipe, struct tg_buffer piece);
    /* No more will come; ended in order. A stage passes it on when its own output is done. */
    void (*end)(struct tg_body_stage *stage, struct tg_body_pipe *pipe);
};

struct tg_body_pipe {
    struct tg_buffer_queue waiting;
    struct tg_body_stage *stages; /* NULL: none */
    uint64_t passed;              /* bytes that entered the pipe */
    uint64_t room;                /* its high mark, where somebody wants more of it whole than TG_PIPE_HIGH */
    bool giver_paused;
    bool replaced; /* what waits was put in the place of what the giver gives, which is dropped */
    bool ended;    /* the giver has given all, in order */
    bool failed;   /* the giver broke off: what was passed is no whole body */
};

void tg_body_pipe_init(struct tg_body_pipe *pipe);
void tg_body_pipe_deinit(struct tg_body_pipe *pipe);
/* Behind those that are there, before the first piece comes. */
void tg_body_pipe_add_stage(struct tg_body_pipe *pipe, struct tg_body_stage *stage);
/* Hands a piece on from a stage, or from the giver (NULL), to what comes next; takes over the reference. Out of memory:
 * the pipe has failed. */
void tg_body_pipe_emit(struct tg_body_pipe *pipe, struct tg_body_stage *from, struct tg_buffer piece);
void tg_body_pipe_emit_end(struct tg_body_pipe *pipe, struct tg_body_stage *from);

#endif
