/* "Did you mean": the known word that is nearest to a mistyped one. */
#ifndef TG_CONTROL_SUGGESTION_H
#define TG_CONTROL_SUGGESTION_H

#include <stddef.h>

/* NULL where none is near enough to be meant. */
const char *tg_suggestion(const char *typed, const char *const *words, size_t count);

#endif
