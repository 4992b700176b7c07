#include "script_rig.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "http/h1_parse.h"
#include "net/tls_library.h"
#include "net/tls_tickets.h"
#include "run_loop.h"

void rig_init(struct rig *rig)
{
    *rig = (struct rig){ .load_time = 10 };
    snprintf(rig->folder, sizeof(rig->folder), "/tmp/tidegate-rig-XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    strcat(rig->folder, "/");
    tg_text_init(&rig->error);
    rig->loop = tg_loop_new(NULL, &rig->worker);
    assert_non_null(rig->loop);
    rig->worker.loop = rig->loop;
    rig->worker.hooks = &tg_script_hooks;
    rig->registry = tg_peer_registry_new(rig->loop);
    assert_non_null(rig->registry);
    rig->tls.tickets = tg_ticket_keys_new();
    assert_non_null(rig->tls.tickets);
    tg_log_set_level(TG_LOG_ERROR);
}

static void drop_generation(struct rig *rig)
{
    tg_script_vm_free(rig->vm);
    if (rig->snapshot)
        tg_snapshot_unref(rig->snapshot);
    tg_generation_source_unref(rig->source);
    rig->vm = NULL;
    rig->snapshot = NULL;
    rig->source = NULL;
}

void rig_deinit(struct rig *rig)
{
    char command[128];
    drop_generation(rig);
    tg_peer_registry_free(rig->registry);
    tg_ticket_keys_free(rig->tls.tickets);
    tg_tls_library_close(rig->tls.library);
    tg_loop_free(rig->loop);
    tg_text_deinit(&rig->error);
    tg_arena_release_thread_pool();
    tg_block_release_thread_pool();
    snprintf(command, sizeof(command), "rm -r %s", rig->folder);
    assert_int_equal(system(command), 0);
}

void rig_write(struct rig *rig, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof(path), "%s%s", rig->folder, name);
    for (char *slash = path + strlen(rig->folder); (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

bool rig_load(struct rig *rig)
{
    char path[256];
    drop_generation(rig);
    snprintf(path, sizeof(path), "%sgateway.lua", rig->folder);
    struct tg_script_load_options options = {
        .file = path,
        .generation = 7,
        .registry = rig->registry,
        .tls = &rig->tls,
        .worker_count = 1,
        .load_time = rig->load_time,
    };
    tg_text_clear(&rig->error);
    return tg_script_load(&options, &rig->source, &rig->snapshot, &rig->error);
}

static void attached(void *context, bool ok, struct tg_slice error)
{
    struct rig *rig = context;
    rig->attached = ok ? 1 : 2;
    if (!ok)
        tg_text_append(&rig->error, error);
}

bool rig_start(struct rig *rig)
{
    if (!rig_load(rig))
        return false;
    rig->attached = 0;
    rig->vm = tg_script_vm_new(rig->source, rig->snapshot, 0, NULL, &rig->error);
    if (!rig->vm)
        return false;
    rig->lease = (struct tg_lease){ .snapshot = rig->snapshot, .worker = &rig->worker };
    tg_list_init(&rig->lease.exchanges);
    tg_script_attach(rig->vm, &rig->lease, rig->load_time, attached, rig);
    run_until(rig->loop, &rig->attached, 1);
    return rig->attached == 1;
}

void rig_start_with(struct rig *rig, const char *gateway)
{
    rig_write(rig, "gateway.lua", gateway);
    bool started = rig_start(rig);
    if (!started)
        print_error("%s\n", rig->error.at ? rig->error.at : "");
    assert_true(started);
}

void rig_expect_error(struct rig *rig, const char *part)
{
    const char *text = rig->error.at ? rig->error.at : "";
    if (!strstr(text, part))
        print_error("got: %s\nexpected: %s\n", text, part);
    assert_non_null(strstr(text, part));
}

/* What the exchange's own steps would do is left to the test. */
static void exchange_stepped(struct tg_task *task)
{
    struct tg_exchange *exchange = TG_CONTAINER_OF(task, struct tg_exchange, step);
    TG_CONTAINER_OF(exchange->worker, struct rig, worker)->stepped++;
}

struct tg_exchange *rig_exchange(struct rig *rig, const char *path, const char *head)
{
    struct tg_exchange *exchange = calloc(1, sizeof(*exchange));
    struct tg_http_limits limits = TG_HTTP_LIMITS_DEFAULT;
    struct tg_problem problem;
    char text[4096];
    assert_non_null(exchange);
    exchange->worker = &rig->worker;
    exchange->lease = &rig->lease;
    tg_arena_init(&exchange->arena);
    tg_list_init(&exchange->lease_link);
    tg_task_init(&exchange->step, exchange_stepped);
    memset(exchange->id, 'a', sizeof(exchange->id));
    snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: shop.example\r\n\r\n", path);
    struct tg_slice copy = tg_arena_copy(&exchange->arena, tg_slice_from_string(head ? head : text));
    assert_true(tg_h1_parse_request(copy, &limits, &exchange->arena, &exchange->request, &problem));
    exchange->client.scheme = TG_SLICE("http");
    assert_true(tg_ip_parse(TG_SLICE("192.0.2.7"), &exchange->client.ip));
    exchange->peer_ip = exchange->client.ip;
    exchange->total_at = INFINITY;
    exchange->times.started = tg_loop_now(rig->loop);
    tg_buffer_queue_init(&exchange->answer_body);
    tg_buffer_queue_init(&exchange->response_pipe.waiting);
    tg_buffer_queue_init(&exchange->request_pipe.waiting);
    tg_fields_init(&exchange->response.fields, &exchange->arena);
    exchange->response.status = 200;
    assert_true(tg_fields_copy(&exchange->outgoing.fields, &exchange->request.fields, &exchange->arena));
    struct tg_route_query query = {
        .host = exchange->request.authority.host,
        .path = exchange->request.target.path,
        .method = exchange->request.method,
        .method_text = exchange->request.method_text,
    };
    bool taken;
    exchange->route = tg_router_match(rig->snapshot->router, &query, &exchange->parameters, &taken);
    if (!exchange->route)
        exchange->route = &rig->snapshot->none;
    exchange->group = exchange->route->group;
    return exchange;
}

enum tg_hook_result rig_begin(struct tg_exchange *exchange, enum tg_phase phase)
{
    exchange->phase = phase;
    exchange->resumed = TG_HOOK_PENDING;
    if (!(exchange->route->phases >> phase & 1))
        return TG_HOOK_DONE;
    return tg_script_hooks.run(exchange, phase);
}

enum tg_hook_result rig_wait(struct tg_exchange *exchange)
{
    struct rig *rig = TG_CONTAINER_OF(exchange->worker, struct rig, worker);
    while (exchange->resumed == TG_HOOK_PENDING)
        run_until(rig->loop, &rig->stepped, rig->stepped + 1);
    return exchange->resumed;
}

enum tg_hook_result rig_run(struct tg_exchange *exchange, enum tg_phase phase)
{
    enum tg_hook_result result = rig_begin(exchange, phase);
    return result == TG_HOOK_PENDING ? rig_wait(exchange) : result;
}

void rig_end(struct tg_exchange *exchange)
{
    if (exchange->script)
        tg_script_hooks.end(exchange);
    tg_list_remove(&exchange->step.link);
    tg_buffer_queue_deinit(&exchange->answer_body);
    tg_arena_deinit(&exchange->arena);
    free(exchange);
}

struct tg_slice rig_answer(struct tg_exchange *exchange)
{
    return tg_buffer_slice(tg_buffer_queue_peek(&exchange->answer_body));
}

void rig_expect(struct rig *rig, const char *body, const char *answer)
{
    struct tg_text text;
    tg_text_init(&text);
    tg_text_appendf(&text,
                    "%s"
                    "tg.route { path = '/r/:id/*rest', upstream = 'app', request = function(req)\n"
                    "  local good, message = pcall(function()\n%s\n  end)\n"
                    "  if not good then return req:respond(500, 'raises ' .. message) end\n"
                    "end }\n",
                    RIG_HEAD, body);
    rig_start_with(rig, text.at);
    tg_text_deinit(&text);
    struct tg_exchange *exchange =
        rig_exchange(rig, NULL,
                     "GET /r/a%2Fb/c/d?page=2&tag=a+b&tag=c%20d&flag HTTP/1.1\r\n"
                     "Host: Shop.Example:8080\r\n"
                     "User-Agent: rig\r\nX-Two: one\r\nX-Two: two, three\r\nAccept: text/*;q=0.5, text/html\r\n"
                     "Cookie: uid=7; theme=dark\r\nContent-Type: Text/Plain; charset=x\r\nTE: trailers\r\n"
                     "Connection: TE\r\nContent-Length: 3\r\n\r\n");
    enum tg_hook_result result = rig_run(exchange, TG_PHASE_REQUEST);
    struct tg_slice got = rig_answer(exchange);
    bool right = strncmp(answer, "raises ", 7) == 0
                     ? got.length && memmem(got.at, got.length, answer + 7, strlen(answer) - 7) != NULL
                     : tg_slice_equal(got, tg_slice_from_string(answer));
    if (result != TG_HOOK_ANSWERED || !right)
        print_error("script: %s\ngot: %d, %.*s\nexpected: %s\n", body, (int)result, (int)got.length, got.at, answer);
    assert_true(right);
    assert_int_equal(result, TG_HOOK_ANSWERED);
    rig_end(exchange);
}

struct group {
    const char *name;
    const struct CMUnitTest *tests;
    size_t count;
    int failed;
};

static void *run_group(void *context)
{
    struct group *group = context;
    group->failed = _cmocka_run_group_tests(group->name, group->tests, group->count, NULL, NULL);
    return NULL;
}

int rig_main(const char *name, const struct CMUnitTest *tests, size_t count)
{
    struct group group = { name, tests, count, 1 };
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    if (pthread_attr_setstacksize(&attributes, TG_SCRIPT_STACK) == 0 &&
        pthread_create(&thread, &attributes, run_group, &group) == 0)
        pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
    return group.failed;
}
