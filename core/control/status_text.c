#include "control/status_text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/text.h"

static long long number(const json_t *object, const char *member)
{
    return (long long)json_integer_value(json_object_get(object, member));
}

/* Empty where it is null or absent. */
static const char *text(const json_t *object, const char *member)
{
    const char *value = json_string_value(json_object_get(object, member));
    return value ? value : "";
}

static void add_count(struct tg_text *line, const json_t *held, const char *member, const char *one, const char *many)
{
    long long count = number(held, member);
    if (count > 0)
        tg_text_appendf(line, "%s%lld %s", line->length > 0 ? ", " : "", count, count == 1 ? one : many);
}

static void print_held(const json_t *generation)
{
    const json_t *held = json_object_get(generation, "held_by");
    struct tg_text line;
    tg_text_init(&line);
    add_count(&line, held, "requests", "request", "requests");
    add_count(&line, held, "streams", "streamed response", "streamed responses");
    add_count(&line, held, "tunnels", "tunnel", "tunnels");
    add_count(&line, held, "logs", "log phase", "log phases");
    add_count(&line, held, "connections", "new connection", "new connections");
    if (line.length > 0)
        printf("    held by %s\n", line.at);
    tg_text_deinit(&line);
}

static void print_files(const json_t *generation)
{
    const json_t *files = json_object_get(generation, "files");
    for (size_t i = 0; i < json_array_size(files); i++) {
        const json_t *file = json_array_get(files, i);
        printf("    %.12s  %s\n", text(file, "sha256"), text(file, "path"));
    }
}

static void print_generation(const json_t *generation, bool files)
{
    const char *name = text(generation, "name"), *note = text(generation, "note");
    printf("  %lld  %-8s  %s%s%s%s%s\n", number(generation, "generation"), text(generation, "state"),
           text(generation, "loaded_at"), *name || *note ? "  " : "", name, *name && *note ? ": " : "", note);
    print_held(generation);
    if (files)
        print_files(generation);
}

static void print_list(const json_t *list, bool files)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        print_generation(json_array_get(list, i), files);
}

void tg_print_generations(const json_t *reply)
{
    printf("generations (number, state, loaded at, name: note)\n");
    print_list(json_object_get(reply, "kept"), true);
    print_list(json_object_get(reply, "generations"), true);
}

/* Times in replies sort as texts. */
static bool is_past(const char *time_text)
{
    char now[32];
    struct tm parts;
    time_t seconds = time(NULL);
    return gmtime_r(&seconds, &parts) && strftime(now, sizeof(now), "%Y-%m-%dT%H:%M:%S", &parts) > 0 &&
           strcmp(time_text, now) < 0;
}

static void print_certificate(const json_t *certificate)
{
    const json_t *names = json_object_get(certificate, "names");
    const char *ends_at = text(certificate, "ends_at");
    printf("    %s %.10s:", is_past(ends_at) ? "expired" : "until", ends_at);
    for (size_t i = 0; i < json_array_size(names); i++)
        printf("%s %s", i > 0 ? "," : "", json_string_value(json_array_get(names, i)));
    putchar('\n');
}

static void print_listeners(const json_t *listeners)
{
    for (size_t i = 0; i < json_array_size(listeners); i++) {
        const json_t *listener = json_array_get(listeners, i);
        const json_t *certificates = json_object_get(listener, "certificates");
        long long port = number(listener, "redirect_port");
        printf("  listens on %s%s", text(listener, "address"), json_is_array(certificates) ? ", TLS" : "");
        if (port > 0)
            printf(", redirects to https at port %lld", port);
        putchar('\n');
        for (size_t j = 0; j < json_array_size(certificates); j++)
            print_certificate(json_array_get(certificates, j));
    }
}

static void print_worker(const json_t *worker)
{
    long long connections = number(worker, "connections"), requests = number(worker, "requests");
    printf("  %lld  %lld connection%s", number(worker, "worker"), connections, connections == 1 ? "" : "s");
    if (json_is_true(json_object_get(worker, "answers")))
        printf(", %lld request%s\n", requests, requests == 1 ? "" : "s");
    else
        printf(", doesn't answer: a script keeps it busy\n");
}

static void print_workers(const json_t *workers)
{
    printf("workers\n");
    for (size_t i = 0; i < json_array_size(workers); i++)
        print_worker(json_array_get(workers, i));
}

static void print_upstreams(const json_t *peers)
{
    printf("upstreams\n");
    for (size_t i = 0; i < json_array_size(peers); i++) {
        const json_t *peer = json_array_get(peers, i);
        bool tls = json_is_true(json_object_get(peer, "tls"));
        printf("  %s  %s%s, %lld active, %lld idle\n", text(peer, "peer"), text(peer, "protocol"),
               tls ? " over TLS" : "", number(peer, "active"), number(peer, "idle"));
    }
}

static void print_members(const char *title, json_t *object, const char *unit)
{
    printf("%s\n", title);
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
        const char *key = json_object_iter_key(at);
        printf("  %-28s %lld%s\n", key, (long long)json_integer_value(json_object_iter_value(at)), unit);
    }
}

static void print_libraries(const json_t *libraries)
{
    printf("  OpenSSL %s (provider %s), nghttp2 %s\n", text(libraries, "openssl"), text(libraries, "provider"),
           text(libraries, "nghttp2"));
}

void tg_print_status(const json_t *reply)
{
    double uptime = json_real_value(json_object_get(reply, "uptime"));
    bool stopping = json_is_true(json_object_get(reply, "stopping"));
    printf("tidegate %s, process %lld, up %.0f s%s\n", text(reply, "version"), number(reply, "pid"), uptime,
           stopping ? ", stopping" : "");
    print_libraries(json_object_get(reply, "libraries"));
    print_listeners(json_object_get(reply, "listeners"));
    printf("generations\n");
    print_list(json_object_get(reply, "generations"), false);
    print_workers(json_object_get(reply, "workers"));
    print_upstreams(json_object_get(reply, "upstreams"));
    print_members("memory", json_object_get(reply, "memory"), " bytes");
    print_members("counters", json_object_get(reply, "counters"), "");
    printf("log lines dropped: %lld\n", number(reply, "log_lines_dropped"));
}
