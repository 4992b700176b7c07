#include "proxy/router.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/router_tree.h"

enum { SEGMENTS_MAX = 64, HOST_MAX = 255 };

struct tg_router {
    struct tg_route_tree tree;
    /* Above the paths: the roots of hosts that are given whole, those of "*.suffix", and the root for any host. */
    struct tg_route_node *hosts, *suffixes, *any_host;
};

struct tg_router *tg_router_new(void)
{
    struct tg_router *router = calloc(1, sizeof(*router));
    if (!router)
        return NULL;
    tg_route_tree_init(&router->tree);
    router->hosts = tg_route_tree_add_node(&router->tree);
    router->suffixes = tg_route_tree_add_node(&router->tree);
    router->any_host = tg_route_tree_add_node(&router->tree);
    if (router->hosts && router->suffixes && router->any_host)
        return router;
    tg_router_free(router);
    return NULL;
}

void tg_router_free(struct tg_router *router)
{
    tg_route_tree_deinit(&router->tree);
    free(router);
}

/* The segment that `path`, which follows a slash, begins with; *more tells whether another one follows, *after what
 * begins it. */
static struct tg_slice first_segment(struct tg_slice path, struct tg_slice *after, bool *more)
{
    const char *slash = path.length ? memchr(path.at, '/', path.length) : NULL;
    *more = slash != NULL;
    if (!slash)
        return path;
    size_t length = (size_t)(slash - path.at);
    *after = tg_slice_from(path, length + 1);
    return tg_slice_of(path.at, length);
}

/* --- adding ------------------------------------------------------------------------------------------------------ */

static bool refuse(char why[512], const char *text, struct tg_slice subject)
{
    snprintf(why, 512, "%s \"%.*s\"", text, (int)(subject.length < 300 ? subject.length : 300),
             subject.at ? subject.at : "");
    return false;
}

static bool refuse_memory(char why[512])
{
    snprintf(why, 512, "out of memory");
    return false;
}

static bool host_text_valid(struct tg_slice host)
{
    bool literal = host.length > 2 && host.at[0] == '[';
    for (size_t i = 0; i < host.length; i++) {
        unsigned char c = (unsigned char)host.at[i];
        if (c <= ' ' || c >= 0x7f || c == '*' || c == '/' || c == '@' || (c == ':' && !literal))
            return false;
    }
    return host.length > 0 && host.at[0] != '.';
}

static bool find_root(struct tg_router *router, struct tg_slice host, struct tg_route_node **root, char why[512])
{
    if (host.length == 0) {
        *root = router->any_host;
        return true;
    }
    struct tg_route_node *parent = router->hosts;
    struct tg_slice text = host;
    if (text.length > 2 && text.at[0] == '*' && text.at[1] == '.') {
        parent = router->suffixes;
        text = tg_slice_from(text, 2);
    }
    if (text.length > 1 && text.at[text.length - 1] == '.')
        text.length--;
    if (text.length > HOST_MAX || !host_text_valid(text))
        return refuse(why, "not a host, nor \"*.\" and a domain:", host);

    char lower[HOST_MAX];
    for (size_t i = 0; i < text.length; i++)
        lower[i] = (char)tg_ascii_lower((unsigned char)text.at[i]);
    *root = tg_route_tree_grow(&router->tree, parent, tg_slice_of(lower, text.length));
    return *root ? true : refuse_memory(why);
}

/* A path taken apart while its nodes are found or made. */
struct pattern {
    struct tg_slice path;
    struct tg_route_node *node;
    struct tg_slice names[TG_ROUTE_PARAMETERS_MAX];
    size_t name_count;
    bool rest;
};

static bool add_name(struct pattern *pattern, struct tg_slice name, char why[512])
{
    for (size_t i = 0; i < pattern->name_count; i++)
        if (tg_slice_equal(pattern->names[i], name))
            return refuse(why, "a parameter is named twice in the path", pattern->path);
    if (pattern->name_count == TG_ROUTE_PARAMETERS_MAX)
        return refuse(why, "more than 16 parameters in the path", pattern->path);
    pattern->names[pattern->name_count++] = name;
    return true;
}

static bool add_rest(struct pattern *pattern, struct tg_slice segment, bool last, char why[512])
{
    if (!last)
        return refuse(why, "a rest (*) must be the last segment of the path", pattern->path);
    pattern->rest = true;
    return add_name(pattern, segment.length > 1 ? tg_slice_from(segment, 1) : segment, why);
}

static bool add_parameter(struct tg_router *router, struct pattern *pattern, struct tg_slice segment, char why[512])
{
    if (segment.length == 1)
        return refuse(why, "a parameter without a name in the path", pattern->path);
    if (!add_name(pattern, tg_slice_from(segment, 1), why))
        return false;
    if (!pattern->node->parameter)
        pattern->node->parameter = tg_route_tree_add_node(&router->tree);
    pattern->node = pattern->node->parameter;
    return pattern->node ? true : refuse_memory(why);
}

static bool add_text(struct tg_router *router, struct pattern *pattern, struct tg_slice segment, char why[512])
{
    pattern->node = tg_route_tree_grow(&router->tree, pattern->node, segment);
    return pattern->node ? true : refuse_memory(why);
}

static bool add_path(struct tg_router *router, struct pattern *pattern, char why[512])
{
    struct tg_slice after = tg_slice_from(pattern->path, 1);
    bool more = true;
    for (size_t count = 0; more; count++) {
        struct tg_slice segment = first_segment(after, &after, &more);
        bool done;
        if (count == SEGMENTS_MAX)
            return refuse(why, "more than 64 segments in the path", pattern->path);
        if (segment.length > 0 && segment.at[0] == '*')
            done = add_rest(pattern, segment, !more, why);
        else if (segment.length > 0 && segment.at[0] == ':')
            done = add_parameter(router, pattern, segment, why);
        else
            done = add_text(router, pattern, segment, why);
        if (!done)
            return false;
    }
    return true;
}

static bool names_method(const struct tg_route_entry *entry, enum tg_method method, struct tg_slice text)
{
    if (method != TG_METHOD_OTHER)
        return entry->methods >> method & 1;
    for (size_t i = 0; i < entry->other_count; i++)
        if (tg_slice_equal(entry->other_methods[i], text))
            return true;
    return false;
}

static bool any_method(const struct tg_route_entry *entry)
{
    return entry->methods == 0 && entry->other_count == 0;
}

static bool ties(const struct tg_route_entry *a, const struct tg_route_entry *b)
{
    if (!tg_slice_equal(a->listener, b->listener))
        return false;
    if (any_method(a) || any_method(b))
        return any_method(a) && any_method(b);
    if (a->methods & b->methods)
        return true;
    for (size_t i = 0; i < a->other_count; i++)
        if (names_method(b, TG_METHOD_OTHER, a->other_methods[i]))
            return true;
    return false;
}

static bool refuse_tie(char why[512], const struct tg_route *route)
{
    snprintf(why, 512,
             "ties with route \"%.*s\" (%.*s): both match the same requests; give one another host, path, method or "
             "listener",
             (int)route->name.length, route->name.at, (int)route->declared_at.length,
             route->declared_at.at ? route->declared_at.at : "");
    return false;
}

static bool copy_slices(struct tg_arena *arena, const struct tg_slice *from, size_t count, const struct tg_slice **to)
{
    struct tg_slice *copies = tg_arena_alloc(arena, (count ? count : 1) * sizeof(*copies));
    if (!copies)
        return false;
    for (size_t i = 0; i < count; i++) {
        copies[i] = tg_arena_copy(arena, from[i]);
        if (!copies[i].at)
            return false;
    }
    *to = copies;
    return true;
}

static bool add_entry(struct tg_router *router, const struct pattern *pattern, const struct tg_route_entry *declared,
                      char why[512])
{
    struct tg_arena *arena = &router->tree.arena;
    struct tg_route_entry **end = pattern->rest ? &pattern->node->rest : &pattern->node->exact;
    for (; *end; end = &(*end)->next)
        if (ties(*end, declared))
            return refuse_tie(why, (*end)->route);

    struct tg_route_entry *entry = tg_arena_alloc(arena, sizeof(*entry));
    if (!entry)
        return refuse_memory(why);
    *entry = *declared;
    entry->listener = tg_arena_copy(arena, declared->listener);
    entry->name_count = pattern->name_count;
    if (!entry->listener.at || !copy_slices(arena, pattern->names, pattern->name_count, &entry->names) ||
        !copy_slices(arena, declared->other_methods, declared->other_count, &entry->other_methods))
        return refuse_memory(why);
    *end = entry;
    return true;
}

bool tg_router_add(struct tg_router *router, struct tg_route *route, struct tg_slice listener, struct tg_slice host,
                   struct tg_slice path, uint32_t methods, const struct tg_slice *other_methods, size_t other_count,
                   char why[512])
{
    struct pattern pattern = { .path = path };
    struct tg_route_entry declared = {
        .route = route,
        .listener = listener,
        .methods = methods,
        .other_methods = other_methods,
        .other_count = other_count,
    };
    const char *problem = NULL;
    if (path.length == 0 || path.at[0] != '/')
        return refuse(why, "a path begins with \"/\":", path);
    if (!tg_path_normalise(path, &router->tree.arena, &pattern.path, &problem)) {
        snprintf(why, 512, "path \"%.*s\": %s", (int)(path.length < 300 ? path.length : 300), path.at, problem);
        return false;
    }
    return find_root(router, host, &pattern.node, why) && add_path(router, &pattern, why) &&
           add_entry(router, &pattern, &declared, why);
}

/* --- matching ---------------------------------------------------------------------------------------------------- */

struct walk {
    const struct tg_route_tree *tree;
    const struct tg_route_query *query;
    struct tg_slice values[TG_ROUTE_PARAMETERS_MAX + 1];
    size_t value_count;
    bool path_taken;
};

/* How closely the entry names the method: 0 not at all, 1 by naming none, 2 GET for a HEAD, 3 by name. */
static int method_rank(const struct tg_route_entry *entry, const struct tg_route_query *query)
{
    if (any_method(entry))
        return 1;
    if (names_method(entry, query->method, query->method_text))
        return 3;
    return query->method == TG_METHOD_HEAD && names_method(entry, TG_METHOD_GET, query->method_text) ? 2 : 0;
}

/* The best of the routes whose path ends at one place: method before listener. */
static const struct tg_route_entry *choose_entry(struct walk *walk, const struct tg_route_entry *entry)
{
    const struct tg_route_entry *best = NULL;
    int best_rank = -1;
    for (; entry; entry = entry->next) {
        bool any_listener = entry->listener.length == 0;
        if (!any_listener && !tg_slice_equal(entry->listener, walk->query->listener))
            continue;
        int method = method_rank(entry, walk->query);
        int rank = method * 2 + !any_listener;
        walk->path_taken |= method == 0;
        if (method == 0 || rank <= best_rank)
            continue;
        best = entry;
        best_rank = rank;
    }
    return best;
}

static const struct tg_route_entry *choose_rest(struct walk *walk, const struct tg_route_node *node,
                                                struct tg_slice value)
{
    const struct tg_route_entry *entry = choose_entry(walk, node->rest);
    if (entry)
        walk->values[walk->value_count++] = value;
    return entry;
}

/* `path` follows a slash; no `more`: the path has ended at this node. A branch that fits better may end in nothing, so
 * the others are tried after it. Each node is reached on one way alone, and the tree is 64 deep at most. */
static const struct tg_route_entry *match_below(struct walk *walk, const struct tg_route_node *node,
                                                struct tg_slice path, bool more)
{
    const struct tg_route_entry *entry = NULL;
    if (!more) {
        entry = choose_entry(walk, node->exact);
        return entry ? entry : choose_rest(walk, node, (struct tg_slice){ "", 0 });
    }

    struct tg_slice after = { "", 0 };
    bool another;
    struct tg_slice segment = first_segment(path, &after, &another);
    const struct tg_route_node *child = tg_route_tree_find(walk->tree, node, segment);
    if (child)
        entry = match_below(walk, child, after, another);
    if (!entry && node->parameter && segment.length > 0) {
        walk->values[walk->value_count++] = segment;
        entry = match_below(walk, node->parameter, after, another);
        if (!entry)
            walk->value_count--;
    }
    return entry ? entry : choose_rest(walk, node, path);
}

static const struct tg_route_entry *match_path(struct walk *walk, const struct tg_route_node *root)
{
    struct tg_slice path = walk->query->path;
    if (!root)
        return NULL;
    walk->value_count = 0;
    if (path.length > 0 && path.at[0] == '/')
        return match_below(walk, root, tg_slice_from(path, 1), true);
    return choose_rest(walk, root, (struct tg_slice){ "", 0 });
}

static const struct tg_route_entry *match_suffixes(const struct tg_router *router, struct walk *walk)
{
    struct tg_slice host = walk->query->host;
    const struct tg_route_entry *entry = NULL;
    const char *dot;
    while (!entry && host.length > 0 && (dot = memchr(host.at, '.', host.length)) != NULL) {
        host = tg_slice_from(host, (size_t)(dot - host.at) + 1);
        entry = match_path(walk, tg_route_tree_find(walk->tree, router->suffixes, host));
    }
    return entry;
}

static void give_parameters(const struct walk *walk, const struct tg_route_entry *entry,
                            struct tg_route_parameters *parameters)
{
    parameters->count = entry->name_count;
    for (size_t i = 0; i < entry->name_count; i++) {
        parameters->at[i].name = entry->names[i];
        parameters->at[i].value = walk->values[i];
    }
}

struct tg_route *tg_router_match(const struct tg_router *router, const struct tg_route_query *query,
                                 struct tg_route_parameters *parameters, bool *path_taken)
{
    struct walk walk = { .tree = &router->tree, .query = query };
    const struct tg_route_entry *entry = match_path(&walk, tg_route_tree_find(walk.tree, router->hosts, query->host));
    if (!entry && router->suffixes->has_texts)
        entry = match_suffixes(router, &walk);
    if (!entry)
        entry = match_path(&walk, router->any_host);
    parameters->count = 0;
    *path_taken = walk.path_taken && !entry;
    if (!entry)
        return NULL;
    give_parameters(&walk, entry, parameters);
    return entry->route;
}
