/* The commands that ask a running gateway. */
#include <stdio.h>
#include <string.h>

#include "control/admin_client.h"
#include "control/command_line.h"
#include "control/socket_path.h"
#include "control/status_text.h"

/* Seconds. A reload may take as long as its configuration needs, a stop as long as the longest request. */
static const double short_time = 30, long_time = 86400;

static json_t *request_for(const char *command)
{
    return json_pack("{ss}", "command", command);
}

/* Takes over the request. NULL: it was refused or not answered, which has been said. */
static json_t *ask(const struct tg_arguments *arguments, json_t *request, double seconds)
{
    char path[TG_SOCKET_PATH_MAX];
    struct tg_text why;
    tg_text_init(&why);
    json_t *reply = NULL;
    if (!request)
        tg_text_appendf(&why, "names and notes must be UTF-8");
    else if (tg_socket_path(arguments->socket, false, path, &why))
        reply = tg_admin_ask(path, request, seconds, &why);
    json_decref(request);
    if (!reply) {
        fprintf(stderr, "tidegate: %s\n", why.at ? why.at : "out of memory");
    } else if (!json_is_true(json_object_get(reply, "ok"))) {
        const char *error = json_string_value(json_object_get(reply, "error"));
        fprintf(stderr, "%s\n", error ? error : "refused");
        json_decref(reply);
        reply = NULL;
    }
    tg_text_deinit(&why);
    return reply;
}

/* Prints the generation that is current now. */
static int finish_change(json_t *reply)
{
    if (!reply)
        return TG_EXIT_FAILED;
    int workers = (int)json_integer_value(json_object_get(reply, "workers"));
    printf("generation %lld is current on %d worker%s\n",
           (long long)json_integer_value(json_object_get(reply, "generation")), workers, workers == 1 ? "" : "s");
    json_decref(reply);
    return TG_EXIT_OK;
}

/* What is shown in a line of a terminal. */
static bool is_short_line(const char *option, const char *text)
{
    enum { LONGEST = 1000 };
    size_t length = text ? strlen(text) : 0;
    if (length > LONGEST) {
        fprintf(stderr, "tidegate reload: %s takes at most %d bytes, not %zu\n", option, LONGEST, length);
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)text[i] >= 0x20 && text[i] != 0x7F)
            continue;
        fprintf(stderr, "tidegate reload: %s takes one line without control characters\n", option);
        return false;
    }
    return true;
}

int tg_command_reload(const struct tg_arguments *arguments)
{
    if (!is_short_line("--name", arguments->name) || !is_short_line("--note", arguments->note))
        return TG_EXIT_USAGE;
    json_t *request = json_pack("{ssss*ss*}", "command", "reload", "name", arguments->name, "note", arguments->note);
    return finish_change(ask(arguments, request, long_time));
}

int tg_command_rollback(const struct tg_arguments *arguments)
{
    uint64_t number = 0;
    struct tg_slice given = tg_slice_from_string(arguments->operand);
    if (arguments->operand && (!tg_slice_to_u64(given, &number) || number == 0)) {
        fprintf(stderr, "tidegate rollback: \"%s\" is no number of a generation; see `tidegate generations`\n",
                arguments->operand);
        return TG_EXIT_USAGE;
    }
    json_t *request = json_pack("{sssI}", "command", "rollback", "generation", (json_int_t)number);
    return finish_change(ask(arguments, request, long_time));
}

static int finish_quietly(json_t *reply, const char *said)
{
    if (!reply)
        return TG_EXIT_FAILED;
    printf("%s\n", said);
    json_decref(reply);
    return TG_EXIT_OK;
}

int tg_command_stop(const struct tg_arguments *arguments)
{
    return finish_quietly(ask(arguments, request_for("stop"), long_time), "stopped");
}

int tg_command_reopen_logs(const struct tg_arguments *arguments)
{
    return finish_quietly(ask(arguments, request_for("reopen-logs"), short_time), "the logs are opened again");
}

int tg_command_drop_vm(const struct tg_arguments *arguments)
{
    return finish_quietly(ask(arguments, request_for("debug-drop-vm"), short_time), "dropped and built again");
}

static int show(const struct tg_arguments *arguments, const char *command, void (*print)(const json_t *reply))
{
    json_t *reply = ask(arguments, request_for(command), short_time);
    if (!reply)
        return TG_EXIT_FAILED;
    json_object_del(reply, "ok");
    if (!arguments->json) {
        print(reply);
    } else {
        json_dumpf(reply, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    json_decref(reply);
    return TG_EXIT_OK;
}

int tg_command_generations(const struct tg_arguments *arguments)
{
    return show(arguments, "generations", tg_print_generations);
}

int tg_command_status(const struct tg_arguments *arguments)
{
    return show(arguments, "status", tg_print_status);
}

int tg_command_metrics(const struct tg_arguments *arguments)
{
    json_t *reply = ask(arguments, request_for("metrics"), short_time);
    if (!reply)
        return TG_EXIT_FAILED;
    const char *text = json_string_value(json_object_get(reply, "text"));
    fputs(text ? text : "", stdout);
    json_decref(reply);
    return TG_EXIT_OK;
}
