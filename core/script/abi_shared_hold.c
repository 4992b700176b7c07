/* What the library keeps in shared dictionaries beside values: locks, places and allowances, changed in one step each.
 * Locks and places end with their holder (script/hold.h); until then their entries are pinned. */
#include <math.h>
#include <stdlib.h>

#include "base/shared_dict.h"
#include "script/hold.h"

static double now_of_process(void)
{
    struct tg_clock *clock = tg_clock_system();
    return clock->monotonic(clock);
}

static struct tg_shared_value number_of(double number, double left)
{
    return (struct tg_shared_value){ .type = TG_SHARED_NUMBER, .number = number, .left = left };
}

/* A hold on one key. */
struct key_hold {
    struct tg_hold hold;
    struct tg_shared_dict *dict;
    tg_shared_decide give_back;
    size_t key_length;
    char key[];
};

static void release_key(struct tg_hold *hold)
{
    struct key_hold *own = TG_CONTAINER_OF(hold, struct key_hold, hold);
    /* What can't be written for want of memory stays: it is in place already. */
    enum tg_shared_result result =
        tg_shared_dict_modify(own->dict, tg_slice_of(own->key, own->key_length), own->give_back, NULL);
    (void)result;
    free(own);
}

/* Changes the entry and notes who holds it. */
static enum tg_shared_result hold_key(struct tg_list *holds, struct tg_shared_dict *dict, struct tg_slice key,
                                      tg_shared_decide take, tg_shared_decide give_back, void *context)
{
    struct key_hold *own = malloc(sizeof(*own) + key.length);
    if (!own)
        return TG_SHARED_NO_MEMORY;
    enum tg_shared_result result = tg_shared_dict_modify(dict, key, take, context);
    if (result != TG_SHARED_DONE) {
        free(own);
        return result;
    }
    own->dict = dict;
    own->give_back = give_back;
    own->key_length = key.length;
    memcpy(own->key, key.at, key.length);
    tg_hold_add(holds, &own->hold, release_key);
    return result;
}

static int32_t result_of(enum tg_shared_result result)
{
    return result == TG_SHARED_DONE   ? TG_ABI_SHARED_DONE
           : result == TG_SHARED_KEPT ? TG_ABI_SHARED_KEPT
                                      : TG_ABI_SHARED_NO_MEMORY;
}

/* --- locks: `true` and pinned while held; a number for a moment afterwards, which wakes who watches --- */

static enum tg_shared_action lock(void *context, const struct tg_shared_value *old, struct tg_shared_value *next)
{
    (void)context;
    if (old->pinned)
        return TG_SHARED_KEEP;
    *next = (struct tg_shared_value){ .type = TG_SHARED_BOOLEAN, .number = 1, .left = INFINITY, .pinned = true };
    return TG_SHARED_WRITE;
}

static enum tg_shared_action unlock(void *context, const struct tg_shared_value *old, struct tg_shared_value *next)
{
    (void)context;
    (void)old;
    *next = number_of(0, 1);
    return TG_SHARED_WRITE;
}

int32_t tg_abi_shared_lock(struct tg_abi_control *control, struct tg_shared_dict *dict, const char *key,
                           uint32_t key_length)
{
    struct tg_run *run = ((struct tg_vm *)control)->current;
    if (!run)
        return TG_ABI_SHARED_CANT_WAIT;
    return result_of(hold_key(tg_holds_of(run), dict, tg_slice_of(key, key_length), lock, unlock, NULL));
}

/* --- places: how many are taken --- */

static enum tg_shared_action take_place(void *context, const struct tg_shared_value *old, struct tg_shared_value *next)
{
    double taken = old->pinned ? old->number : 0;
    if (taken >= *(double *)context)
        return TG_SHARED_KEEP;
    *next = number_of(taken + 1, INFINITY);
    next->pinned = true;
    return TG_SHARED_WRITE;
}

static enum tg_shared_action leave_place(void *context, const struct tg_shared_value *old, struct tg_shared_value *next)
{
    (void)context;
    if (!old->pinned)
        return TG_SHARED_KEEP;
    if (old->number <= 1)
        return TG_SHARED_REMOVE;
    *next = number_of(old->number - 1, INFINITY);
    next->pinned = true;
    return TG_SHARED_WRITE;
}

int32_t tg_abi_shared_enter(struct tg_abi_slot *slot, struct tg_shared_dict *dict, const char *key, uint32_t key_length,
                            double most)
{
    struct tg_list *holds = &tg_record_of_slot(slot)->holds;
    return result_of(hold_key(holds, dict, tg_slice_of(key, key_length), take_place, leave_place, &most));
}

/* --- allowances --- */

struct taking {
    double now, count;
    double rate, burst; /* of a bucket */
    double limit, per;  /* of a window */
    double answer;      /* what remains; or seconds to wait */
};

/* The entry's number is the time at which the bucket is full again. */
static enum tg_shared_action take_from_bucket(void *context, const struct tg_shared_value *old,
                                              struct tg_shared_value *next)
{
    struct taking *taking = context;
    double full_at = old->type == TG_SHARED_NUMBER && old->number > taking->now ? old->number : taking->now;
    double there = taking->burst - (full_at - taking->now) * taking->rate;
    if (there < taking->count - 1e-9) {
        taking->answer = (taking->count - there) / taking->rate;
        return TG_SHARED_KEEP;
    }
    full_at += taking->count / taking->rate;
    taking->answer = floor(there - taking->count + 1e-9);
    *next = number_of(full_at, full_at - taking->now);
    return TG_SHARED_WRITE;
}

/* The entry lives as long as the window that its first count began. */
static enum tg_shared_action take_from_window(void *context, const struct tg_shared_value *old,
                                              struct tg_shared_value *next)
{
    struct taking *taking = context;
    bool is_new = old->type != TG_SHARED_NUMBER;
    double sum = (is_new ? 0 : old->number) + taking->count;
    if (sum > taking->limit) {
        taking->answer = is_new ? taking->per : old->left;
        return TG_SHARED_KEEP;
    }
    taking->answer = taking->limit - sum;
    *next = number_of(sum, is_new ? taking->per : NAN);
    return TG_SHARED_WRITE;
}

static int32_t take(struct tg_abi_control *control, struct tg_shared_dict *dict, struct tg_slice key,
                    tg_shared_decide how, struct taking *taking)
{
    int32_t result = result_of(tg_shared_dict_modify(dict, key, how, taking));
    ((struct tg_abi_value *)tg_abi_shared_value(control))->number = taking->answer;
    return result;
}

int32_t tg_abi_shared_bucket(struct tg_abi_control *control, struct tg_shared_dict *dict, const char *key,
                             uint32_t key_length, double rate, double burst, double count)
{
    struct taking taking = { .now = now_of_process(), .rate = rate, .burst = burst, .count = count };
    return take(control, dict, tg_slice_of(key, key_length), take_from_bucket, &taking);
}

int32_t tg_abi_shared_window(struct tg_abi_control *control, struct tg_shared_dict *dict, const char *key,
                             uint32_t key_length, double limit, double per, double count)
{
    struct taking taking = { .limit = limit, .per = per, .count = count };
    return take(control, dict, tg_slice_of(key, key_length), take_from_window, &taking);
}
