#include "proxy/pool.h"

#include <math.h>
#include <stdlib.h>

#include "proxy/upstream_h1.h"

static const double HOT_SECONDS = 0.1;  /* after that an idle connection serves every worker */
static const double MISS_SECONDS = 1.0; /* for so long after a miss connections are shared at once */

/* Hot connections of one peer. The table is indexed by peer->index, which is reused: the serial tells. */
struct hot_peer {
    uint64_t serial;
    struct tg_list hot; /* peer_link, newest first */
};

struct tg_pool {
    struct tg_connector connector;
    struct tg_upstream_keeper keeper;
    struct tg_worker *worker;
    struct hot_peer **peers;
    size_t peer_capacity;
    struct tg_list ages;      /* age_link, oldest first */
    struct tg_list abandoned; /* age_link: connects that nobody waits for any more */
    struct tg_deadline sweep;
};

static struct tg_pool *pool_of(struct tg_connector *connector)
{
    return TG_CONTAINER_OF(connector, struct tg_pool, connector);
}

static struct hot_peer *hot_peer(struct tg_pool *pool, const struct tg_peer *peer)
{
    struct hot_peer *entry = peer->index < pool->peer_capacity ? pool->peers[peer->index] : NULL;
    return entry && entry->serial == peer->serial ? entry : NULL;
}

static bool grow_table(struct tg_pool *pool, uint32_t index)
{
    if (index < pool->peer_capacity)
        return true;
    size_t capacity = pool->peer_capacity ? pool->peer_capacity : 16;
    while (capacity <= index)
        capacity *= 2;
    struct hot_peer **grown = reallocarray(pool->peers, capacity, sizeof *grown);
    if (!grown)
        return false;
    memset(grown + pool->peer_capacity, 0, (capacity - pool->peer_capacity) * sizeof *grown);
    pool->peers = grown;
    pool->peer_capacity = capacity;
    return true;
}

/* A peer whose index was someone else's has no hot connection left: those hold references to their peer. */
static struct hot_peer *ensure_hot_peer(struct tg_pool *pool, const struct tg_peer *peer)
{
    struct hot_peer *entry = hot_peer(pool, peer);
    if (entry || !grow_table(pool, peer->index))
        return entry;
    entry = pool->peers[peer->index];
    if (!entry) {
        entry = malloc(sizeof *entry);
        if (!entry)
            return NULL;
        tg_list_init(&entry->hot);
        pool->peers[peer->index] = entry;
    }
    entry->serial = peer->serial;
    return entry;
}

static void unlink_hot(struct tg_upstream_h1 *connection)
{
    tg_list_remove(&connection->peer_link);
    tg_list_remove(&connection->age_link);
    atomic_fetch_sub_explicit(&connection->side.peer->idle, 1, memory_order_relaxed);
}

static void forget(struct tg_upstream_keeper *keeper, struct tg_upstream_h1 *connection)
{
    (void)keeper;
    unlink_hot(connection);
}

static uint64_t milliseconds(double seconds)
{
    return (uint64_t)(seconds * 1000);
}

static bool workers_miss(const struct tg_peer *peer, double now)
{
    uint64_t missed = atomic_load_explicit(&peer->missed_at, memory_order_relaxed);
    return missed != 0 && milliseconds(now) < missed + milliseconds(MISS_SECONDS);
}

static void note_miss(struct tg_pool *pool, struct tg_peer *peer)
{
    double now = tg_loop_now(pool->worker->loop);
    atomic_store_explicit(&peer->missed_at, milliseconds(now), memory_order_relaxed);
}

static void park(struct tg_pool *pool, struct tg_upstream_h1 *connection)
{
    struct tg_peer *peer = tg_peer_ref(connection->side.peer);
    double now = tg_loop_now(pool->worker->loop), until = connection->idle_until;
    uint32_t size = connection->pool_size;
    struct tg_socket socket = tg_upstream_h1_detach_socket(connection);
    tg_counters_add(tg_loop_counters(pool->worker->loop), TG_COUNTER_UPSTREAM_PARKED, 1);
    tg_peer_park(peer, socket, now, until, size);
    tg_peer_unref(peer);
}

/* Oldest first: what has been idle for long enough is given to all workers, or closed where it has outlived its time.
 */
static void sweep(struct tg_deadline *deadline)
{
    struct tg_pool *pool = TG_CONTAINER_OF(deadline, struct tg_pool, sweep);
    double now = tg_loop_now(pool->worker->loop);
    double next = INFINITY;
    bool share = pool->worker->count > 1;
    for (struct tg_list *link; (link = tg_list_first(&pool->ages)) != NULL;) {
        struct tg_upstream_h1 *connection = TG_CONTAINER_OF(link, struct tg_upstream_h1, age_link);
        double due =
            share ? fmin(connection->idle_since + HOT_SECONDS, connection->idle_until) : connection->idle_until;
        if (due > now) {
            next = due;
            break;
        }
        unlink_hot(connection);
        if (share && connection->idle_until > now && tg_stream_silent(connection->stream))
            park(pool, connection);
        else
            tg_upstream_h1_close(connection);
    }
    tg_deadline_set(&pool->sweep, next);
}

static void release(struct tg_upstream_keeper *keeper, struct tg_upstream_h1 *connection)
{
    struct tg_pool *pool = TG_CONTAINER_OF(keeper, struct tg_pool, keeper);
    double now = tg_loop_now(pool->worker->loop);
    struct tg_peer *peer = connection->side.peer;
    struct hot_peer *entry = ensure_hot_peer(pool, peer);
    connection->side.reused = true;
    connection->idle_since = now;
    connection->idle_until = now + connection->pool_idle;
    if (!entry || atomic_load_explicit(&peer->idle, memory_order_relaxed) >= connection->pool_size ||
        connection->pool_idle <= 0 || tg_stream_unsent(connection->stream) > 0) {
        tg_upstream_h1_close(connection);
        return;
    }
    if (pool->worker->count > 1 && workers_miss(peer, now)) {
        park(pool, connection);
        return;
    }
    tg_list_prepend(&entry->hot, &connection->peer_link);
    tg_list_append(&pool->ages, &connection->age_link);
    atomic_fetch_add_explicit(&peer->idle, 1, memory_order_relaxed);
    double due = pool->worker->count > 1 ? now + HOT_SECONDS : connection->idle_until;
    if (due < pool->sweep.at)
        tg_deadline_set(&pool->sweep, due);
}

static struct tg_upstream_h1 *take_hot(struct tg_pool *pool, struct tg_peer *peer, bool careful)
{
    struct hot_peer *entry = hot_peer(pool, peer);
    struct tg_list *link;
    while (entry && (link = tg_list_first(&entry->hot)) != NULL) {
        struct tg_upstream_h1 *connection = TG_CONTAINER_OF(link, struct tg_upstream_h1, peer_link);
        unlink_hot(connection);
        if (!careful || tg_stream_silent(connection->stream))
            return connection;
        tg_upstream_h1_close(connection);
    }
    return NULL;
}

static struct tg_upstream_h1 *take_parked(struct tg_pool *pool, struct tg_peer *peer)
{
    double now = tg_loop_now(pool->worker->loop);
    for (;;) {
        struct tg_socket socket = tg_peer_take(peer, now);
        if (socket.descriptor < 0)
            return NULL;
        struct tg_upstream_h1 *connection = tg_upstream_h1_adopt(&pool->keeper, pool->worker, peer, socket);
        if (connection) {
            note_miss(pool, peer); /* it does change hands: it had better be shared at once the next time, too */
            tg_counters_add(tg_loop_counters(pool->worker->loop), TG_COUNTER_UPSTREAM_ADOPTED, 1);
            return connection;
        }
    }
}

static struct tg_upstream_side *acquire(struct tg_connector *connector, struct tg_exchange *exchange,
                                        struct tg_group *group, struct tg_peer *peer, double timeout, bool fresh,
                                        bool careful)
{
    struct tg_pool *pool = pool_of(connector);
    struct tg_upstream_h1 *connection = NULL;
    if (!fresh)
        connection = take_hot(pool, peer, careful);
    if (!fresh && !connection && pool->worker->count > 1)
        connection = take_parked(pool, peer);
    if (connection) {
        tg_counters_add(tg_loop_counters(pool->worker->loop), TG_COUNTER_UPSTREAM_REUSES, 1);
        tg_upstream_h1_begin(connection, exchange, group);
        return &connection->side;
    }
    if (!fresh)
        note_miss(pool, peer);
    connection = tg_upstream_h1_connect(&pool->keeper, pool->worker, exchange, group, peer, timeout);
    exchange->connecting = connection;
    if (!connection)
        tg_exchange_from_connector_failed(exchange, TG_REASON_OVERLOAD, NULL);
    return NULL;
}

static void cancel(struct tg_connector *connector, struct tg_exchange *exchange)
{
    struct tg_upstream_h1 *connection = exchange->connecting;
    exchange->connecting = NULL;
    if (!connection)
        return;
    tg_upstream_h1_abandon(connection);
    tg_list_append(&pool_of(connector)->abandoned, &connection->age_link);
}

struct tg_pool *tg_pool_new(struct tg_worker *worker)
{
    struct tg_pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return NULL;
    pool->connector.acquire = acquire;
    pool->connector.cancel = cancel;
    pool->keeper.release = release;
    pool->keeper.forget = forget;
    pool->worker = worker;
    tg_list_init(&pool->ages);
    tg_list_init(&pool->abandoned);
    tg_deadline_init(&pool->sweep, worker->loop, sweep);
    return pool;
}

void tg_pool_free(struct tg_pool *pool)
{
    struct tg_list *link;
    while ((link = tg_list_first(&pool->ages)) != NULL) {
        struct tg_upstream_h1 *connection = TG_CONTAINER_OF(link, struct tg_upstream_h1, age_link);
        unlink_hot(connection);
        tg_upstream_h1_close(connection);
    }
    while ((link = tg_list_first(&pool->abandoned)) != NULL)
        tg_upstream_h1_close(TG_CONTAINER_OF(link, struct tg_upstream_h1, age_link));
    for (size_t i = 0; i < pool->peer_capacity; i++)
        free(pool->peers[i]);
    free(pool->peers);
    tg_deadline_deinit(&pool->sweep);
    free(pool);
}

struct tg_connector *tg_pool_connector(struct tg_pool *pool)
{
    return &pool->connector;
}
