/* Exchanges that wait for a connection, and the dials for them. */
#include "proxy/pool_state.h"

static void stop_waiting(struct tg_pool_waiter *waiter)
{
    tg_list_remove(&waiter->link);
    waiter->exchange->connecting = NULL;
    if (waiter->dial)
        waiter->dial->context = NULL;
    waiter->dial = NULL;
}

static void fail_waiter(struct tg_pool_waiter *waiter, enum tg_reason reason, const char *detail)
{
    stop_waiting(waiter);
    tg_exchange_from_connector_failed(waiter->exchange, reason, detail);
}

static void give_h1(struct tg_pool_waiter *waiter, struct tg_upstream_h1 *connection)
{
    stop_waiting(waiter);
    tg_upstream_h1_begin(connection, waiter->exchange, waiter->exchange->group);
    tg_exchange_from_connector_ready(waiter->exchange, &connection->side);
}

/* Nobody waits for it any more. */
static void keep_h1(struct tg_pool *pool, struct tg_pool_peer *entry, struct tg_upstream_h1 *connection)
{
    connection->pool_size = entry->terms.size;
    connection->pool_idle = entry->terms.idle;
    pool->keeper.release(&pool->keeper, connection);
}

static void opened(struct tg_dialer *dialer, struct tg_dial *dial, struct tg_stream *stream, enum tg_protocol protocol)
{
    (void)protocol;
    struct tg_pool *pool = TG_CONTAINER_OF(dialer, struct tg_pool, dialer);
    struct tg_pool_peer *entry = tg_pool_find_peer(pool, dial->peer);
    struct tg_pool_waiter *waiter = dial->context;
    struct tg_upstream_h1 *connection = tg_upstream_h1_open(&pool->keeper, pool->worker, dial->peer, stream);
    if (connection && waiter)
        give_h1(waiter, connection);
    else if (connection)
        keep_h1(pool, entry, connection);
    else if (waiter)
        fail_waiter(waiter, TG_REASON_OVERLOAD, NULL);
}

static void failed(struct tg_dialer *dialer, struct tg_dial *dial, enum tg_reason reason, const char *detail)
{
    (void)dialer;
    struct tg_pool_waiter *waiter = dial->context;
    if (waiter)
        fail_waiter(waiter, reason, detail);
}

void tg_pool_wait(struct tg_pool *pool, struct tg_pool_peer *entry, struct tg_exchange *exchange, struct tg_peer *peer)
{
    struct tg_pool_waiter *waiter = tg_arena_alloc_zeroed(&exchange->arena, sizeof *waiter);
    struct tg_dial *dial =
        waiter ? tg_dial_start(&pool->dialer, pool->worker, peer, &entry->terms.limits, false) : NULL;
    if (!dial) {
        tg_exchange_from_connector_failed(exchange, TG_REASON_OVERLOAD, NULL);
        return;
    }
    waiter->exchange = exchange;
    waiter->dial = dial;
    dial->context = waiter;
    tg_list_append(&entry->dials, &dial->link);
    tg_list_append(&entry->waiting, &waiter->link);
    exchange->connecting = waiter;
}

void tg_pool_wait_no_more(struct tg_exchange *exchange)
{
    if (exchange->connecting)
        stop_waiting(exchange->connecting);
}

void tg_pool_wait_init(struct tg_pool *pool)
{
    pool->dialer = (struct tg_dialer){ opened, failed };
}

void tg_pool_wait_end(struct tg_pool_peer *entry)
{
    struct tg_list *link;
    while ((link = tg_list_first(&entry->dials)) != NULL)
        tg_dial_cancel(TG_CONTAINER_OF(link, struct tg_dial, link));
}
