#include "control/command_line.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/slice.h"
#include "control/libraries.h"
#include "control/suggestion.h"
#include "script/version.h"

enum { WORKERS_MAX = 256, WORDS_MAX = 32 };

/* An option: its letter in the table of commands, how it is written, and where its value goes. */
struct option {
    char letter;
    const char *name, *short_name; /* short_name may be NULL */
    const char *value;             /* as help shows it; NULL: a switch */
    size_t offset;                 /* in tg_arguments: of a const char *, or of a bool */
    const char *summary;
};

#define AT(member) offsetof(struct tg_arguments, member)

static const struct option options[] = {
    { 'c', "--config", "-c", "FILE", AT(file), "the configuration (default: gateway.lua)" },
    { 'w', "--workers", NULL, "N", AT(workers), "number of workers (default: one for each CPU)" },
    { 'W', "--watch", NULL, NULL, AT(watch), "reload whenever a file of the configuration changes" },
    { 's', "--socket", NULL, "PATH", AT(socket),
      "the admin socket (default: in $XDG_RUNTIME_DIR or /tmp/tidegate-UID)" },
    { 'l', "--lua-path", NULL, "FOLDER", AT(lua_path), "lua/ and scripts/ in FOLDER win over those in the binary" },
    { 'n', "--name", NULL, "NAME", AT(name), "name of the generation" },
    { 'N', "--note", NULL, "TEXT", AT(note), "what it changes" },
    { 'j', "--json", NULL, NULL, AT(json), "for programs" },
    { 'h', "--help", "-h", NULL, AT(help), "show this" },
};

enum { OPTION_COUNT = sizeof options / sizeof *options };

static bool takes(const struct tg_command *command, const struct option *option)
{
    return option->letter == 'h' || strchr(command->options, option->letter) != NULL;
}

/* --- help --- */

static void print_version(void)
{
    printf("tidegate %s (OpenSSL %s, nghttp2 %s)\n", TG_VERSION, tg_libraries_openssl(), tg_libraries_nghttp2());
}

static void print_overview(FILE *to)
{
    fprintf(to, "tidegate: a programmable gateway\n\nusage: tidegate COMMAND [OPTIONS]\n\n");
    for (const struct tg_command *command = tg_commands; command->name; command++) {
        char call[64];
        snprintf(call, sizeof call, "%s%s%s", command->name, command->operand ? " " : "",
                 command->operand ? command->operand : "");
        if (command->summary)
            fprintf(to, "  %-24s%s\n", call, command->summary);
    }
    fprintf(to, "  %-24s%s\n", "help [COMMAND]", "show this, or what a command does");
    fprintf(to, "  %-24s%s\n\n", "--version", "show the version");
    fprintf(to,
            "`tidegate COMMAND --help` shows the options of a command. Exit codes: 0 done, 1 refused or failed, 2 not\n"
            "understood.\n");
}

static void print_command(const struct tg_command *command)
{
    printf("usage: tidegate %s [OPTIONS]%s%s\n\n%s\n", command->name, command->operand ? " " : "",
           command->operand ? command->operand : "", command->description);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        char call[64];
        const struct option *option = &options[i];
        if (!takes(command, option))
            continue;
        snprintf(call, sizeof call, "%s%s%s%s%s", option->short_name ? option->short_name : "",
                 option->short_name ? ", " : "", option->name, option->value ? " " : "",
                 option->value ? option->value : "");
        printf("  %-24s%s\n", call, option->summary);
    }
}

/* --- what isn't understood --- */

static int complain(const struct tg_command *command, const char *problem, const char *word, const char *meant)
{
    fprintf(stderr, "tidegate%s%s: %s \"%s\"", command ? " " : "", command ? command->name : "", problem, word);
    if (meant)
        fprintf(stderr, " (did you mean \"%s\"?)", meant);
    fprintf(stderr, "; see `tidegate %s%s--help`\n", command ? command->name : "", command ? " " : "");
    return TG_EXIT_USAGE;
}

static int unknown_command(const char *word)
{
    const char *words[WORDS_MAX] = { "help", "--version" };
    size_t count = 2;
    for (const struct tg_command *command = tg_commands; command->name; command++) {
        if (command->summary)
            words[count++] = command->name;
    }
    return complain(NULL, "unknown command", word, tg_suggestion(word, words, count));
}

static int unknown_option(const struct tg_command *command, const char *word)
{
    const char *words[OPTION_COUNT];
    size_t count = 0;
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (takes(command, &options[i]))
            words[count++] = options[i].name;
    }
    return complain(command, "unknown option", word, tg_suggestion(word, words, count));
}

/* --- parsing --- */

struct words {
    int count;
    char **at;
};

/* "--name VALUE", "--name=VALUE", "-c FILE", "-cFILE". *value: what stands in the same word, or NULL. */
static bool is_option(const struct option *option, const char *word, const char **value)
{
    size_t length = strlen(option->name);
    *value = NULL;
    if (option->short_name && strncmp(word, option->short_name, 2) == 0 && word[1] != '-') {
        *value = word[2] ? word + 2 : NULL;
        return option->value || !word[2];
    }
    if (strncmp(word, option->name, length) != 0)
        return false;
    *value = word[length] == '=' ? word + length + 1 : NULL;
    return !word[length] || (option->value && *value);
}

static const struct option *find_option(const struct tg_command *command, const char *word, const char **value)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (takes(command, &options[i]) && is_option(&options[i], word, value))
            return &options[i];
    }
    return NULL;
}

static bool parse_workers(const char *text, uint32_t *workers)
{
    uint64_t value;
    if (!tg_slice_to_u64(tg_slice_from_string(text), &value) || value < 1 || value > WORKERS_MAX)
        return false;
    *workers = (uint32_t)value;
    return true;
}

static int store(const struct tg_command *command, const struct option *option, const char *value,
                 struct tg_arguments *arguments)
{
    char *place = (char *)arguments + option->offset;
    if (!option->value)
        *(bool *)(void *)place = true;
    else if (option->letter != 'w')
        *(const char **)(void *)place = value;
    else if (!parse_workers(value, (uint32_t *)(void *)place))
        return complain(command, "--workers takes a number from 1 to 256, not", value, NULL);
    return TG_EXIT_OK;
}

static int parse_option(const struct tg_command *command, struct words *words, struct tg_arguments *arguments)
{
    const char *value, *word = *words->at;
    const struct option *option = find_option(command, word, &value);
    if (!option)
        return unknown_option(command, word);
    if (option->value && !value) {
        if (words->count < 2)
            return complain(command, "a value must follow", word, NULL);
        words->at++;
        words->count--;
        value = *words->at;
    }
    return store(command, option, value, arguments);
}

static int parse_operand(const struct tg_command *command, const char *word, struct tg_arguments *arguments)
{
    bool takes_file = strchr(command->options, 'c') != NULL;
    if (!command->operand || arguments->operand)
        return complain(command, takes_file ? "a configuration is named with -c: unexpected word" : "unexpected word",
                        word, NULL);
    arguments->operand = word;
    return TG_EXIT_OK;
}

static int parse(const struct tg_command *command, struct words words, struct tg_arguments *arguments)
{
    bool only_operands = false;
    for (; words.count > 0; words.at++, words.count--) {
        const char *word = *words.at;
        int problem = TG_EXIT_OK;
        if (!only_operands && strcmp(word, "--") == 0)
            only_operands = true;
        else if (!only_operands && word[0] == '-' && word[1])
            problem = parse_option(command, &words, arguments);
        else
            problem = parse_operand(command, word, arguments);
        if (problem)
            return problem;
    }
    return TG_EXIT_OK;
}

/* --- commands --- */

static const struct tg_command *find_command(const char *name)
{
    for (const struct tg_command *command = tg_commands; command->name; command++) {
        if (strcmp(command->name, name) == 0)
            return command;
    }
    return NULL;
}

static int run_help(int argc, char **argv)
{
    if (argc < 3) {
        print_overview(stdout);
        return TG_EXIT_OK;
    }
    const struct tg_command *command = find_command(argv[2]);
    if (!command)
        return unknown_command(argv[2]);
    print_command(command);
    return TG_EXIT_OK;
}

static int run_command(const struct tg_command *command, int argc, char **argv)
{
    struct tg_arguments arguments = { .program = argv[0], .file = "gateway.lua" };
    int problem = parse(command, (struct words){ argc - 2, argv + 2 }, &arguments);
    if (arguments.help) {
        print_command(command);
        return TG_EXIT_OK;
    }
    return problem ? problem : command->run(&arguments);
}

int tg_command_line_run(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "";
    if (argc < 2) {
        print_overview(stderr);
        return TG_EXIT_USAGE;
    }
    if (strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return run_help(argc, argv);
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0 || strcmp(word, "version") == 0) {
        print_version();
        return TG_EXIT_OK;
    }
    const struct tg_command *command = find_command(word);
    return command ? run_command(command, argc, argv) : unknown_command(word);
}
