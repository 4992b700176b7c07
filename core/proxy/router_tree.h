/* The tree under the router: nodes for segments, found by hash, with the routes that end at them. Built once, then
 * only read, by any thread. */
#ifndef TG_PROXY_ROUTER_TREE_H
#define TG_PROXY_ROUTER_TREE_H

#include "proxy/route.h"

/* One declared pattern, where its path ends. */
struct tg_route_entry {
    struct tg_route_entry *next;
    struct tg_route *route;
    struct tg_slice listener; /* empty: any */
    uint32_t methods;         /* bits of enum tg_method; 0 with no other_methods: any */
    const struct tg_slice *other_methods;
    size_t other_count;
    const struct tg_slice *names; /* of the parameters, in the order of the path */
    size_t name_count;
};

struct tg_route_node {
    uint32_t id;
    bool has_texts;                  /* some edge leaves this node */
    struct tg_route_node *parameter; /* for any one segment; NULL: none */
    struct tg_route_entry *exact;    /* paths that end here */
    struct tg_route_entry *rest;     /* paths that end in a rest below here */
};

/* From a node by a text to another. One table holds the edges of all nodes. */
struct tg_route_edge {
    struct tg_slice text;
    struct tg_route_node *child; /* NULL: a free place */
    uint32_t parent;
    uint32_t hash;
};

struct tg_route_tree {
    struct tg_arena arena; /* nodes, entries and texts */
    struct tg_route_edge *edges;
    size_t edge_capacity, edge_count;
    uint32_t node_count;
};

void tg_route_tree_init(struct tg_route_tree *tree);
void tg_route_tree_deinit(struct tg_route_tree *tree);
/* NULL when out of memory. */
struct tg_route_node *tg_route_tree_add_node(struct tg_route_tree *tree);
/* The child of `parent` by `text`, made where it isn't there; NULL when out of memory. */
struct tg_route_node *tg_route_tree_grow(struct tg_route_tree *tree, struct tg_route_node *parent,
                                         struct tg_slice text);
/* NULL where there is none. */
struct tg_route_node *tg_route_tree_find(const struct tg_route_tree *tree, const struct tg_route_node *parent,
                                         struct tg_slice text);

#endif
