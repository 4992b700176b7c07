/* The listener's handlers: a call pins the generation under which it began. */
#include "proxy/client_door_state.h"

static void pin(struct tg_door *door, const struct tg_listener_config *listener)
{
    struct tg_lease *lease = door->base.worker->current;
    door->call = (struct tg_door_call){
        .lease = lease,
        .listener = listener,
        .info = &door->base.info,
        .sender = &door->sender,
    };
    lease->pinned++;
    tg_list_append(&lease->calls, &door->call.link);
}

static void unpin(struct tg_door *door)
{
    struct tg_lease *lease = door->call.lease;
    door->call.lease = NULL;
    if (!lease)
        return;
    tg_list_remove(&door->call.link);
    tg_lease_unpin(lease);
}

void tg_door_end_call(struct tg_door *door)
{
    if (door->call.script)
        door->base.worker->hooks->door_cancel(&door->call);
    unpin(door);
}

static struct tg_door *door_of(struct tg_door_call *call)
{
    return TG_CONTAINER_OF(call, struct tg_door, call);
}

static bool is_refused(const struct tg_door *door, enum tg_hook_result result)
{
    if (result == TG_HOOK_DONE && !door->call.refused)
        return false;
    tg_counters_add(tg_loop_counters(door->base.worker->loop), TG_COUNTER_CONNECTIONS_REFUSED, 1);
    return true;
}

/* --- accept --- */

static void accept_over(struct tg_door_call *call, enum tg_hook_result result)
{
    struct tg_door *door = door_of(call);
    unpin(door);
    if (is_refused(door, result))
        tg_door_close(door);
    else
        tg_door_admit(door);
}

void tg_door_call_accept(struct tg_door *door, const struct tg_listener_config *listener)
{
    pin(door, listener);
    door->stage = TG_DOOR_ACCEPT;
    door->call.phase = TG_PHASE_ACCEPT;
    door->call.proxy_header = tg_slice_of(door->kept.at, door->header_length);
    door->call.over = accept_over;
    enum tg_hook_result result = door->base.worker->hooks->door_run(&door->call);
    if (result != TG_HOOK_PENDING)
        accept_over(&door->call, result);
}

/* --- client_hello --- */

static void note_refusal(struct tg_door *door, enum tg_hook_result result)
{
    door->choice.refuse = is_refused(door, result);
    unpin(door);
}

static void hello_over(struct tg_door_call *call, enum tg_hook_result result)
{
    struct tg_door *door = door_of(call);
    note_refusal(door, result);
    tg_stream_decide_hello(door->base.stream, &door->choice);
}

/* Ended while its ClientHello hasn't come. */
static void hello_not_begun(struct tg_door_call *call, enum tg_hook_result result)
{
    (void)result;
    tg_door_close(door_of(call));
}

void tg_door_prepare_hello(struct tg_door *door, const struct tg_listener_config *listener)
{
    pin(door, listener);
    door->call.phase = TG_PHASE_CLIENT_HELLO;
    door->call.over = hello_not_begun;
}

static enum tg_hello_verdict ask(struct tg_stream *stream, const struct tg_client_hello *hello,
                                 struct tg_hello_choice *choice)
{
    struct tg_door *door = tg_stream_owner(stream);
    struct tg_door_call *call = &door->call;
    door->choice = *choice;
    call->hello = hello;
    call->choice = &door->choice;
    call->over = hello_over;
    enum tg_hook_result result = door->base.worker->hooks->door_run(call);
    if (result == TG_HOOK_PENDING)
        return TG_HELLO_WAIT;
    note_refusal(door, result);
    *choice = door->choice;
    return TG_HELLO_GO_ON;
}

const struct tg_tls_accept_ops tg_door_hello_ops = { .client_hello = ask };
