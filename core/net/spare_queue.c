#include "net/spare_queue.h"

#include <stdlib.h>

#include "net/loop_state.h"

enum { SPARE = 64, ROOM_KEPT = 256 /* entries of a queue that has grown */ };

struct tg_spare_queue {
    struct tg_buffer_queue queue;
    struct tg_spare_queue *next;
};

bool tg_spare_queue_take(struct tg_loop *loop, struct tg_buffer_queue **place)
{
    struct tg_spare_queue *spare = loop->spare_queues;
    if (*place)
        return true;
    if (spare) {
        loop->spare_queues = spare->next;
        loop->spare_queue_count--;
    } else {
        spare = malloc(sizeof(*spare));
        if (!spare)
            return false;
        tg_buffer_queue_init(&spare->queue);
    }
    *place = &spare->queue;
    return true;
}

void tg_spare_queue_give_back(struct tg_loop *loop, struct tg_buffer_queue **place)
{
    if (!*place)
        return;
    struct tg_spare_queue *spare = TG_CONTAINER_OF(*place, struct tg_spare_queue, queue);
    *place = NULL;
    if (loop->spare_queue_count == SPARE || spare->queue.capacity > ROOM_KEPT) {
        tg_buffer_queue_deinit(&spare->queue);
        free(spare);
        return;
    }
    tg_buffer_queue_clear(&spare->queue);
    spare->next = loop->spare_queues;
    loop->spare_queues = spare;
    loop->spare_queue_count++;
}

void tg_spare_queues_free(struct tg_loop *loop)
{
    while (loop->spare_queues) {
        struct tg_spare_queue *spare = loop->spare_queues;
        loop->spare_queues = spare->next;
        tg_buffer_queue_deinit(&spare->queue);
        free(spare);
    }
    loop->spare_queue_count = 0;
}
