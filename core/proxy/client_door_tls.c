/* From the first record to the end of the handshake. */
#include <stdio.h>

#include "base/log.h"
#include "proxy/client_door_state.h"

void tg_door_start_tls(struct tg_door *door, const struct tg_listener_config *listener, struct tg_buffer first)
{
    bool asks = listener->client_hello.count > 0 && door->base.worker->hooks;
    door->stage = TG_DOOR_HANDSHAKE;
    tg_deadline_set(&door->deadline, door->until);
    if (asks)
        tg_door_prepare_hello(door, listener);
    if (!tg_stream_start_tls_server(door->base.stream, listener->tls, asks ? &tg_door_hello_ops : NULL,
                                    tg_buffer_ref(first)))
        tg_door_close(door);
}

void tg_door_answer_clear(struct tg_door *door)
{
    static const char ANSWER[] = "HTTP/1.1 400 Bad Request\r\n"
                                 "content-type: text/plain; charset=utf-8\r\n"
                                 "content-length: 47\r\n"
                                 "cache-control: no-store\r\n"
                                 "connection: close\r\n\r\n"
                                 "400 Bad Request\nThis port takes https:// only.\n";
    tg_stream_send(door->base.stream, (struct tg_buffer){ NULL, ANSWER, sizeof(ANSWER) - 1 });
    tg_door_close_gently(door);
}

void tg_door_handshake_done(struct tg_door *door)
{
    struct tg_tls_facts *facts = tg_tls_facts_ref(tg_stream_tls_facts(door->base.stream));
    struct tg_buffer nothing = { 0 };
    door->base.info.tls = facts;
    tg_door_hand_over(door, facts->alpn, nothing);
}

void tg_door_report(struct tg_door *door, const char *what, const char *problem)
{
    struct tg_worker *worker = door->base.worker;
    double now = tg_loop_now(worker->loop);
    char peer[128], local[128], more[80] = "";
    if (worker->door_logged_at > 0 && now < worker->door_logged_at + 1) {
        worker->door_unlogged++;
        return;
    }
    (void)tg_address_format(door->base.info.peer, peer);
    (void)tg_address_format(door->base.info.local, local);
    if (worker->door_unlogged > 0)
        (void)snprintf(more, sizeof(more), " (%llu more such lines were left out before)",
                       (unsigned long long)worker->door_unlogged);
    tg_log(TG_LOG_INFO, "%s: %s of %s: %s%s", local, what, peer, problem ? problem : "unknown", more);
    worker->door_logged_at = now;
    worker->door_unlogged = 0;
}
