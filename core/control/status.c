#include "control/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/shared_registry.h"
#include "control/json_text.h"
#include "control/libraries.h"
#include "control/round.h"
#include "net/tls_server.h"
#include "proxy/peer.h"
#include "script/script.h"
#include "script/version.h"

enum { SHARES_MAX = 128 /* of one worker */ };

static const double patience = 1; /* seconds to wait for workers */

/* What one share said. */
struct share_report {
    uint64_t number; /* of its generation */
    struct tg_share_use use;
    size_t vm_bytes;
};

struct worker_report {
    _Atomic bool answered; /* what follows is written, and stays */
    uint32_t exchanges;
    uint32_t share_count;
    struct share_report shares[SHARES_MAX];
};

struct status {
    struct tg_gateway *gateway;
    struct tg_admin_call *call; /* NULL: answered */
    bool everything;
    struct tg_deadline limit;
    uint32_t worker_count;
    struct worker_report workers[];
};

/* --- in each worker --- */

static void report_share(struct worker_report *report, const struct tg_share *share)
{
    if (report->share_count == SHARES_MAX)
        return;
    struct share_report *entry = &report->shares[report->share_count++];
    entry->number = share->lease.snapshot->generation;
    entry->use = tg_share_use(share);
    entry->vm_bytes = share->lease.script ? tg_script_vm_memory(share->lease.script) : 0;
}

static void visit_worker(void *context, struct tg_worker_thread *thread)
{
    struct status *status = context;
    struct worker_report *report = &status->workers[thread->worker.id];
    report->exchanges = thread->worker.exchanges;
    for (struct tg_list *link = thread->shares.next; link != &thread->shares; link = link->next)
        report_share(report, TG_CONTAINER_OF(link, struct tg_share, link));
    atomic_store(&report->answered, true);
}

/* --- generations --- */

static json_t *time_text(double wall)
{
    char text[64];
    struct tm parts;
    time_t seconds = (time_t)wall;
    gmtime_r(&seconds, &parts);
    size_t length = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text + length, sizeof text - length, ".%03dZ", (int)((wall - (double)seconds) * 1000));
    return json_string(text);
}

static json_t *digest_text(const uint8_t digest[32])
{
    char text[65];
    for (int i = 0; i < 32; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    return json_string(text);
}

static json_t *files_of(const struct tg_generation *generation)
{
    json_t *files = json_array();
    for (size_t i = 0; i < tg_generation_source_count(generation->source); i++) {
        const struct tg_source_entry *entry = tg_generation_source_entry(generation->source, i);
        if (entry->kind == TG_SOURCE_FILE)
            json_array_append_new(
                files, json_pack("{soso}", "path", tg_json_text(entry->path), "sha256", digest_text(entry->sha256)));
    }
    return files;
}

static void add_use(struct tg_share_use *sum, const struct tg_share_use *use)
{
    sum->requests += use->requests;
    sum->streams += use->streams;
    sum->tunnels += use->tunnels;
    sum->logs += use->logs;
    sum->connections += use->connections;
}

static json_t *use_json(const struct tg_share_use *use)
{
    return json_pack("{sisisisisi}", "requests", (int)use->requests, "streams", (int)use->streams, "tunnels",
                     (int)use->tunnels, "logs", (int)use->logs, "connections", (int)use->connections);
}

static json_t *held_in_worker(uint32_t worker, const struct share_report *report)
{
    json_t *json = use_json(&report->use);
    json_object_set_new(json, "worker", json_integer(worker));
    json_object_set_new(json, "vm_bytes", json_integer((json_int_t)report->vm_bytes));
    return json;
}

/* What still holds the generation, in all and in each worker that answered. */
static void add_holders(json_t *json, const struct status *status, uint64_t number)
{
    struct tg_share_use sum = { 0 };
    json_t *workers = json_array();
    for (uint32_t i = 0; i < status->worker_count; i++) {
        const struct worker_report *report = &status->workers[i];
        if (!atomic_load(&report->answered))
            continue;
        for (uint32_t j = 0; j < report->share_count; j++) {
            if (report->shares[j].number != number)
                continue;
            add_use(&sum, &report->shares[j].use);
            json_array_append_new(workers, held_in_worker(i, &report->shares[j]));
        }
    }
    json_object_set_new(json, "held_by", use_json(&sum));
    json_object_set_new(json, "workers", workers);
}

static const char *state_of(const struct tg_generations *generations, const struct tg_generation *generation)
{
    if (generation == generations->current)
        return "current";
    if (generation == generations->previous)
        return "previous";
    return generation->shares ? "ending" : "kept";
}

static json_t *generation_json(const struct status *status, const struct tg_generation *generation)
{
    json_t *json =
        json_pack("{sIsssososososo}", "generation", (json_int_t)generation->number, "state",
                  state_of(&status->gateway->generations, generation), "name", tg_json_string(generation->name), "note",
                  tg_json_string(generation->note), "loaded_at", time_text(generation->loaded_at), "loaded_at_seconds",
                  json_real(generation->loaded_at), "files", files_of(generation));
    if (generation->shares)
        add_holders(json, status, generation->number);
    return json;
}

/* Those with VMs, and those that are kept for a rollback alone. */
static void add_generations(json_t *reply, const struct status *status)
{
    const struct tg_generations *generations = &status->gateway->generations;
    json_t *living = json_array(), *kept = json_array();
    for (struct tg_list *link = generations->all.next; link != &generations->all; link = link->next) {
        const struct tg_generation *generation = TG_CONTAINER_OF(link, struct tg_generation, link);
        json_array_append_new(generation->shares ? living : kept, generation_json(status, generation));
    }
    json_object_set_new(reply, "current", json_integer((json_int_t)generations->current->number));
    json_object_set_new(reply, "generations", living);
    json_object_set_new(reply, "kept", kept);
}

/* --- everything else --- */

static json_t *workers_json(const struct status *status)
{
    json_t *workers = json_array();
    for (uint32_t i = 0; i < status->worker_count; i++) {
        const struct worker_report *report = &status->workers[i];
        bool answered = atomic_load(&report->answered);
        uint32_t connections = atomic_load(&status->gateway->workers[i].worker.connections);
        json_array_append_new(workers, json_pack("{sisisosb}", "worker", (int)i, "connections", (int)connections,
                                                 "requests", answered ? json_integer(report->exchanges) : json_null(),
                                                 "answers", (int)answered));
    }
    return workers;
}

/* What is spoken with it, as far as it is known: of "auto" only a handshake tells. */
static const char *protocol_of(const struct tg_peer *peer)
{
    if (peer->protocol == TG_PROTOCOL_AUTO)
        return atomic_load(&peer->alpn) == TG_ALPN_H2 ? "h2" : atomic_load(&peer->alpn) == TG_ALPN_H1 ? "h1" : "auto";
    return peer->protocol == TG_PROTOCOL_H2 ? "h2" : "h1";
}

static void add_peer(void *context, struct tg_peer *peer)
{
    json_array_append_new(context, json_pack("{sosssbsisi}", "peer", tg_json_text(peer->name), "protocol",
                                             protocol_of(peer), "tls", peer->tls != NULL, "active",
                                             (int)atomic_load(&peer->active), "idle", (int)atomic_load(&peer->idle)));
}

static json_t *peers_json(const struct tg_gateway *gateway)
{
    json_t *peers = json_array();
    tg_peer_registry_each(gateway->registry, add_peer, peers);
    return peers;
}

enum { NAMES_SHOWN = 100, CERTIFICATES_SHOWN = 1000 };

static bool add_name(struct tg_slice name, void *context)
{
    json_array_append_new(context, tg_json_text(name));
    return json_array_size(context) < NAMES_SHOWN;
}

static bool add_certificate(json_t *list, const struct tg_tls_server *server, size_t index, int kind)
{
    int64_t ends = 0;
    json_t *names = json_array();
    bool found = tg_tls_server_describe(server, index, kind, &ends, add_name, names);
    if (found)
        json_array_append_new(list, json_pack("{sOso}", "names", names, "ends_at", time_text((double)ends)));
    json_decref(names);
    return found;
}

static json_t *certificates_json(const struct tg_tls_server *server)
{
    json_t *list = json_array();
    for (size_t i = 0; i < CERTIFICATES_SHOWN && add_certificate(list, server, i, 0); i++)
        add_certificate(list, server, i, 1);
    return list;
}

static const struct tg_listener_config *config_of(const struct tg_gateway *gateway, const struct tg_address *address)
{
    const struct tg_snapshot *snapshot = gateway->generations.current->snapshot;
    for (size_t i = 0; i < snapshot->listener_count; i++)
        if (tg_address_equal(&snapshot->listeners[i].address, address))
            return &snapshot->listeners[i];
    return NULL;
}

static json_t *listener_json(const struct tg_gateway *gateway, const struct tg_address *address)
{
    char text[128];
    size_t length = tg_address_format(address, text);
    const struct tg_listener_config *config = config_of(gateway, address);
    json_t *json = json_pack("{so}", "address", tg_json_text(tg_slice_of(text, length)));
    if (!config)
        return json;
    json_object_set_new(json, "name", tg_json_text(config->name));
    json_object_set_new(json, "proxy_protocol", json_boolean(config->proxy_protocol));
    json_object_set_new(json, "certificates", config->tls ? certificates_json(config->tls) : json_null());
    json_object_set_new(json, "redirect_port",
                        config->redirect_to_https ? json_integer(config->redirect_port) : json_null());
    return json;
}

static json_t *listeners_json(const struct tg_gateway *gateway)
{
    json_t *listeners = json_array();
    for (size_t i = 0; !gateway->stopping.begun && i < gateway->listeners.count; i++)
        json_array_append_new(listeners,
                              listener_json(gateway, tg_listener_address(gateway->listeners.at[i].listener)));
    return listeners;
}

static json_t *libraries_json(const struct tg_gateway *gateway)
{
    const struct tg_tls_library *library = gateway->tls.made_with.library;
    return json_pack("{sssssosb}", "openssl", tg_libraries_openssl(), "nghttp2", tg_libraries_nghttp2(), "provider",
                     tg_json_text(tg_tls_library_provider(library)), "fips", (int)tg_tls_library_is_fips(library));
}

static json_t *counters_json(void)
{
    json_t *counters = json_object();
    for (int i = 0; i < TG_COUNTERS; i++) {
        enum tg_counter counter = (enum tg_counter)i;
        json_object_set_new(counters, tg_counter_name(counter), json_integer(tg_counters_total(counter)));
    }
    return counters;
}

static json_t *memory_json(void)
{
    return json_pack("{sIsIsI}", "blocks", (json_int_t)tg_memory_held(TG_MEMORY_BLOCKS), "arenas",
                     (json_int_t)tg_memory_held(TG_MEMORY_ARENAS), "vms", (json_int_t)tg_memory_held(TG_MEMORY_VMS));
}

static void add_dictionary(void *context, const struct tg_shared *shared)
{
    const struct tg_shared_dict *dict = shared->dict;
    json_array_append_new(context, json_pack("{sosIsIsI}", "name", tg_json_text(shared->name), "size",
                                             (json_int_t)tg_shared_dict_size(dict), "used",
                                             (json_int_t)tg_shared_dict_used(dict), "evictions",
                                             (json_int_t)tg_shared_dict_evictions(dict)));
}

static json_t *dictionaries_json(const struct tg_gateway *gateway)
{
    json_t *list = json_array();
    tg_shared_registry_each(gateway->shared, add_dictionary, list);
    return list;
}

static void add_everything(json_t *reply, const struct status *status)
{
    const struct tg_gateway *gateway = status->gateway;
    json_t *all =
        json_pack("{sssisosfsbsssosososososI}", "version", TG_VERSION, "pid", (int)getpid(), "started_at",
                  time_text(gateway->started_at), "uptime", tg_loop_now(gateway->loop) - gateway->began, "stopping",
                  (int)gateway->stopping.begun, "socket", gateway->socket.path, "listeners", listeners_json(gateway),
                  "workers", workers_json(status), "upstreams", peers_json(gateway), "counters", counters_json(),
                  "memory", memory_json(), "log_lines_dropped", (json_int_t)tg_log_thread_dropped(gateway->logs));
    json_object_set_new(all, "libraries", libraries_json(gateway));
    json_object_set_new(all, "shared", dictionaries_json(gateway));
    json_object_update(reply, all);
    json_decref(all);
}

static void answer(struct status *status)
{
    struct tg_admin_call *call = status->call;
    json_t *reply = json_object();
    status->call = NULL;
    tg_deadline_deinit(&status->limit);
    if (status->everything)
        add_everything(reply, status);
    add_generations(reply, status);
    tg_admin_call_answer(call, reply);
}

static void heed_limit(struct tg_deadline *deadline)
{
    answer(TG_CONTAINER_OF(deadline, struct status, limit));
}

static void heed_done(void *context)
{
    struct status *status = context;
    if (status->call)
        answer(status);
    free(status);
}

void tg_status_answer(struct tg_gateway *gateway, struct tg_admin_call *call, bool everything)
{
    struct status *status = calloc(1, sizeof *status + gateway->worker_count * sizeof(struct worker_report));
    if (!status) {
        tg_admin_call_refuse(call, "out of memory");
        return;
    }
    status->gateway = gateway;
    status->call = call;
    status->everything = everything;
    status->worker_count = gateway->worker_count;
    tg_deadline_init(&status->limit, gateway->loop, heed_limit);
    tg_deadline_in(&status->limit, patience);
    if (tg_round_start(gateway->workers, gateway->worker_count, gateway->loop, visit_worker, heed_done, status))
        return;
    tg_deadline_deinit(&status->limit);
    free(status);
    tg_admin_call_refuse(call, "out of memory");
}
