/* One listener's settings and one set of ticket keys in several threads at once. Runs under TSan too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "tls_material.h"
#include "tls_meeting.h"

enum { THREADS = 3, ROUNDS = 40, ROTATIONS = 60 };

struct shared {
    struct tg_tls_server *server;
    _Atomic int done, resumed, ended;
};

/* A worker's part: it holds the settings for as long as a connection lives. */
static void *shake_hands(void *argument)
{
    struct shared *shared = argument;
    struct tls_visitor visitor = tls_visitor_new("a.example");
    for (int round = 0; round < ROUNDS; round++) {
        struct tg_tls_server *server = tg_tls_server_ref(shared->server);
        struct tls_meeting *meeting = tls_meet(server, &visitor);
        shared->done += meeting->done;
        shared->resumed += meeting->done && SSL_session_reused(meeting->server.ssl);
        tls_meeting_free(meeting);
        tg_tls_server_unref(server);
        if (visitor.ticket)
            tls_visitor_come_again(&visitor);
    }
    tls_visitor_deinit(&visitor);
    shared->ended++;
    return NULL;
}

/* Control's part: a rotation now and then, spread over the threads' handshakes. */
static void rotate_meanwhile(struct shared *shared, struct tg_ticket_keys *keys)
{
    for (int rotation = 0; rotation < ROTATIONS && shared->ended < THREADS;) {
        if (shared->done < rotation * THREADS * ROUNDS / ROTATIONS) {
            sched_yield();
            continue;
        }
        assert_true(tg_ticket_keys_rotate(keys));
        rotation++;
    }
}

static void settings_and_keys_serve_all_threads_while_keys_change(void **state)
{
    char why[512] = "";
    pthread_t threads[THREADS];
    (void)state;
    struct tg_tls_library *library = tg_tls_library_open(false, why);
    struct tls_identity authority = tls_authority_make("Authority");
    struct tls_identity identity = tls_server_identity_make("a.example", &authority);
    struct tg_ticket_keys *keys = tg_ticket_keys_new();
    struct tg_tls_certificate entry = { .cert = tls_file("cert.pem", identity.cert_pem),
                                        .key = tls_file("key.pem", identity.key_pem) };
    struct tg_tls_server_options options = { .certificates = &entry, .count = 1, .session_life = 86400 };
    struct shared shared = { .server = tg_tls_server_new(library, keys, &options, why) };
    assert_non_null(shared.server);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, shake_hands, &shared), 0);
    rotate_meanwhile(&shared, keys);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(shared.done, THREADS * ROUNDS);
    assert_true(shared.resumed > 0);
    tg_tls_server_unref(shared.server);
    tg_ticket_keys_free(keys);
    tls_identity_deinit(&identity);
    tls_identity_deinit(&authority);
    tg_tls_library_close(library);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_and_keys_serve_all_threads_while_keys_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
