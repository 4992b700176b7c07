#include "proxy/router_tree.h"

#include <stdlib.h>

enum { FIRST_CAPACITY = 64 };

void tg_route_tree_init(struct tg_route_tree *tree)
{
    *tree = (struct tg_route_tree){ 0 };
    tg_arena_init(&tree->arena);
}

void tg_route_tree_deinit(struct tg_route_tree *tree)
{
    free(tree->edges);
    tg_arena_deinit(&tree->arena);
}

/* No key is needed here: clients can't add edges, and what they look up costs a few steps at most, since the table is
 * never more than half full of edges that the operator chose. */
static uint32_t hash_of(uint32_t parent, struct tg_slice text)
{
    uint64_t hash = (parent + 1) * 0x9e3779b97f4a7c15u;
    size_t done = 0;
    for (; done + 8 <= text.length; done += 8) {
        uint64_t word;
        memcpy(&word, text.at + done, 8);
        hash = (hash ^ word) * 0xff51afd7ed558ccdu;
        hash ^= hash >> 32;
    }
    uint64_t last = text.length;
    for (; done < text.length; done++)
        last = last << 8 | (unsigned char)text.at[done];
    hash = (hash ^ last) * 0xc4ceb9fe1a85ec53u;
    return (uint32_t)(hash ^ hash >> 32);
}

/* The edge's place, or the free one where it would be. */
static struct tg_route_edge *place_of(const struct tg_route_tree *tree, uint32_t parent, struct tg_slice text,
                                      uint32_t hash)
{
    size_t mask = tree->edge_capacity - 1;
    for (size_t at = hash & mask;; at = (at + 1) & mask) {
        struct tg_route_edge *edge = &tree->edges[at];
        if (!edge->child)
            return edge;
        if (edge->hash == hash && edge->parent == parent && tg_slice_equal(edge->text, text))
            return edge;
    }
}

static bool make_room(struct tg_route_tree *tree)
{
    if (tree->edge_count * 2 < tree->edge_capacity)
        return true;

    struct tg_route_tree larger = { .edge_capacity = tree->edge_capacity ? tree->edge_capacity * 2 : FIRST_CAPACITY };
    larger.edges = calloc(larger.edge_capacity, sizeof(*larger.edges));
    if (!larger.edges)
        return false;
    for (size_t i = 0; i < tree->edge_capacity; i++) {
        const struct tg_route_edge *edge = &tree->edges[i];
        if (edge->child)
            *place_of(&larger, edge->parent, edge->text, edge->hash) = *edge;
    }
    free(tree->edges);
    tree->edges = larger.edges;
    tree->edge_capacity = larger.edge_capacity;
    return true;
}

struct tg_route_node *tg_route_tree_add_node(struct tg_route_tree *tree)
{
    struct tg_route_node *node = tg_arena_alloc_zeroed(&tree->arena, sizeof(*node));
    if (node)
        node->id = tree->node_count++;
    return node;
}

struct tg_route_node *tg_route_tree_grow(struct tg_route_tree *tree, struct tg_route_node *parent, struct tg_slice text)
{
    if (!make_room(tree))
        return NULL;
    uint32_t hash = hash_of(parent->id, text);
    struct tg_route_edge *edge = place_of(tree, parent->id, text, hash);
    if (edge->child)
        return edge->child;

    struct tg_slice copy = tg_arena_copy(&tree->arena, text);
    struct tg_route_node *child = copy.at ? tg_route_tree_add_node(tree) : NULL;
    if (!child)
        return NULL;
    *edge = (struct tg_route_edge){ .text = copy, .child = child, .parent = parent->id, .hash = hash };
    tree->edge_count++;
    parent->has_texts = true;
    return child;
}

struct tg_route_node *tg_route_tree_find(const struct tg_route_tree *tree, const struct tg_route_node *parent,
                                         struct tg_slice text)
{
    if (!parent->has_texts)
        return NULL;
    return place_of(tree, parent->id, text, hash_of(parent->id, text))->child;
}
