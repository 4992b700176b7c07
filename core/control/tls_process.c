#include "control/tls_process.h"

#include "base/log.h"
#include "net/tls_library.h"
#include "net/tls_tickets.h"

static void rotate(struct tg_deadline *deadline)
{
    struct tg_tls_process *process = TG_CONTAINER_OF(deadline, struct tg_tls_process, rotation);
    if (!tg_ticket_keys_rotate(process->made_with.tickets))
        tg_log(TG_LOG_ERROR, "no randomness for a new key of session tickets: the old one stays");
    tg_deadline_in(deadline, process->every);
}

bool tg_tls_process_init(struct tg_tls_process *process, struct tg_loop *loop)
{
    *process = (struct tg_tls_process){ .made_with.tickets = tg_ticket_keys_new() };
    tg_deadline_init(&process->rotation, loop, rotate);
    return process->made_with.tickets != NULL;
}

void tg_tls_process_deinit(struct tg_tls_process *process)
{
    if (process->rotation.loop)
        tg_deadline_deinit(&process->rotation);
    tg_ticket_keys_free(process->made_with.tickets);
    tg_tls_library_close(process->made_with.library);
}

void tg_tls_process_rotate_every(struct tg_tls_process *process, double seconds)
{
    if (seconds == process->every)
        return;
    process->every = seconds;
    tg_deadline_in(&process->rotation, seconds);
}
