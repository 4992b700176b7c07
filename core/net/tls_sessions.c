/* Tickets of upstream sessions. What is kept is a copy: OpenSSL marks and changes the session of a connection while
 * that lives, in its own thread. */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "net/tls_internal.h"
#include "net/tls_stream.h"

enum { SESSIONS = 4 }; /* a ring: the newest push out the oldest */

struct tg_tls_sessions {
    pthread_mutex_t lock;
    SSL_SESSION *kept[SESSIONS];
    uint32_t newest;
};

struct tg_tls_sessions *tg_tls_sessions_new(void)
{
    struct tg_tls_sessions *sessions = calloc(1, sizeof(*sessions));
    if (sessions)
        pthread_mutex_init(&sessions->lock, NULL);
    return sessions;
}

void tg_tls_sessions_free(struct tg_tls_sessions *sessions)
{
    if (!sessions)
        return;
    for (int i = 0; i < SESSIONS; i++)
        SSL_SESSION_free(sessions->kept[i]);
    pthread_mutex_destroy(&sessions->lock);
    free(sessions);
}

static SSL_SESSION *swap(struct tg_tls_sessions *sessions, SSL_SESSION *session)
{
    pthread_mutex_lock(&sessions->lock);
    uint32_t place = (sessions->newest + 1) % SESSIONS;
    SSL_SESSION *oldest = sessions->kept[place];
    sessions->kept[place] = session;
    sessions->newest = place;
    pthread_mutex_unlock(&sessions->lock);
    return oldest;
}

int tg_tls_sessions_add_of(SSL *ssl, SSL_SESSION *session)
{
    const struct tg_tls *tls = tg_tls_of_ssl(ssl);
    if (tls && tls->sessions) {
        SSL_SESSION *copy = SSL_SESSION_dup(session);
        if (copy)
            SSL_SESSION_free(swap(tls->sessions, copy));
    }
    return 0;
}

static SSL_SESSION *take_newest(struct tg_tls_sessions *sessions)
{
    pthread_mutex_lock(&sessions->lock);
    uint32_t place = sessions->newest;
    SSL_SESSION *session = sessions->kept[place];
    sessions->kept[place] = NULL;
    sessions->newest = (place + SESSIONS - 1) % SESSIONS;
    pthread_mutex_unlock(&sessions->lock);
    return session;
}

/* A certificate that has expired since it was checked doesn't live on in a session. */
static bool still_holds(SSL_SESSION *session)
{
    const X509 *peer = SSL_SESSION_get0_peer(session);
    return SSL_SESSION_is_resumable(session) &&
           (long)time(NULL) < SSL_SESSION_get_time(session) + SSL_SESSION_get_timeout(session) &&
           (!peer || X509_cmp_current_time(X509_get0_notAfter(peer)) > 0);
}

SSL_SESSION *tg_tls_sessions_take(struct tg_tls_sessions *sessions)
{
    SSL_SESSION *session;
    while ((session = take_newest(sessions)) != NULL && !still_holds(session))
        SSL_SESSION_free(session);
    return session;
}
