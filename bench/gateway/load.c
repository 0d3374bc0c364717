/* load: a closed-loop HTTP/1.1 load driver for the loopback interface, one thread, one epoll.
 *
 *     load PORT PATH BODY_FILE [-H 'name: value']... [-c CONNECTIONS] (-t SECONDS | -n REQUESTS) [-s] [-e END]
 *
 * Each connection is kept alive and sends its next POST when the reply is complete. A reply is good if its status is
 * 200 and, with -s, if it is a stream whose end holds END, which is [DONE] if not said. Prints one line of JSON; exits 1 if a reply was bad.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ROOM = 32768, MOST_BODY = 1 << 22, TAIL = 400, GRACE_S = 60 };

typedef struct {
    int fd, status;
    bool busy, chunked, closes;
    char *in;
    size_t length, capacity, head;
    long body;                /* content-length, or -1 */
    uint64_t began, first;    /* nanoseconds: request sent, first byte of the body seen */
} connection;

typedef struct {
    uint64_t *values;
    size_t count, capacity;
} series;

static int port, poll_fd;
static bool sse;
static const char *end_of_stream = "[DONE]";
static char *request;
static size_t request_length;
static series whole, first;
static long good, bad, reconnected;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void die(const char *what) {
    perror(what);
    exit(2);
}

static void keep(series *s, uint64_t value) {
    if (s->count == s->capacity) {
        s->capacity = s->capacity ? 2 * s->capacity : 1 << 16;
        s->values = realloc(s->values, s->capacity * sizeof *s->values);
    }
    s->values[s->count++] = value;
}

static int by_value(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static double quantile_us(const series *s, double part) {
    return s->count ? (double)s->values[(size_t)((double)(s->count - 1) * part)] / 1000.0 : 0.0;
}

static void open_connection(connection *c) {
    int one = 1;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address)) die("load: connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, c->fd, &(struct epoll_event){.events = EPOLLIN, .data.ptr = c});
    c->busy = false;
}

static void reopen(connection *c) {
    close(c->fd);
    reconnected++;
    open_connection(c);
}

static void send_request(connection *c) {
    c->busy = true;
    c->chunked = c->closes = false;
    c->status = 0;
    c->length = c->head = 0;
    c->body = -1;
    c->first = 0;
    c->began = now_ns();
    for (size_t at = 0; at < request_length;) {
        ssize_t sent = send(c->fd, request + at, request_length - at, MSG_NOSIGNAL);
        if (sent <= 0) break; /* the receive that follows finds the connection closed */
        at += (size_t)sent;
    }
}

static void read_head(connection *c) {
    char *end = memmem(c->in, c->length, "\r\n\r\n", 4);
    if (!end) return;
    c->head = (size_t)(end - c->in) + 4;
    c->status = atoi(c->in + 9);
    for (char *line = c->in; line < end; line = (char *)memmem(line, (size_t)(end + 2 - line), "\r\n", 2) + 2) {
        if (!strncasecmp(line, "content-length:", 15)) c->body = atol(line + 15);
        else if (!strncasecmp(line, "transfer-encoding:", 18)) c->chunked = true;
        else if (!strncasecmp(line, "connection: close", 17)) c->closes = true;
    }
}

static bool is_complete(const connection *c) {
    if (!c->head) return false;
    if (c->chunked) return c->length >= c->head + 5 && !memcmp(c->in + c->length - 5, "0\r\n\r\n", 5);
    return c->body >= 0 && c->length >= c->head + (size_t)c->body;
}

static bool is_good(const connection *c) {
    if (c->status != 200) return false;
    size_t tail = c->length - c->head < TAIL ? c->length - c->head : TAIL;
    return !sse || memmem(c->in + c->length - tail, tail, end_of_stream, strlen(end_of_stream));
}

static void finish(connection *c, bool was_good) {
    uint64_t now = now_ns();
    keep(&whole, now - c->began);
    keep(&first, c->first ? c->first - c->began : 0);
    c->busy = false;
    if (was_good) {
        good++;
    } else if (!bad++) {
        c->in[c->length] = 0;
        fprintf(stderr, "load: a bad reply: %.600s\n", c->length ? c->in : "the connection was closed");
    }
}

/* Returns whether a request of this connection has come to its end. */
static bool receive(connection *c) {
    if (c->capacity - c->length < ROOM) {
        c->capacity = 2 * c->capacity + ROOM;
        c->in = realloc(c->in, c->capacity + 1);
    }
    ssize_t got = recv(c->fd, c->in + c->length, c->capacity - c->length, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return false;
    if (got <= 0) {
        bool was_busy = c->busy, until_close = c->head && c->body < 0 && !c->chunked;
        if (was_busy) finish(c, until_close && is_good(c));
        reopen(c);
        return was_busy;
    }
    c->length += (size_t)got;
    if (!c->head) read_head(c);
    if (c->head && c->length > c->head && !c->first) c->first = now_ns();
    if (!is_complete(c)) return false;
    finish(c, is_good(c));
    if (c->closes) reopen(c);
    return true;
}

static void build_request(const char *path, const char *file, const char *headers) {
    char *body = malloc(MOST_BODY);
    FILE *from = fopen(file, "rb");
    if (!from) die(file);
    size_t length = fread(body, 1, MOST_BODY, from);
    fclose(from);
    request = malloc(length + strlen(headers) + strlen(path) + 512);
    int head = sprintf(request,
                       "POST %s HTTP/1.1\r\nhost: 127.0.0.1:%d\r\nuser-agent: load\r\naccept: */*\r\n"
                       "content-type: application/json\r\n%scontent-length: %zu\r\n\r\n",
                       path, port, headers, length);
    memcpy(request + head, body, length);
    request_length = (size_t)head + length;
    free(body);
}

int main(int count, char **arguments) {
    int connections = 1, option;
    long most = 0;
    double seconds = 0;
    char headers[8192] = "";
    while ((option = getopt(count, arguments, "H:c:t:n:se:")) > 0) {
        if (option == 'H' && strlen(headers) + strlen(optarg) + 3 < sizeof headers) {
            strcat(headers, optarg);
            strcat(headers, "\r\n");
        } else if (option == 'c') connections = atoi(optarg);
        else if (option == 't') seconds = atof(optarg);
        else if (option == 'n') most = atol(optarg);
        else if (option == 's') sse = true;
        else if (option == 'e') end_of_stream = optarg;
    }
    if (count - optind != 3 || connections < 1 || (most <= 0) == (seconds <= 0)) {
        fputs("usage: load PORT PATH BODY_FILE [-H 'name: value']... [-c CONNECTIONS] (-t SECONDS | -n REQUESTS) [-s] [-e END]\n",
              stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    port = atoi(arguments[optind]);
    build_request(arguments[optind + 1], arguments[optind + 2], headers);
    poll_fd = epoll_create1(0);
    connection *all = calloc((size_t)connections, sizeof *all);
    for (int i = 0; i < connections; i++) open_connection(&all[i]);

    uint64_t began = now_ns(), end = most ? UINT64_MAX : began + (uint64_t)(seconds * 1e9);
    uint64_t give_up = most ? UINT64_MAX : end + GRACE_S * 1000000000ull;
    long sent = 0, done = 0;
    for (int i = 0; i < connections && (!most || sent < most); i++, sent++) send_request(&all[i]);
    while (done < sent && now_ns() < give_up) {
        struct epoll_event ready[256];
        int found = epoll_wait(poll_fd, ready, 256, 1000);
        for (int i = 0; i < found; i++) {
            connection *c = ready[i].data.ptr;
            if (!receive(c)) continue;
            done++;
            if ((!most || sent < most) && now_ns() < end) {
                send_request(c);
                sent++;
            }
        }
    }
    double elapsed = (double)(now_ns() - began) / 1e9;
    bad += sent - done;
    qsort(whole.values, whole.count, sizeof *whole.values, by_value);
    qsort(first.values, first.count, sizeof *first.values, by_value);
    printf("{\"requests\":%ld,\"bad\":%ld,\"seconds\":%.4f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"first_p50_us\":%.1f,"
           "\"reconnected\":%ld}\n",
           good, bad, elapsed, quantile_us(&whole, .5), quantile_us(&whole, .99), quantile_us(&first, .5), reconnected);
    return bad ? 1 : 0;
}
