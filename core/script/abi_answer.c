/* What a script decides: answers, interim responses, another route, fields of the answer to come, members of the access
 * log. */
#include "script/body.h"

static const char *const OUT_OF_MEMORY = "out of memory";

int32_t tg_abi_head_sent(struct tg_abi_slot *slot)
{
    const struct tg_exchange *exchange = tg_record_of_slot(slot)->exchange;
    return exchange->head_sent || exchange->state >= TG_EXCHANGE_LOG;
}

static void stage(struct tg_record *record)
{
    tg_fields_init(&record->staged, &record->exchange->arena);
}

/* Of a handler of a body that wants to answer. */
static const char *answers_beside(const struct tg_body_call *call)
{
    if (call->phase != TG_PHASE_REQUEST_BODY)
        return "a response_body phase can't answer: the response phase can";
    if (call->over)
        return "no phase is running, whose answer it could be";
    return call->answered ? "this phase has answered already" : NULL;
}

const char *tg_abi_answer_begin(struct tg_abi_slot *slot)
{
    struct tg_record *record = tg_record_of_slot(slot);
    const struct tg_script_body *body = tg_script_body_running(record);
    const char *problem = body ? answers_beside(body->call) : NULL;
    if (tg_abi_head_sent(slot))
        return "the response has begun";
    if (problem)
        return problem;
    if (body) {
        stage(record);
        return NULL;
    }
    if (record->answered_now)
        return "this phase has answered already";
    if (record->rerouted_now)
        return "the request goes to another route already";
    stage(record);
    return NULL;
}

const char *tg_abi_inform_begin(struct tg_abi_slot *slot)
{
    if (tg_abi_head_sent(slot))
        return "the response has begun";
    stage(tg_record_of_slot(slot));
    return NULL;
}

const char *tg_abi_answer_field(struct tg_abi_slot *slot, const char *name, uint32_t length, const char *value,
                                uint32_t value_length)
{
    struct tg_record *record = tg_record_of_slot(slot);
    struct tg_slice field_name = { name, length };
    const char *problem = tg_abi_guard((int32_t)tg_field_name_of(field_name), true);
    if (!problem && tg_fields_add(&record->staged, field_name, tg_slice_of(value, value_length), &problem))
        return NULL;
    return problem;
}

static bool add_content_type(struct tg_fields *fields, const char *content_type)
{
    if (!content_type || tg_fields_has(fields, TG_FIELD_CONTENT_TYPE))
        return true;
    return tg_fields_append(fields, TG_FIELD_CONTENT_TYPE, TG_SLICE("content-type"),
                            tg_slice_from_string(content_type));
}

static bool move_staged(struct tg_record *record)
{
    struct tg_fields *to = &record->exchange->response.fields;
    for (uint32_t i = 0; i < record->staged.count; i++) {
        const struct tg_field *field = &record->staged.lines[i];
        if (!tg_fields_append(to, (enum tg_field_name)field->token, field->name, field->value))
            return false;
    }
    return true;
}

static bool respond(struct tg_record *record, int32_t status, struct tg_buffer_queue *queue)
{
    struct tg_script_body *body = tg_script_body_running(record);
    if (!body) {
        record->answered_now = tg_exchange_respond(record->exchange, status, queue) && move_staged(record);
        return record->answered_now;
    }
    body->call->answered = true; /* it runs on, while what else there is of the request is given up */
    body->call->answered = tg_exchange_respond_beside(record->exchange, status, queue) && move_staged(record);
    return body->call->answered;
}

const char *tg_abi_answer(struct tg_abi_slot *slot, int32_t status, const char *body, uint32_t length,
                          const char *content_type)
{
    struct tg_record *record = tg_record_of_slot(slot);
    if (status != 426 && tg_fields_has(&record->staged, TG_FIELD_UPGRADE))
        return "header \"upgrade\" can be set on a 426 only";
    if (length && (status == 204 || status == 205 || status == 304))
        return "a 204, 205 or 304 has no body";
    struct tg_buffer_queue queue;
    tg_buffer_queue_init(&queue);
    bool made = add_content_type(&record->staged, content_type) &&
                tg_buffer_queue_append(&queue, tg_slice_of(body, length)) && respond(record, status, &queue);
    tg_buffer_queue_deinit(&queue);
    return made ? NULL : OUT_OF_MEMORY;
}

const char *tg_abi_answer_produced(struct tg_abi_slot *slot, int32_t status)
{
    struct tg_record *record = tg_record_of_slot(slot);
    if (status == 204 || status == 205 || status == 304)
        return "a 204, 205 or 304 has no body";
    if (tg_fields_has(&record->staged, TG_FIELD_UPGRADE))
        return "header \"upgrade\" can be set on a 426 only";
    struct tg_body_call *call =
        respond(record, status, NULL) ? tg_exchange_produce(record->exchange, record->vm->current->use) : NULL;
    return call && tg_body_attach(record, call) ? NULL : OUT_OF_MEMORY;
}

/* HTTP/1.0 knows no interim responses: there it is passed over. */
const char *tg_abi_inform(struct tg_abi_slot *slot, int32_t status)
{
    enum { INFORMATIONAL_MAX = 8 };
    struct tg_record *record = tg_record_of_slot(slot);
    struct tg_exchange *exchange = record->exchange;
    if (exchange->request.version == TG_HTTP_1_0 || !exchange->client_side)
        return NULL;
    if (exchange->informational >= INFORMATIONAL_MAX)
        return "this request has had 8 interim responses";
    exchange->informational++;
    struct tg_response_head head = { .status = (uint16_t)status, .version = TG_HTTP_1_1, .fields = record->staged };
    exchange->client_side->ops->send_informational(exchange->client_side, &head);
    return NULL;
}

const char *tg_abi_reroute(struct tg_abi_slot *slot, const char *name, uint32_t length)
{
    struct tg_record *record = tg_record_of_slot(slot);
    struct tg_exchange *exchange = record->exchange;
    struct tg_route *route = NULL;
    if (record->answered_now)
        return "this phase has answered already";
    if (name && !(route = tg_snapshot_route(exchange->lease->snapshot, tg_slice_of(name, length))))
        return "";
    if (!tg_exchange_reroute(exchange, route))
        return "the request was rerouted five times";
    record->rerouted_now = true;
    return NULL;
}

const char *tg_abi_response_header(struct tg_abi_slot *slot, const char *name, uint32_t length, const char *value,
                                   uint32_t value_length, int32_t add)
{
    struct tg_exchange *exchange = tg_record_of_slot(slot)->exchange;
    struct tg_slice field_name = { name, length };
    const char *problem = tg_abi_guard((int32_t)tg_field_name_of(field_name), false);
    if (!problem &&
        tg_exchange_pending_field(exchange, field_name, tg_slice_of(value, value_length), add != 0, &problem))
        return NULL;
    return problem;
}

/* A member that is there already: from its comma to before the next one's. A member begins with a comma and the name in
 * quotes, which can't stand inside a JSON string. */
static void remove_member(struct tg_text *log, struct tg_slice start)
{
    char *at = log->at ? memmem(log->at, log->length, start.at, start.length) : NULL;
    if (!at)
        return;
    char *end = log->at + log->length, *next = at + start.length;
    if (next < end && *next == '"')
        for (next++; next < end && *next != '"'; next++)
            next += *next == '\\';
    while (next < end && *next != ',')
        next++;
    memmove(at, next, (size_t)(end - next));
    log->length -= (size_t)(next - at);
}

const char *tg_abi_log_member(struct tg_abi_slot *slot, const char *name, uint32_t length, const char *value,
                              uint32_t value_length, int32_t json)
{
    struct tg_record *record = tg_record_of_slot(slot);
    struct tg_text *start = &record->joined;
    tg_text_clear(start);
    tg_text_append(start, TG_SLICE(","));
    tg_text_append_json(start, tg_slice_of(name, length));
    tg_text_append(start, TG_SLICE(":"));
    remove_member(&record->log, tg_text_slice(start));
    record->exchange->log_fields = &record->log;
    if (!value)
        return NULL;
    tg_text_append(&record->log, tg_text_slice(start));
    if (json)
        tg_text_append(&record->log, tg_slice_of(value, value_length));
    else
        tg_text_append_json(&record->log, tg_slice_of(value, value_length));
    return start->failed || record->log.failed ? OUT_OF_MEMORY : NULL;
}

void tg_abi_log_skip(struct tg_abi_slot *slot)
{
    tg_record_of_slot(slot)->exchange->log_skip = true;
}
