/* The commands that need no running gateway: `run` itself, and `check`. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "control/command_line.h"
#include "control/gateway.h"
#include "control/json_text.h"
#include "control/thread.h"
#include "control/tls_process.h"
#include "net/loop.h"
#include "proxy/peer.h"
#include "script/script.h"

int tg_command_run(const struct tg_arguments *arguments)
{
    const struct tg_gateway_options options = {
        .program = arguments->program,
        .file = arguments->file,
        .lua_path = arguments->lua_path,
        .socket = arguments->socket,
        .workers = arguments->workers,
        .watch = arguments->watch,
    };
    return tg_gateway_run(&options);
}

/* --- check, in a thread whose stack is large enough for Lua --- */

struct check {
    struct tg_script_load_options options;
    struct tg_tls_process tls;
    struct tg_text error, warnings;
    bool ok;
};

static void *run_check(void *context)
{
    struct check *check = context;
    check->ok = tg_script_check(&check->options, &check->error);
    tg_thread_release_pools();
    return NULL;
}

static bool check_in_thread(struct check *check)
{
    pthread_t thread;
    struct tg_loop *loop = tg_loop_new(NULL, NULL);
    check->options.registry = loop ? tg_peer_registry_new(loop) : NULL;
    bool made = check->options.registry && tg_tls_process_init(&check->tls, loop);
    check->options.tls = &check->tls.made_with;
    check->options.warnings = &check->warnings;
    bool started = made && tg_thread_start(&thread, "tg-check", TG_SCRIPT_STACK, run_check, check);
    if (started)
        pthread_join(thread, NULL);
    else
        tg_text_appendf(&check->error, "the system refuses memory or threads");
    if (check->options.registry)
        tg_peer_registry_free(check->options.registry);
    tg_tls_process_deinit(&check->tls);
    tg_loop_free(loop);
    return started;
}

static void print_json(const struct check *check)
{
    json_t *json = json_pack("{sbsososo}", "ok", (int)check->ok, "file", tg_json_string(check->options.file), "error",
                             check->ok ? json_null() : tg_json_text(tg_text_slice(&check->error)), "warnings",
                             tg_json_text(tg_text_slice(&check->warnings)));
    json_dumpf(json, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(json);
}

int tg_command_check(const struct tg_arguments *arguments)
{
    struct check check = {
        .options = { .file = arguments->file,
                     .lua_path = arguments->lua_path,
                     .generation = 1,
                     .worker_count = tg_thread_cpus() },
    };
    tg_text_init(&check.error);
    tg_text_init(&check.warnings);
    check_in_thread(&check);
    if (!arguments->json && check.warnings.length > 0)
        fputs(check.warnings.at, stderr);
    if (arguments->json)
        print_json(&check);
    else if (check.ok)
        printf("%s: fine\n", arguments->file);
    else
        fprintf(stderr, "%s\n", check.error.at ? check.error.at : "out of memory");
    tg_text_deinit(&check.error);
    tg_text_deinit(&check.warnings);
    return check.ok ? TG_EXIT_OK : TG_EXIT_FAILED;
}
