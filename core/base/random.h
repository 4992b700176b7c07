/* Random numbers: ids and cookies need ones that can't be guessed, balancing needs cheap ones. */
#ifndef TG_BASE_RANDOM_H
#define TG_BASE_RANDOM_H

#include "base/slice.h"

/* A fast generator of the calling thread, seeded from the system (xoshiro256++). Not for secrets. */
uint64_t tg_random_u64(void);
/* 0 <= result < 1. */
double tg_random_unit(void);
/* Bytes that can't be guessed, drawn from the system in batches by the calling thread. */
void tg_random_secret(void *bytes, size_t length);
/* 32 hex digits that can't be guessed; no NUL is written. */
void tg_random_hex_id(char out[32]);

#endif
