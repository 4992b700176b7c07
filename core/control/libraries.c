#include "control/libraries.h"

#include <nghttp2/nghttp2.h>
#include <openssl/crypto.h>
#include <stdio.h>

/* Distributions mend old releases without another number: that theirs is new enough is seen to where packages are
 * installed. */
enum { OLDEST_NGHTTP2 = 0x013400 };

const char *tg_libraries_openssl(void)
{
    return OpenSSL_version(OPENSSL_VERSION_STRING);
}

const char *tg_libraries_nghttp2(void)
{
    return nghttp2_version(0)->version_str;
}

bool tg_libraries_fit(char why[256])
{
    if (nghttp2_version(OLDEST_NGHTTP2))
        return true;
    snprintf(why, 256,
             "the library nghttp2 is %s, but 1.52.0 is needed: older ones can be brought down by hostile frames; "
             "install a newer libnghttp2",
             tg_libraries_nghttp2());
    return false;
}
