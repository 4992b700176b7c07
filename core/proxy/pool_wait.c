/* Exchanges that wait for a connection, and the dials for them. Where HTTP/1 is spoken, or nobody knows yet, each has a
 * dial of its own. Where HTTP/2 is, they wait in line for whatever becomes free first, and there are so many dials as
 * their number asks for. */
#include "proxy/pool_state.h"

enum { ORPHANS = 8 }; /* dials to a peer that go on though those they were for have gone */

static const double PAUSE_AFTER_FAILURE = 1; /* seconds */
static const char never_greeted[] = "the connection ended before the peer's SETTINGS came";
static const char no_websocket[] = "the peer speaks HTTP/2 without WebSocket (RFC 8441)";

static struct tg_pool_waiter *waiter_at(struct tg_list *link)
{
    return TG_CONTAINER_OF(link, struct tg_pool_waiter, link);
}

static void stop_waiting(struct tg_pool_waiter *waiter)
{
    tg_list_remove(&waiter->link);
    tg_deadline_deinit(&waiter->limit);
    waiter->exchange->connecting = NULL;
    if (waiter->dial)
        waiter->dial->context = NULL;
    else
        waiter->entry->line--;
    waiter->dial = NULL;
}

static void fail_waiter(struct tg_pool_waiter *waiter, enum tg_reason reason, const char *detail)
{
    stop_waiting(waiter);
    tg_exchange_from_connector_failed(waiter->exchange, reason, detail);
}

/* Dials that are for nobody alone. */
static uint32_t count_shared(const struct tg_list *dials)
{
    uint32_t count = 0;
    for (struct tg_list *link = dials->next; link != dials; link = link->next)
        count += TG_CONTAINER_OF(link, struct tg_dial, link)->context == NULL;
    return count;
}

/* --- dials --- */

static struct tg_dial *start_dial(struct tg_pool *pool, struct tg_pool_peer *entry, struct tg_peer *peer, bool h1_only)
{
    struct tg_dial *dial = tg_dial_start(&pool->dialer, pool->worker, peer, &entry->terms.limits, h1_only);
    if (dial)
        tg_list_append(&entry->dials, &dial->link);
    return dial;
}

static bool dial_alone(struct tg_pool_waiter *waiter)
{
    bool h1_only = waiter->need == TG_POOL_H1 && waiter->peer->protocol == TG_PROTOCOL_AUTO;
    waiter->dial = start_dial(waiter->pool, waiter->entry, waiter->peer, h1_only);
    if (!waiter->dial)
        return false;
    waiter->dial->context = waiter;
    waiter->entry->line--;
    tg_deadline_clear(&waiter->limit); /* the dial has its own */
    return true;
}

static void limit_wait(struct tg_pool_waiter *waiter)
{
    const struct tg_dial_limits *limits = &waiter->entry->terms.limits;
    tg_deadline_in(&waiter->limit, limits->connect + (waiter->peer->tls ? limits->tls : 0));
}

static struct tg_pool_waiter *first_in_line(const struct tg_pool_peer *entry)
{
    struct tg_list *link = entry->waiting.next;
    if (entry->line == 0)
        return NULL;
    while (waiter_at(link)->dial)
        link = link->next;
    return waiter_at(link);
}

/* As many as those in line are expected to fill, within what the group allows for a peer; but one that can do with none
 * of the connections that are there gets another. */
static void dial_for_line(struct tg_pool *pool, struct tg_pool_peer *entry, struct tg_peer *peer)
{
    const struct tg_pool_waiter *first = first_in_line(entry);
    uint32_t dials = count_shared(&entry->dials), connections = tg_pool_h2_load(entry).connections;
    uint32_t streams = tg_pool_expected_streams(entry);
    uint32_t wanted = (entry->line + streams - 1) / streams;
    if (first && first->not_before > 0 && dials == 0 && start_dial(pool, entry, peer, false))
        dials++;
    for (; dials < wanted && dials + connections < entry->terms.h2_connections; dials++)
        if (!start_dial(pool, entry, peer, false))
            return;
}

/* A dial has just failed while other connections are alive: no hurry with the next. */
static bool dials_fail(const struct tg_pool *pool, const struct tg_pool_peer *entry)
{
    return entry->dial_failed_at > 0 && tg_loop_now(pool->worker->loop) < entry->dial_failed_at + PAUSE_AFTER_FAILURE;
}

void tg_pool_grow(struct tg_pool *pool, struct tg_pool_peer *entry, struct tg_peer *peer)
{
    struct tg_pool_h2_load load = tg_pool_h2_load(entry);
    bool nearly_full = 5 * load.streams >= 4 * load.limit; /* 80 % */
    if (nearly_full && tg_list_empty(&entry->dials) && load.connections < entry->terms.h2_connections &&
        !dials_fail(pool, entry))
        (void)start_dial(pool, entry, peer, false);
}

/* --- what becomes free goes to who waits --- */

static void give_h1(struct tg_pool_waiter *waiter, struct tg_upstream_h1 *connection)
{
    stop_waiting(waiter);
    tg_upstream_h1_begin(connection, waiter->exchange, waiter->exchange->group);
    tg_exchange_from_connector_ready(waiter->exchange, &connection->side);
}

/* A dial for this exchange alone would only bring one connection more. */
static void give_h2(struct tg_pool_waiter *waiter, struct tg_upstream_h2 *connection)
{
    struct tg_dial *dial = waiter->dial;
    struct tg_upstream_side *side = tg_upstream_h2_begin(connection, waiter->exchange, &waiter->entry->terms.h2);
    if (!side) {
        fail_waiter(waiter, TG_REASON_OVERLOAD, NULL);
        return;
    }
    stop_waiting(waiter);
    if (dial)
        tg_dial_cancel(dial);
    tg_exchange_from_connector_ready(waiter->exchange, side);
}

/* false: it waits on. */
static bool serve(struct tg_pool_waiter *waiter)
{
    struct tg_pool_peer *entry = waiter->entry;
    bool websocket = waiter->need == TG_POOL_WEBSOCKET;
    struct tg_upstream_h2 *connection = tg_pool_choose_h2(entry, websocket, waiter->not_before);
    if (connection)
        give_h2(waiter, connection);
    else if (websocket && tg_pool_h2_refuses_websocket(entry))
        fail_waiter(waiter, TG_REASON_INVALID, no_websocket);
    else
        return false;
    return true;
}

/* The line may be long: once there is nothing for one that takes anything, there is nothing for the others like it. */
static void serve_line(struct tg_pool_peer *entry)
{
    bool full = false;
    for (struct tg_list *link = entry->waiting.next, *next; link != &entry->waiting; link = next) {
        struct tg_pool_waiter *waiter = waiter_at(link);
        next = link->next;
        if (waiter->need == TG_POOL_H1 || (full && waiter->need == TG_POOL_ANY))
            continue;
        bool modest = waiter->need == TG_POOL_ANY && waiter->not_before == 0;
        full |= !serve(waiter) && modest;
    }
}

/* Something is under way that can serve it. */
static bool has_hope(const struct tg_pool_waiter *waiter)
{
    const struct tg_pool_peer *entry = waiter->entry;
    return waiter->dial || !tg_list_empty(&entry->dials) || tg_pool_h2_lives(entry, waiter->not_before);
}

static void fail_hopeless(struct tg_pool_peer *entry, enum tg_reason reason, const char *detail)
{
    if (entry->line == 0)
        return;
    for (struct tg_list *link = entry->waiting.next, *next; link != &entry->waiting; link = next) {
        next = link->next;
        if (!has_hope(waiter_at(link)))
            fail_waiter(waiter_at(link), reason, detail);
    }
}

/* The peer doesn't speak HTTP/2 any more: each goes its own way. */
static void break_line_up(struct tg_pool_peer *entry)
{
    if (entry->line == 0)
        return;
    for (struct tg_list *link = entry->waiting.next, *next; link != &entry->waiting; link = next) {
        struct tg_pool_waiter *waiter = waiter_at(link);
        next = link->next;
        if (!waiter->dial && !dial_alone(waiter))
            fail_waiter(waiter, TG_REASON_OVERLOAD, NULL);
    }
}

/* --- outcomes of dials --- */

static void opened_h1(struct tg_pool *pool, struct tg_pool_peer *entry, struct tg_dial *dial, struct tg_stream *stream)
{
    struct tg_pool_waiter *waiter = dial->context ? dial->context : first_in_line(entry);
    struct tg_upstream_h1 *connection = tg_upstream_h1_open(&pool->keeper, pool->worker, dial->peer, stream);
    if (connection && waiter) {
        give_h1(waiter, connection);
    } else if (connection) { /* nobody waits for it any more */
        connection->pool_size = entry->terms.size;
        connection->pool_idle = entry->terms.idle;
        pool->keeper.release(&pool->keeper, connection);
    } else if (waiter) {
        fail_waiter(waiter, TG_REASON_OVERLOAD, NULL);
    }
    if (!tg_pool_speaks_h2(dial->peer))
        break_line_up(entry);
}

static void opened_h2(struct tg_pool *pool, struct tg_pool_peer *entry, struct tg_dial *dial, struct tg_stream *stream)
{
    struct tg_pool_waiter *waiter = dial->context;
    struct tg_upstream_h2 *connection =
        tg_upstream_h2_open(&pool->h2_keeper, pool->worker, dial->peer, &entry->facts, &entry->terms.h2, stream);
    if (waiter) { /* its dial ends with this, and it takes a place in line */
        waiter->dial = NULL;
        dial->context = NULL;
        entry->line++;
        limit_wait(waiter);
    }
    if (!connection) {
        if (waiter)
            fail_waiter(waiter, TG_REASON_OVERLOAD, NULL);
        fail_hopeless(entry, TG_REASON_OVERLOAD, NULL);
        return;
    }
    tg_list_append(&entry->h2, &connection->link);
    serve_line(entry);
}

static void opened(struct tg_dialer *dialer, struct tg_dial *dial, struct tg_stream *stream, enum tg_protocol protocol)
{
    struct tg_pool *pool = TG_CONTAINER_OF(dialer, struct tg_pool, dialer);
    struct tg_pool_peer *entry = tg_pool_find_peer(pool, dial->peer);
    tg_list_remove(&dial->link);
    (protocol == TG_PROTOCOL_H2 ? opened_h2 : opened_h1)(pool, entry, dial, stream);
}

static void failed(struct tg_dialer *dialer, struct tg_dial *dial, enum tg_reason reason, const char *detail)
{
    struct tg_pool *pool = TG_CONTAINER_OF(dialer, struct tg_pool, dialer);
    struct tg_pool_peer *entry = tg_pool_find_peer(pool, dial->peer);
    struct tg_pool_waiter *waiter = dial->context;
    tg_list_remove(&dial->link);
    entry->dial_failed_at = tg_loop_now(pool->worker->loop);
    if (waiter)
        fail_waiter(waiter, reason, detail);
    fail_hopeless(entry, reason, detail);
}

/* --- what HTTP/2 connections tell --- */

static void changed(struct tg_upstream_h2_keeper *keeper, struct tg_upstream_h2 *connection)
{
    struct tg_pool *pool = TG_CONTAINER_OF(keeper, struct tg_pool, h2_keeper);
    struct tg_pool_peer *entry = tg_pool_find_peer(pool, connection->peer);
    serve_line(entry);
    if (first_in_line(entry) && !dials_fail(pool, entry))
        dial_for_line(pool, entry, connection->peer);
}

/* A connection that ended before the peer had said anything was none: the next would be lost as fast. */
static void gone(struct tg_upstream_h2_keeper *keeper, struct tg_upstream_h2 *connection)
{
    struct tg_pool *pool = TG_CONTAINER_OF(keeper, struct tg_pool, h2_keeper);
    struct tg_pool_peer *entry = tg_pool_find_peer(pool, connection->peer);
    bool greeted = tg_upstream_h2_greeted(connection);
    if (!greeted)
        entry->dial_failed_at = tg_loop_now(pool->worker->loop);
    if (!first_in_line(entry))
        return;
    if (greeted)
        dial_for_line(pool, entry, connection->peer);
    fail_hopeless(entry, greeted ? TG_REASON_OVERLOAD : TG_REASON_RESET, greeted ? NULL : never_greeted);
}

/* --- waiting --- */

static void waited_too_long(struct tg_deadline *deadline)
{
    struct tg_pool_waiter *waiter = TG_CONTAINER_OF(deadline, struct tg_pool_waiter, limit);
    fail_waiter(waiter, TG_REASON_TIMEOUT,
                tg_list_empty(&waiter->entry->dials) ? "no connection had room for one more stream" : NULL);
}

static struct tg_pool_waiter *new_waiter(struct tg_pool *pool, struct tg_pool_peer *entry, struct tg_exchange *exchange,
                                         struct tg_peer *peer)
{
    struct tg_pool_waiter *waiter = tg_arena_alloc_zeroed(&exchange->arena, sizeof *waiter);
    if (!waiter)
        return NULL;
    waiter->pool = pool;
    waiter->entry = entry;
    waiter->exchange = exchange;
    waiter->peer = peer;
    tg_deadline_init(&waiter->limit, pool->worker->loop, waited_too_long);
    tg_list_append(&entry->waiting, &waiter->link);
    entry->line++;
    exchange->connecting = waiter;
    return waiter;
}

static bool wait_in_line(struct tg_pool_waiter *waiter)
{
    limit_wait(waiter);
    dial_for_line(waiter->pool, waiter->entry, waiter->peer);
    /* Others may be first, and be able to wait for what won't do for this one. */
    return has_hope(waiter) || start_dial(waiter->pool, waiter->entry, waiter->peer, false);
}

void tg_pool_wait(struct tg_pool *pool, struct tg_pool_peer *entry, struct tg_exchange *exchange, struct tg_peer *peer,
                  enum tg_pool_need need, bool fresh)
{
    struct tg_pool_waiter *waiter = new_waiter(pool, entry, exchange, peer);
    if (!waiter) {
        tg_exchange_from_connector_failed(exchange, TG_REASON_OVERLOAD, NULL);
        return;
    }
    waiter->need = need;
    waiter->not_before = fresh ? tg_loop_now(pool->worker->loop) : 0;
    if (need == TG_POOL_WEBSOCKET && tg_pool_h2_refuses_websocket(entry))
        fail_waiter(waiter, TG_REASON_INVALID, no_websocket);
    else if (!(need != TG_POOL_H1 && tg_pool_speaks_h2(peer) ? wait_in_line : dial_alone)(waiter))
        fail_waiter(waiter, TG_REASON_OVERLOAD, NULL);
}

/* What is being opened for it serves the next request; but one that leaves over and over opens no more and more. */
void tg_pool_wait_no_more(struct tg_exchange *exchange)
{
    struct tg_pool_waiter *waiter = exchange->connecting;
    if (!waiter)
        return;
    struct tg_dial *dial = waiter->dial;
    stop_waiting(waiter);
    if (dial && count_shared(&waiter->entry->dials) > ORPHANS)
        tg_dial_cancel(dial);
}

void tg_pool_wait_init(struct tg_pool *pool)
{
    pool->dialer = (struct tg_dialer){ opened, failed };
    pool->h2_keeper = (struct tg_upstream_h2_keeper){ changed, gone };
}

void tg_pool_wait_end(struct tg_pool_peer *entry)
{
    struct tg_list *link;
    while ((link = tg_list_first(&entry->dials)) != NULL)
        tg_dial_cancel(TG_CONTAINER_OF(link, struct tg_dial, link));
}
