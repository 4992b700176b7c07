/* Bodies, as scripts read and write them. */
#include <math.h>

#include "script/body.h"

static const char *const OUT_OF_MEMORY = "out of memory";

static struct tg_body_call *call_of(struct tg_abi_body *body)
{
    return tg_script_body_of(body)->call;
}

/* Where it has answered, or finished, nothing comes any more. */
static bool has_ended(const struct tg_body_call *call)
{
    return call->answered || call->finished || (call->input_ended && tg_buffer_queue_length(&call->input) == 0);
}

void tg_abi_body_begin(struct tg_abi_body *body)
{
    tg_body_call_begin(call_of(body));
}

static const char *lend(struct tg_abi_body *body, struct tg_slice bytes)
{
    body->length = (int32_t)bytes.length;
    return bytes.length > 0 ? bytes.at : NULL;
}

static uint64_t whole_number(double value)
{
    return value < (double)INT32_MAX ? (uint64_t)value : INT32_MAX;
}

const char *tg_abi_body_look(struct tg_abi_body *body, double limit)
{
    const struct tg_body_call *call = call_of(body);
    body->ended = has_ended(call);
    return lend(body, tg_body_call_look(call, whole_number(limit)));
}

double tg_abi_body_have(struct tg_abi_body *body)
{
    const struct tg_body_call *call = call_of(body);
    body->ended = call->answered || call->finished || call->input_ended;
    return (double)tg_buffer_queue_length(&call->input);
}

const char *tg_abi_body_gather(struct tg_abi_body *body, uint32_t length)
{
    return lend(body, tg_body_call_gather(call_of(body), length));
}

double tg_abi_body_line(struct tg_abi_body *body, uint32_t limit)
{
    return (double)tg_body_call_line(call_of(body), limit);
}

void tg_abi_body_take(struct tg_abi_body *body, uint32_t length)
{
    tg_body_call_take(call_of(body), length);
}

const char *tg_abi_body_write(struct tg_abi_body *body, const char *text, uint32_t length)
{
    struct tg_body_call *call = call_of(body);
    if (call->finished)
        return "body:finish() has said that what was written is the whole body";
    bool written = tg_body_call_write(call, tg_slice_of(text, length));
    body->full = !call->answered && tg_body_call_is_full(call);
    return written ? NULL : OUT_OF_MEMORY;
}

int32_t tg_abi_body_is_full(struct tg_abi_body *body)
{
    const struct tg_body_call *call = call_of(body);
    return !call->answered && tg_body_call_is_full(call);
}

void tg_abi_body_send(struct tg_abi_body *body, double length, int32_t passes)
{
    struct tg_body_call *call = call_of(body);
    tg_body_call_begin(call);
    if (!call->answered && !call->finished)
        tg_body_call_send(call, passes ? TG_BODY_PASS : TG_BODY_DROP, length < 9e15 ? (uint64_t)length : UINT64_MAX);
}

int32_t tg_abi_body_is_sending(struct tg_abi_body *body)
{
    const struct tg_body_call *call = call_of(body);
    return call->way != TG_BODY_READ && !has_ended(call);
}

void tg_abi_body_finish(struct tg_abi_body *body)
{
    struct tg_body_call *call = call_of(body);
    if (!call->answered)
        tg_body_call_finish(call);
}

double tg_abi_body_length(struct tg_abi_body *body)
{
    return call_of(body)->length;
}

static const char *reason_word(enum tg_reason reason)
{
    switch (reason) {
    case TG_REASON_NONE: return NULL;
    case TG_REASON_TIMEOUT: return "timeout";
    case TG_REASON_RESET:
    case TG_REASON_STREAM_RESET:
    case TG_REASON_CANCELLED:
    case TG_REASON_CALM:
    case TG_REASON_UNPROCESSED: return "reset";
    default: return "cut";
    }
}

const char *tg_abi_body_failed(struct tg_abi_body *body)
{
    return reason_word(call_of(body)->input_failed);
}

int32_t tg_abi_body_has_trailers(struct tg_abi_body *body)
{
    const struct tg_body_call *call = call_of(body);
    return call->produces || (call->input_ended && tg_buffer_queue_length(&call->input) == 0);
}

/* What the request's client waits for in vain, unless somebody here wants it. */
static void want_input(struct tg_body_call *call)
{
    call->wants_input = true;
    if (call->phase == TG_PHASE_REQUEST_BODY && call->way != TG_BODY_PASS)
        tg_exchange_want_request_body(call->exchange);
}

static void waits_no_more(struct tg_run_wait *wait)
{
    wait->run = NULL;
}

static const char *wait_in(struct tg_vm *vm, struct tg_run_wait *wait)
{
    struct tg_run *run = tg_run_to_wait(vm);
    if (!run)
        return "only phases, tasks and init can wait";
    if (wait->run)
        return "another coroutine waits for it already";
    tg_run_wait_for(run, wait, waits_no_more);
    return NULL;
}

const char *tg_abi_body_await(struct tg_abi_body *body, int32_t room)
{
    struct tg_script_body *own = tg_script_body_of(body);
    const char *problem = wait_in(own->record->vm, &own->wait);
    if (problem)
        return problem;
    if (room)
        own->call->wants_room = true;
    else
        want_input(own->call);
    return NULL;
}

/* --- Whole bodies --- */

int32_t tg_abi_whole(struct tg_abi_slot *slot, int32_t response, double limit)
{
    struct tg_exchange *exchange = tg_record_of_slot(slot)->exchange;
    if (response && exchange->producer)
        return TG_ABI_WHOLE_PRODUCED;
    uint64_t most = whole_number(limit);
    return (int32_t)(response ? tg_exchange_whole_response(exchange, most) : tg_exchange_whole_request(exchange, most));
}

const char *tg_abi_whole_await(struct tg_abi_slot *slot)
{
    struct tg_record *record = tg_record_of_slot(slot);
    return wait_in(record->vm, &record->whole_wait);
}

const char *tg_abi_whole_bytes(struct tg_abi_slot *slot, int32_t response)
{
    struct tg_slice bytes = tg_exchange_whole_bytes(tg_record_of_slot(slot)->exchange, response != 0);
    slot->length = (int32_t)bytes.length;
    return bytes.at;
}

const char *tg_abi_whole_failure(struct tg_abi_slot *slot, int32_t response)
{
    const struct tg_exchange *exchange = tg_record_of_slot(slot)->exchange;
    return response && exchange->upstream_failed ? reason_word(exchange->upstream_failed) : "cut";
}

static const char *set_request_body(struct tg_exchange *exchange, struct tg_slice text)
{
    if (exchange->request.upgrade.length > 0)
        return "a request to upgrade has no body";
    return tg_exchange_replace_request(exchange, text) ? NULL : OUT_OF_MEMORY;
}

const char *tg_abi_set_body(struct tg_abi_slot *slot, int32_t response, const char *text, uint32_t length)
{
    struct tg_exchange *exchange = tg_record_of_slot(slot)->exchange;
    struct tg_slice bytes = tg_slice_of(text, length);
    if (!response)
        return set_request_body(exchange, bytes);
    int status = exchange->response.status;
    if (status == 101 || status == 204 || status == 304)
        return "a 101, 204 or 304 has no body";
    return tg_exchange_replace_response(exchange, bytes) ? NULL : OUT_OF_MEMORY;
}

/* --- Heads and trailers, while a handler of a body runs --- */

int32_t tg_abi_response_open(struct tg_abi_slot *slot)
{
    const struct tg_record *record = tg_record_of_slot(slot);
    const struct tg_script_body *body = tg_script_body_running(record);
    return body && !body->call->begun && !body->call->over && !record->exchange->head_sent;
}

int32_t tg_abi_trailers_open(struct tg_abi_slot *slot, int32_t section)
{
    const struct tg_record *record = tg_record_of_slot(slot);
    struct tg_script_body *body = tg_script_body_running(record);
    if (!body)
        return section == TG_ABI_OF_RESPONSE_TRAILERS && slot->phase == TG_ABI_TRAILERS;
    bool of_request = body->call->phase == TG_PHASE_REQUEST_BODY;
    return of_request == (section == TG_ABI_OF_REQUEST_TRAILERS) && !body->call->over &&
           tg_abi_body_has_trailers(&body->abi);
}
