#include "script/hold.h"

struct tg_list *tg_holds_of(struct tg_run *run)
{
    bool own = run->kind == TG_RUN_TASK || !run->record;
    return own ? &run->holds : &run->record->holds;
}

void tg_hold_add(struct tg_list *holds, struct tg_hold *hold, void (*release)(struct tg_hold *hold))
{
    hold->release = release;
    tg_list_append(holds, &hold->link);
}

void tg_holds_release(struct tg_list *holds)
{
    struct tg_list *node;
    while ((node = tg_list_first(holds))) {
        struct tg_hold *hold = TG_CONTAINER_OF(node, struct tg_hold, link);
        tg_list_remove(node);
        hold->release(hold);
    }
}
