/* What a handshake came to. */
#include <stdlib.h>

#include "net/tls.h"

void tg_tls_facts_unref(struct tg_tls_facts *facts)
{
    if (facts && --facts->references == 0)
        free(facts);
}
