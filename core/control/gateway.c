/* The workers of the gateway and what hands connections to them. */
#include "control/gateway.h"

#include <stdlib.h>

enum { WORKER_RING = 2 * 1024 * 1024 };

static bool start_acceptor(struct tg_gateway *gateway)
{
    struct tg_accept_target *targets = calloc(gateway->worker_count, sizeof *targets);
    if (!targets)
        return false;
    for (uint32_t i = 0; i < gateway->worker_count; i++) {
        struct tg_worker_thread *thread = &gateway->workers[i];
        targets[i] = (struct tg_accept_target){ thread->loop, tg_worker_accepted, &thread->worker.connections };
    }
    /* The first generation's settings set the limit, before a listener is added. */
    gateway->acceptor = tg_acceptor_new(targets, gateway->worker_count, UINT32_MAX);
    free(targets);
    return gateway->acceptor != NULL;
}

bool tg_gateway_start_workers(struct tg_gateway *gateway, uint32_t count)
{
    gateway->workers = aligned_alloc(_Alignof(struct tg_worker_thread), count * sizeof(struct tg_worker_thread));
    if (!gateway->workers)
        return false;
    memset(gateway->workers, 0, count * sizeof(struct tg_worker_thread));
    for (gateway->worker_count = 0; gateway->worker_count < count; gateway->worker_count++) {
        struct tg_worker_thread *thread = &gateway->workers[gateway->worker_count];
        struct tg_log_ring *ring = tg_log_thread_ring(gateway->logs, WORKER_RING);
        if (!ring || !tg_worker_thread_start(thread, gateway->worker_count, count, gateway->loop, ring))
            return false;
    }
    if (!start_acceptor(gateway))
        return false;
    for (uint32_t i = 0; i < count; i++)
        tg_worker_thread_set_acceptor(&gateway->workers[i], gateway->acceptor);
    return true;
}

void tg_gateway_free_workers(struct tg_gateway *gateway)
{
    for (uint32_t i = 0; i < gateway->worker_count; i++)
        tg_worker_thread_join(&gateway->workers[i]);
    if (gateway->acceptor)
        tg_acceptor_free(gateway->acceptor);
    for (uint32_t i = 0; i < gateway->worker_count; i++)
        tg_worker_thread_free(&gateway->workers[i]);
    free(gateway->workers);
}
