/* Connections under TLS go to and fro between two workers, while both put sessions into the same stash and take them
 * out. A third thread serves them, and sends a ticket with every answer. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tls_rig.h"

enum { WORKERS = 2, TRAVELLERS = 4, JOURNEYS = 200, JOURNEYS_OF_A_CONNECTION = 10 };

static struct tg_loop *workers[WORKERS], *server_loop;
static _Atomic int arrived, refused, resumed, handed_over;
static int finished; /* of the main thread's loop */
static struct tg_loop *main_loop;

static const struct tg_address nobody = { .length = 2, .any.sa_family = AF_UNIX };

/* --- the server --- */

struct arrival {
    struct tg_message message;
    int descriptor;
};

static void nothing(struct tg_stream *stream)
{
    (void)stream;
}

static void answer(struct tg_stream *stream, struct tg_buffer data)
{
    SSL_new_session_ticket(stream->tls->ssl);
    tg_stream_send(stream, tg_buffer_ref(data));
}

static void close_at_end(struct tg_stream *stream)
{
    tg_stream_close(stream);
}

static void close_failed(struct tg_stream *stream, enum tg_stream_end end)
{
    (void)end;
    tg_stream_close(stream);
}

static const struct tg_stream_ops server_ops = { nothing, answer, close_at_end, nothing, close_failed, NULL };

static void serve(struct tg_message *message, struct tg_loop *loop)
{
    struct arrival *arrival = TG_CONTAINER_OF(message, struct arrival, message);
    struct tg_stream *stream = tg_stream_accept(loop, arrival->descriptor, &nobody, &nobody);
    if (!stream || !tg_stream_start_tls_server(stream, rig.server, NULL, (struct tg_buffer){ 0 }))
        abort();
    tg_stream_set_owner(stream, &server_ops, NULL);
    free(arrival);
}

static void send_to_server(int descriptor)
{
    struct arrival *arrival = malloc(sizeof(*arrival));
    *arrival = (struct arrival){ { NULL, serve }, descriptor };
    tg_loop_post(server_loop, &arrival->message);
}

/* --- travellers --- */

struct traveller {
    struct tg_message message;
    struct tg_socket socket; /* -1: it needs a new connection */
    int server_end;          /* of a new connection; the server hears of it when ours begins, else -1 */
    int journeys, place;
};

static void travel(struct tg_message *message, struct tg_loop *loop);

static void note_finished(struct tg_message *message, struct tg_loop *loop)
{
    (void)loop;
    free(TG_CONTAINER_OF(message, struct traveller, message));
    finished++;
}

static void move_on(struct traveller *traveller)
{
    atomic_fetch_add(&arrived, 1);
    if (--traveller->journeys == 0) {
        tg_socket_close(traveller->socket);
        traveller->message.run = note_finished;
        tg_loop_post(main_loop, &traveller->message);
        return;
    }
    traveller->place = (traveller->place + 1) % WORKERS;
    tg_loop_post(workers[traveller->place], &traveller->message);
}

static void ask(struct tg_stream *stream)
{
    tg_stream_send(stream, (struct tg_buffer){ NULL, "ping", 4 });
}

static void begin(struct tg_stream *stream)
{
    if (tg_stream_tls_facts(stream)->resumed)
        atomic_fetch_add(&resumed, 1);
    ask(stream);
}

static void leave(struct tg_stream *stream, struct tg_buffer data)
{
    struct traveller *traveller = tg_stream_owner(stream);
    if (data.length != 4 || memcmp(data.at, "ping", 4) != 0)
        abort();
    if (traveller->journeys % JOURNEYS_OF_A_CONNECTION == 0) {
        tg_stream_close(stream);
        traveller->socket = (struct tg_socket){ -1, NULL };
    } else {
        traveller->socket = tg_stream_detach(stream);
        atomic_fetch_add(&handed_over, 1);
    }
    move_on(traveller);
}

static void end_unasked(struct tg_stream *stream)
{
    (void)stream;
    abort();
}

static void fail_unasked(struct tg_stream *stream, enum tg_stream_end end)
{
    (void)stream, (void)end;
    abort();
}

static const struct tg_stream_ops traveller_ops = { begin, leave, end_unasked, nothing, fail_unasked, NULL };

static void connect_anew(struct traveller *traveller, struct tg_loop *loop)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0)
        abort();
    struct tg_socket socket = { ends[0], NULL };
    struct tg_stream *stream = tg_stream_attach(loop, socket, &nobody, &traveller_ops, traveller);
    if (!stream || !tg_stream_start_tls_client(stream, rig.client, rig.sessions, TG_SLICE("a.example")))
        abort();
    send_to_server(ends[1]);
}

static void travel(struct tg_message *message, struct tg_loop *loop)
{
    struct traveller *traveller = TG_CONTAINER_OF(message, struct traveller, message);
    struct tg_stream *stream = NULL;
    if (traveller->socket.descriptor >= 0) {
        stream = tg_stream_attach(loop, traveller->socket, &nobody, &traveller_ops, traveller);
        if (!stream)
            atomic_fetch_add(&refused, 1);
    }
    if (stream)
        ask(stream);
    else
        connect_anew(traveller, loop);
}

/* --- threads --- */

static void *work(void *context)
{
    tg_loop_run(context);
    tg_block_release_thread_pool();
    return NULL;
}

static void stop(struct tg_message *message, struct tg_loop *loop)
{
    (void)message;
    tg_loop_stop(loop);
}

static void end_thread(pthread_t thread, struct tg_loop *loop)
{
    struct tg_message message = { NULL, stop };
    tg_loop_post(loop, &message);
    pthread_join(thread, NULL);
    tg_loop_free(loop);
}

static void send_travellers(void)
{
    for (int i = 0; i < TRAVELLERS; i++) {
        struct traveller *traveller = calloc(1, sizeof(*traveller));
        traveller->message.run = travel;
        traveller->socket.descriptor = -1;
        traveller->journeys = JOURNEYS;
        traveller->place = i % WORKERS;
        tg_loop_post(workers[traveller->place], &traveller->message);
    }
}

/* [X11] */
static void connections_travel_between_workers_while_sessions_are_shared(void **state)
{
    (void)state;
    pthread_t threads[WORKERS], server;
    main_loop = rig.loop;
    server_loop = tg_loop_new(NULL, NULL);
    pthread_create(&server, NULL, work, server_loop);
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = tg_loop_new(NULL, NULL);
        pthread_create(&threads[i], NULL, work, workers[i]);
    }
    send_travellers();
    run_until(rig.loop, &finished, TRAVELLERS);
    for (int i = 0; i < WORKERS; i++)
        end_thread(threads[i], workers[i]);
    end_thread(server, server_loop);
    assert_int_equal(atomic_load(&arrived), TRAVELLERS * JOURNEYS);
    assert_int_equal(atomic_load(&refused), 0);
    assert_true(atomic_load(&handed_over) > TRAVELLERS * JOURNEYS / 2);
    assert_true(atomic_load(&resumed) > TRAVELLERS * JOURNEYS / JOURNEYS_OF_A_CONNECTION / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(connections_travel_between_workers_while_sessions_are_shared, tls_rig_set_up,
                                        tls_rig_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
