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
/* Pushes the table field, an empty table where it is absent; returns its length. */
size_t tg_plan_enter(struct tg_plan *plan, const char *name);
/* Pushes an item of the list on top. */
void tg_plan_item(struct tg_plan *plan, size_t index);
/* Memory in the snapshot, or an error. */
void *tg_plan_alloc(struct tg_plan *plan, size_t count, size_t size);
/* The text on top of the stack, which is popped. */
struct tg_slice tg_plan_pop_text(struct tg_plan *plan);

/* plan_routes.c: from the plan on top of the stack. */
void tg_plan_read_uses(struct tg_plan *plan);
void tg_plan_read_routes(struct tg_plan *plan);

#endif
