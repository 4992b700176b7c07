#include "proxy/forwarding.h"

#include "proxy/grpc_call.h"
#include "proxy/peer.h"

/* How an upstream is called in a Host line: its address as declared; a Unix socket has no name of its own. */
static struct tg_slice upstream_host(const struct tg_exchange *exchange)
{
    if (!exchange->peer || tg_address_is_unix(&exchange->peer->address))
        return TG_SLICE("localhost");
    return exchange->peer->name;
}

static bool set_host(struct tg_exchange *exchange, const char **problem)
{
    struct tg_request_head *out = &exchange->outgoing;
    enum tg_host_header kind = exchange->route ? exchange->route->host_header : TG_HOST_PRESERVE;
    if (exchange->host_changed)
        return true;
    if (kind == TG_HOST_NAME)
        return tg_authority_parse(exchange->route->host_name, &exchange->arena, &out->authority, problem);
    /* HTTP/1.0 may come without a host, and goes on as HTTP/1.1, which may not. */
    if (kind == TG_HOST_UPSTREAM || out->authority.text.length == 0)
        return tg_authority_parse(upstream_host(exchange), &exchange->arena, &out->authority, problem);
    return true;
}

static bool rewrite(struct tg_exchange *exchange, const char **problem)
{
    struct tg_target *target = &exchange->outgoing.target;
    struct tg_slice expanded;
    *problem = "no memory for the rewritten path, or a name in the template that the path lacks";
    if (!tg_route_expand(exchange->route->rewrite, &exchange->parameters, &exchange->arena, &expanded))
        return false;
    if (!tg_path_normalise(expanded, &exchange->arena, &target->path, problem))
        return false;
    target->raw_path = target->path;
    return true;
}

static bool set_target(struct tg_exchange *exchange, const char **problem)
{
    struct tg_target *target = &exchange->outgoing.target;
    if (target->form == TG_TARGET_ASTERISK)
        return true;
    target->form = TG_TARGET_ORIGIN;
    target->scheme = target->authority = (struct tg_slice){ 0 };
    if (exchange->rewritten)
        target->raw_path = target->path;
    else if (exchange->route && exchange->route->rewrite.length > 0)
        return rewrite(exchange, problem);
    return true;
}

bool tg_forwarding_prepare(struct tg_exchange *exchange, const char **problem)
{
    struct tg_request_head *out = &exchange->outgoing;
    *out = exchange->request;
    *problem = "out of memory";
    return tg_fields_copy(&out->fields, &exchange->request.fields, &exchange->arena) &&
           tg_forward_set(&out->fields, &exchange->request, &exchange->peer_ip, &exchange->client,
                          exchange->listener_port) &&
           (!exchange->grpc || tg_grpc_call_prepare(exchange)) && set_host(exchange, problem) &&
           set_target(exchange, problem);
}
