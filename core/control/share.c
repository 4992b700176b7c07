#include "control/share.h"

#include "base/log.h"
#include "proxy/exchange.h"
#include "script/script.h"

static const double detach_again = 1; /* seconds between two looks for exchanges to detach */

enum { IDS_NAMED = 20 /* of ended requests, in one line of the error log */ };

static struct tg_exchange *first_exchange(struct tg_share *share)
{
    struct tg_list *link = tg_list_first(&share->lease.exchanges);
    return link ? TG_CONTAINER_OF(link, struct tg_exchange, lease_link) : NULL;
}

/* Only its log phase would still enter the VM. */
static bool needs_log_alone(const struct tg_exchange *exchange)
{
    return (exchange->state == TG_EXCHANGE_STREAMING || exchange->state == TG_EXCHANGE_TUNNEL) &&
           !tg_exchange_has_body_handlers(exchange);
}

static void detach_exchange(struct tg_exchange *exchange)
{
    if (exchange->route && (exchange->route->phases >> TG_PHASE_LOG & 1))
        tg_counters_add(tg_loop_counters(exchange->worker->loop), TG_COUNTER_SCRIPT_LOGS_SKIPPED, 1);
    tg_exchange_unpin(exchange);
}

/* Those that aren't so far yet are looked at again. */
static void detach_what_can(struct tg_deadline *deadline)
{
    struct tg_share *share = TG_CONTAINER_OF(deadline, struct tg_share, detach);
    struct tg_list *all = &share->lease.exchanges;
    for (struct tg_list *link = all->next, *next; link != all; link = next) {
        next = link->next;
        struct tg_exchange *exchange = TG_CONTAINER_OF(link, struct tg_exchange, lease_link);
        if (needs_log_alone(exchange))
            detach_exchange(exchange);
    }
    if (share->lease.pinned > 0)
        tg_deadline_in(deadline, detach_again);
}

static void close_now(struct tg_share *share)
{
    tg_deadline_deinit(&share->detach);
    tg_list_remove(&share->close_task.link);
    tg_list_remove(&share->link);
    if (share->lease.script)
        tg_script_vm_free(share->lease.script);
    tg_loop_post(share->control, &share->closed);
}

static bool may_close(const struct tg_share *share)
{
    return share->closing && share->lease.pinned == 0 && share->lease.worker->current != &share->lease;
}

static void run_close_task(struct tg_task *task)
{
    struct tg_share *share = TG_CONTAINER_OF(task, struct tg_share, close_task);
    if (may_close(share))
        close_now(share);
}

static void heed_drained(struct tg_lease *lease)
{
    struct tg_share *share = TG_CONTAINER_OF(lease, struct tg_share, lease);
    if (share->closing)
        tg_loop_defer(lease->worker->loop, &share->close_task);
}

static void heed_attached(void *context, bool ok, struct tg_slice error)
{
    struct tg_share *share = context;
    share->attaching = false;
    share->ready = ok;
    if (!ok)
        tg_text_append(&share->error, error);
    tg_loop_post(share->control, &share->prepared);
}

static void prepare_in_worker(struct tg_message *message, struct tg_loop *loop)
{
    struct tg_share *share = TG_CONTAINER_OF(message, struct tg_share, prepare);
    struct tg_vm *vm = share->vm;
    share->lease.worker = share->worker;
    tg_deadline_init(&share->detach, loop, detach_what_can);
    tg_list_append(share->among, &share->link);
    share->vm = NULL;
    share->attaching = true;
    tg_script_attach(vm, &share->lease, share->timeout, heed_attached, share);
}

static void switch_in_worker(struct tg_message *message, struct tg_loop *loop)
{
    (void)loop;
    struct tg_share *share = TG_CONTAINER_OF(message, struct tg_share, switch_over);
    struct tg_worker *worker = share->lease.worker;
    struct tg_lease *before = worker->current;
    tg_deadline_clear(&share->detach);
    tg_worker_switch(worker, &share->lease);
    if (before != &share->lease) {
        tg_script_retire(before ? before->script : NULL);
        tg_script_begin(share->lease.script);
    }
    if (before && before != &share->lease)
        tg_deadline_in(&TG_CONTAINER_OF(before, struct tg_share, lease)->detach, share->detach_after);
    tg_loop_post(share->control, &share->switched);
}

static void close_in_worker(struct tg_message *message, struct tg_loop *loop)
{
    (void)loop;
    struct tg_share *share = TG_CONTAINER_OF(message, struct tg_share, close);
    share->closing = true;
    if (share->attaching)
        tg_script_attach_cancel(share->lease.script);
    share->attaching = false;
    if (may_close(share))
        close_now(share);
}

/* A phase that waits in the VM is given up, also where it is `log`. */
static void end_exchange(struct tg_exchange *exchange)
{
    tg_exchange_abort(exchange, TG_REASON_SHUTDOWN);
    if (exchange->phase_pending && exchange->resumed == TG_HOOK_PENDING)
        exchange->worker->hooks->cancel(exchange);
    exchange->phase_pending = false;
    detach_exchange(exchange);
}

/* Connections whose handler waits before they have a request. */
static void end_calls(struct tg_share *share)
{
    struct tg_list *link;
    while ((link = tg_list_first(&share->lease.calls)) != NULL) {
        struct tg_door_call *call = TG_CONTAINER_OF(link, struct tg_door_call, link);
        if (call->script)
            share->lease.worker->hooks->door_cancel(call);
        call->over(call, TG_HOOK_FAILED);
    }
}

static void report_ended(const struct tg_share *share, uint32_t count, const struct tg_text *ids)
{
    if (count > 0)
        tg_log(TG_LOG_WARN,
               "generation %llu is beyond the number of generations that are kept (generations.keep): ended %u of its "
               "requests:%s%s",
               (unsigned long long)share->lease.snapshot->generation, count, ids->at ? ids->at : "",
               count > IDS_NAMED ? " ..." : "");
}

static void squeeze_in_worker(struct tg_message *message, struct tg_loop *loop)
{
    (void)loop;
    struct tg_share *share = TG_CONTAINER_OF(message, struct tg_share, squeeze);
    struct tg_text ids;
    uint32_t ended = 0;
    tg_text_init(&ids);
    for (struct tg_exchange *exchange; (exchange = first_exchange(share));) {
        if (needs_log_alone(exchange)) {
            detach_exchange(exchange);
            continue;
        }
        if (ended++ < IDS_NAMED)
            tg_text_appendf(&ids, " %.32s", exchange->id);
        end_exchange(exchange);
    }
    end_calls(share);
    report_ended(share, ended, &ids);
    tg_text_deinit(&ids);
    tg_loop_post(share->control, &share->squeezed);
}

void tg_share_end(struct tg_share *share)
{
    struct tg_exchange *exchange;
    if (share->attaching)
        tg_script_attach_cancel(share->lease.script);
    while ((exchange = first_exchange(share)))
        end_exchange(exchange);
    end_calls(share);
    if (share->lease.worker->current == &share->lease)
        share->lease.worker->current = NULL;
    close_now(share);
}

struct tg_share_use tg_share_use(const struct tg_share *share)
{
    struct tg_share_use use = { 0 };
    const struct tg_list *all = &share->lease.exchanges;
    for (const struct tg_list *link = all->next; link != all; link = link->next) {
        switch (TG_CONTAINER_OF(link, struct tg_exchange, lease_link)->state) {
        case TG_EXCHANGE_STREAMING: use.streams++; break;
        case TG_EXCHANGE_TUNNEL: use.tunnels++; break;
        case TG_EXCHANGE_LOG: use.logs++; break;
        default: use.requests++; break;
        }
    }
    all = &share->lease.calls;
    for (const struct tg_list *link = all->next; link != all; link = link->next)
        use.connections++;
    return use;
}

static void tell_prepared(struct tg_message *message, struct tg_loop *control)
{
    (void)control;
    struct tg_share *share = TG_CONTAINER_OF(message, struct tg_share, prepared);
    share->ops->on_prepared(share);
}

static void tell_switched(struct tg_message *message, struct tg_loop *control)
{
    (void)control;
    struct tg_share *share = TG_CONTAINER_OF(message, struct tg_share, switched);
    share->ops->on_switched(share);
}

/* The last word: a squeeze may have crossed the end of the share on its way. */
static void end_if_gone(struct tg_share *share)
{
    if (share->gone && !share->squeezing)
        share->ops->on_closed(share);
}

static void tell_closed(struct tg_message *message, struct tg_loop *control)
{
    (void)control;
    struct tg_share *share = TG_CONTAINER_OF(message, struct tg_share, closed);
    share->open = false;
    share->gone = true;
    end_if_gone(share);
}

static void tell_squeezed(struct tg_message *message, struct tg_loop *control)
{
    (void)control;
    struct tg_share *share = TG_CONTAINER_OF(message, struct tg_share, squeezed);
    share->squeezing = false;
    end_if_gone(share);
}

void tg_share_init(struct tg_share *share, struct tg_generation *generation, struct tg_snapshot *snapshot,
                   struct tg_worker *worker, struct tg_list *among, struct tg_loop *control, struct tg_vm *vm,
                   const struct tg_share_ops *ops)
{
    *share = (struct tg_share){
        .lease = { .snapshot = snapshot, .drained = heed_drained, .context = share },
        .generation = generation,
        .worker = worker,
        .among = among,
        .control = control,
        .vm = vm,
        .ops = ops,
        .prepare.run = prepare_in_worker,
        .switch_over.run = switch_in_worker,
        .close.run = close_in_worker,
        .squeeze.run = squeeze_in_worker,
        .prepared.run = tell_prepared,
        .switched.run = tell_switched,
        .closed.run = tell_closed,
        .squeezed.run = tell_squeezed,
    };
    tg_list_init(&share->lease.exchanges);
    tg_list_init(&share->lease.calls);
    tg_list_init(&share->link);
    tg_task_init(&share->close_task, run_close_task);
    tg_text_init(&share->error);
}

void tg_share_deinit(struct tg_share *share)
{
    if (share->vm)
        tg_script_vm_free(share->vm);
    tg_text_deinit(&share->error);
}

void tg_share_prepare(struct tg_share *share, double timeout)
{
    share->open = true;
    share->answered = false;
    share->timeout = timeout;
    tg_loop_post(share->worker->loop, &share->prepare);
}

void tg_share_switch(struct tg_share *share, double detach_after)
{
    share->answered = false;
    share->detach_after = detach_after;
    tg_loop_post(share->worker->loop, &share->switch_over);
}

void tg_share_close(struct tg_share *share)
{
    if (!share->open || share->close_posted)
        return;
    share->close_posted = true;
    tg_loop_post(share->worker->loop, &share->close);
}

void tg_share_squeeze(struct tg_share *share)
{
    if (!share->open || share->squeeze_posted)
        return;
    share->squeeze_posted = share->squeezing = true;
    tg_loop_post(share->worker->loop, &share->squeeze);
}
