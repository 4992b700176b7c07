/* From the plan, a Lua table (its form: lua/tidegate/config/plan.lua), to a snapshot. For the loader alone. */
#ifndef TG_SCRIPT_PLAN_H
#define TG_SCRIPT_PLAN_H

#include "script/vm.h"

/* What a plan is being turned into. */
struct tg_plan {
    lua_State *L;
    struct tg_generation_source *source; /* gets uses and orders */
    struct tg_snapshot *snapshot;
    struct tg_peer_registry *registry;
    struct tg_shared_registry *shared; /* may be NULL */
    struct tg_script_tls *tls;
    struct tg_text *warnings; /* may be NULL */
};

/* A C function of Lua's: (plan table, struct tg_plan *). Raises what is wrong; the snapshot is then freed by the
 * caller. */
int tg_plan_read(lua_State *L);

/* plan_fields.c: fields of the table on top of the stack. Texts are copied into the snapshot. */
struct tg_slice tg_plan_text(struct tg_plan *plan, const char *name); /* empty where absent */
double tg_plan_number(struct tg_plan *plan, const char *name, double otherwise);
bool tg_plan_flag(struct tg_plan *plan, const char *name);
/* 0 is none: INFINITY. */
double tg_plan_seconds(struct tg_plan *plan, const char *name, double otherwise);
/* Bytes; 0 is none: UINT64_MAX. */
uint64_t tg_plan_size(struct tg_plan *plan, const char *name, uint64_t otherwise);
/* One of the words, as its place in the list; `otherwise` where it is none of them. */
int tg_plan_word(struct tg_plan *plan, const char *name, const char *const words[], int count, int otherwise);
/* A path as the settings mean it: relative ones from the folder of gateway.lua. Empty stays empty. */
struct tg_slice tg_plan_path(struct tg_plan *plan, struct tg_slice path);
/* CIDRs: `what` is the field, for messages. */
struct tg_trusted_proxies tg_plan_networks(struct tg_plan *plan, const char *name, const char *what);
/* Pushes the table field, an empty table where it is absent; returns its length. */
size_t tg_plan_enter(struct tg_plan *plan, const char *name);
/* Pushes an item of the list on top. */
void tg_plan_item(struct tg_plan *plan, size_t index);
/* Memory in the snapshot, or an error. */
void *tg_plan_alloc(struct tg_plan *plan, size_t count, size_t size);
/* The text on top of the stack, which is popped. */
struct tg_slice tg_plan_pop_text(struct tg_plan *plan);

/* plan_tls.c */
/* Opens the library at the first load; raises where the settings ask for another one later. */
void tg_plan_open_tls(struct tg_plan *plan);
/* `tls` of a listener or a group, on top of the stack; nothing happens where it is absent. */
void tg_plan_read_listener_tls(struct tg_plan *plan, struct tg_listener_config *listener);
void tg_plan_read_group_tls(struct tg_plan *plan, struct tg_group *group);

/* plan_metrics.c: from the plan on top of the stack. The source holds them, raised or not. */
void tg_plan_read_metrics(struct tg_plan *plan);

/* plan_routes.c: from the plan on top of the stack. */
/* Handlers of one phase among the list of uses `name`, in its order. */
struct tg_chain tg_plan_chain(struct tg_plan *plan, const char *name, enum tg_phase phase);
void tg_plan_read_uses(struct tg_plan *plan);
void tg_plan_read_routes(struct tg_plan *plan);

#endif
