/* What `tidegate check` warns about beyond errors: an answer that is decided without `return`. It stands, but the rest
 * of the function still runs. Looked for in the text of the files, line by line: a hint, not a parser. */
#ifndef TG_SCRIPT_FORGOTTEN_RETURN_H
#define TG_SCRIPT_FORGOTTEN_RETURN_H

#include "base/text.h"

/* Appends a line for each place in `text` where respond, redirect or reroute is called as a statement and no `return`
 * follows: "gateway.lua:12: req:respond without return: ...". */
void tg_forgotten_return_find(struct tg_slice text, struct tg_slice name, struct tg_text *warnings);
/* The same for a Lua file; one that can't be read has no such place. Blocks. */
void tg_forgotten_return_find_in_file(struct tg_slice path, struct tg_text *warnings);

#endif
