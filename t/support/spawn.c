/* spawn: starts one program for a test and never leaves it behind.
 *
 *     spawn PORT [-o FILE] [-e FILE] [-C FOLDER] [-n DESCRIPTORS] -- PROGRAM ARGUMENT...
 *
 * The test listens on 127.0.0.1:PORT. spawn connects to it, starts the program in a process group of its own with its
 * output in the named files, and says "pid N". It takes lines "signal N", "group N" (the same to the whole group) and
 * "send TEXT" (a line for the program's standard input), says "exit N" or "killed N" when the program ended, and kills
 * the whole group when the connection to the test closes. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct job {
    const char *output, *errors, *folder;
    rlim_t descriptors;
    char **command;
    pid_t pid;
    int input;
};

static void die(const char *what)
{
    fprintf(stderr, "spawn: %s: %s\n", what, strerror(errno));
    exit(125);
}

static int connect_to_test(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int control = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (control < 0 || connect(control, (struct sockaddr *)&address, sizeof address) != 0)
        die("connect");
    return control;
}

static void redirect(int descriptor, const char *file)
{
    int opened = open(file ? file : "/dev/null", O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (opened < 0 || dup2(opened, descriptor) < 0)
        die(file ? file : "/dev/null");
    close(opened);
}

static void become_program(const struct job *job, int input)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_DFL);
    if (dup2(input, 0) < 0)
        die("dup2");
    redirect(1, job->output);
    redirect(2, job->errors);
    if (job->folder && chdir(job->folder) != 0)
        die(job->folder);
    struct rlimit limit = { job->descriptors, job->descriptors };
    if (job->descriptors && setrlimit(RLIMIT_NOFILE, &limit) != 0)
        die("setrlimit");
    execvp(job->command[0], job->command);
    die(job->command[0]);
}

static void start_program(struct job *job)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        die("pipe");
    job->pid = fork();
    if (job->pid < 0)
        die("fork");
    if (job->pid == 0)
        become_program(job, ends[0]);
    setpgid(job->pid, job->pid);
    close(ends[0]);
    job->input = ends[1];
}

static void obey(const struct job *job, char *line)
{
    if (strncmp(line, "signal ", 7) == 0)
        kill(job->pid, atoi(line + 7));
    else if (strncmp(line, "group ", 6) == 0)
        kill(-job->pid, atoi(line + 6));
    else if (strncmp(line, "send ", 5) == 0)
        dprintf(job->input, "%s\n", line + 5);
}

/* False when the test has gone. */
static bool read_orders(const struct job *job, int control)
{
    static char text[65536];
    static size_t length;
    ssize_t got = read(control, text + length, sizeof text - 1 - length);
    if (got <= 0)
        return got < 0 && errno == EINTR;
    length += (size_t)got;
    text[length] = '\0';
    char *line = text;
    for (char *end; (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        obey(job, line);
    }
    length -= (size_t)(line - text);
    memmove(text, line, length);
    return true;
}

static void serve(const struct job *job, int control)
{
    int watched = (int)syscall(SYS_pidfd_open, job->pid, 0);
    if (watched < 0)
        die("pidfd_open");
    struct pollfd polled[2] = { { .fd = control, .events = POLLIN }, { .fd = watched, .events = POLLIN } };
    for (;;) {
        if (poll(polled, 2, -1) < 0 && errno != EINTR)
            die("poll");
        if (polled[1].revents)
            return;
        if (polled[0].revents && !read_orders(job, control)) {
            kill(-job->pid, SIGKILL);
            return;
        }
    }
}

static void report_end(const struct job *job, int control)
{
    int status = 0;
    while (waitpid(job->pid, &status, 0) < 0 && errno == EINTR)
        ;
    kill(-job->pid, SIGKILL);
    if (WIFEXITED(status))
        dprintf(control, "exit %d\n", WEXITSTATUS(status));
    else
        dprintf(control, "killed %d\n", WTERMSIG(status));
}

int main(int count, char **arguments)
{
    close_range(3, ~0U, 0);
    signal(SIGPIPE, SIG_IGN);
    setsid(); /* what ends the test's process group must not end us before the program */
    if (count < 3)
        return 125;
    struct job job = { 0 };
    optind = 2;
    for (int option; (option = getopt(count, arguments, "o:e:C:n:")) != -1;) {
        switch (option) {
        case 'o': job.output = optarg; break;
        case 'e': job.errors = optarg; break;
        case 'C': job.folder = optarg; break;
        case 'n': job.descriptors = (rlim_t)atol(optarg); break;
        default: return 125;
        }
    }
    job.command = arguments + optind;
    if (!*job.command)
        return 125;
    int control = connect_to_test(atoi(arguments[1]));
    start_program(&job);
    dprintf(control, "pid %d\n", (int)job.pid);
    serve(&job, control);
    report_end(&job, control);
    return 0;
}
