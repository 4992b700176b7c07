/* The words of the command line: which commands there are, which options each takes, and what was given. */
#ifndef TG_CONTROL_COMMAND_LINE_H
#define TG_CONTROL_COMMAND_LINE_H

#include <stdbool.h>
#include <stdint.h>

enum tg_exit_code { TG_EXIT_OK, TG_EXIT_FAILED, TG_EXIT_USAGE };

/* What was given; text points into argv and may be NULL. */
struct tg_arguments {
    const char *program; /* argv[0] */
    const char *file, *socket, *lua_path, *name, *note;
    const char *operand; /* FOLDER, GENERATION or COMMAND */
    uint32_t workers;    /* 0: not given */
    bool watch, json, help;
};

struct tg_command {
    const char *name;
    const char *operand; /* as help shows it; NULL: takes none */
    const char *options; /* the letters of those it takes */
    const char *summary; /* a line; NULL: not shown in help */
    const char *description;
    int (*run)(const struct tg_arguments *arguments);
};

/* The table of commands, ended by a NULL name. */
extern const struct tg_command tg_commands[];

/* Finds the command and runs it; the exit code of the process. */
int tg_command_line_run(int argc, char **argv);

/* Each command. */
int tg_command_run(const struct tg_arguments *arguments);
int tg_command_check(const struct tg_arguments *arguments);
int tg_command_reload(const struct tg_arguments *arguments);
int tg_command_rollback(const struct tg_arguments *arguments);
int tg_command_generations(const struct tg_arguments *arguments);
int tg_command_status(const struct tg_arguments *arguments);
int tg_command_metrics(const struct tg_arguments *arguments);
int tg_command_stop(const struct tg_arguments *arguments);
int tg_command_reopen_logs(const struct tg_arguments *arguments);
int tg_command_drop_vm(const struct tg_arguments *arguments);
int tg_command_types(const struct tg_arguments *arguments);

#endif
