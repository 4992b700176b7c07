/* For the files of h2_head.h: what they have of a section in common. */
#ifndef TG_HTTP_H2_SECTION_H
#define TG_HTTP_H2_SECTION_H

#include "http/h2_head.h"

/* Cookie crumbs become one line, in the place of the first (RFC 9113 8.2.3). false: out of memory; section->problem. */
bool tg_h2_section_join_cookies(struct tg_h2_section *section) __attribute__((warn_unused_result));

static inline bool tg_h2_section_has(const struct tg_h2_section *section, enum tg_h2_pseudo pseudo)
{
    return section->pseudo_seen >> pseudo & 1;
}

#endif
