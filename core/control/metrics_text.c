#include "control/metrics_text.h"

#include "base/counters.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "control/gateway.h"
#include "script/version.h"

/* A series of a counter of ours; those of one name stand together. */
struct own {
    const char *name, *labels, *help;
    enum tg_counter counter;
    enum tg_metric_kind kind;
};

/* Sorted by name, then labels. */
static const struct own counters[] = {
    { "tidegate_accept_pauses_total", "", "Times that accepting was paused: the system had no descriptor left.",
      TG_COUNTER_ACCEPT_PAUSES, TG_METRIC_COUNTER },
    { "tidegate_access_log_lines_dropped_total", "", "Lines of the access log that found no room.",
      TG_COUNTER_LOG_LINES_DROPPED, TG_METRIC_COUNTER },
    { "tidegate_access_log_lines_total", "", "Lines given to the access log.", TG_COUNTER_LOG_LINES,
      TG_METRIC_COUNTER },
    { "tidegate_client_aborts_total", "", "Requests whose client left before the end.", TG_COUNTER_CLIENT_ABORTS,
      TG_METRIC_COUNTER },
    { "tidegate_client_bytes_total", "{direction=\"in\"}", "Bytes from and to clients.", TG_COUNTER_BYTES_FROM_CLIENTS,
      TG_METRIC_COUNTER },
    { "tidegate_client_bytes_total", "{direction=\"out\"}", "Bytes from and to clients.", TG_COUNTER_BYTES_TO_CLIENTS,
      TG_METRIC_COUNTER },
    { "tidegate_connections_accepted_total", "", "Connections of clients that were accepted.",
      TG_COUNTER_CONNECTIONS_ACCEPTED, TG_METRIC_COUNTER },
    { "tidegate_connections_open", "", "Connections of clients.", TG_COUNTER_CONNECTIONS_OPEN, TG_METRIC_GAUGE },
    { "tidegate_connections_refused_total", "", "Connections beyond the limit.", TG_COUNTER_CONNECTIONS_REFUSED,
      TG_METRIC_COUNTER },
    { "tidegate_h2_calmed_total", "", "HTTP/2 connections of clients ended with ENHANCE_YOUR_CALM.",
      TG_COUNTER_H2_CALMED, TG_METRIC_COUNTER },
    { "tidegate_h2_connections_open", "", "HTTP/2 connections of clients.", TG_COUNTER_H2_CONNECTIONS_OPEN,
      TG_METRIC_GAUGE },
    { "tidegate_h2_resets_total", "", "HTTP/2 streams of clients that a reset ended.", TG_COUNTER_H2_RESETS,
      TG_METRIC_COUNTER },
    { "tidegate_h2_streams_total", "", "HTTP/2 streams that clients opened.", TG_COUNTER_H2_STREAMS,
      TG_METRIC_COUNTER },
    { "tidegate_requests_active", "", "Requests that aren't over.", TG_COUNTER_REQUESTS_ACTIVE, TG_METRIC_GAUGE },
    { "tidegate_requests_rejected_total", "", "Requests that were no HTTP, or beyond a limit.",
      TG_COUNTER_REQUESTS_REJECTED, TG_METRIC_COUNTER },
    { "tidegate_requests_total", "", "Requests that have begun.", TG_COUNTER_REQUESTS, TG_METRIC_COUNTER },
    { "tidegate_responses_total", "{status=\"1xx\"}", "Response heads sent to clients, by class of status.",
      TG_COUNTER_RESPONSES_1XX, TG_METRIC_COUNTER },
    { "tidegate_responses_total", "{status=\"2xx\"}", "Response heads sent to clients, by class of status.",
      TG_COUNTER_RESPONSES_2XX, TG_METRIC_COUNTER },
    { "tidegate_responses_total", "{status=\"3xx\"}", "Response heads sent to clients, by class of status.",
      TG_COUNTER_RESPONSES_3XX, TG_METRIC_COUNTER },
    { "tidegate_responses_total", "{status=\"4xx\"}", "Response heads sent to clients, by class of status.",
      TG_COUNTER_RESPONSES_4XX, TG_METRIC_COUNTER },
    { "tidegate_responses_total", "{status=\"5xx\"}", "Response heads sent to clients, by class of status.",
      TG_COUNTER_RESPONSES_5XX, TG_METRIC_COUNTER },
    { "tidegate_script_cancels_total", "", "Phases of scripts that were given up while they waited.",
      TG_COUNTER_SCRIPT_CANCELS, TG_METRIC_COUNTER },
    { "tidegate_script_errors_total", "", "Errors that scripts raised.", TG_COUNTER_SCRIPT_ERRORS, TG_METRIC_COUNTER },
    { "tidegate_script_logs_skipped_total", "", "Log phases that didn't run: their generation had ended.",
      TG_COUNTER_SCRIPT_LOGS_SKIPPED, TG_METRIC_COUNTER },
    { "tidegate_tls_handshake_failures_total", "", "TLS handshakes of clients that failed.",
      TG_COUNTER_TLS_HANDSHAKE_FAILURES, TG_METRIC_COUNTER },
    { "tidegate_tls_handshakes_total", "", "TLS handshakes with clients.", TG_COUNTER_TLS_HANDSHAKES,
      TG_METRIC_COUNTER },
    { "tidegate_tls_resumed_total", "", "TLS handshakes of clients that resumed a session.", TG_COUNTER_TLS_RESUMED,
      TG_METRIC_COUNTER },
    { "tidegate_tunnels_open", "", "Tunnels.", TG_COUNTER_TUNNELS_OPEN, TG_METRIC_GAUGE },
    { "tidegate_upstream_adopted_total", "", "Idle upstream connections taken from the pool of all workers.",
      TG_COUNTER_UPSTREAM_ADOPTED, TG_METRIC_COUNTER },
    { "tidegate_upstream_connect_failures_total", "", "Connections to upstream that could not be made.",
      TG_COUNTER_UPSTREAM_CONNECT_FAILURES, TG_METRIC_COUNTER },
    { "tidegate_upstream_connects_total", "", "Connections made to upstream.", TG_COUNTER_UPSTREAM_CONNECTS,
      TG_METRIC_COUNTER },
    { "tidegate_upstream_failures_total", "", "Attempts that upstream failed.", TG_COUNTER_UPSTREAM_FAILURES,
      TG_METRIC_COUNTER },
    { "tidegate_upstream_parked_total", "", "Idle upstream connections moved to the pool of all workers.",
      TG_COUNTER_UPSTREAM_PARKED, TG_METRIC_COUNTER },
    { "tidegate_upstream_retries_total", "", "Attempts after the first.", TG_COUNTER_UPSTREAM_RETRIES,
      TG_METRIC_COUNTER },
    { "tidegate_upstream_reuses_total", "", "Requests sent over an upstream connection that was there.",
      TG_COUNTER_UPSTREAM_REUSES, TG_METRIC_COUNTER },
    { "tidegate_upstream_tls_failures_total", "", "TLS handshakes with upstream that failed.",
      TG_COUNTER_UPSTREAM_TLS_FAILURES, TG_METRIC_COUNTER },
    { "tidegate_upstream_tls_handshakes_total", "", "TLS handshakes with upstream.", TG_COUNTER_UPSTREAM_TLS_HANDSHAKES,
      TG_METRIC_COUNTER },
    { "tidegate_upstream_tls_resumed_total", "", "TLS handshakes with upstream that resumed a session.",
      TG_COUNTER_UPSTREAM_TLS_RESUMED, TG_METRIC_COUNTER },
    { "tidegate_vms_rebuilt_total", "", "VMs of scripts that were dropped and built again.", TG_COUNTER_VMS_REBUILT,
      TG_METRIC_COUNTER },
};

static void write_head(struct tg_text *out, const char *name, enum tg_metric_kind kind, const char *help)
{
    tg_metrics_write_head(out, tg_slice_from_string(name), kind, tg_slice_from_string(help));
}

static void write_value(struct tg_text *out, const char *name, const char *labels, double value)
{
    tg_text_appendf(out, "%s%s ", name, labels);
    tg_metrics_write_number(out, value);
    tg_text_append(out, TG_SLICE("\n"));
}

static void write_one(struct tg_text *out, const char *name, enum tg_metric_kind kind, const char *help, double value)
{
    write_head(out, name, kind, help);
    write_value(out, name, "", value);
}

static void write_counters(struct tg_text *out)
{
    for (size_t i = 0; i < sizeof(counters) / sizeof(*counters); i++) {
        const struct own *own = &counters[i];
        if (i == 0 || strcmp(counters[i - 1].name, own->name) != 0)
            write_head(out, own->name, own->kind, own->help);
        write_value(out, own->name, own->labels, (double)tg_counters_total(own->counter));
    }
}

static void write_process(struct tg_text *out, const struct tg_gateway *gateway)
{
    write_head(out, "tidegate_build_info", TG_METRIC_GAUGE, "Which version runs.");
    write_value(out, "tidegate_build_info", "{version=\"" TG_VERSION "\"}", 1);
    write_one(out, "tidegate_log_lines_dropped_total", TG_METRIC_COUNTER,
              "Lines of all logs that found no room on their way or in front of their file.",
              (double)tg_log_thread_dropped(gateway->logs));
    write_head(out, "tidegate_memory_bytes", TG_METRIC_GAUGE, "Memory held, by what holds it.");
    write_value(out, "tidegate_memory_bytes", "{kind=\"arenas\"}", (double)tg_memory_held(TG_MEMORY_ARENAS));
    write_value(out, "tidegate_memory_bytes", "{kind=\"blocks\"}", (double)tg_memory_held(TG_MEMORY_BLOCKS));
    write_value(out, "tidegate_memory_bytes", "{kind=\"vms\"}", (double)tg_memory_held(TG_MEMORY_VMS));
    write_one(out, "tidegate_metrics_over_limit_total", TG_METRIC_COUNTER,
              "Times that a series beyond the limit of its metric was asked for.", (double)tg_metrics_over_limit());
    write_one(out, "tidegate_start_time_seconds", TG_METRIC_GAUGE, "When the gateway started, in Unix time.",
              gateway->started_at);
    write_one(out, "tidegate_workers", TG_METRIC_GAUGE, "Workers.", gateway->worker_count);
}

/* Of those that haven't ended. */
static void write_generations(struct tg_text *out, const struct tg_generations *generations)
{
    double living = 0, vms = 0;
    for (struct tg_list *link = generations->all.next; link != &generations->all; link = link->next) {
        const struct tg_generation *generation = TG_CONTAINER_OF(link, struct tg_generation, link);
        living += generation->shares ? 1 : 0;
        vms += generation->shares ? generation->share_count : 0;
    }
    write_one(out, "tidegate_generation", TG_METRIC_GAUGE, "The number of the current generation.",
              generations->current ? (double)generations->current->number : 0);
    write_one(out, "tidegate_generations", TG_METRIC_GAUGE, "Generations that haven't ended.", living);
    write_one(out, "tidegate_vms", TG_METRIC_GAUGE, "VMs of generations that haven't ended.", vms);
}

void tg_metrics_text(void *context, struct tg_text *out)
{
    const struct tg_gateway *gateway = context;
    write_counters(out);
    write_generations(out, &gateway->generations);
    write_process(out, gateway);
    tg_metrics_write(out);
}
