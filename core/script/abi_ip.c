/* Addresses and sets of networks for tg.ip. A set is a trie whose chains are folded: a node for each network and each
 * place where two part, at most two a network. IPv4 and its mapped form are one; an IPv6 network that begins above the
 * mapped addresses, such as ::/0, says nothing of IPv4. */
#include <stdlib.h>

#include "http/ip.h"
#include "script/library.h"

enum { MAX_NODES = 2000000 };

struct node {
    struct tg_cidr prefix;
    bool member;       /* all below are in the set */
    uint32_t child[2]; /* by the bit behind the prefix; 0: none */
};

struct ip_set {
    struct tg_abi_owned owned;
    struct node *nodes; /* the first one isn't used */
    uint32_t count, capacity;
    uint32_t root[2]; /* IPv4, IPv6 */
};

static bool is_ipv4(const struct tg_ip *ip)
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    return memcmp(ip->bytes, mapped, sizeof(mapped)) == 0;
}

static unsigned bit_at(const struct tg_ip *ip, unsigned at)
{
    return (unsigned)ip->bytes[at / 8] >> (7 - at % 8) & 1u;
}

/* How many bits from the first on are the same, at most so many. */
static unsigned common_bits(const struct tg_ip *a, const struct tg_ip *b, unsigned most)
{
    unsigned bits = 0;
    while (bits < most && a->bytes[bits / 8] == b->bytes[bits / 8])
        bits += 8;
    while (bits < most && bit_at(a, bits) == bit_at(b, bits))
        bits++;
    return bits < most ? bits : most;
}

static void destroy_set(struct tg_abi_owned *owned)
{
    free(((struct ip_set *)owned)->nodes);
    free(owned);
}

struct tg_abi_owned *tg_abi_ip_set_new(struct tg_abi_control *control)
{
    struct ip_set *set = tg_owned_new((struct tg_vm *)control, sizeof(*set), destroy_set);
    if (!set)
        return NULL;
    set->count = 1;
    return &set->owned;
}

/* For the two nodes that one network can need. */
static bool make_room(struct ip_set *set)
{
    if (set->count + 2 <= set->capacity)
        return true;
    uint32_t capacity = set->capacity ? set->capacity * 2 : 16;
    struct node *nodes = capacity <= MAX_NODES * 2u ? realloc(set->nodes, capacity * sizeof(*nodes)) : NULL;
    if (!nodes)
        return false;
    set->nodes = nodes;
    set->capacity = capacity;
    return true;
}

static uint32_t add_node(struct ip_set *set, const struct tg_ip *base, unsigned bits, bool member)
{
    set->nodes[set->count] = (struct node){ .prefix = { .base = *base, .bits = (uint8_t)bits }, .member = member };
    return set->count++;
}

/* Puts a node for the common part of both in place of `old`, which goes below it. */
static void part(struct ip_set *set, uint32_t *link, const struct tg_cidr *network, unsigned common)
{
    uint32_t old = *link;
    bool covers = common == network->bits;
    uint32_t above = add_node(set, &network->base, common, covers);
    set->nodes[above].child[bit_at(&set->nodes[old].prefix.base, common)] = old;
    *link = above;
    if (!covers)
        set->nodes[above].child[bit_at(&network->base, common)] = add_node(set, &network->base, network->bits, true);
}

static void insert(struct ip_set *set, const struct tg_cidr *network)
{
    uint32_t *link = &set->root[!(network->bits >= 96 && is_ipv4(&network->base))];
    while (*link) {
        struct node *node = &set->nodes[*link];
        unsigned least = node->prefix.bits < network->bits ? node->prefix.bits : network->bits;
        unsigned common = common_bits(&node->prefix.base, &network->base, least);
        if (common < node->prefix.bits) {
            part(set, link, network, common);
            return;
        }
        node->member = node->member || node->prefix.bits == network->bits;
        if (node->member)
            return;
        link = &node->child[bit_at(&network->base, node->prefix.bits)];
    }
    *link = add_node(set, &network->base, network->bits, true);
}

int32_t tg_abi_ip_set_add(struct tg_abi_owned *owned, const char *text, uint32_t length)
{
    struct ip_set *set = (struct ip_set *)owned;
    struct tg_cidr network;
    if (!tg_cidr_parse(tg_slice_of(text, length), &network))
        return TG_ABI_IP_INVALID;
    if (!make_room(set))
        return TG_ABI_IP_TOO_MANY;
    insert(set, &network);
    return TG_ABI_IP_FINE;
}

int32_t tg_abi_ip_set_has(struct tg_abi_owned *owned, const char *text, uint32_t length)
{
    const struct ip_set *set = (const struct ip_set *)owned;
    struct tg_ip ip;
    if (!tg_ip_parse(tg_slice_of(text, length), &ip))
        return -1;
    for (uint32_t at = set->root[!is_ipv4(&ip)]; at;) {
        const struct node *node = &set->nodes[at];
        if (!tg_cidr_has(&node->prefix, &ip))
            return 0;
        if (node->member)
            return 1;
        at = node->child[bit_at(&ip, node->prefix.bits)];
    }
    return 0;
}

int32_t tg_abi_ip_parse(const char *text, uint32_t length, struct tg_abi_ip *to)
{
    struct tg_ip ip;
    if (!tg_ip_parse(tg_slice_of(text, length), &ip))
        return 0;
    memcpy(to->bytes, ip.bytes, sizeof(to->bytes));
    to->length = (int32_t)tg_ip_format(&ip, to->text);
    return is_ipv4(&ip) ? 4 : 6;
}
