#include "script/plan.h"

static void read_labels(struct tg_plan *plan, struct tg_metric_options *options)
{
    size_t count = tg_plan_enter(plan, "labels");
    struct tg_slice *labels = tg_plan_alloc(plan, count, sizeof(*labels));
    if (count > TG_METRIC_LABELS_MAX)
        luaL_error(plan->L, "too many labels");
    for (size_t i = 0; i < count; i++) {
        tg_plan_item(plan, i);
        labels[i] = tg_plan_pop_text(plan);
    }
    lua_pop(plan->L, 1);
    options->labels = labels;
    options->label_count = count;
}

static void read_buckets(struct tg_plan *plan, struct tg_metric_options *options)
{
    size_t count = tg_plan_enter(plan, "buckets");
    double *bounds = tg_plan_alloc(plan, count, sizeof(*bounds));
    if (count > TG_METRIC_BUCKETS_MAX)
        luaL_error(plan->L, "too many buckets");
    for (size_t i = 0; i < count; i++) {
        tg_plan_item(plan, i);
        bounds[i] = lua_tonumber(plan->L, -1);
        lua_pop(plan->L, 1);
    }
    lua_pop(plan->L, 1);
    options->bounds = bounds;
    options->bound_count = count;
}

static void read_metric(struct tg_plan *plan)
{
    static const char *const kinds[] = { "counter", "gauge", "histogram" };
    struct tg_text problem;
    struct tg_metric_options options = {
        .kind = (enum tg_metric_kind)tg_plan_word(plan, "kind", kinds, 3, TG_METRIC_COUNTER),
        .name = tg_plan_text(plan, "name"),
        .help = tg_plan_text(plan, "help"),
        .at = tg_plan_text(plan, "at"),
    };
    read_labels(plan, &options);
    read_buckets(plan, &options);
    tg_text_init(&problem);
    struct tg_metric *metric = tg_metric_acquire(&options, &problem);
    if (metric) {
        plan->source->metrics[plan->source->metric_count++] = metric;
        return;
    }
    lua_pushstring(plan->L, problem.at ? problem.at : "out of memory");
    tg_text_deinit(&problem);
    lua_error(plan->L);
}

void tg_plan_read_metrics(struct tg_plan *plan)
{
    struct tg_generation_source *source = plan->source;
    size_t count = tg_plan_enter(plan, "metrics");
    source->metrics = tg_arena_alloc_zeroed(&source->arena, count * sizeof(*source->metrics) + 1);
    if (!source->metrics)
        luaL_error(plan->L, "out of memory");
    for (size_t i = 0; i < count; i++) {
        tg_plan_item(plan, i);
        read_metric(plan);
        lua_pop(plan->L, 1);
    }
    lua_pop(plan->L, 1);
}
