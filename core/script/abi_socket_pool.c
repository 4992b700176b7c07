/* Idle sockets that scripts gave back, and the settings of TLS that they were opened with. Each VM has its own. */
#include <stdlib.h>

#include "script/socket.h"

struct tg_socket_pool {
    struct tg_abi_owned owned;
    struct tg_list idle; /* struct kept, the one that was given back last first */
    uint32_t count;
};

struct kept {
    struct tg_list link;
    struct tg_socket_pool *pool;
    struct tg_stream *stream;
    struct tg_deadline deadline;
    size_t key_length;
    char key[];
};

static struct tg_stream *take_out(struct kept *kept)
{
    struct tg_stream *stream = kept->stream;
    tg_list_remove(&kept->link);
    kept->pool->count--;
    tg_deadline_deinit(&kept->deadline);
    free(kept);
    return stream;
}

static void drop(struct kept *kept)
{
    tg_stream_close(take_out(kept));
}

static void expired(struct tg_deadline *deadline)
{
    drop(TG_CONTAINER_OF(deadline, struct kept, deadline));
}

/* Whatever happens to one that is idle ends it: nobody would know what the bytes answer. */
static void on_end(struct tg_stream *stream)
{
    drop(tg_stream_owner(stream));
}

static void on_data(struct tg_stream *stream, struct tg_buffer data)
{
    (void)data;
    drop(tg_stream_owner(stream));
}

static void on_drained(struct tg_stream *stream)
{
    (void)stream;
}

static void on_failed(struct tg_stream *stream, enum tg_stream_end end)
{
    (void)end;
    drop(tg_stream_owner(stream));
}

static const struct tg_stream_ops idle_ops = {
    .on_connected = on_drained,
    .on_data = on_data,
    .on_eof = on_end,
    .on_drained = on_drained,
    .on_failed = on_failed,
};

static void destroy(struct tg_abi_owned *owned)
{
    struct tg_socket_pool *pool = (struct tg_socket_pool *)owned;
    struct tg_list *node;
    while ((node = tg_list_first(&pool->idle)))
        drop(TG_CONTAINER_OF(node, struct kept, link));
    pool->owned.vm->sockets = NULL;
    free(pool);
}

static struct tg_socket_pool *pool_of(struct tg_vm *vm)
{
    if (vm->sockets)
        return vm->sockets;
    vm->sockets = tg_owned_new(vm, sizeof(*vm->sockets), destroy);
    if (vm->sockets)
        tg_list_init(&vm->sockets->idle);
    return vm->sockets;
}

static bool is_of(const struct kept *kept, struct tg_slice key)
{
    return tg_slice_equal(tg_slice_of(kept->key, kept->key_length), key);
}

struct tg_stream *tg_socket_pool_take(struct tg_vm *vm, struct tg_slice key)
{
    struct tg_list *list = vm->sockets ? &vm->sockets->idle : NULL;
    for (struct tg_list *node = list ? list->next : NULL, *next; node != list; node = next) {
        struct kept *kept = TG_CONTAINER_OF(node, struct kept, link);
        next = node->next;
        if (!is_of(kept, key))
            continue;
        struct tg_stream *stream = take_out(kept);
        if (tg_stream_silent(stream))
            return stream;
        tg_stream_close(stream);
    }
    return NULL;
}

/* Of those with this key, or of all, the one that has been idle for longest goes where there are too many. */
static void bound(struct tg_socket_pool *pool, struct tg_slice key, uint32_t most)
{
    struct kept *oldest = NULL;
    uint32_t count = 0;
    for (struct tg_list *node = pool->idle.next; node != &pool->idle; node = node->next) {
        struct kept *kept = TG_CONTAINER_OF(node, struct kept, link);
        if (!is_of(kept, key))
            continue;
        count++;
        oldest = kept;
    }
    if (count > most)
        drop(oldest);
    else if (pool->count > TG_SOCKET_KEPT)
        drop(TG_CONTAINER_OF(pool->idle.previous, struct kept, link));
}

bool tg_socket_pool_keep(struct tg_vm *vm, struct tg_slice key, uint32_t most, double idle, struct tg_stream *stream)
{
    struct tg_socket_pool *pool = pool_of(vm);
    struct kept *kept = pool ? malloc(sizeof(*kept) + key.length) : NULL;
    if (!kept)
        return false;
    kept->pool = pool;
    kept->stream = stream;
    kept->key_length = key.length;
    memcpy(kept->key, key.at, key.length);
    tg_deadline_init(&kept->deadline, vm->loop, expired);
    tg_deadline_in(&kept->deadline, idle);
    tg_stream_set_owner(stream, &idle_ops, kept);
    tg_list_prepend(&pool->idle, &kept->link);
    pool->count++;
    bound(pool, key, most);
    return true;
}

/* --- TLS -------------------------------------------------------------------------------------------------------- */

static void destroy_tls(struct tg_abi_owned *owned)
{
    struct tg_socket_tls *tls = (struct tg_socket_tls *)owned;
    tg_tls_client_unref(tls->client);
    free(tls);
}

struct tg_abi_owned *tg_abi_tls_new(struct tg_abi_control *control, const char *name, uint32_t name_length,
                                    const char *ca, uint32_t ca_length, int32_t verify, const char **problem)
{
    static _Thread_local char why[512];
    struct tg_vm *vm = (struct tg_vm *)control;
    struct tg_tls_client_options options = { .verify = verify, .name = tg_slice_of(name, name_length) };
    if (ca_length > 0)
        options.ca = (struct tg_tls_file){ TG_SLICE("ca"), tg_slice_of(ca, ca_length) };
    *problem = "there are too many, or no memory";
    struct tg_socket_tls *tls = vm->source->tls ? tg_owned_new(vm, sizeof(*tls), destroy_tls) : NULL;
    if (!tls)
        return NULL;
    tls->client = tg_tls_client_new(vm->source->tls, &options, why);
    if (tls->client)
        return &tls->owned;
    tg_abi_release(&tls->owned);
    *problem = why;
    return NULL;
}
