#include "control/round.h"

#include <stdlib.h>

struct stop {
    struct tg_message message;
    struct round *round;
    struct tg_worker_thread *thread;
};

struct round {
    struct tg_loop *control;
    void (*visit)(void *context, struct tg_worker_thread *thread);
    void (*done)(void *context);
    void *context;
    uint32_t under_way; /* control's */
    struct stop stops[];
};

static void come_back(struct tg_message *message, struct tg_loop *control)
{
    (void)control;
    struct round *round = TG_CONTAINER_OF(message, struct stop, message)->round;
    if (--round->under_way > 0)
        return;
    round->done(round->context);
    free(round);
}

static void visit_worker(struct tg_message *message, struct tg_loop *loop)
{
    (void)loop;
    struct stop *stop = TG_CONTAINER_OF(message, struct stop, message);
    struct round *round = stop->round;
    round->visit(round->context, stop->thread);
    message->run = come_back;
    tg_loop_post(round->control, message);
}

bool tg_round_start(struct tg_worker_thread *workers, uint32_t count, struct tg_loop *control,
                    void (*visit)(void *context, struct tg_worker_thread *thread), void (*done)(void *context),
                    void *context)
{
    struct round *round = malloc(sizeof *round + count * sizeof(struct stop));
    if (!round)
        return false;
    *round = (struct round){ .control = control, .visit = visit, .done = done, .context = context, .under_way = count };
    for (uint32_t i = 0; i < count; i++) {
        round->stops[i] = (struct stop){ { NULL, visit_worker }, round, &workers[i] };
        tg_loop_post(workers[i].loop, &round->stops[i].message);
    }
    return true;
}
