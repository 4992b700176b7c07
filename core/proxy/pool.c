#include "proxy/pool.h"

#include <stdlib.h>

#include "proxy/pool_state.h"

struct tg_pool_peer *tg_pool_find_peer(const struct tg_pool *pool, const struct tg_peer *peer)
{
    struct tg_pool_peer *entry = peer->index < pool->peer_capacity ? pool->peers[peer->index] : NULL;
    return entry && entry->serial == peer->serial ? entry : NULL;
}

static bool grow_table(struct tg_pool *pool, uint32_t index)
{
    if (index < pool->peer_capacity)
        return true;
    size_t capacity = pool->peer_capacity ? pool->peer_capacity : 16;
    while (capacity <= index)
        capacity *= 2;
    struct tg_pool_peer **grown = reallocarray(pool->peers, capacity, sizeof *grown);
    if (!grown)
        return false;
    memset(grown + pool->peer_capacity, 0, (capacity - pool->peer_capacity) * sizeof *grown);
    pool->peers = grown;
    pool->peer_capacity = capacity;
    return true;
}

static struct tg_pool_peer *new_peer(struct tg_pool *pool, uint32_t index)
{
    struct tg_pool_peer *entry = calloc(1, sizeof *entry);
    if (!entry)
        return NULL;
    tg_list_init(&entry->hot);
    tg_list_init(&entry->waiting);
    tg_list_init(&entry->dials);
    pool->peers[index] = entry;
    return entry;
}

/* NULL: no memory. */
static struct tg_pool_peer *ensure_peer(struct tg_pool *pool, const struct tg_peer *peer)
{
    struct tg_pool_peer *entry = tg_pool_find_peer(pool, peer);
    if (entry || !grow_table(pool, peer->index))
        return entry;
    entry = pool->peers[peer->index] ? pool->peers[peer->index] : new_peer(pool, peer->index);
    if (entry)
        entry->serial = peer->serial;
    return entry;
}

static struct tg_upstream_side *acquire(struct tg_connector *connector, struct tg_exchange *exchange,
                                        struct tg_group *group, struct tg_peer *peer, double timeout, bool fresh,
                                        bool careful)
{
    struct tg_pool *pool = TG_CONTAINER_OF(connector, struct tg_pool, connector);
    struct tg_pool_peer *entry = ensure_peer(pool, peer);
    if (!entry) {
        tg_exchange_from_connector_failed(exchange, TG_REASON_OVERLOAD, NULL);
        return NULL;
    }
    entry->terms = (struct tg_pool_terms){ { timeout, group->timeouts.tls }, group->pool_size, group->pool_idle };
    struct tg_upstream_h1 *connection = fresh ? NULL : tg_pool_take_idle(pool, entry, peer, careful);
    if (connection) {
        tg_counters_add(tg_loop_counters(pool->worker->loop), TG_COUNTER_UPSTREAM_REUSES, 1);
        tg_upstream_h1_begin(connection, exchange, group);
        return &connection->side;
    }
    if (!fresh)
        tg_pool_note_miss(pool, peer);
    tg_pool_wait(pool, entry, exchange, peer);
    return NULL;
}

static void cancel(struct tg_connector *connector, struct tg_exchange *exchange)
{
    (void)connector;
    tg_pool_wait_no_more(exchange);
}

struct tg_pool *tg_pool_new(struct tg_worker *worker)
{
    struct tg_pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return NULL;
    pool->connector.acquire = acquire;
    pool->connector.cancel = cancel;
    pool->worker = worker;
    tg_pool_idle_init(pool);
    tg_pool_wait_init(pool);
    return pool;
}

void tg_pool_free(struct tg_pool *pool)
{
    tg_pool_idle_deinit(pool);
    for (size_t i = 0; i < pool->peer_capacity; i++) {
        if (pool->peers[i])
            tg_pool_wait_end(pool->peers[i]);
        free(pool->peers[i]);
    }
    free(pool->peers);
    free(pool);
}

struct tg_connector *tg_pool_connector(struct tg_pool *pool)
{
    return &pool->connector;
}
