/* mock: an upstream that costs next to nothing, so that what is measured is the gateway in front of it.
 *
 *     mock PORT [CHUNKS [PAUSE_US]]
 *
 * HTTP/1.1 on the loopback interface, one thread, one epoll. A POST whose body says "stream": true gets CHUNKS
 * server-sent events in chunked encoding, the last of them [DONE], PAUSE_US apart but for the second, which comes sooner,
 * so that streams that begin together are not in step; any other POST gets 472 bytes of chat completion. A POST to a path that ends with /messages or /responses gets the same in Anthropic's form or that of
 * OpenAI's Responses. GET /v1/models gets a list, any other GET {"status":"ok"}.
 *
 * Rule: it trusts its peer; it is no server for anything but a measurement.
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

enum { MOST = 4096, ROOM = 65536, LOOK = 400, MOST_CHUNKS = 2048 };

typedef struct {
    char *data;
    size_t length;
} bytes;

typedef struct {
    char *in;
    size_t length, capacity;
    bool streaming;
    const bytes *chunks;
    int next;     /* the chunk to send when it is due */
    uint64_t due; /* microseconds */
} connection;

#define CHAT_ID "\"id\":\"chatcmpl-mock0123456789abcdefghij\","
#define CHAT_TAIL "\"created\":1735689600,\"model\":\"gpt-4o-mini\",\"system_fingerprint\":\"fp_mock\","
static const char COMPLETION[] =
    "{" CHAT_ID "\"object\":\"chat.completion\",\"created\":1735689600,\"model\":\"gpt-4o-mini\",\"choices\":[{"
    "\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Hello! This is a canned answer of the mock upstream. "
    "It is about as long as a short answer.\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"stop\"}],"
    "\"usage\":{\"prompt_tokens\":181,\"completion_tokens\":21,\"total_tokens\":202,"
    "\"prompt_tokens_details\":{\"cached_tokens\":0}},\"system_fingerprint\":\"fp_mock\"}";
static const char MESSAGE[] =
    "{\"id\":\"msg_mock0123456789abcdefghij\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"gpt-4o-mini\",\"content\":[{"
    "\"type\":\"text\",\"text\":\"Hello! This is a canned answer of the mock upstream. It is about as long as a short "
    "answer.\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":{\"input_tokens\":181,"
    "\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":21,\"service_tier\":\"standard\"}}";
#define RESPONSE(STATUS, OUTPUT, USAGE) \
    "{\"id\":\"resp_mock0123456789abcdefghij\",\"object\":\"response\",\"created_at\":1735689600,\"status\":\"" STATUS "\"," \
    "\"error\":null,\"incomplete_details\":null,\"instructions\":\"You are a helpful assistant.\",\"max_output_tokens\":256," \
    "\"model\":\"gpt-4o-mini\",\"output\":[" OUTPUT "],\"parallel_tool_calls\":true,\"previous_response_id\":null," \
    "\"reasoning\":{\"effort\":null,\"summary\":null},\"store\":false,\"temperature\":0.7,\"text\":{\"format\":{\"type\":\"text\"}}," \
    "\"tool_choice\":\"auto\",\"tools\":[],\"top_p\":1.0,\"truncation\":\"disabled\",\"usage\":" USAGE ",\"user\":null,\"metadata\":{}}"
#define ITEM(STATUS, CONTENT) \
    "{\"type\":\"message\",\"id\":\"msg_mock0123456789abcdefghij\",\"status\":\"" STATUS "\",\"role\":\"assistant\",\"content\":[" CONTENT "]}"
#define TEXT(SAID) "{\"type\":\"output_text\",\"text\":\"" SAID "\",\"annotations\":[],\"logprobs\":[]}"
#define SAID "Hello! This is a canned answer of the mock upstream. It is about as long as a short answer."
#define PLACE "\"item_id\":\"msg_mock0123456789abcdefghij\",\"output_index\":0,\"content_index\":0"
#define SPENT(OUT, ALL) \
    "{\"input_tokens\":181,\"input_tokens_details\":{\"cached_tokens\":0},\"output_tokens\":" OUT "," \
    "\"output_tokens_details\":{\"reasoning_tokens\":0},\"total_tokens\":" ALL "}"
static const char ANSWER[] = RESPONSE("completed", ITEM("completed", TEXT(SAID)), SPENT("21", "202"));
static const char MODELS[] =
    "{\"object\":\"list\",\"data\":[{\"id\":\"gpt-4o-mini\",\"object\":\"model\",\"created\":1735689600,"
    "\"owned_by\":\"mock\",\"root\":\"gpt-4o-mini\"}]}";
static const char OK[] = "{\"status\":\"ok\"}";
static const char STREAM_HEAD[] =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\nserver: mock\r\n"
    "transfer-encoding: chunked\r\n\r\n";

static connection connections[MOST];
static int streams[MOST], streaming; /* file descriptors whose next chunk has a time */
static bytes completion, message, answered, models, ok, chunks[MOST_CHUNKS], events[MOST_CHUNKS], items[MOST_CHUNKS];
static int chunk_count = 50;
static uint64_t pause_us;

static uint64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static bytes format(const char *pattern, size_t length, const char *body) {
    char *data = NULL;
    int written = asprintf(&data, pattern, length, body);
    if (written < 0) exit(1);
    return (bytes){data, (size_t)written};
}

/* One event of Anthropic's stream; the first brings its opening along, the last one the end. */
static bytes message_event(int i, bool last) {
    char event[2048];
    if (last)
        snprintf(event, sizeof event,
                 "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
                 "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":"
                 "null},\"usage\":{\"output_tokens\":49}}\n\n"
                 "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    else
        snprintf(event, sizeof event,
                 "%sevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":"
                 "\"text_delta\",\"text\":\" tok%03d\"}}\n\n",
                 i ? ""
                   : "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_mock\",\"type\":\"message\","
                     "\"role\":\"assistant\",\"model\":\"gpt-4o-mini\",\"content\":[],\"stop_reason\":null,\"usage\":{"
                     "\"input_tokens\":181,\"output_tokens\":1}}}\n\n"
                     "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":"
                     "\"text\",\"text\":\"\"}}\n\n",
                 i);
    return format(last ? "%zx\r\n%s\r\n0\r\n\r\n" : "%zx\r\n%s\r\n", strlen(event), event);
}

/* One event of the Responses' stream, with its number. */
#define NUMBERED(TYPE, REST) "event: " TYPE "\ndata: {\"type\":\"" TYPE "\",\"sequence_number\":%d," REST "}\n\n"

/* The first brings its opening along, the last one the end. */
static bytes response_event(int i, bool last) {
    char event[8192];
    if (last)
        snprintf(event, sizeof event,
                 NUMBERED("response.output_text.done", PLACE ",\"text\":\"" SAID "\",\"logprobs\":[]")
                 NUMBERED("response.content_part.done", PLACE ",\"part\":" TEXT(SAID))
                 NUMBERED("response.output_item.done", "\"output_index\":0,\"item\":" ITEM("completed", TEXT(SAID)))
                 NUMBERED("response.completed", "\"response\":" RESPONSE("completed", ITEM("completed", TEXT(SAID)), SPENT("49", "230"))),
                 i + 4, i + 5, i + 6, i + 7);
    else if (!i)
        snprintf(event, sizeof event,
                 NUMBERED("response.created", "\"response\":" RESPONSE("in_progress", "", "null"))
                 NUMBERED("response.in_progress", "\"response\":" RESPONSE("in_progress", "", "null"))
                 NUMBERED("response.output_item.added", "\"output_index\":0,\"item\":" ITEM("in_progress", ""))
                 NUMBERED("response.content_part.added", PLACE ",\"part\":" TEXT(""))
                 NUMBERED("response.output_text.delta", PLACE ",\"delta\":\" tok000\",\"logprobs\":[]"),
                 0, 1, 2, 3, 4);
    else
        snprintf(event, sizeof event, NUMBERED("response.output_text.delta", PLACE ",\"delta\":\" tok%03d\",\"logprobs\":[]"), i + 4, i);
    return format(last ? "%zx\r\n%s\r\n0\r\n\r\n" : "%zx\r\n%s\r\n", strlen(event), event);
}

static void prepare(void) {
    const char *reply = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nserver: mock\r\nx-request-id: req_mock\r\n"
                        "content-length: %zu\r\n\r\n%s";
    completion = format(reply, strlen(COMPLETION), COMPLETION);
    message = format(reply, strlen(MESSAGE), MESSAGE);
    answered = format(reply, strlen(ANSWER), ANSWER);
    models = format(reply, strlen(MODELS), MODELS);
    ok = format(reply, strlen(OK), OK);
    for (int i = 0; i < chunk_count; i++) {
        char delta[64] = "", event[1024];
        bool last = i == chunk_count - 1;
        if (!last) snprintf(delta, sizeof delta, "%s\"content\":\" tok%03d\"", i ? "" : "\"role\":\"assistant\",", i);
        snprintf(event, sizeof event,
                 "data: {" CHAT_ID "\"object\":\"chat.completion.chunk\"," CHAT_TAIL
                 "\"choices\":[{\"index\":0,\"delta\":{%s},\"logprobs\":null,\"finish_reason\":%s}]}\n\n%s",
                 delta, last ? "\"stop\"" : "null", last ? "data: [DONE]\n\n" : "");
        chunks[i] = format(last ? "%zx\r\n%s\r\n0\r\n\r\n" : "%zx\r\n%s\r\n", strlen(event), event);
        events[i] = message_event(i, last);
        items[i] = response_event(i, last);
    }
}

static void put(int fd, const char *data, size_t length) {
    while (length) {
        ssize_t sent = send(fd, data, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            usleep(50);
            continue;
        }
        if (sent < 0) return; /* the peer is gone; the next receive says so */
        data += sent;
        length -= (size_t)sent;
    }
}

static void stop_streaming(int fd) {
    connections[fd].streaming = false;
    for (int i = 0; i < streaming; i++)
        if (streams[i] == fd) streams[i--] = streams[--streaming];
}

static void drop(int fd) {
    if (connections[fd].streaming) stop_streaming(fd);
    free(connections[fd].in);
    connections[fd] = (connection){0};
    close(fd);
}

static bool asks_for_stream(const char *body, size_t length) {
    size_t part = length < LOOK ? length : LOOK; /* clients say it at one end of the body */
    const char *found = memmem(body, part, "\"stream\"", 8);
    if (!found) found = memmem(body + length - part, part, "\"stream\"", 8);
    if (!found) return false;
    for (found += 8; *found == ' ' || *found == ':'; found++) {}
    return *found == 't';
}

/* A part of the pause. Any few in a row divide it evenly, as multiples of the golden ratio do: streams that begin
 * together are as much out of step as those of strangers. */
static uint64_t part_of_pause(void) {
    static uint64_t turn; /* of 2^64 */
    turn += 11400714819323198485ull;
    return (turn >> 40) * pause_us >> 24;
}

static void respond(int fd, const char *request, const char *body, size_t body_length) {
    connection *c = &connections[fd];
    const char *line = memchr(request, '\r', (size_t)(body - request));
    bool messages = line && memmem(request, (size_t)(line - request), "/messages ", 10);
    bool responses = line && memmem(request, (size_t)(line - request), "/responses ", 11);
    if (!strncmp(request, "GET /v1/models", 14)) {
        put(fd, models.data, models.length);
    } else if (!strncmp(request, "GET ", 4)) {
        put(fd, ok.data, ok.length);
    } else if (!asks_for_stream(body, body_length)) {
        const bytes *whole = messages ? &message : responses ? &answered : &completion;
        put(fd, whole->data, whole->length);
    } else {
        c->chunks = messages ? events : responses ? items : chunks;
        put(fd, STREAM_HEAD, sizeof STREAM_HEAD - 1);
        put(fd, c->chunks[0].data, c->chunks[0].length);
        c->next = 1;
        c->due = now_us() + part_of_pause();
        if (chunk_count > 1) {
            c->streaming = true;
            streams[streaming++] = fd;
        }
    }
}

/* The length of the first request in the buffer with its body, or 0 if it is not complete. */
static size_t complete(const connection *c, size_t *head, size_t *body) {
    const char *end = memmem(c->in, c->length, "\r\n\r\n", 4);
    if (!end) return 0;
    *head = (size_t)(end - c->in) + 4;
    *body = 0;
    for (const char *line = c->in; line < end; line = (const char *)memmem(line, (size_t)(end + 2 - line), "\r\n", 2) + 2) {
        if (!strncasecmp(line, "content-length:", 15)) *body = strtoul(line + 15, NULL, 10);
        if (!strncasecmp(line, "transfer-encoding: chunked", 26)) {
            const char *last = memmem(c->in + *head - 2, c->length - *head + 2, "\r\n0\r\n\r\n", 7);
            if (!last) return 0;
            *body = (size_t)(last - c->in) + 7 - *head;
        }
    }
    return c->length >= *head + *body ? *head + *body : 0;
}

static void answer(int fd) {
    connection *c = &connections[fd];
    size_t head, body, total;
    while (!c->streaming && (total = complete(c, &head, &body))) {
        respond(fd, c->in, c->in + head, body);
        memmove(c->in, c->in + total, c->length - total);
        c->length -= total;
    }
}

static void receive(int fd) {
    connection *c = &connections[fd];
    if (c->capacity - c->length < ROOM) {
        c->capacity = c->length + 2 * ROOM;
        c->in = realloc(c->in, c->capacity);
    }
    ssize_t got = recv(fd, c->in + c->length, c->capacity - c->length, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        drop(fd);
        return;
    }
    c->length += (size_t)got;
    answer(fd);
}

static void send_due(void) {
    uint64_t now = now_us();
    for (int i = 0; i < streaming;) {
        int fd = streams[i];
        connection *c = &connections[fd];
        if (c->due > now) {
            i++;
            continue;
        }
        put(fd, c->chunks[c->next].data, c->chunks[c->next].length);
        c->due += pause_us;
        if (++c->next == chunk_count) {
            stop_streaming(fd);
            answer(fd);
        }
    }
}

static const struct timespec *until_due(struct timespec *left) {
    if (!streaming) return NULL;
    uint64_t now = now_us(), first = UINT64_MAX;
    for (int i = 0; i < streaming; i++)
        if (connections[streams[i]].due < first) first = connections[streams[i]].due;
    uint64_t wait = first > now ? first - now : 0;
    *left = (struct timespec){(time_t)(wait / 1000000), (long)(wait % 1000000) * 1000};
    return left;
}

static int listen_on(int port) {
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1024)) {
        perror("mock");
        exit(1);
    }
    return listener;
}

static void welcome(int poll, int listener) {
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (fd >= MOST) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        connections[fd] = (connection){0};
        epoll_ctl(poll, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.fd = fd});
    }
}

int main(int count, char **arguments) {
    if (count < 2) {
        fputs("usage: mock PORT [CHUNKS [PAUSE_US]]\n", stderr);
        return 2;
    }
    if (count > 2) chunk_count = atoi(arguments[2]);
    if (count > 3) pause_us = strtoull(arguments[3], NULL, 10);
    if (chunk_count < 1 || chunk_count > MOST_CHUNKS) {
        fprintf(stderr, "mock: from 1 to %d chunks\n", MOST_CHUNKS);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    prepare();
    int listener = listen_on(atoi(arguments[1])), poll = epoll_create1(0);
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN, .data.fd = listener});
    for (;;) {
        struct epoll_event ready[256];
        struct timespec left;
        int found = epoll_pwait2(poll, ready, 256, until_due(&left), NULL);
        for (int i = 0; i < found; i++) {
            if (ready[i].data.fd == listener) welcome(poll, listener);
            else receive(ready[i].data.fd);
        }
        send_due();
    }
}
