#include "proxy/access_log.h"

#include <time.h>

#include "proxy/grpc_call.h"
#include "proxy/peer.h"
#include "proxy/reason.h"
#include "proxy/request_metrics.h"

/* Each member begins with the comma after the one before; "time" is always first. */
#define MEMBER(name) TG_SLICE(",\"" name "\":")

static void put_text(struct tg_text *line, struct tg_slice member, struct tg_slice value)
{
    tg_text_append(line, member);
    tg_text_append_json(line, value);
}

static void put_text_if_any(struct tg_text *line, struct tg_slice member, struct tg_slice value)
{
    if (value.length > 0)
        put_text(line, member, value);
}

/* For texts of ours, which need no escape. */
static void put_word(struct tg_text *line, struct tg_slice member, struct tg_slice word)
{
    tg_text_append(line, member);
    tg_text_append(line, TG_SLICE("\""));
    tg_text_append(line, word);
    tg_text_append(line, TG_SLICE("\""));
}

static void put_number(struct tg_text *line, struct tg_slice member, uint64_t number)
{
    tg_text_append(line, member);
    tg_text_append_u64(line, number);
}

/* Calendar time is worked out once a second. */
static struct tg_slice calendar_time(time_t second)
{
    static _Thread_local time_t known = -1;
    static _Thread_local char text[sizeof("2000-01-01T00:00:00")];
    if (second != known) {
        struct tm parts;
        gmtime_r(&second, &parts);
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
        known = second;
    }
    return tg_slice_of(text, sizeof(text) - 1);
}

static void put_thousandths(struct tg_text *line, unsigned thousandths)
{
    char digits[4] = { '.', (char)('0' + thousandths / 100), (char)('0' + thousandths / 10 % 10),
                       (char)('0' + thousandths % 10) };
    tg_text_append(line, tg_slice_of(digits, sizeof(digits)));
}

static void put_time(struct tg_text *line, double wall)
{
    uint64_t milliseconds = wall > 0 ? (uint64_t)(wall * 1e3) : 0;
    tg_text_append(line, TG_SLICE("{\"time\":\""));
    tg_text_append(line, calendar_time((time_t)(milliseconds / 1000)));
    put_thousandths(line, (unsigned)(milliseconds % 1000));
    tg_text_append(line, TG_SLICE("Z\""));
}

static void put_ip(struct tg_text *line, struct tg_slice member, const struct tg_ip *ip)
{
    char text[46];
    put_word(line, member, tg_slice_of(text, tg_ip_format(ip, text)));
}

static void put_client(struct tg_text *line, const struct tg_exchange *exchange)
{
    bool same = memcmp(&exchange->client.ip, &exchange->peer_ip, sizeof(exchange->peer_ip)) == 0;
    bool local = tg_address_is_unix(&exchange->peer_address);
    if (local && same)
        put_word(line, MEMBER("ip"), TG_SLICE("unix:"));
    else
        put_ip(line, MEMBER("ip"), &exchange->client.ip);
    if (same)
        return;
    if (local)
        put_word(line, MEMBER("peer_ip"), TG_SLICE("unix:"));
    else
        put_ip(line, MEMBER("peer_ip"), &exchange->peer_ip);
}

static struct tg_slice version_text(enum tg_version version)
{
    switch (version) {
    case TG_HTTP_1_0: return TG_SLICE("1.0");
    case TG_HTTP_1_1: return TG_SLICE("1.1");
    case TG_HTTP_2: return TG_SLICE("2");
    }
    return TG_SLICE("");
}

/* A request that could not be parsed may have no method, host or path. */
static void put_request(struct tg_text *line, const struct tg_request_head *head, const struct tg_tls_facts *tls)
{
    const struct tg_target *target = &head->target;
    put_text_if_any(line, MEMBER("method"), head->method_text);
    put_text_if_any(line, MEMBER("host"), head->authority.text);
    put_text_if_any(line, MEMBER("path"), target->path.length ? target->path : target->raw_path);
    if (target->has_query)
        put_text(line, MEMBER("query"), target->query);
    put_word(line, MEMBER("version"), version_text(head->version));
    if (tls)
        put_word(line, MEMBER("tls"), tls->version);
}

static struct tg_slice from_text(enum tg_response_from from)
{
    switch (from) {
    case TG_FROM_UPSTREAM: return TG_SLICE("upstream");
    case TG_FROM_SCRIPT: return TG_SLICE("script");
    case TG_FROM_GATEWAY: return TG_SLICE("gateway");
    case TG_FROM_NOBODY: break;
    }
    return TG_SLICE("nobody");
}

static void put_response(struct tg_text *line, const struct tg_exchange *exchange)
{
    put_number(line, MEMBER("status"), exchange->logged_status);
    int grpc_status = exchange->grpc ? tg_grpc_call_status(exchange) : -1;
    if (grpc_status >= 0)
        put_number(line, MEMBER("grpc_status"), (uint64_t)grpc_status);
    put_word(line, MEMBER("from"), from_text(exchange->from));
    put_number(line, MEMBER("bytes_in"), exchange->bytes_in);
    put_number(line, MEMBER("bytes_out"), exchange->bytes_out);
}

static void put_upstream(struct tg_text *line, const struct tg_exchange *exchange)
{
    if (exchange->attempt == 0)
        return;
    if (exchange->group)
        put_text(line, MEMBER("upstream"), exchange->group->name);
    if (exchange->peer)
        put_text(line, MEMBER("peer"), exchange->peer->name);
    put_number(line, MEMBER("attempts"), exchange->attempt);
    tg_text_append(line, MEMBER("reused"));
    tg_text_append(line, exchange->upstream_reused ? TG_SLICE("true") : TG_SLICE("false"));
}

static void put_place(struct tg_text *line, const struct tg_exchange *exchange, const struct tg_snapshot *snapshot)
{
    if (exchange->route)
        put_text(line, MEMBER("route"), exchange->route->name);
    if (snapshot)
        put_number(line, MEMBER("generation"), snapshot->generation);
    put_text_if_any(line, MEMBER("listener"), exchange->listener);
    put_number(line, MEMBER("worker"), exchange->worker->id);
}

static void put_duration(struct tg_text *line, struct tg_slice member, double seconds)
{
    uint64_t microseconds = seconds > 0 ? (uint64_t)(seconds * 1e6 + 0.5) : 0;
    tg_text_append(line, member);
    tg_text_append_u64(line, microseconds / 1000);
    put_thousandths(line, (unsigned)(microseconds % 1000));
}

static void put_stage(struct tg_text *line, struct tg_slice member, double from, double to)
{
    if (from > 0 && to >= from)
        put_duration(line, member, to - from);
}

static void put_times(struct tg_text *line, const struct tg_exchange_times *times)
{
    tg_text_append(line, MEMBER("ms"));
    put_duration(line, TG_SLICE("{\"total\":"), times->ended - times->started);
    put_stage(line, MEMBER("queue"), times->request_done, times->connect_started);
    put_stage(line, MEMBER("connect"), times->connect_started, times->connected);
    put_stage(line, MEMBER("first_byte"), times->connected, times->first_byte);
    if (times->script > 0)
        put_duration(line, MEMBER("script"), times->script);
    tg_text_append(line, TG_SLICE("}"));
}

static void put_failure(struct tg_text *line, const struct tg_exchange *exchange)
{
    put_text_if_any(line, MEMBER("error"), tg_slice_from_string(exchange->error.code));
    put_text_if_any(line, MEMBER("detail"), tg_slice_from_string(exchange->error.detail));
    put_text_if_any(line, MEMBER("ended"), tg_slice_from_string(tg_reason_name(exchange->end_reason)));
}

static void make_line(struct tg_text *line, const struct tg_exchange *exchange, const struct tg_snapshot *snapshot)
{
    tg_text_clear(line);
    put_time(line, tg_loop_wall(exchange->worker->loop));
    put_word(line, MEMBER("id"), tg_slice_of(exchange->id, sizeof(exchange->id)));
    put_client(line, exchange);
    put_request(line, &exchange->request, exchange->tls);
    put_response(line, exchange);
    put_upstream(line, exchange);
    put_place(line, exchange, snapshot);
    put_times(line, &exchange->times);
    put_failure(line, exchange);
    if (exchange->log_fields)
        tg_text_append(line, tg_text_slice(exchange->log_fields));
    tg_text_append(line, TG_SLICE("}\n"));
}

void tg_access_log_write(struct tg_exchange *exchange)
{
    struct tg_worker *worker = exchange->worker;
    const struct tg_snapshot *snapshot = exchange->lease ? exchange->lease->snapshot : exchange->held;
    if (worker->metrics)
        tg_request_metrics_record(worker->metrics, exchange, snapshot);
    if (exchange->log_skip || !worker->log || (snapshot && snapshot->settings.access_log_off))
        return;
    make_line(&worker->line, exchange, snapshot);
    bool written =
        !worker->line.failed && tg_log_ring_write(worker->log, TG_LOG_TO_ACCESS, tg_text_slice(&worker->line));
    tg_counters_add(tg_loop_counters(worker->loop), written ? TG_COUNTER_LOG_LINES : TG_COUNTER_LOG_LINES_DROPPED, 1);
}
