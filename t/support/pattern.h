/* The contents of test bodies: a function of seed and offset, so that both ends can make and check gigabytes without
 * keeping them. client.lua has the same function. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t pattern_word(uint64_t seed, uint64_t index)
{
    uint64_t word = (seed << 32) + (index + 1) * 0x9e3779b97f4a7c15u;
    word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9u;
    return word ^ (word >> 27);
}

static inline void pattern_fill(uint64_t seed, uint64_t offset, unsigned char *to, size_t length)
{
    while (length > 0) {
        uint64_t word = pattern_word(seed, offset / 8);
        size_t skip = offset % 8, part = 8 - skip < length ? 8 - skip : length;
        memcpy(to, (unsigned char *)&word + skip, part);
        to += part;
        offset += part;
        length -= part;
    }
}

static inline bool pattern_matches(uint64_t seed, uint64_t offset, const unsigned char *at, size_t length)
{
    while (length > 0) {
        uint64_t word = pattern_word(seed, offset / 8);
        size_t skip = offset % 8, part = 8 - skip < length ? 8 - skip : length;
        if (memcmp(at, (unsigned char *)&word + skip, part) != 0)
            return false;
        at += part;
        offset += part;
        length -= part;
    }
    return true;
}
