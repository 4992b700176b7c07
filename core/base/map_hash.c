/* SipHash-1-3 with a key that is drawn once for the process. */
#include <pthread.h>

#include "base/map.h"
#include "base/random.h"

static uint64_t hash_key[2];
static pthread_once_t key_drawn = PTHREAD_ONCE_INIT;

static void draw_key(void)
{
    tg_random_secret(hash_key, sizeof(hash_key));
}

struct sip {
    uint64_t a, b, c, d;
};

static inline uint64_t rotate_left(uint64_t value, int bits)
{
    return value << bits | value >> (64 - bits);
}

static inline void sip_round(struct sip *sip)
{
    sip->a += sip->b;
    sip->b = rotate_left(sip->b, 13) ^ sip->a;
    sip->a = rotate_left(sip->a, 32);
    sip->c += sip->d;
    sip->d = rotate_left(sip->d, 16) ^ sip->c;
    sip->a += sip->d;
    sip->d = rotate_left(sip->d, 21) ^ sip->a;
    sip->c += sip->b;
    sip->b = rotate_left(sip->b, 17) ^ sip->c;
    sip->c = rotate_left(sip->c, 32);
}

static inline void sip_absorb(struct sip *sip, uint64_t word)
{
    sip->d ^= word;
    sip_round(sip);
    sip->a ^= word;
}

/* The last bytes, fewer than eight, with the length of the whole in the top byte. */
static uint64_t tail_word(struct tg_slice key)
{
    uint64_t word = 0;
    size_t rest = key.length & 7;
    if (rest > 0)
        memcpy(&word, key.at + key.length - rest, rest);
    return word | (uint64_t)key.length << 56;
}

uint64_t tg_map_hash(struct tg_slice key)
{
    pthread_once(&key_drawn, draw_key);
    struct sip sip = { hash_key[0] ^ 0x736f6d6570736575, hash_key[1] ^ 0x646f72616e646f6d,
                       hash_key[0] ^ 0x6c7967656e657261, hash_key[1] ^ 0x7465646279746573 };
    for (size_t i = 0; i + 8 <= key.length; i += 8) {
        uint64_t word;
        memcpy(&word, key.at + i, sizeof(word));
        sip_absorb(&sip, word);
    }
    sip_absorb(&sip, tail_word(key));
    sip.c ^= 0xff;
    sip_round(&sip);
    sip_round(&sip);
    sip_round(&sip);
    return sip.a ^ sip.b ^ sip.c ^ sip.d;
}
