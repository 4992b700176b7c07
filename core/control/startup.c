#include "control/startup.h"

#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

#include "control/metrics_server.h"
#include "script/script.h"

static void on_http(void *context, int descriptor, struct tg_slice bytes)
{
    tg_metrics_server_adopt(((struct tg_gateway *)context)->metrics, descriptor, bytes);
}

static bool open_admin(struct tg_gateway *gateway)
{
    static const struct tg_admin_server_ops ops = { .on_call = tg_gateway_on_call, .on_http = on_http };
    struct tg_text why;
    tg_text_init(&why);
    if (tg_admin_socket_listen(&gateway->socket, &why))
        gateway->admin = tg_admin_server_new(gateway->loop, &gateway->socket, &ops, gateway);
    if (!gateway->admin)
        fprintf(stderr, "tidegate: %s\n", why.at ? why.at : "out of memory");
    tg_text_deinit(&why);
    return gateway->admin != NULL;
}

/* An address that curl takes; any IPv4 or IPv6 address is reached through loopback. */
static void append_url(struct tg_text *text, const struct tg_address *address, const char *scheme)
{
    char room[128];
    struct tg_address reached = *address;
    if (reached.any.sa_family == AF_INET) {
        struct sockaddr_in *in = (struct sockaddr_in *)(void *)&reached.storage;
        if (in->sin_addr.s_addr == htonl(INADDR_ANY))
            in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    } else if (reached.any.sa_family == AF_INET6) {
        struct sockaddr_in6 *in = (struct sockaddr_in6 *)(void *)&reached.storage;
        if (IN6_IS_ADDR_UNSPECIFIED(&in->sin6_addr))
            in->sin6_addr = in6addr_loopback;
    }
    int length = (int)tg_address_format(&reached, room);
    if (tg_address_is_unix(&reached))
        tg_text_appendf(text, "--unix-socket %.*s http://localhost/", length - 5, room + 5);
    else
        tg_text_appendf(text, "%s://%.*s/", scheme, length, room);
}

static void append_hints(struct tg_text *text, const struct tg_gateway *gateway, const struct tg_snapshot *snapshot)
{
    const struct tg_gateway_options *options = &gateway->options;
    if (gateway->listeners.count > 0 && snapshot->listener_count > 0) {
        bool tls = snapshot->listeners[0].tls != NULL;
        tg_text_appendf(text, tls ? "  try:    curl -ik " : "  try:    curl -i ");
        append_url(text, tg_listener_address(gateway->listeners.at[0].listener), tls ? "https" : "http");
        tg_text_appendf(text, "\n");
    }
    tg_text_appendf(text, "  edit:   %s\n", options->file);
    tg_text_appendf(text, "  reload: %s reload", options->program);
    if (!tg_socket_path_is_default(gateway->socket.path))
        tg_text_appendf(text, " --socket %s", gateway->socket.path);
    tg_text_appendf(text, "\n");
}

/* In one write, so that whoever waits for the first line has them all. */
static void write_out(const struct tg_text *text)
{
    struct tg_slice rest = tg_text_slice(text);
    while (rest.length > 0) {
        ssize_t written = write(STDERR_FILENO, rest.at, rest.length);
        if (written <= 0)
            return;
        rest = tg_slice_from(rest, (size_t)written);
    }
}

bool tg_startup_finish(struct tg_gateway *gateway, const struct tg_generation *generation)
{
    if (!open_admin(gateway))
        return false;
    struct tg_text text;
    tg_text_init(&text);
    for (size_t i = 0; i < gateway->listeners.count; i++) {
        char room[128];
        int length = (int)tg_address_format(tg_listener_address(gateway->listeners.at[i].listener), room);
        tg_text_appendf(&text, "listening on %.*s\n", length, room);
    }
    tg_text_appendf(&text, "ready: generation %llu, %u worker%s, admin socket %s\n",
                    (unsigned long long)generation->number, gateway->worker_count,
                    gateway->worker_count == 1 ? "" : "s", gateway->socket.path);
    append_hints(&text, gateway, generation->snapshot);
    write_out(&text);
    tg_text_deinit(&text);
    return true;
}
