/* Inside net/: a queue takes memory only while something waits in it. It comes from the loop's spare ones and goes back
 * when it is empty, so that a stream at rest is small and a warm loop calls no malloc. */
#ifndef TG_NET_SPARE_QUEUE_H
#define TG_NET_SPARE_QUEUE_H

#include "base/buffer.h"

struct tg_loop;
struct tg_spare_queue;

/* Takes a queue for *place where there is none yet. false: no memory. */
bool tg_spare_queue_take(struct tg_loop *loop, struct tg_buffer_queue **place) __attribute__((warn_unused_result));
/* Gives it back with all that is in it; *place is NULL afterwards, as it may be before. */
void tg_spare_queue_give_back(struct tg_loop *loop, struct tg_buffer_queue **place);
void tg_spare_queues_free(struct tg_loop *loop);

static inline uint64_t tg_spare_queue_length(const struct tg_buffer_queue *queue)
{
    return queue ? tg_buffer_queue_length(queue) : 0;
}

#endif
