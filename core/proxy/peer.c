#include "proxy/peer.h"

#include <assert.h>
#include <stdlib.h>

#include "base/map.h"
#include "net/parking.h"
#include "net/tls_client.h"
#include "proxy/parked_slots.h"

/* Seconds between two looks for parked connections that are past their time. */
static const double prune_every = 1;

/* Locks, from outer to inner: the registry's, a peer's, that of the slots. No socket is closed under any of them. */
struct tg_peer_registry {
    pthread_mutex_t lock; /* guards peers, serials and indices */
    struct tg_map *peers; /* by identity */
    uint64_t next_serial;
    uint32_t *free_indices; /* room for all that were ever given */
    uint32_t free_count, free_capacity, next_index;
    struct tg_parked_slots slots;
    struct tg_parking *parking;
    struct tg_loop *control;
    struct tg_deadline prune;
};

/* For a pointer found in a table: false where the last reference has gone already. */
static bool ref_if_alive(struct tg_peer *peer)
{
    uint32_t references = atomic_load_explicit(&peer->references, memory_order_relaxed);
    while (references > 0)
        if (atomic_compare_exchange_weak_explicit(&peer->references, &references, references + 1, memory_order_relaxed,
                                                  memory_order_relaxed))
            return true;
    return false;
}

/* --- parked sockets ----------------------------------------------------------------------------------------------- */

/* Under the peer's lock: the socket belongs to the caller. */
static void unpark(struct tg_peer *peer, struct tg_parked *parked)
{
    tg_parking_unwatch(peer->registry->parking, parked->socket);
    tg_parked_slots_give_back(&peer->registry->slots, parked->slot);
    tg_list_remove(&parked->link);
    peer->parked_count--;
    atomic_fetch_sub_explicit(&peer->idle, 1, memory_order_relaxed);
}

static void close_parked(struct tg_parked *parked)
{
    tg_socket_close(parked->socket);
    free(parked);
}

static void close_all(struct tg_list *list)
{
    struct tg_list *link;
    while ((link = tg_list_first(list)) != NULL) {
        tg_list_remove(link);
        close_parked(TG_CONTAINER_OF(link, struct tg_parked, link));
    }
}

/* Under the peer's lock. */
static bool watch_and_list(struct tg_peer *peer, struct tg_parked *parked)
{
    uint64_t cookie;
    if (!tg_parked_slots_take(&peer->registry->slots, peer, parked, &cookie))
        return false;
    if (!tg_parking_watch(peer->registry->parking, parked->socket, cookie)) {
        tg_parked_slots_give_back(&peer->registry->slots, parked->slot);
        return false;
    }
    tg_list_prepend(&peer->parked, &parked->link);
    peer->parked_count++;
    atomic_fetch_add_explicit(&peer->idle, 1, memory_order_relaxed);
    return true;
}

/* Under the peer's lock. The oldest ones go first: upstream is about to close them anyway. */
static void unpark_beyond(struct tg_peer *peer, uint32_t limit, struct tg_list *closing)
{
    while (peer->parked_count > limit) {
        struct tg_list *oldest = peer->parked.previous;
        unpark(peer, TG_CONTAINER_OF(oldest, struct tg_parked, link));
        tg_list_append(closing, oldest);
    }
}

void tg_peer_park(struct tg_peer *peer, struct tg_socket socket, double now, double idle_until, uint32_t limit)
{
    struct tg_parked *parked = limit > 0 && idle_until > now ? malloc(sizeof(*parked)) : NULL;
    if (!parked) {
        tg_socket_close(socket);
        return;
    }
    *parked = (struct tg_parked){ .socket = socket, .parked_at = now, .idle_until = idle_until };
    tg_list_init(&parked->link);
    struct tg_list closing;
    tg_list_init(&closing);

    pthread_mutex_lock(&peer->lock);
    if (!watch_and_list(peer, parked))
        tg_list_append(&closing, &parked->link);
    unpark_beyond(peer, limit, &closing);
    pthread_mutex_unlock(&peer->lock);
    close_all(&closing);
}

struct tg_socket tg_peer_take(struct tg_peer *peer, double now)
{
    struct tg_socket socket = { -1, NULL };
    struct tg_parked *taken = NULL;
    struct tg_list closing, *link;
    tg_list_init(&closing);

    pthread_mutex_lock(&peer->lock);
    while (!taken && (link = tg_list_first(&peer->parked)) != NULL) {
        struct tg_parked *parked = TG_CONTAINER_OF(link, struct tg_parked, link);
        unpark(peer, parked);
        if (parked->idle_until > now)
            taken = parked;
        else
            tg_list_append(&closing, link);
    }
    pthread_mutex_unlock(&peer->lock);
    close_all(&closing);
    if (taken)
        socket = taken->socket;
    free(taken);
    return socket;
}

static void prune_peer(struct tg_peer *peer, double now)
{
    struct tg_list closing;
    tg_list_init(&closing);
    pthread_mutex_lock(&peer->lock);
    for (struct tg_list *link = peer->parked.next, *next; link != &peer->parked; link = next) {
        struct tg_parked *parked = TG_CONTAINER_OF(link, struct tg_parked, link);
        next = link->next;
        if (parked->idle_until > now)
            continue;
        unpark(peer, parked);
        tg_list_append(&closing, link);
    }
    pthread_mutex_unlock(&peer->lock);
    close_all(&closing);
}

/* In control's thread: the upstream closed the connection, or sent something that nobody asked for. */
static void stirred(void *context, uint64_t cookie)
{
    struct tg_peer_registry *registry = context;
    struct tg_peer *peer = tg_parked_slots_peer(&registry->slots, cookie, ref_if_alive);
    if (!peer)
        return;
    pthread_mutex_lock(&peer->lock);
    struct tg_parked *parked = tg_parked_slots_find(&registry->slots, cookie);
    if (parked)
        unpark(peer, parked);
    pthread_mutex_unlock(&peer->lock);
    if (parked)
        close_parked(parked);
    tg_peer_unref(peer);
}

/* --- peers -------------------------------------------------------------------------------------------------------- */

struct tg_peer *tg_peer_ref(struct tg_peer *peer)
{
    atomic_fetch_add_explicit(&peer->references, 1, memory_order_relaxed);
    return peer;
}

/* Under the registry's lock. There is always room in free_indices for all that were given. */
static bool take_index(struct tg_peer_registry *registry, uint32_t *index)
{
    if (registry->free_count > 0) {
        *index = registry->free_indices[--registry->free_count];
        return true;
    }
    if (registry->next_index == registry->free_capacity) {
        uint32_t capacity = registry->free_capacity ? registry->free_capacity * 2 : 16;
        uint32_t *indices = realloc(registry->free_indices, capacity * sizeof(*indices));
        if (!indices)
            return false;
        registry->free_indices = indices;
        registry->free_capacity = capacity;
    }
    *index = registry->next_index++;
    return true;
}

static void free_peer(struct tg_peer *peer)
{
    free((char *)(uintptr_t)peer->identity.at);
    free((char *)(uintptr_t)peer->name.at);
    tg_tls_sessions_free(peer->sessions);
    tg_tls_client_unref(peer->tls);
    pthread_mutex_destroy(&peer->lock);
    free(peer);
}

static struct tg_peer *allocate_peer(struct tg_slice identity, struct tg_slice name, const struct tg_address *address,
                                     enum tg_protocol protocol, struct tg_tls_client *tls)
{
    struct tg_peer *peer = calloc(1, sizeof(*peer));
    if (!peer)
        return NULL;
    pthread_mutex_init(&peer->lock, NULL);
    tg_list_init(&peer->parked);
    atomic_init(&peer->references, 1);
    peer->identity = tg_slice_of(tg_slice_to_string(identity), identity.length);
    peer->name = tg_slice_of(tg_slice_to_string(name), name.length);
    peer->address = *address;
    peer->protocol = protocol;
    if (tls) {
        peer->tls = tg_tls_client_ref(tls);
        peer->sessions = tg_tls_sessions_new();
    }
    if (peer->identity.at && peer->name.at && (peer->sessions || !tls))
        return peer;
    free_peer(peer);
    return NULL;
}

/* Under the registry's lock. Takes the place of a peer of this identity that is about to go. */
static struct tg_peer *add_peer(struct tg_peer_registry *registry, struct tg_slice identity, struct tg_slice name,
                                const struct tg_address *address, enum tg_protocol protocol, struct tg_tls_client *tls)
{
    struct tg_peer *peer = allocate_peer(identity, name, address, protocol, tls);
    if (!peer)
        return NULL;
    peer->registry = registry;
    peer->serial = ++registry->next_serial;
    if (take_index(registry, &peer->index)) {
        if (tg_map_set(registry->peers, identity, peer))
            return peer;
        registry->free_indices[registry->free_count++] = peer->index;
    }
    free_peer(peer);
    return NULL;
}

struct tg_peer *tg_peer_registry_get(struct tg_peer_registry *registry, struct tg_slice identity, struct tg_slice name,
                                     const struct tg_address *address, enum tg_protocol protocol,
                                     struct tg_tls_client *tls)
{
    pthread_mutex_lock(&registry->lock);
    struct tg_peer *peer = tg_map_get(registry->peers, identity);
    if (!peer || !ref_if_alive(peer))
        peer = add_peer(registry, identity, name, address, protocol, tls);
    pthread_mutex_unlock(&registry->lock);
    return peer;
}

static void forget_peer(struct tg_peer_registry *registry, struct tg_peer *peer)
{
    pthread_mutex_lock(&registry->lock);
    if (tg_map_get(registry->peers, peer->identity) == peer)
        tg_map_remove(registry->peers, peer->identity);
    registry->free_indices[registry->free_count++] = peer->index;
    pthread_mutex_unlock(&registry->lock);
}

void tg_peer_unref(struct tg_peer *peer)
{
    if (atomic_fetch_sub_explicit(&peer->references, 1, memory_order_acq_rel) != 1)
        return;
    struct tg_list closing;
    tg_list_init(&closing);
    forget_peer(peer->registry, peer);
    pthread_mutex_lock(&peer->lock);
    unpark_beyond(peer, 0, &closing);
    pthread_mutex_unlock(&peer->lock);
    close_all(&closing);
    free_peer(peer);
}

/* --- the registry ------------------------------------------------------------------------------------------------- */

/* All living peers with a reference each; *count says how many. NULL when out of memory, or none. */
static struct tg_peer **list_peers(struct tg_peer_registry *registry, size_t *count)
{
    size_t position = 0;
    struct tg_slice identity;
    void *peer;
    *count = 0;
    pthread_mutex_lock(&registry->lock);
    size_t room = tg_map_count(registry->peers);
    struct tg_peer **peers = room > 0 ? malloc(room * sizeof(struct tg_peer *)) : NULL;
    while (peers && tg_map_next(registry->peers, &position, &identity, &peer))
        if (ref_if_alive(peer))
            peers[(*count)++] = peer;
    pthread_mutex_unlock(&registry->lock);
    return peers;
}

static void prune(struct tg_deadline *deadline)
{
    struct tg_peer_registry *registry = TG_CONTAINER_OF(deadline, struct tg_peer_registry, prune);
    double now = tg_loop_now(registry->control);
    size_t count;
    struct tg_peer **peers = list_peers(registry, &count);
    for (size_t i = 0; i < count; i++) {
        prune_peer(peers[i], now);
        tg_peer_unref(peers[i]);
    }
    free(peers);
    tg_deadline_in(deadline, prune_every);
}

struct tg_peer_registry *tg_peer_registry_new(struct tg_loop *control)
{
    struct tg_peer_registry *registry = calloc(1, sizeof(*registry));
    if (!registry)
        return NULL;
    registry->control = control;
    registry->peers = tg_map_new();
    registry->parking = registry->peers ? tg_parking_new(control, stirred, registry) : NULL;
    if (!registry->parking) {
        if (registry->peers)
            tg_map_free(registry->peers);
        free(registry);
        return NULL;
    }
    pthread_mutex_init(&registry->lock, NULL);
    tg_parked_slots_init(&registry->slots);
    tg_deadline_init(&registry->prune, control, prune);
    tg_deadline_in(&registry->prune, prune_every);
    return registry;
}

void tg_peer_registry_free(struct tg_peer_registry *registry)
{
    assert(tg_map_count(registry->peers) == 0);
    tg_deadline_deinit(&registry->prune);
    tg_parking_free(registry->parking);
    tg_parked_slots_deinit(&registry->slots);
    pthread_mutex_destroy(&registry->lock);
    tg_map_free(registry->peers);
    free(registry->free_indices);
    free(registry);
}

void tg_peer_registry_each(struct tg_peer_registry *registry, void (*visit)(void *context, struct tg_peer *peer),
                           void *context)
{
    size_t position = 0;
    struct tg_slice identity;
    void *peer;
    pthread_mutex_lock(&registry->lock);
    while (tg_map_next(registry->peers, &position, &identity, &peer))
        visit(context, peer);
    pthread_mutex_unlock(&registry->lock);
}
