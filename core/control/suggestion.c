#include "control/suggestion.h"

#include <stdbool.h>
#include <string.h>

enum { WORD_LIMIT = 32 };

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Insertions, deletions, changes and swaps of neighbours that turn one word into the other. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t rows[3][WORD_LIMIT + 1];
    size_t a_length = strlen(a), b_length = strlen(b);
    if (a_length > WORD_LIMIT || b_length > WORD_LIMIT)
        return WORD_LIMIT;
    for (size_t j = 0; j <= b_length; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i - 1) % 3], *second = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            row[j] = smaller(above[j - 1] + (a[i - 1] != b[j - 1]), smaller(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = smaller(row[j], second[j - 2] + 1);
        }
    }
    return rows[a_length % 3][b_length];
}

static size_t allowed_distance(const char *typed)
{
    size_t length = strlen(typed);
    return length < 3 ? 1 : length < 6 ? 2 : 3;
}

const char *tg_suggestion(const char *typed, const char *const *words, size_t count)
{
    const char *best = NULL;
    size_t best_distance = allowed_distance(typed) + 1;
    for (size_t i = 0; i < count; i++) {
        size_t distance = edit_distance(typed, words[i]);
        bool is_nearer = distance < best_distance && distance < strlen(words[i]);
        if (is_nearer) {
            best = words[i];
            best_distance = distance;
        }
    }
    return best;
}
