/* The commands, in the order in which help shows them. Options by letter: c file, w workers, W watch, s socket, l Lua
 * path, n name, N note, j JSON. */
#include <stddef.h>

#include "control/command_line.h"

const struct tg_command tg_commands[] = {
    { "run", NULL, "cwWsl", "start the gateway",
      "Loads the configuration, opens its listeners and serves until SIGTERM, SIGINT or `tidegate stop`. SIGHUP "
      "reloads,\n"
      "SIGUSR1 opens the log files again.\n",
      tg_command_run },
    { "check", NULL, "clj", "look at a configuration without a running gateway",
      "Loads the configuration, runs `init` of its handlers, and says what is wrong, with file and line.\n",
      tg_command_check },
    { "reload", NULL, "snN", "make the changed configuration current",
      "All workers take the new generation, or none does and the running one goes on. Answers when every worker has\n"
      "switched. Name and note are shown by `tidegate generations`.\n",
      tg_command_reload },
    { "rollback", "[GENERATION]", "s", "go back to the generation before, or to a numbered one",
      "At once, and without the disk: what a generation was read from is kept with it.\n", tg_command_rollback },
    { "generations", NULL, "sj", "show the generations, their files, and what still holds the old ones",
      "An old generation ends with its last request.\n", tg_command_generations },
    { "status", NULL, "sj", "show what the gateway is doing",
      "Generations, workers, listeners, upstreams and their connections, memory, counters.\n", tg_command_status },
    { "metrics", NULL, "s", "show the metrics, as Prometheus reads them",
      "The same that the admin socket answers to GET /metrics: curl --unix-socket PATH http://localhost/metrics.\n",
      tg_command_metrics },
    { "stop", NULL, "s", "end the gateway once running requests have finished",
      "Listeners close at once; what runs is finished up to the deadline of the settings (tg.settings, stop). Answers "
      "when\n"
      "the gateway has ended.\n",
      tg_command_stop },
    { "reopen-logs", NULL, "s", "open the log files again, after they were moved away",
      "Access and error log go on in new files under their old names. SIGUSR1 does the same.\n",
      tg_command_reopen_logs },
    { "types", "[FOLDER]", "", "write annotations for editors",
      "Writes types/tidegate.lua and .luarc.json into FOLDER (default: here), so that editors with the Lua language "
      "server\n"
      "complete and check handlers. A file that differs from what would be written is left as it is.\n",
      tg_command_types },
    { "debug-drop-vm", NULL, "s", NULL,
      "For tests: drops the current VM of each worker and builds it again. Requests that wait in it fail.\n",
      tg_command_drop_vm },
    { NULL, NULL, NULL, NULL, NULL, NULL },
};
