/* Properties of request, attempt, response and error. */
#include <math.h>

#include "proxy/peer.h"
#include "script/run.h"

static const char *give_unless_empty(struct tg_abi_slot *slot, struct tg_slice text)
{
    return text.length ? tg_abi_give(slot, text) : NULL;
}

static const char *give_string(struct tg_abi_slot *slot, const char *text)
{
    return text ? tg_abi_give(slot, tg_slice_from_string(text)) : NULL;
}

static const char *give_version(struct tg_abi_slot *slot, enum tg_version version)
{
    static const char *const TEXTS[] = { "1.0", "1.1", "2" };
    return give_string(slot, TEXTS[version]);
}

static const char *give_ip(struct tg_abi_slot *slot, const struct tg_ip *ip)
{
    struct tg_record *record = tg_record_of_slot(slot);
    return tg_abi_give(slot, tg_slice_of(record->small, tg_ip_format(ip, record->small)));
}

static const char *give_url(struct tg_abi_slot *slot)
{
    struct tg_record *record = tg_record_of_slot(slot);
    const struct tg_exchange *exchange = record->exchange;
    const struct tg_target *target = &exchange->request.target;
    struct tg_text *url = &record->joined;
    tg_text_clear(url);
    tg_text_append(url, exchange->client.scheme);
    tg_text_append(url, TG_SLICE("://"));
    tg_text_append(url, exchange->request.authority.text);
    tg_text_append(url, target->path);
    if (target->has_query) {
        tg_text_append(url, TG_SLICE("?"));
        tg_text_append(url, target->query);
    }
    return tg_abi_give(slot, tg_text_slice(url));
}

static const char *give_query(struct tg_abi_slot *slot, const struct tg_target *target)
{
    return target->has_query ? tg_abi_give(slot, target->query) : NULL;
}

static const char *give_from(struct tg_abi_slot *slot, enum tg_response_from from)
{
    static const char *const TEXTS[] = { NULL, "upstream", "script", "gateway" };
    return give_string(slot, TEXTS[from]);
}

static const char *outgoing_text(struct tg_abi_slot *slot, int32_t field, const struct tg_request_head *head)
{
    switch (field) {
    case TG_ABI_OUT_METHOD: return tg_abi_give(slot, head->method_text);
    case TG_ABI_OUT_HOST: return tg_abi_give(slot, head->authority.host);
    case TG_ABI_OUT_PATH: return tg_abi_give(slot, head->target.path);
    default: return give_query(slot, &head->target);
    }
}

static const char *response_text(struct tg_abi_slot *slot, int32_t field, const struct tg_exchange *exchange)
{
    bool upstream = exchange->from == TG_FROM_UPSTREAM;
    switch (field) {
    case TG_ABI_RESPONSE_VERSION: return give_version(slot, exchange->response.version);
    case TG_ABI_RESPONSE_FROM: return give_from(slot, exchange->from);
    case TG_ABI_RESPONSE_UPSTREAM: return upstream && exchange->group ? tg_abi_give(slot, exchange->group->name) : NULL;
    case TG_ABI_RESPONSE_PEER: return upstream && exchange->peer ? tg_abi_give(slot, exchange->peer->name) : NULL;
    case TG_ABI_ERROR_CODE: return give_string(slot, exchange->error.code);
    default: return give_string(slot, exchange->error.detail);
    }
}

static const char *tls_text(struct tg_abi_slot *slot, int32_t field, const struct tg_tls_facts *facts)
{
    static const char *const PROTOCOLS[] = { NULL, "http/1.1", "h2" };
    switch (field) {
    case TG_ABI_TLS_VERSION: return tg_abi_give(slot, facts->version);
    case TG_ABI_TLS_CIPHER: return tg_abi_give(slot, facts->cipher);
    case TG_ABI_TLS_SNI: return give_unless_empty(slot, facts->sni);
    case TG_ABI_TLS_ALPN: return give_string(slot, PROTOCOLS[facts->alpn]);
    case TG_ABI_TLS_JA3: return give_unless_empty(slot, facts->ja3);
    case TG_ABI_TLS_JA4: return give_unless_empty(slot, facts->ja4);
    case TG_ABI_CERT_SUBJECT_CN: return give_unless_empty(slot, facts->subject_cn);
    default: return give_unless_empty(slot, facts->sha256);
    }
}

int32_t tg_abi_tls(struct tg_abi_slot *slot)
{
    const struct tg_tls_facts *facts = tg_record_of_slot(slot)->exchange->tls;
    if (!facts)
        return TG_ABI_TLS_NONE;
    return TG_ABI_TLS_ON | (facts->has_certificate ? TG_ABI_TLS_CERT : 0) | (facts->verified ? TG_ABI_TLS_VERIFIED : 0);
}

const char *tg_abi_cert_san(struct tg_abi_slot *slot, int32_t position)
{
    const struct tg_tls_facts *facts = tg_record_of_slot(slot)->exchange->tls;
    return facts && (size_t)position < facts->san_count ? tg_abi_give(slot, facts->sans[position]) : NULL;
}

const char *tg_abi_text(struct tg_abi_slot *slot, int32_t field)
{
    const struct tg_exchange *exchange = tg_record_of_slot(slot)->exchange;
    const struct tg_request_head *head = &exchange->request;
    switch (field) {
    case TG_ABI_ID: return tg_abi_give(slot, tg_slice_of(exchange->id, sizeof(exchange->id)));
    case TG_ABI_METHOD: return tg_abi_give(slot, head->method_text);
    case TG_ABI_SCHEME: return tg_abi_give(slot, exchange->client.scheme);
    case TG_ABI_VERSION: return give_version(slot, head->version);
    case TG_ABI_HOST: return tg_abi_give(slot, head->authority.host);
    case TG_ABI_PATH: return tg_abi_give(slot, head->target.path);
    case TG_ABI_RAW_PATH: return tg_abi_give(slot, head->target.raw_path);
    case TG_ABI_URL: return give_url(slot);
    case TG_ABI_RAW_QUERY: return give_query(slot, &head->target);
    case TG_ABI_UPGRADE: return give_unless_empty(slot, head->upgrade);
    case TG_ABI_UPSTREAM: return exchange->group ? tg_abi_give(slot, exchange->group->name) : NULL;
    case TG_ABI_ROUTE: return tg_abi_give(slot, exchange->route->name);
    case TG_ABI_HALF_CLOSE: return give_string(slot, exchange->half_close == TG_HALF_CLOSE_ABORT ? "abort" : "answer");
    case TG_ABI_CLIENT_IP: return give_ip(slot, &exchange->client.ip);
    case TG_ABI_PEER_IP: return give_ip(slot, &exchange->peer_ip);
    default: break;
    }
    if (field <= TG_ABI_CERT_SHA256)
        return exchange->tls ? tls_text(slot, field, exchange->tls) : NULL;
    if (field <= TG_ABI_OUT_RAW_QUERY)
        return outgoing_text(slot, field, &exchange->outgoing);
    return response_text(slot, field, exchange);
}

static double client_port(const struct tg_exchange *exchange)
{
    if (memcmp(&exchange->client.ip, &exchange->peer_ip, sizeof(struct tg_ip)) != 0)
        return NAN; /* behind a proxy: nobody says it */
    uint16_t port = tg_address_port(&exchange->peer_address);
    return port ? port : NAN;
}

static double port_of(const struct tg_exchange *exchange)
{
    if (exchange->request.authority.port)
        return exchange->request.authority.port;
    return tg_slice_equal(exchange->client.scheme, TG_SLICE("https")) ? 443 : 80;
}

static double between(double from, double to)
{
    return from > 0 && to > 0 ? to - from : NAN;
}

static double time_of(const struct tg_exchange *exchange, int32_t field)
{
    const struct tg_exchange_times *times = &exchange->times;
    struct tg_loop *loop = exchange->worker->loop;
    switch (field) {
    case TG_ABI_TIME_STARTED: return tg_loop_wall(loop) - (tg_loop_now(loop) - times->started);
    case TG_ABI_TIME_TOTAL: return between(times->started, times->ended);
    case TG_ABI_TIME_QUEUE: return between(times->request_done, times->connect_started);
    case TG_ABI_TIME_CONNECT: return between(times->connect_started, times->connected);
    case TG_ABI_TIME_FIRST_BYTE: return between(times->connected, times->first_byte);
    default: return times->script > 0 ? times->script : NAN;
    }
}

static double response_length(const struct tg_exchange *exchange)
{
    const struct tg_response_head *head = &exchange->response;
    if (exchange->from != TG_FROM_UPSTREAM)
        return (double)tg_buffer_queue_length(&exchange->answer_body);
    return head->has_content_length ? (double)head->content_length : NAN;
}

double tg_abi_number(struct tg_abi_slot *slot, int32_t field)
{
    const struct tg_exchange *exchange = tg_record_of_slot(slot)->exchange;
    switch (field) {
    case TG_ABI_PORT: return port_of(exchange);
    case TG_ABI_LENGTH:
        return exchange->request.framing == TG_FRAMING_LENGTH ? (double)exchange->request.content_length : NAN;
    case TG_ABI_GENERATION: return (double)tg_record_of_slot(slot)->vm->source->generation;
    case TG_ABI_TIME_LEFT: return exchange->total_at - tg_loop_now_fresh(exchange->worker->loop);
    case TG_ABI_BYTES_IN: return (double)exchange->bytes_in;
    case TG_ABI_BYTES_OUT: return (double)exchange->bytes_out;
    case TG_ABI_CLIENT_PORT: return client_port(exchange);
    case TG_ABI_ATTEMPT: return exchange->attempt ? (double)exchange->attempt : (double)NAN;
    case TG_ABI_RESPONSE_STATUS: return exchange->response.status;
    case TG_ABI_RESPONSE_LENGTH: return response_length(exchange);
    case TG_ABI_ERROR_STATUS: return exchange->error.status;
    default: return time_of(exchange, field);
    }
}

/* A request for HEAD stays one, and no other becomes one: how its answer is framed hangs on it. */
static const char *set_method(struct tg_exchange *exchange, struct tg_request_head *head, struct tg_slice text)
{
    if (!tg_method_valid(text))
        return "is no method";
    enum tg_method method = tg_method_of(text);
    if (method == TG_METHOD_CONNECT)
        return "can't be CONNECT";
    if ((method == TG_METHOD_HEAD) != (head->method == TG_METHOD_HEAD))
        return "can't change from or to HEAD";
    struct tg_slice copy = tg_arena_copy(&exchange->arena, text);
    if (!copy.at)
        return "out of memory";
    head->method = method;
    head->method_text = copy;
    return NULL;
}

static const char *set_host(struct tg_exchange *exchange, struct tg_request_head *head, struct tg_slice text)
{
    struct tg_authority authority;
    const char *problem;
    struct tg_slice copy = tg_arena_copy(&exchange->arena, text);
    if (!copy.at)
        return "out of memory";
    if (!tg_authority_parse(copy, &exchange->arena, &authority, &problem))
        return problem;
    head->authority = authority;
    return NULL;
}

static const char *set_path(struct tg_exchange *exchange, struct tg_request_head *head, struct tg_slice text)
{
    const char *problem;
    struct tg_slice path, copy = tg_arena_copy(&exchange->arena, text);
    if (!copy.at)
        return "out of memory";
    if (head->target.form == TG_TARGET_ASTERISK)
        return "can't be set: the request is for the server as a whole (*)";
    if (!tg_path_normalise(copy, &exchange->arena, &path, &problem))
        return problem;
    head->target.path = path;
    return NULL;
}

static const char *set_query(struct tg_exchange *exchange, struct tg_request_head *head, struct tg_slice text)
{
    if (!text.at) {
        head->target.has_query = false;
        head->target.query = text;
        return NULL;
    }
    if (!tg_query_valid(text))
        return "has a byte that a query can't have: encode it (tg.uri.encode)";
    struct tg_slice copy = tg_arena_copy(&exchange->arena, text);
    if (!copy.at)
        return "out of memory";
    head->target.query = copy;
    head->target.has_query = true;
    return NULL;
}

int32_t tg_abi_upstream_number(struct tg_abi_slot *slot, const char *name, uint32_t length)
{
    const struct tg_snapshot *snapshot = tg_record_of_slot(slot)->vm->snapshot;
    const struct tg_group *group = tg_snapshot_group(snapshot, tg_slice_of(name, length));
    return group ? (int32_t)group->index : -1;
}

void tg_abi_set_upstream(struct tg_abi_slot *slot, int32_t number)
{
    struct tg_record *record = tg_record_of_slot(slot);
    record->exchange->group = &record->vm->snapshot->groups[number];
}

static const char *set_half_close(struct tg_exchange *exchange, struct tg_slice text)
{
    bool abort = tg_slice_equal(text, TG_SLICE("abort"));
    if (!abort && !tg_slice_equal(text, TG_SLICE("answer")))
        return "is \"answer\" or \"abort\"";
    exchange->half_close = abort ? TG_HALF_CLOSE_ABORT : TG_HALF_CLOSE_ANSWER;
    return NULL;
}

static const char *set_outgoing(struct tg_exchange *exchange, int32_t field, struct tg_slice text)
{
    struct tg_request_head *head = &exchange->outgoing;
    const char *problem;
    switch (field) {
    case TG_ABI_OUT_METHOD: return set_method(exchange, head, text);
    case TG_ABI_OUT_HOST: return set_host(exchange, head, text);
    case TG_ABI_OUT_RAW_QUERY: return set_query(exchange, head, text);
    case TG_ABI_OUT_PATH: break;
    default: return "can't be set";
    }
    problem = set_path(exchange, head, text);
    if (!problem)
        head->target.raw_path = head->target.path; /* a route with raw_path sends this one */
    return problem;
}

const char *tg_abi_set_text(struct tg_abi_slot *slot, int32_t field, const char *at, uint32_t length)
{
    struct tg_exchange *exchange = tg_record_of_slot(slot)->exchange;
    struct tg_slice text = { at, length };
    const char *problem;
    switch (field) {
    case TG_ABI_METHOD: return set_method(exchange, &exchange->request, text);
    case TG_ABI_RAW_QUERY: return set_query(exchange, &exchange->request, text);
    case TG_ABI_HALF_CLOSE: return set_half_close(exchange, text);
    case TG_ABI_HOST:
        problem = set_host(exchange, &exchange->request, text);
        exchange->host_changed |= !problem;
        return problem;
    case TG_ABI_PATH:
        problem = set_path(exchange, &exchange->request, text);
        exchange->rewritten |= !problem;
        return problem;
    default: return set_outgoing(exchange, field, text);
    }
}

/* Whether a body follows must not change under a response that is on its way. */
static const char *set_status(struct tg_exchange *exchange, double value)
{
    int status = (int)value, old = exchange->response.status;
    if (status != value || status < 200 || status > 599)
        return "is a whole number from 200 to 599";
    bool bodyless = status == 204 || status == 304;
    if (old < 200 || bodyless != (old == 204 || old == 304))
        return "can't change between one that has a body and one that has none: use req:respond";
    exchange->response.status = (uint16_t)status;
    return NULL;
}

static const char *set_time_left(struct tg_exchange *exchange, double seconds)
{
    if (!(seconds > 0))
        return "is a number of seconds above 0";
    tg_exchange_set_time_left(exchange, seconds);
    return NULL;
}

const char *tg_abi_set_number(struct tg_abi_slot *slot, int32_t field, double value)
{
    struct tg_exchange *exchange = tg_record_of_slot(slot)->exchange;
    switch (field) {
    case TG_ABI_RESPONSE_STATUS: return set_status(exchange, value);
    case TG_ABI_TIME_LEFT: return set_time_left(exchange, value);
    default: return "can't be set";
    }
}

int32_t tg_abi_has_response(struct tg_abi_slot *slot)
{
    const struct tg_exchange *exchange = tg_record_of_slot(slot)->exchange;
    return exchange->head_sent && exchange->from != TG_FROM_NOBODY;
}

void tg_abi_context_made(struct tg_abi_slot *slot)
{
    tg_record_of_slot(slot)->has_context = true;
}

/* Parameters of the route's path, decoded. */
static const char *give_param(struct tg_abi_slot *slot, struct tg_slice encoded)
{
    struct tg_slice value;
    if (!tg_percent_decode(encoded, &tg_record_of_slot(slot)->exchange->arena, &value))
        value = encoded;
    return tg_abi_give(slot, value);
}

const char *tg_abi_param(struct tg_abi_slot *slot, const char *name, uint32_t length)
{
    const struct tg_route_parameters *parameters = &tg_record_of_slot(slot)->exchange->parameters;
    for (size_t i = 0; i < parameters->count; i++)
        if (tg_slice_equal(parameters->at[i].name, tg_slice_of(name, length)))
            return give_param(slot, parameters->at[i].value);
    return NULL;
}

const char *tg_abi_param_name(struct tg_abi_slot *slot, int32_t position)
{
    const struct tg_route_parameters *parameters = &tg_record_of_slot(slot)->exchange->parameters;
    return (size_t)position < parameters->count ? tg_abi_give(slot, parameters->at[position].name) : NULL;
}
