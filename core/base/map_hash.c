/* The key is drawn once for the process. */
#include <pthread.h>

#include "base/map.h"
#include "base/random.h"
#include "base/sip_hash.h"

static uint64_t hash_key[2];
static pthread_once_t key_drawn = PTHREAD_ONCE_INIT;

static void draw_key(void)
{
    tg_random_secret(hash_key, sizeof(hash_key));
}

uint64_t tg_map_hash(struct tg_slice key)
{
    pthread_once(&key_drawn, draw_key);
    return tg_sip_hash(hash_key, key);
}
