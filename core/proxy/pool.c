#include "proxy/pool.h"

#include <math.h>
#include <stdlib.h>

#include "proxy/pool_state.h"
#include "proxy/upstream_auth.h"

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
    tg_list_init(&entry->h2);
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
    if (entry) {
        entry->serial = peer->serial;
        entry->facts = (struct tg_upstream_h2_facts){ 0 };
        entry->dial_failed_at = 0;
    }
    return entry;
}

static void set_terms(struct tg_pool_peer *entry, const struct tg_exchange *exchange, const struct tg_group *group,
                      double timeout)
{
    double of_route = exchange->route->timeouts.tls; /* INFINITY: the group's */
    entry->terms = (struct tg_pool_terms){
        .limits = { timeout, of_route < INFINITY ? of_route : group->timeouts.tls },
        .size = group->pool_size,
        .idle = group->pool_idle,
        .h2 = { group->h2_streams, group->pool_idle },
        .h2_connections = group->h2_connections,
    };
}

static bool is_websocket(const struct tg_request_head *head)
{
    return tg_slice_equal(head->upgrade, TG_SLICE("websocket"));
}

/* An upgrade, and credentials that stand for a connection, belong to HTTP/1: where a peer speaks nothing but HTTP/2
 * there is an extended CONNECT for the one, and nothing for the others. */
static enum tg_pool_need need_of(const struct tg_pool_peer *entry, const struct tg_exchange *exchange,
                                 const struct tg_peer *peer)
{
    const struct tg_request_head *head = &exchange->outgoing;
    if (peer->protocol == TG_PROTOCOL_H1 || (peer->protocol == TG_PROTOCOL_AUTO && !peer->tls))
        return TG_POOL_H1;
    if (peer->protocol == TG_PROTOCOL_AUTO && exchange->h1_wanted)
        return TG_POOL_H1;
    if (peer->protocol == TG_PROTOCOL_H2)
        return is_websocket(head) ? TG_POOL_WEBSOCKET : TG_POOL_ANY;
    if (is_websocket(head) && tg_pool_choose_h2(entry, true, 0))
        return TG_POOL_WEBSOCKET;
    return head->upgrade.length > 0 || tg_upstream_auth_in_request(&head->fields) ? TG_POOL_H1 : TG_POOL_ANY;
}

static struct tg_upstream_side *take_h2(struct tg_pool *pool, struct tg_pool_peer *entry, struct tg_exchange *exchange,
                                        struct tg_peer *peer, enum tg_pool_need need)
{
    struct tg_upstream_h2 *connection =
        need == TG_POOL_H1 ? NULL : tg_pool_choose_h2(entry, need == TG_POOL_WEBSOCKET, 0);
    struct tg_upstream_side *side = connection ? tg_upstream_h2_begin(connection, exchange, &entry->terms.h2) : NULL;
    if (side)
        tg_pool_grow(pool, entry, peer);
    return side;
}

static struct tg_upstream_side *take_h1(struct tg_pool *pool, struct tg_pool_peer *entry, struct tg_exchange *exchange,
                                        struct tg_group *group, struct tg_peer *peer, bool careful)
{
    struct tg_upstream_h1 *connection =
        peer->protocol == TG_PROTOCOL_H2 ? NULL : tg_pool_take_idle(pool, entry, peer, careful);
    if (!connection)
        return NULL;
    tg_upstream_h1_begin(connection, exchange, group);
    return &connection->side;
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
    set_terms(entry, exchange, group, timeout);
    enum tg_pool_need need = need_of(entry, exchange, peer);
    struct tg_upstream_side *side = fresh ? NULL : take_h2(pool, entry, exchange, peer, need);
    if (!side && !fresh)
        side = take_h1(pool, entry, exchange, group, peer, careful);
    if (side) {
        tg_counters_add(tg_loop_counters(pool->worker->loop), TG_COUNTER_UPSTREAM_REUSES, 1);
        return side;
    }
    if (!fresh)
        tg_pool_note_miss(pool, peer);
    tg_pool_wait(pool, entry, exchange, peer, need, fresh);
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
        if (pool->peers[i]) {
            tg_pool_wait_end(pool->peers[i]);
            tg_pool_h2_end(pool->peers[i]);
        }
        free(pool->peers[i]);
    }
    free(pool->peers);
    free(pool);
}

struct tg_connector *tg_pool_connector(struct tg_pool *pool)
{
    return &pool->connector;
}
