/* A dictionary that all threads share: keys and values in memory under a limit. Entries lie in shards by the keyed hash
 * of their key, each with a lock of its own, held for a few hundred nanoseconds and never during a call of a thread's
 * memory allocator that could reach the system, nor while anything else is called: who finds one taken spins, then
 * yields. Any thread may call anything here.
 *
 * Limit: keys, values, their administration and the tables count. What is beyond it is evicted, least recently used
 * first, over all shards. Expired entries are never seen; they go when they are met, and each write looks for some.
 *
 * Versions: each change of an entry gives it a number that is greater than all before it of that key, in all the life
 * of the dictionary, also where the key was away in between. They begin at the wall time in milliseconds, so that one
 * from before a restart is hardly met again. */
#ifndef TG_BASE_SHARED_DICT_H
#define TG_BASE_SHARED_DICT_H

#include <math.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/slice.h"

enum {
    TG_SHARED_KEY_MAX = 65535,           /* bytes */
    TG_SHARED_SIZE_MIN = 64 * 1024,      /* of a dictionary */
    TG_SHARED_WATCHERS_MAX = 256 * 1024, /* of a dictionary, at a time */
};

enum tg_shared_type {
    TG_SHARED_NONE, /* the key is absent */
    TG_SHARED_NUMBER,
    TG_SHARED_BOOLEAN,
    TG_SHARED_STRING,
    TG_SHARED_LIST,
};

enum tg_shared_result {
    TG_SHARED_DONE,
    TG_SHARED_KEPT,       /* nothing was changed: the condition doesn't hold */
    TG_SHARED_WRONG_TYPE, /* a list where a value is expected, or the other way round */
    TG_SHARED_TOO_LARGE,  /* it would take more than half of the dictionary */
    TG_SHARED_NO_MEMORY,  /* of the system; or too many watchers, or too much is pinned */
};

struct tg_shared_value {
    enum tg_shared_type type;
    double number;        /* of a number; of a boolean 0 or 1; of a list its length */
    struct tg_slice text; /* of a string */
    double left;          /* seconds until it expires; INFINITY: never */
    bool pinned;          /* neither evicted nor expired */
};

/* What a reader gets: its own copy. `at` grows as needed and is freed by the reader. */
struct tg_shared_copy {
    enum tg_shared_type type;
    double number;
    uint64_t version;
    char *at;
    size_t length, capacity;
};

struct tg_shared_dict;

/* clock may be NULL: the system's. `size`: bytes, at least TG_SHARED_SIZE_MIN. NULL when out of memory. */
struct tg_shared_dict *tg_shared_dict_new(uint64_t size, struct tg_clock *clock);
/* Nobody may use it any more, nor watch. */
void tg_shared_dict_free(struct tg_shared_dict *dict);
/* Keeps what fits, most recently used first. Where the system has no memory for another table the old one stays. */
void tg_shared_dict_resize(struct tg_shared_dict *dict, uint64_t size);
uint64_t tg_shared_dict_size(const struct tg_shared_dict *dict);
uint64_t tg_shared_dict_used(const struct tg_shared_dict *dict);
uint64_t tg_shared_dict_evictions(const struct tg_shared_dict *dict);

/* Copies the value; type NONE: absent. A list gives its length. */
enum tg_shared_result tg_shared_dict_get(struct tg_shared_dict *dict, struct tg_slice key, struct tg_shared_copy *copy)
    __attribute__((warn_unused_result));

/* What `decide` wants. */
enum tg_shared_action {
    TG_SHARED_KEEP,
    TG_SHARED_WRITE,  /* `next`; a `left` of NAN keeps the expiry of the old value, or is none */
    TG_SHARED_REMOVE, /* no matter of what type it is */
};

/* Called with the shard locked, maybe more than once: it only looks at `old` (type NONE where there is none) and fills
 * `next`, which is a number, a boolean or a string that stays while modify runs. */
typedef enum tg_shared_action (*tg_shared_decide)(void *context, const struct tg_shared_value *old,
                                                  struct tg_shared_value *next);
/* KEPT where decide said so. DONE: written or removed. */
enum tg_shared_result tg_shared_dict_modify(struct tg_shared_dict *dict, struct tg_slice key, tg_shared_decide decide,
                                            void *context) __attribute__((warn_unused_result));

/* Changes when it expires, INFINITY: never. KEPT: there is no such key. */
enum tg_shared_result tg_shared_dict_expire(struct tg_shared_dict *dict, struct tg_slice key, double left)
    __attribute__((warn_unused_result));
/* Seconds until it expires, INFINITY: never; NAN: there is no such key. */
double tg_shared_dict_left(struct tg_shared_dict *dict, struct tg_slice key);
void tg_shared_dict_clear(struct tg_shared_dict *dict);

/* Lists: push adds at the end (a key that is absent becomes a list), pop takes the first one; the last one takes the
 * key along. */
enum tg_shared_result tg_shared_dict_push(struct tg_shared_dict *dict, struct tg_slice key,
                                          const struct tg_shared_value *value, size_t *length)
    __attribute__((warn_unused_result));
/* DONE with type NONE: there is none. */
enum tg_shared_result tg_shared_dict_pop(struct tg_shared_dict *dict, struct tg_slice key, struct tg_shared_copy *copy)
    __attribute__((warn_unused_result));

/* Up to `max` keys, in no order, each as its length (16 bits of this machine) and its bytes, in copy->at; their number
 * in copy->number. */
enum tg_shared_result tg_shared_dict_keys(struct tg_shared_dict *dict, size_t max, struct tg_shared_copy *copy)
    __attribute__((warn_unused_result));

/* Waits for a change of one key. */
struct tg_shared_watcher {
    struct tg_list link; /* the dictionary's while it waits */
    struct tg_shared_watched *key;
    uint64_t hash;
    /* Once, from any thread, with nothing locked: the key was written. Removals and expiry are no news. */
    void (*changed)(struct tg_shared_watcher *watcher);
};

/* Copies the value if there is one whose version isn't `seen` (0: any); else (type NONE) the watcher waits. The
 * `changed` of the watcher is set. */
enum tg_shared_result tg_shared_dict_watch(struct tg_shared_dict *dict, struct tg_slice key, uint64_t seen,
                                           struct tg_shared_copy *copy, struct tg_shared_watcher *watcher)
    __attribute__((warn_unused_result));
/* True: it waited, and is forgotten. False: `changed` was called, or will be in a moment. */
bool tg_shared_dict_unwatch(struct tg_shared_dict *dict, struct tg_shared_watcher *watcher);
uint64_t tg_shared_dict_watchers(const struct tg_shared_dict *dict);

#endif
