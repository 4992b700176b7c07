/* h2_steady: a well-behaved client of HTTP/2 in clear that measures, beside whatever else goes on.
 *
 *     h2_steady --port P [--path PATH] [--seconds S] [--gap MS] [--size BYTES]
 *
 * One request after the other on one connection, each with a limit of 5 s, until S seconds have passed or a line comes
 * on its standard input. A request fails where its answer isn't a whole 200 with a body of --size bytes.
 * Prints {"requests":N,"failed":N,"connects":N,"median_ms":T,"p99_ms":T,"most_ms":T,"why":"the first failure"}. */
#include "h2_wire.h"

#include <getopt.h>
#include <poll.h>

enum { MOST_MEASURED = 1 << 20, ANSWER_SECONDS = 5 };

static struct {
    int port, handle;
    const char *path, *why;
    double seconds, gap;
    long size;
    uint32_t stream;
    unsigned requests, failed, connects;
    struct text_buffer in, out;
    double *measured;
} steady = { .handle = -1, .path = "/", .seconds = 2, .gap = 0.001, .size = -1 };

static void drop(void)
{
    close(steady.handle);
    steady.handle = -1;
    text_free(&steady.in);
    text_free(&steady.out);
}

static bool open_connection(void)
{
    steady.handle = h2_connect(steady.port);
    steady.stream = 1;
    steady.connects++;
    if (steady.handle >= 0)
        h2_preface_add(&steady.out, 65535);
    return steady.handle >= 0;
}

/* What an answer has come to: 0 not yet whole, 1 whole, -1 not what it should be. */
struct answer {
    int state;
    long length;
    bool is_200;
};

static void take_data(const struct h2_frame *frame, struct answer *answer)
{
    answer->length += frame->length;
    if (frame->length == 0)
        return;
    h2_number_add(&steady.out, H2_WINDOW_UPDATE, 0, frame->length);
    h2_number_add(&steady.out, H2_WINDOW_UPDATE, frame->stream, frame->length);
}

static void take_frame(const struct h2_frame *frame, struct answer *answer)
{
    if (frame->type == H2_SETTINGS && !(frame->flags & H2_ACK))
        h2_frame_add(&steady.out, H2_SETTINGS, H2_ACK, 0, "", 0);
    if (frame->type == H2_PING && !(frame->flags & H2_ACK))
        h2_frame_add(&steady.out, H2_PING, H2_ACK, 0, frame->payload, frame->length);
    if (frame->type == H2_GOAWAY) {
        answer->state = -1;
        steady.why = "GOAWAY";
    }
    if (frame->stream != steady.stream)
        return;
    if (frame->type == H2_RST_STREAM) {
        answer->state = -1;
        steady.why = "RST_STREAM";
    }
    /* ":status: 200" of the static table comes first */
    if (frame->type == H2_HEADERS && frame->length > 0)
        answer->is_200 = frame->payload[0] == 0x88;
    if (frame->type == H2_DATA)
        take_data(frame, answer);
    if ((frame->type == H2_HEADERS || frame->type == H2_DATA) && frame->flags & H2_END_STREAM)
        answer->state = answer->is_200 && (steady.size < 0 || answer->length == steady.size) ? 1 : -1;
}

static bool exchange(void)
{
    struct answer answer = { 0 };
    double deadline = h2_now() + ANSWER_SECONDS;
    h2_request_add(&steady.out, steady.stream, false, steady.path, H2_END_STREAM);
    while (answer.state == 0) {
        struct h2_frame frame;
        struct pollfd wait = { .fd = steady.handle, .events = POLLIN };
        if (!h2_send(steady.handle, &steady.out))
            return steady.why = "closed while sending", false;
        if (h2_now() > deadline)
            return steady.why = "no answer in time", false;
        poll(&wait, 1, 100);
        bool open = h2_receive(steady.handle, &steady.in);
        while (answer.state == 0 && h2_next_frame(&steady.in, &frame))
            take_frame(&frame, &answer);
        if (!open && answer.state == 0)
            return steady.why = "closed", false;
    }
    steady.stream += 2;
    if (answer.state < 0 && !steady.why)
        steady.why = "not what was asked for";
    return answer.state > 0;
}

static void measure(void)
{
    double began = h2_now();
    bool fine = (steady.handle >= 0 || open_connection()) && exchange();
    if (fine && steady.requests - steady.failed < MOST_MEASURED)
        steady.measured[steady.requests - steady.failed] = h2_now() - began;
    steady.requests++;
    if (!fine) {
        steady.failed++;
        if (steady.handle >= 0)
            drop();
    }
}

static int compare(const void *a, const void *b)
{
    double one = *(const double *)a, two = *(const double *)b;
    return (one > two) - (one < two);
}

static void report(void)
{
    unsigned count = steady.requests - steady.failed;
    double *all = steady.measured;
    qsort(all, count, sizeof *all, compare);
    printf("{\"requests\":%u,\"failed\":%u,\"connects\":%u,\"median_ms\":%.3f,\"p99_ms\":%.3f,\"most_ms\":%.3f,"
           "\"why\":\"%s\"}\n",
           steady.requests, steady.failed, steady.connects, count > 0 ? all[count / 2] * 1e3 : 0,
           count > 0 ? all[count - 1 - count / 100] * 1e3 : 0, count > 0 ? all[count - 1] * 1e3 : 0,
           steady.why ? steady.why : "");
}

static void read_options(int count, char **words)
{
    static const struct option known[] = { { "port", 1, NULL, 'p' },    { "path", 1, NULL, 'a' },
                                           { "seconds", 1, NULL, 's' }, { "gap", 1, NULL, 'g' },
                                           { "size", 1, NULL, 'z' },    { 0 } };
    int letter;
    while ((letter = getopt_long(count, words, "", known, NULL)) != -1) {
        switch (letter) {
        case 'p': steady.port = atoi(optarg); break;
        case 'a': steady.path = optarg; break;
        case 's': steady.seconds = atof(optarg); break;
        case 'g': steady.gap = atof(optarg) / 1e3; break;
        case 'z': steady.size = atol(optarg); break;
        default: exit(2);
        }
    }
}

static bool told_to_end(void)
{
    struct pollfd input = { .fd = 0, .events = POLLIN };
    char text[64];
    return poll(&input, 1, 0) > 0 && read(0, text, sizeof text) > 0;
}

int main(int count, char **words)
{
    read_options(count, words);
    steady.measured = calloc(MOST_MEASURED, sizeof *steady.measured);
    if (!steady.measured)
        return 1;
    double end = h2_now() + steady.seconds;
    while (h2_now() < end && !told_to_end() && steady.requests < MOST_MEASURED) {
        measure();
        usleep((useconds_t)(steady.gap * 1e6));
    }
    report();
    return 0;
}
