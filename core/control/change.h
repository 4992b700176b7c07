/* A wish to make another generation current: a reload, or a rollback. Control carries them out one after the other;
 * further ones wait in a bounded queue. */
#ifndef TG_CONTROL_CHANGE_H
#define TG_CONTROL_CHANGE_H

#include "base/list.h"
#include "base/text.h"
#include "net/loop.h"

struct tg_gateway;
struct tg_generation;
struct tg_loader;

enum tg_change_kind { TG_CHANGE_RELOAD, TG_CHANGE_ROLLBACK };

struct tg_change {
    struct tg_list link;
    enum tg_change_kind kind;
    const char *asked_by; /* static text for the error log: "the command line", "SIGHUP", ... */
    bool merges;          /* one that waits already serves as well: nobody waits for a reply of its own */
    char *name, *note;    /* of a reload; may be NULL */
    uint64_t number;      /* of a rollback: the generation; 0: the previous one */
    /* The outcome, in control's thread: NULL where the generation is current on all workers, else why not. May be NULL.
     */
    void (*done)(void *context, const char *problem, const struct tg_generation *generation);
    void *context;
};

/* With copies of name and note, which may be NULL. NULL when out of memory. */
struct tg_change *tg_change_new(enum tg_change_kind kind, const char *asked_by, const char *name, const char *note);
void tg_change_free(struct tg_change *change);

/* What control is carrying out. */
struct tg_changes {
    struct tg_gateway *gateway;
    struct tg_list queue;
    size_t waiting;
    struct tg_change *active;         /* NULL: none */
    struct tg_generation *generation; /* it becomes current, if all goes well */
    struct tg_loader *loader;         /* its thread runs, maybe for a change that was given up */
    bool switching;                   /* beyond the point of no return */
    bool told;                        /* the outcome was reported already */
    struct tg_deadline limit;
};

void tg_changes_init(struct tg_changes *changes, struct tg_gateway *gateway);
void tg_changes_deinit(struct tg_changes *changes);
/* Takes the change over. The outcome may come inside the call. */
void tg_changes_add(struct tg_changes *changes, struct tg_change *change);
/* Refuses all that wait, and what runs unless it is switching already. For the end. */
void tg_changes_stop(struct tg_changes *changes, const char *why);

#endif
