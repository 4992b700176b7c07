/* What a request on the admin socket asks for: {"command": "reload", ...}. */
#include <stdlib.h>

#include "control/change.h"
#include "control/gateway.h"
#include "control/json_text.h"
#include "control/metrics_text.h"
#include "control/round.h"
#include "control/status.h"
#include "script/script.h"

/* --- reload, rollback --- */

static void answer_change(void *context, const char *problem, const struct tg_generation *generation)
{
    struct tg_admin_call *call = context;
    if (problem)
        tg_admin_call_refuse(call, problem);
    else
        tg_admin_call_answer(call, json_pack("{sIsi}", "generation", (json_int_t)generation->number, "workers",
                                             (int)generation->share_count));
}

static void add_change(struct tg_gateway *gateway, struct tg_admin_call *call, struct tg_change *change)
{
    if (!change) {
        tg_admin_call_refuse(call, "out of memory");
        return;
    }
    change->done = answer_change;
    change->context = call;
    tg_changes_add(gateway->changes, change);
}

static void reload(struct tg_gateway *gateway, struct tg_admin_call *call)
{
    add_change(gateway, call,
               tg_change_new(TG_CHANGE_RELOAD, "the command line", tg_admin_call_text(call, "name"),
                             tg_admin_call_text(call, "note")));
}

static void rollback(struct tg_gateway *gateway, struct tg_admin_call *call)
{
    json_int_t number = json_integer_value(json_object_get(tg_admin_call_request(call), "generation"));
    struct tg_change *change = tg_change_new(TG_CHANGE_ROLLBACK, "the command line", NULL, NULL);
    if (change)
        change->number = number > 0 ? (uint64_t)number : 0;
    add_change(gateway, call, change);
}

/* --- the process --- */

static void stop(struct tg_gateway *gateway, struct tg_admin_call *call)
{
    if (gateway->stopping.call_count < TG_STOP_CALLS)
        gateway->stopping.calls[gateway->stopping.call_count++] = call;
    else
        tg_admin_call_answer(call, NULL);
    tg_gateway_stop(gateway);
}

static void reopen_logs(struct tg_gateway *gateway, struct tg_admin_call *call)
{
    tg_log_thread_reopen(gateway->logs);
    tg_admin_call_answer(call, NULL);
}

static void status(struct tg_gateway *gateway, struct tg_admin_call *call)
{
    tg_status_answer(gateway, call, true);
}

static void generations(struct tg_gateway *gateway, struct tg_admin_call *call)
{
    tg_status_answer(gateway, call, false);
}

static void metrics(struct tg_gateway *gateway, struct tg_admin_call *call)
{
    struct tg_text text;
    tg_text_init(&text);
    tg_metrics_text(gateway, &text);
    if (text.failed)
        tg_admin_call_refuse(call, "out of memory");
    else
        tg_admin_call_answer(call, json_pack("{so}", "text", tg_json_text(tg_text_slice(&text))));
    tg_text_deinit(&text);
}

/* --- for tests: VMs dropped under load --- */

struct drop {
    struct tg_admin_call *call;
    struct tg_gateway *gateway;
    struct tg_text problems[]; /* one for each worker */
};

static void drop_in_worker(void *context, struct tg_worker_thread *thread)
{
    struct drop *drop = context;
    struct tg_text *problem = &drop->problems[thread->worker.id];
    if (thread->worker.current && !tg_script_rebuild(thread->worker.current, problem) && !problem->at)
        tg_text_append(problem, TG_SLICE("out of memory"));
}

static void heed_dropped(void *context)
{
    struct drop *drop = context;
    const char *problem = NULL;
    for (uint32_t i = 0; i < drop->gateway->worker_count; i++) {
        if (drop->problems[i].at)
            problem = drop->problems[i].at;
    }
    if (problem)
        tg_admin_call_refuse(drop->call, problem);
    else
        tg_admin_call_answer(drop->call, NULL);
    for (uint32_t i = 0; i < drop->gateway->worker_count; i++)
        tg_text_deinit(&drop->problems[i]);
    free(drop);
}

static void drop_vms(struct tg_gateway *gateway, struct tg_admin_call *call)
{
    struct drop *drop = malloc(sizeof *drop + gateway->worker_count * sizeof(struct tg_text));
    if (!drop) {
        tg_admin_call_refuse(call, "out of memory");
        return;
    }
    *drop = (struct drop){ .call = call, .gateway = gateway };
    for (uint32_t i = 0; i < gateway->worker_count; i++)
        tg_text_init(&drop->problems[i]);
    if (tg_round_start(gateway->workers, gateway->worker_count, gateway->loop, drop_in_worker, heed_dropped, drop))
        return;
    free(drop);
    tg_admin_call_refuse(call, "out of memory");
}

static const struct {
    const char *name;
    void (*run)(struct tg_gateway *gateway, struct tg_admin_call *call);
    bool asks_workers;
} commands[] = {
    { "reload", reload, false },          { "rollback", rollback, false },       { "status", status, true },
    { "generations", generations, true }, { "reopen-logs", reopen_logs, false }, { "stop", stop, false },
    { "debug-drop-vm", drop_vms, true },  { "metrics", metrics, false },
};

void tg_gateway_on_call(void *context, struct tg_admin_call *call)
{
    struct tg_gateway *gateway = context;
    const char *name = tg_admin_call_text(call, "command");
    for (size_t i = 0; name && i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(commands[i].name, name) != 0)
            continue;
        if (gateway->stopping.ending && commands[i].asks_workers)
            tg_admin_call_refuse(call, "the gateway is stopping");
        else
            commands[i].run(gateway, call);
        return;
    }
    tg_admin_call_refuse(call, "unknown command; is the gateway of another version than this program?");
}
