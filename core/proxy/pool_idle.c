/* Idle HTTP/1 connections: hot ones of this worker, and those that all workers share. */
#include <math.h>

#include "proxy/pool_state.h"

static const double HOT_SECONDS = 0.1;  /* after that an idle connection serves every worker */
static const double MISS_SECONDS = 1.0; /* for so long after a miss connections are shared at once */

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

void tg_pool_note_miss(struct tg_pool *pool, struct tg_peer *peer)
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
    struct tg_pool_peer *entry = tg_pool_find_peer(pool, peer);
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

static struct tg_upstream_h1 *take_hot(struct tg_pool_peer *entry, bool careful)
{
    struct tg_list *link;
    while ((link = tg_list_first(&entry->hot)) != NULL) {
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
            tg_pool_note_miss(pool, peer); /* it does change hands: it had better be shared at once next time, too */
            tg_counters_add(tg_loop_counters(pool->worker->loop), TG_COUNTER_UPSTREAM_ADOPTED, 1);
            return connection;
        }
    }
}

struct tg_upstream_h1 *tg_pool_take_idle(struct tg_pool *pool, struct tg_pool_peer *entry, struct tg_peer *peer,
                                         bool careful)
{
    struct tg_upstream_h1 *connection = take_hot(entry, careful);
    return connection || pool->worker->count == 1 ? connection : take_parked(pool, peer);
}

void tg_pool_idle_init(struct tg_pool *pool)
{
    pool->keeper.release = release;
    pool->keeper.forget = forget;
    tg_list_init(&pool->ages);
    tg_deadline_init(&pool->sweep, pool->worker->loop, sweep);
}

void tg_pool_idle_deinit(struct tg_pool *pool)
{
    struct tg_list *link;
    while ((link = tg_list_first(&pool->ages)) != NULL) {
        struct tg_upstream_h1 *connection = TG_CONTAINER_OF(link, struct tg_upstream_h1, age_link);
        unlink_hot(connection);
        tg_upstream_h1_close(connection);
    }
    tg_deadline_deinit(&pool->sweep);
}
