#include "net/tls_ocsp.h"

#include <stdlib.h>

#include <openssl/ocsp.h>

#include "net/tls_context.h"

enum { CLOCK_SKEW = 300 }; /* seconds by which a responder's clock may be ahead */

static X509 *issuer_of(const struct tg_tls_pair *pair)
{
    return sk_X509_num(pair->chain) > 0 ? sk_X509_value(pair->chain, 0) : NULL;
}

/* Made with the digest that the response uses. Without the issuer only the number tells. */
static bool is_about(const OCSP_CERTID *id, const struct tg_tls_pair *pair)
{
    ASN1_OBJECT *digest;
    ASN1_INTEGER *serial;
    OCSP_id_get0_info(NULL, &digest, NULL, &serial, (OCSP_CERTID *)id);
    if (!issuer_of(pair))
        return ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(pair->certificate)) == 0;
    const EVP_MD *md = EVP_get_digestbyobj(digest);
    OCSP_CERTID *expected = md ? OCSP_cert_to_id(md, pair->certificate, issuer_of(pair)) : NULL;
    bool same = expected && OCSP_id_cmp(expected, id) == 0;
    OCSP_CERTID_free(expected);
    return same;
}

static OCSP_SINGLERESP *find_answer(OCSP_BASICRESP *basic, const struct tg_tls_pair *pair)
{
    for (int i = 0; i < OCSP_resp_count(basic); i++) {
        OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);
        if (is_about(OCSP_SINGLERESP_get0_id(single), pair))
            return single;
    }
    return NULL;
}

/* By the issuer itself, or by one whom it has let sign responses. */
static bool signed_for_issuer(OCSP_BASICRESP *basic, X509 *issuer)
{
    X509_STORE *store = X509_STORE_new();
    STACK_OF(X509) *known = sk_X509_new_null();
    bool good = store && known && sk_X509_push(known, issuer) > 0 && X509_STORE_add_cert(store, issuer) == 1 &&
                X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1 &&
                OCSP_basic_verify(basic, known, store, 0) == 1;
    X509_STORE_free(store);
    sk_X509_free(known);
    return good;
}

static int64_t milliseconds(const ASN1_GENERALIZEDTIME *time)
{
    int days = 0, seconds = 0;
    if (!time || !ASN1_TIME_diff(&days, &seconds, NULL, time))
        return INT64_MAX;
    return tg_tls_now() + ((int64_t)days * 86400 + seconds) * 1000;
}

static bool copy(const struct tg_tls_file *file, struct tg_tls_staple *staple)
{
    staple->at = malloc(file->content.length);
    if (!staple->at)
        return false;
    memcpy(staple->at, file->content.at, file->content.length);
    staple->length = file->content.length;
    return true;
}

static bool take_answer(const struct tg_tls_file *file, OCSP_SINGLERESP *answer, struct tg_tls_staple *staple,
                        const char **warning, char why[TG_TLS_WHY])
{
    ASN1_GENERALIZEDTIME *this_update = NULL, *next_update = NULL;
    int status = OCSP_single_get0_status(answer, NULL, NULL, &this_update, &next_update);
    staple->next_update = milliseconds(next_update);
    if (status != V_OCSP_CERTSTATUS_GOOD)
        *warning = status == V_OCSP_CERTSTATUS_REVOKED ? "says that the certificate is revoked; it isn't stapled"
                                                       : "doesn't know the certificate; it isn't stapled";
    else if (OCSP_check_validity(this_update, next_update, CLOCK_SKEW, -1) != 1 || tg_tls_now() >= staple->next_update)
        *warning = "isn't valid now (its time is over, or not yet come); it isn't stapled";
    return *warning || copy(file, staple) || tg_tls_refuse(why, file, "out of memory");
}

static bool take_basic(const struct tg_tls_file *file, OCSP_BASICRESP *basic, const struct tg_tls_pair *pair,
                       struct tg_tls_staple *staple, const char **warning, char why[TG_TLS_WHY])
{
    OCSP_SINGLERESP *answer = find_answer(basic, pair);
    if (!answer)
        return tg_tls_refuse(why, file, "is about another certificate than '%s'",
                             tg_pem_subject_of(pair->certificate).text);
    if (issuer_of(pair) && !signed_for_issuer(basic, issuer_of(pair)))
        return tg_tls_refuse(why, file, "isn't signed by the certificate's issuer");
    return take_answer(file, answer, staple, warning, why);
}

bool tg_tls_staple_load(const struct tg_tls_file *file, const struct tg_tls_pair *pair, struct tg_tls_staple *staple,
                        const char **warning, char why[TG_TLS_WHY])
{
    *staple = (struct tg_tls_staple){ 0 };
    *warning = NULL;
    const unsigned char *at = (const unsigned char *)file->content.at;
    long length = (long)file->content.length;
    OCSP_RESPONSE *response = length > 0 && length < 1 << 20 ? d2i_OCSP_RESPONSE(NULL, &at, length) : NULL;
    bool whole = response && at == (const unsigned char *)file->content.at + length;
    OCSP_BASICRESP *basic = whole && OCSP_response_status(response) == OCSP_RESPONSE_STATUS_SUCCESSFUL
                                ? OCSP_response_get1_basic(response)
                                : NULL;
    bool good = false;
    if (!whole)
        tg_tls_refuse(why, file, "isn't an OCSP response in DER");
    else if (!basic)
        tg_tls_refuse(why, file, "is an OCSP response without success: %s",
                      OCSP_response_status_str(OCSP_response_status(response)));
    else
        good = take_basic(file, basic, pair, staple, warning, why);
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(response);
    return good;
}

void tg_tls_staple_deinit(struct tg_tls_staple *staple)
{
    free(staple->at);
    *staple = (struct tg_tls_staple){ 0 };
}
