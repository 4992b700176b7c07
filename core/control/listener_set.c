#include "control/listener_set.h"

#include <stdlib.h>

static bool is_open_for(const struct tg_open_listener *open, const struct tg_address *address)
{
    return !open->wanted && (tg_address_equal(&open->configured, address) ||
                             tg_address_equal(tg_listener_address(open->listener), address));
}

/* The first one of this address that no other declaration has taken. */
static struct tg_open_listener *find_open(struct tg_listener_set *set, const struct tg_address *address)
{
    for (size_t i = 0; i < set->count; i++) {
        if (is_open_for(&set->at[i], address))
            return &set->at[i];
    }
    return NULL;
}

static struct tg_open_listener *open_new(struct tg_listener_set *set, const struct tg_listener_config *config,
                                         struct tg_text *why)
{
    char reason[256];
    struct tg_open_listener *more = realloc(set->at, (set->count + 1) * sizeof *more);
    if (!more) {
        tg_text_appendf(why, "out of memory");
        return NULL;
    }
    set->at = more;
    struct tg_listener *listener = tg_listener_open(&config->address, reason);
    if (!listener) {
        tg_text_appendf(why, "%s", reason);
        return NULL;
    }
    set->at[set->count] = (struct tg_open_listener){ .listener = listener, .configured = config->address };
    return &set->at[set->count++];
}

static void close_those_after(struct tg_listener_set *set, size_t count)
{
    while (set->count > count)
        tg_listener_close(set->at[--set->count].listener);
}

bool tg_listener_set_open(struct tg_listener_set *set, struct tg_snapshot *snapshot, struct tg_text *why)
{
    size_t before = set->count;
    for (size_t i = 0; i < set->count; i++)
        set->at[i].wanted = false;
    for (size_t i = 0; i < snapshot->listener_count; i++) {
        struct tg_listener_config *config = &snapshot->listeners[i];
        struct tg_open_listener *open = find_open(set, &config->address);
        if (!open)
            open = open_new(set, config, why);
        if (!open) {
            close_those_after(set, before);
            return false;
        }
        open->wanted = true;
        tg_listener_set_guarded(open->listener, config->tls || config->accept.count > 0);
        if (!tg_address_equal(&config->address, tg_listener_address(open->listener)))
            config->address = *tg_listener_address(open->listener);
    }
    return true;
}

static void close_one(struct tg_open_listener *open, struct tg_acceptor *acceptor)
{
    if (open->accepting)
        tg_acceptor_remove(acceptor, open->listener);
    tg_listener_close(open->listener);
}

static void close_unwanted(struct tg_listener_set *set, struct tg_acceptor *acceptor)
{
    size_t kept = 0;
    for (size_t i = 0; i < set->count; i++) {
        if (set->at[i].wanted)
            set->at[kept++] = set->at[i];
        else
            close_one(&set->at[i], acceptor);
    }
    set->count = kept;
}

bool tg_listener_set_settle(struct tg_listener_set *set, struct tg_acceptor *acceptor, struct tg_text *why)
{
    bool all = true;
    for (size_t i = 0; i < set->count; i++) {
        struct tg_open_listener *open = &set->at[i];
        if (!open->wanted || open->accepting)
            continue;
        open->accepting = tg_acceptor_add(acceptor, open->listener);
        if (open->accepting)
            continue;
        char text[128];
        size_t length = tg_address_format(tg_listener_address(open->listener), text);
        tg_text_appendf(why, "%.*s: can't be watched for connections", (int)length, text);
        all = false;
    }
    close_unwanted(set, acceptor);
    return all;
}

void tg_listener_set_close(struct tg_listener_set *set, struct tg_acceptor *acceptor)
{
    for (size_t i = 0; i < set->count; i++)
        close_one(&set->at[i], acceptor);
    free(set->at);
    *set = (struct tg_listener_set){ 0 };
}
