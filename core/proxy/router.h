/* Which route takes a request: the most specific wins; host, then path segment by segment, then
 * method and listener. A tree: its cost grows with the length of the path, not with the number of routes. Built by the
 * loader, immutable, any thread reads. */
#ifndef TG_PROXY_ROUTER_H
#define TG_PROXY_ROUTER_H

#include "proxy/route.h"

enum { TG_ROUTE_PARAMETERS_MAX = 16 };

/* What a match captured; slices of the normalised path, still encoded. */
struct tg_route_parameters {
    size_t count;
    struct {
        struct tg_slice name; /* "id", "rest", "*" for an unnamed rest */
        struct tg_slice value;
    } at[TG_ROUTE_PARAMETERS_MAX];
};

struct tg_router *tg_router_new(void);
void tg_router_free(struct tg_router *router);

/* One declared pattern of a route. methods: a bit set of enum tg_method (0: any; GET implies HEAD); other_methods:
 * further ones as text. host: exact, a wildcard of a suffix, or empty for any. listener: a name, or empty. path:
 * "/exact", "/users/:id" or "/files/" with a rest, named or not; a rest as last segment also matches the path without
 * it. false: `why` says what is wrong with the pattern, or which route ties with it ("ties with route "a"
 * (gateway.lua:3)"). */
bool tg_router_add(struct tg_router *router, struct tg_route *route, struct tg_slice listener, struct tg_slice host,
                   struct tg_slice path, uint32_t methods, const struct tg_slice *other_methods, size_t other_count,
                   char why[512]) __attribute__((warn_unused_result));

struct tg_route_query {
    struct tg_slice listener; /* its name */
    struct tg_slice host;     /* canonical */
    struct tg_slice path;     /* normalised; an asterisk alone (OPTIONS) matches only a route for all paths */
    enum tg_method method;
    struct tg_slice method_text;
};

/* NULL: none. *path_taken tells that routes exist for this path with other methods (405 would be right; API says
 * no_route 404 unless so). */
struct tg_route *tg_router_match(const struct tg_router *router, const struct tg_route_query *query,
                                 struct tg_route_parameters *parameters, bool *path_taken);

/* Fills a template such as "/v1/:id" or "/orders/:order" with captured values, as they stand encoded. false: a name
 * isn't captured, or out of memory. */
bool tg_route_expand(struct tg_slice template_text, const struct tg_route_parameters *parameters,
                     struct tg_arena *arena, struct tg_slice *out) __attribute__((warn_unused_result));

#endif
