/* Shared dictionaries for scripts. */
#include <math.h>
#include <stdlib.h>

#include "base/shared_dict.h"
#include "script/owned.h"
#include "script/run.h"

enum { KEPT_COPY = 256 * 1024 /* bytes of room that a VM keeps for the next value */ };

_Static_assert((int)TG_SHARED_NUMBER == (int)TG_ABI_SHARED_NUMBER && (int)TG_SHARED_LIST == (int)TG_ABI_SHARED_LIST,
               "Lua is given the types as they are");

/* Of one VM. */
struct tg_abi_sharing {
    struct tg_abi_owned owned;
    struct tg_abi_value value; /* what Lua looks at */
    struct tg_shared_copy copy;
};

static void destroy_sharing(struct tg_abi_owned *owned)
{
    struct tg_abi_sharing *sharing = (struct tg_abi_sharing *)owned;
    owned->vm->sharing = NULL;
    free(sharing->copy.at);
    free(sharing);
}

static struct tg_abi_sharing *sharing_of(struct tg_abi_control *control)
{
    return ((struct tg_vm *)control)->sharing;
}

const struct tg_abi_value *tg_abi_shared_value(struct tg_abi_control *control)
{
    struct tg_vm *vm = (struct tg_vm *)control;
    if (!vm->sharing)
        vm->sharing = tg_owned_new(vm, sizeof(struct tg_abi_sharing), destroy_sharing);
    return vm->sharing ? &vm->sharing->value : NULL;
}

static struct tg_shared_copy *room_of(struct tg_abi_sharing *sharing)
{
    if (sharing->copy.capacity > KEPT_COPY) {
        free(sharing->copy.at);
        sharing->copy = (struct tg_shared_copy){ 0 };
    }
    return &sharing->copy;
}

static int32_t result_of(enum tg_shared_result result)
{
    switch (result) {
    case TG_SHARED_DONE: return TG_ABI_SHARED_DONE;
    case TG_SHARED_KEPT: return TG_ABI_SHARED_KEPT;
    case TG_SHARED_WRONG_TYPE: return TG_ABI_SHARED_WRONG_TYPE;
    case TG_SHARED_TOO_LARGE: return TG_ABI_SHARED_TOO_LARGE;
    case TG_SHARED_NO_MEMORY: break;
    }
    return TG_ABI_SHARED_NO_MEMORY;
}

/* Lends what was copied to Lua; its type, or the failure. */
static int32_t lend(struct tg_abi_sharing *sharing, enum tg_shared_result result)
{
    const struct tg_shared_copy *copy = &sharing->copy;
    if (result != TG_SHARED_DONE)
        return result_of(result);
    sharing->value = (struct tg_abi_value){ .number = copy->number,
                                            .version = (double)copy->version,
                                            .text = copy->at ? copy->at : "",
                                            .length = (uint32_t)copy->length };
    return (int32_t)copy->type;
}

static struct tg_shared_value value_of(int32_t type, double number, const char *text, uint32_t length, double seconds)
{
    return (struct tg_shared_value){
        .type = (enum tg_shared_type)type, .number = number, .text = tg_slice_of(text, length), .left = seconds
    };
}

int32_t tg_abi_shared_get(struct tg_abi_control *control, struct tg_shared_dict *dict, const char *key,
                          uint32_t key_length)
{
    struct tg_abi_sharing *sharing = sharing_of(control);
    return lend(sharing, tg_shared_dict_get(dict, tg_slice_of(key, key_length), room_of(sharing)));
}

struct storing {
    struct tg_shared_value value;
    int32_t how;
};

static enum tg_shared_action store(void *context, const struct tg_shared_value *old, struct tg_shared_value *next)
{
    const struct storing *storing = context;
    bool there = old->type != TG_SHARED_NONE;
    if ((storing->how == TG_ABI_SHARED_ADD && there) || (storing->how == TG_ABI_SHARED_REPLACE && !there))
        return TG_SHARED_KEEP;
    *next = storing->value;
    return TG_SHARED_WRITE;
}

int32_t tg_abi_shared_store(struct tg_shared_dict *dict, const char *key, uint32_t key_length, int32_t how,
                            int32_t type, double number, const char *text, uint32_t length, double seconds)
{
    struct storing storing = { value_of(type, number, text, length, seconds), how };
    return result_of(tg_shared_dict_modify(dict, tg_slice_of(key, key_length), store, &storing));
}

struct swapping {
    struct tg_shared_value expected, value;
};

static bool is_same(const struct tg_shared_value *one, const struct tg_shared_value *other)
{
    if (one->type != other->type)
        return false;
    if (one->type == TG_SHARED_STRING)
        return tg_slice_equal(one->text, other->text);
    return one->type == TG_SHARED_NONE || one->number == other->number;
}

static enum tg_shared_action swap(void *context, const struct tg_shared_value *old, struct tg_shared_value *next)
{
    const struct swapping *swapping = context;
    if (!is_same(old, &swapping->expected))
        return TG_SHARED_KEEP;
    *next = swapping->value;
    return next->type == TG_SHARED_NONE ? TG_SHARED_REMOVE : TG_SHARED_WRITE;
}

int32_t tg_abi_shared_swap(struct tg_shared_dict *dict, const char *key, uint32_t key_length, int32_t old_type,
                           double old_number, const char *old_text, uint32_t old_length, int32_t type, double number,
                           const char *text, uint32_t length, double seconds)
{
    struct swapping swapping = { value_of(old_type, old_number, old_text, old_length, INFINITY),
                                 value_of(type, number, text, length, seconds) };
    return result_of(tg_shared_dict_modify(dict, tg_slice_of(key, key_length), swap, &swapping));
}

struct adding {
    double by, initial, seconds;
    double sum;
    bool wrong_type;
};

static enum tg_shared_action add(void *context, const struct tg_shared_value *old, struct tg_shared_value *next)
{
    struct adding *adding = context;
    bool is_new = old->type == TG_SHARED_NONE;
    adding->wrong_type = !is_new && old->type != TG_SHARED_NUMBER;
    if (adding->wrong_type || (is_new && isnan(adding->initial)))
        return TG_SHARED_KEEP;
    adding->sum = (is_new ? adding->initial : old->number) + adding->by;
    *next = value_of(TG_SHARED_NUMBER, adding->sum, NULL, 0, is_new ? adding->seconds : NAN);
    return TG_SHARED_WRITE;
}

int32_t tg_abi_shared_add(struct tg_abi_control *control, struct tg_shared_dict *dict, const char *key,
                          uint32_t key_length, double by, double initial, double seconds)
{
    struct adding adding = { .by = by, .initial = initial, .seconds = seconds };
    enum tg_shared_result result = tg_shared_dict_modify(dict, tg_slice_of(key, key_length), add, &adding);
    sharing_of(control)->value.number = adding.sum;
    return adding.wrong_type ? TG_ABI_SHARED_WRONG_TYPE : result_of(result);
}

static enum tg_shared_action take_out(void *context, const struct tg_shared_value *old, struct tg_shared_value *next)
{
    (void)context;
    (void)next;
    return old->type == TG_SHARED_NONE ? TG_SHARED_KEEP : TG_SHARED_REMOVE;
}

int32_t tg_abi_shared_delete(struct tg_shared_dict *dict, const char *key, uint32_t key_length)
{
    return result_of(tg_shared_dict_modify(dict, tg_slice_of(key, key_length), take_out, NULL));
}

int32_t tg_abi_shared_expire(struct tg_shared_dict *dict, const char *key, uint32_t key_length, double seconds)
{
    return result_of(tg_shared_dict_expire(dict, tg_slice_of(key, key_length), seconds));
}

double tg_abi_shared_left(struct tg_shared_dict *dict, const char *key, uint32_t key_length)
{
    return tg_shared_dict_left(dict, tg_slice_of(key, key_length));
}

int32_t tg_abi_shared_push(struct tg_abi_control *control, struct tg_shared_dict *dict, const char *key,
                           uint32_t key_length, int32_t type, double number, const char *text, uint32_t length)
{
    struct tg_shared_value value = value_of(type, number, text, length, INFINITY);
    size_t count = 0;
    enum tg_shared_result result = tg_shared_dict_push(dict, tg_slice_of(key, key_length), &value, &count);
    sharing_of(control)->value.number = (double)count;
    return result_of(result);
}

int32_t tg_abi_shared_pop(struct tg_abi_control *control, struct tg_shared_dict *dict, const char *key,
                          uint32_t key_length)
{
    struct tg_abi_sharing *sharing = sharing_of(control);
    return lend(sharing, tg_shared_dict_pop(dict, tg_slice_of(key, key_length), room_of(sharing)));
}

int32_t tg_abi_shared_keys(struct tg_abi_control *control, struct tg_shared_dict *dict, uint32_t max)
{
    struct tg_abi_sharing *sharing = sharing_of(control);
    struct tg_shared_copy *copy = room_of(sharing);
    copy->type = TG_SHARED_NONE;
    return lend(sharing, tg_shared_dict_keys(dict, max, copy));
}

void tg_abi_shared_clear(struct tg_shared_dict *dict)
{
    tg_shared_dict_clear(dict);
}

/* --- watch --- */

/* A coroutine that waits for a write. The writer posts the message, which ends it; or the coroutine goes on before. */
struct watching {
    struct tg_run_wait wait;
    struct tg_shared_watcher watcher;
    struct tg_message message;
    struct tg_shared_dict *dict;
    struct tg_loop *loop;
    bool given_up; /* the message is on its way, and nobody waits for it */
};

static void send_word(struct tg_shared_watcher *watcher)
{
    struct watching *watching = TG_CONTAINER_OF(watcher, struct watching, watcher);
    tg_loop_post(watching->loop, &watching->message);
}

static void take_word(struct tg_message *message, struct tg_loop *loop)
{
    (void)loop;
    struct watching *watching = TG_CONTAINER_OF(message, struct watching, message);
    if (!watching->given_up) {
        tg_list_remove(&watching->wait.link);
        tg_run_wake(watching->wait.run);
    }
    free(watching);
}

static void give_up(struct tg_run_wait *wait)
{
    struct watching *watching = TG_CONTAINER_OF(wait, struct watching, wait);
    if (tg_shared_dict_unwatch(watching->dict, &watching->watcher))
        free(watching);
    else
        watching->given_up = true;
}

/* A version as scripts give it, maybe from a client: what can't be one is none. */
static uint64_t version_of(double seen)
{
    return seen >= 1 && seen < 9007199254740992.0 && floor(seen) == seen ? (uint64_t)seen : 0;
}

int32_t tg_abi_shared_watch(struct tg_abi_control *control, struct tg_shared_dict *dict, const char *key,
                            uint32_t key_length, double seen)
{
    struct tg_vm *vm = (struct tg_vm *)control;
    struct tg_run *run = tg_run_to_wait(vm);
    struct watching *watching = run ? calloc(1, sizeof(*watching)) : NULL;
    if (!watching)
        return run ? TG_ABI_SHARED_NO_MEMORY : TG_ABI_SHARED_CANT_WAIT;
    watching->watcher.changed = send_word;
    watching->message.run = take_word;
    watching->dict = dict;
    watching->loop = vm->loop;
    tg_run_wait_for(run, &watching->wait, give_up); /* before any writer can send word */
    enum tg_shared_result result = tg_shared_dict_watch(dict, tg_slice_of(key, key_length), version_of(seen),
                                                        room_of(vm->sharing), &watching->watcher);
    if (result != TG_SHARED_DONE || vm->sharing->copy.type != TG_SHARED_NONE) {
        tg_list_remove(&watching->wait.link);
        free(watching);
    }
    return lend(vm->sharing, result);
}
