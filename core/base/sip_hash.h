/* SipHash-1-3: a hash whose collisions can't be found without its key. */
#ifndef TG_BASE_SIP_HASH_H
#define TG_BASE_SIP_HASH_H

#include "base/slice.h"

struct tg_sip {
    uint64_t a, b, c, d;
};

static inline uint64_t tg_sip_rotate(uint64_t value, int bits)
{
    return value << bits | value >> (64 - bits);
}

static inline void tg_sip_round(struct tg_sip *sip)
{
    sip->a += sip->b;
    sip->b = tg_sip_rotate(sip->b, 13) ^ sip->a;
    sip->a = tg_sip_rotate(sip->a, 32);
    sip->c += sip->d;
    sip->d = tg_sip_rotate(sip->d, 16) ^ sip->c;
    sip->a += sip->d;
    sip->d = tg_sip_rotate(sip->d, 21) ^ sip->a;
    sip->c += sip->b;
    sip->b = tg_sip_rotate(sip->b, 17) ^ sip->c;
    sip->c = tg_sip_rotate(sip->c, 32);
}

static inline void tg_sip_absorb(struct tg_sip *sip, uint64_t word)
{
    sip->d ^= word;
    tg_sip_round(sip);
    sip->a ^= word;
}

static inline uint64_t tg_sip_load(const char *at, size_t size)
{
    uint64_t word = 0;
    memcpy(&word, at, size); /* of a size that the compiler knows */
    return word;
}

/* The last bytes, fewer than eight, with the length of the whole in the top byte. Little endian. */
static inline uint64_t tg_sip_tail(struct tg_slice text)
{
    size_t rest = text.length & 7;
    const char *at = text.at + text.length - rest;
    uint64_t word = (uint64_t)text.length << 56;
    if (rest == 0)
        return word;
    if (text.length >= 8)
        return word | tg_sip_load(at + rest - 8, 8) >> (8 * (8 - rest));
    if (rest >= 4)
        return word | tg_sip_load(at, 4) | tg_sip_load(at + rest - 4, 4) << (8 * (rest - 4));
    return word | tg_sip_load(at, 1) | tg_sip_load(at + rest / 2, 1) << (8 * (rest / 2)) |
           tg_sip_load(at + rest - 1, 1) << (8 * (rest - 1));
}

static inline uint64_t tg_sip_hash(const uint64_t key[2], struct tg_slice text)
{
    struct tg_sip sip = { key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d, key[0] ^ 0x6c7967656e657261,
                          key[1] ^ 0x7465646279746573 };
    for (size_t i = 0; i + 8 <= text.length; i += 8)
        tg_sip_absorb(&sip, tg_sip_load(text.at + i, 8));
    tg_sip_absorb(&sip, tg_sip_tail(text));
    sip.c ^= 0xff;
    tg_sip_round(&sip);
    tg_sip_round(&sip);
    tg_sip_round(&sip);
    return sip.a ^ sip.b ^ sip.c ^ sip.d;
}

#endif
