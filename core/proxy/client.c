#include "proxy/client.h"

void tg_client_enter(struct tg_client *client, const struct tg_client_ops *ops, struct tg_worker *worker,
                     struct tg_stream *stream, const struct tg_client_info *info)
{
    client->ops = ops;
    client->worker = worker;
    client->stream = stream;
    client->info = *info;
    tg_tls_facts_ref(client->info.tls);
    tg_list_append(&worker->clients, &client->link);
    tg_counters_add(tg_loop_counters(worker->loop), TG_COUNTER_CONNECTIONS_OPEN, 1);
}

void tg_client_leave(struct tg_client *client)
{
    client->stream = NULL;
    tg_list_remove(&client->link);
    tg_tls_facts_unref(client->info.tls);
    client->info.tls = NULL;
    tg_counters_add(tg_loop_counters(client->worker->loop), TG_COUNTER_CONNECTIONS_OPEN, -1);
}

void tg_client_ended(struct tg_client *client)
{
    struct tg_worker *worker = client->worker;
    tg_client_leave(client);
    tg_accept_ended(worker->acceptor, &worker->connections);
    tg_worker_quiet_if_drained(worker);
}
