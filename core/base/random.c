#include "base/random.h"

#include <stdlib.h>
#include <sys/random.h>

enum { SECRET_BATCH = 4096 };

static _Thread_local uint64_t state[4];
static _Thread_local bool seeded;
static _Thread_local unsigned char secrets[SECRET_BATCH];
static _Thread_local size_t secrets_left;

/* The system always has random bytes once it has started; without them nothing here would be safe. */
static void draw(void *bytes, size_t length)
{
    char *at = bytes;
    while (length > 0) {
        ssize_t got = getrandom(at, length, 0);
        if (got <= 0)
            abort();
        at += got;
        length -= (size_t)got;
    }
}

static uint64_t rotate_left(uint64_t value, int bits)
{
    return value << bits | value >> (64 - bits);
}

uint64_t tg_random_u64(void)
{
    if (!seeded) {
        draw(state, sizeof(state));
        state[0] |= 1; /* all zeros would stay so */
        seeded = true;
    }
    uint64_t result = rotate_left(state[0] + state[3], 23) + state[0];
    uint64_t shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotate_left(state[3], 45);
    return result;
}

double tg_random_unit(void)
{
    return (double)(tg_random_u64() >> 11) * 0x1.0p-53;
}

void tg_random_secret(void *bytes, size_t length)
{
    if (length > SECRET_BATCH / 4) {
        draw(bytes, length);
        return;
    }
    if (secrets_left < length) {
        draw(secrets, sizeof(secrets));
        secrets_left = sizeof(secrets);
    }
    secrets_left -= length;
    memcpy(bytes, secrets + secrets_left, length);
    explicit_bzero(secrets + secrets_left, length);
}

void tg_random_hex_id(char out[32])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char bytes[16];
    tg_random_secret(bytes, sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
}
