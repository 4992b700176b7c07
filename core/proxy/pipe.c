#include "proxy/pipe.h"

void tg_body_pipe_init(struct tg_body_pipe *pipe)
{
    tg_buffer_queue_init(&pipe->waiting);
    pipe->stages = NULL;
    pipe->passed = pipe->room = 0;
    pipe->giver_paused = pipe->replaced = pipe->ended = pipe->failed = false;
}

void tg_body_pipe_deinit(struct tg_body_pipe *pipe)
{
    tg_buffer_queue_deinit(&pipe->waiting);
}

void tg_body_pipe_add_stage(struct tg_body_pipe *pipe, struct tg_body_stage *stage)
{
    struct tg_body_stage **place = &pipe->stages;
    while (*place)
        place = &(*place)->next;
    stage->next = NULL;
    *place = stage;
}

void tg_body_pipe_emit(struct tg_body_pipe *pipe, struct tg_body_stage *from, struct tg_buffer piece)
{
    struct tg_body_stage *next = from ? from->next : pipe->stages;
    if (!from)
        pipe->passed += piece.length;
    if (!from && pipe->replaced)
        tg_buffer_unref(piece);
    else if (next)
        next->put(next, pipe, piece);
    else if (!tg_buffer_queue_push(&pipe->waiting, piece))
        pipe->failed = true;
}

void tg_body_pipe_emit_end(struct tg_body_pipe *pipe, struct tg_body_stage *from)
{
    struct tg_body_stage *next = from ? from->next : pipe->stages;
    if (!from && pipe->replaced)
        return;
    if (next)
        next->end(next, pipe);
    else
        pipe->ended = true;
}
