#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/parking.h"
#include "run_loop.h"

enum { POSTERS = 4, LETTERS = 5000 };

struct letter {
    struct tg_message message;
    int poster, number;
};

static int last_number[POSTERS], letters;

static void open_letter(struct tg_message *message, struct tg_loop *loop)
{
    (void)loop;
    struct letter *letter = TG_CONTAINER_OF(message, struct letter, message);
    assert_int_equal(letter->number, last_number[letter->poster] + 1);
    last_number[letter->poster] = letter->number;
    letters++;
    free(letter);
}

struct poster {
    struct tg_loop *loop;
    int index;
};

static void *post_letters(void *context)
{
    struct poster *poster = context;
    for (int i = 1; i <= LETTERS; i++) {
        struct letter *letter = malloc(sizeof(*letter));
        *letter = (struct letter){ { NULL, open_letter }, poster->index, i };
        tg_loop_post(poster->loop, &letter->message);
    }
    return NULL;
}

/* [M07] the loop may have run and freed a message before its poster is back from posting it */
static void every_message_arrives_in_the_order_of_its_poster(void **state)
{
    (void)state;
    struct tg_loop *loop = tg_loop_new(NULL, NULL);
    struct poster posters[POSTERS];
    pthread_t threads[POSTERS];
    for (int i = 0; i < POSTERS; i++) {
        posters[i] = (struct poster){ loop, i };
        pthread_create(&threads[i], NULL, post_letters, &posters[i]);
    }
    run_until(loop, &letters, POSTERS * LETTERS);
    for (int i = 0; i < POSTERS; i++)
        pthread_join(threads[i], NULL);
    tg_loop_free(loop);
}

/* --- parking --- */

static int stirs;
static uint64_t last_cookie;

static void note_stir(void *context, uint64_t cookie)
{
    assert_ptr_equal(context, &stirs);
    last_cookie = cookie;
    stirs++;
}

struct visit {
    struct tg_parking *parking;
    struct tg_socket socket;
    int peer;
};

/* Another thread parks a socket and takes it back, then parks it again and the peer leaves. */
static void *park_and_leave(void *context)
{
    struct visit *visit = context;
    assert_true(tg_parking_watch(visit->parking, visit->socket, 1));
    tg_parking_unwatch(visit->parking, visit->socket);
    assert_true(tg_parking_watch(visit->parking, visit->socket, 0xFFFFFFFFFFFFULL));
    close(visit->peer);
    return NULL;
}

static void a_parked_socket_that_stirs_is_told_once(void **state)
{
    (void)state;
    struct tg_loop *loop = tg_loop_new(NULL, NULL);
    struct tg_parking *parking = tg_parking_new(loop, note_stir, &stirs);
    int ends[2];
    pthread_t thread;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    struct visit visit = { parking, { ends[0], NULL }, ends[1] };
    pthread_create(&thread, NULL, park_and_leave, &visit);
    run_until(loop, &stirs, 1);
    run_turns(loop, 5);
    pthread_join(thread, NULL);
    assert_int_equal(stirs, 1);
    assert_true(last_cookie == 0xFFFFFFFFFFFFULL);
    tg_socket_close(visit.socket);
    tg_parking_free(parking);
    tg_loop_free(loop);
}

static void what_can_not_be_watched_is_said(void **state)
{
    (void)state;
    struct tg_loop *loop = tg_loop_new(NULL, NULL);
    struct tg_parking *parking = tg_parking_new(loop, note_stir, &stirs);
    assert_false(tg_parking_watch(parking, (struct tg_socket){ -1, NULL }, 1));
    tg_parking_free(parking);
    tg_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_arrives_in_the_order_of_its_poster),
        cmocka_unit_test(a_parked_socket_that_stirs_is_told_once),
        cmocka_unit_test(what_can_not_be_watched_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
