/* Which HTTP/2 connection takes the next stream. */
#include "proxy/pool_state.h"

static struct tg_upstream_h2 *connection_at(struct tg_list *link)
{
    return TG_CONTAINER_OF(link, struct tg_upstream_h2, link);
}

bool tg_pool_speaks_h2(const struct tg_peer *peer)
{
    if (peer->protocol != TG_PROTOCOL_AUTO)
        return peer->protocol == TG_PROTOCOL_H2;
    return peer->tls && atomic_load_explicit(&peer->alpn, memory_order_relaxed) == TG_ALPN_H2;
}

uint32_t tg_pool_expected_streams(const struct tg_pool_peer *entry)
{
    uint32_t known = entry->facts.streams ? entry->facts.streams : UINT32_MAX;
    uint32_t expected = known < entry->terms.h2.streams ? known : entry->terms.h2.streams;
    return expected > 0 ? expected : 1;
}

struct tg_pool_h2_load tg_pool_h2_load(const struct tg_pool_peer *entry)
{
    struct tg_pool_h2_load load = { 0 };
    for (struct tg_list *link = entry->h2.next; link != &entry->h2; link = link->next) {
        struct tg_upstream_h2 *connection = connection_at(link);
        uint32_t limit;
        tg_upstream_h2_free_streams(connection, &entry->terms.h2, &limit);
        if (connection->draining)
            continue;
        load.connections++;
        load.streams += connection->stream_count;
        load.limit += limit;
    }
    return load;
}

/* a/b < c/d */
static bool is_less(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    return a * d < c * b;
}

struct tg_upstream_h2 *tg_pool_choose_h2(const struct tg_pool_peer *entry, bool websocket, double not_before)
{
    struct tg_upstream_h2 *best = NULL;
    uint32_t limit, best_limit = 0;
    for (struct tg_list *link = entry->h2.next; link != &entry->h2; link = link->next) {
        struct tg_upstream_h2 *connection = connection_at(link);
        if (connection->opened_at < not_before || (websocket && !tg_upstream_h2_takes_websocket(connection)) ||
            tg_upstream_h2_free_streams(connection, &entry->terms.h2, &limit) <= 0)
            continue;
        if (!best || is_less(connection->stream_count, limit, best->stream_count, best_limit)) {
            best = connection;
            best_limit = limit;
        }
    }
    return best;
}

bool tg_pool_h2_refuses_websocket(const struct tg_pool_peer *entry)
{
    for (struct tg_list *link = entry->h2.next; link != &entry->h2; link = link->next) {
        if (tg_upstream_h2_greeted(connection_at(link)) && !tg_upstream_h2_takes_websocket(connection_at(link)))
            return true;
    }
    return false;
}

bool tg_pool_h2_lives(const struct tg_pool_peer *entry, double not_before)
{
    for (struct tg_list *link = entry->h2.next; link != &entry->h2; link = link->next) {
        const struct tg_upstream_h2 *connection = connection_at(link);
        if (!connection->draining && !connection->session.fault && connection->opened_at >= not_before)
            return true;
    }
    return false;
}

void tg_pool_h2_end(struct tg_pool_peer *entry)
{
    struct tg_list *link;
    while ((link = tg_list_first(&entry->h2)) != NULL)
        tg_upstream_h2_close(connection_at(link));
}
