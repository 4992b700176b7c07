/* tg.metrics for scripts. */
#include "base/metrics.h"
#include "script/vm.h"

struct tg_metric_part *tg_abi_metric_part(struct tg_abi_control *control, struct tg_metric *metric,
                                          const char *const *values, const uint32_t *lengths, uint32_t count)
{
    struct tg_slice slices[TG_METRIC_LABELS_MAX];
    bool other = false;
    for (uint32_t i = 0; i < count && i < TG_METRIC_LABELS_MAX; i++)
        slices[i] = tg_slice_of(values[i], lengths[i]);
    struct tg_metric_part *part = tg_metric_part(metric, ((struct tg_vm *)control)->worker_id, slices, &other);
    control->length = other;
    return part;
}

void tg_abi_metric_count(struct tg_metric_part *part, double amount)
{
    tg_metric_count(part, amount);
}

void tg_abi_metric_set(struct tg_metric_part *part, double value)
{
    tg_metric_set(part, value);
}

void tg_abi_metric_change(struct tg_metric_part *part, double amount)
{
    tg_metric_change(part, amount);
}

void tg_abi_metric_observe(struct tg_metric_part *part, double value)
{
    tg_metric_observe(part, value);
}
