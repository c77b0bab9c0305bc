/* The lean client of the peers: N connections with M requests under way on each, as
 * dormouse-bench does it: what comes in by one read is followed by as many new requests in
 * one write. So that a peer is not judged by a client that costs more than ours.
 *
 *   peer_pipe_client frames|get|set PORT CONNECTIONS DEPTH WARMUP_S SECONDS KEYS
 *
 * frames: 64 bytes each way (peer_echo_server). get, set: Redis, keys "key:" and twelve
 * digits, uniform over KEYS. One JSON line on stdout. */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    FRAME = 64,
    REQUEST_MAX = 96,
    IN_SIZE = 256 * 1024,
    CONNECTIONS_MAX = 4096,
    DEPTH_MAX = 4096,
    EVENTS = 256,
    DIGITS = 12,
};

struct connection {
    int fd;
    size_t kept; /* bytes of a half answer at the front of `in` */
    size_t out_size, out_sent;
    char *in, *out;
};

struct client {
    const char *protocol;
    size_t request_size, key_at;
    char request[REQUEST_MAX];
    uint32_t connections, depth;
    uint64_t keys, random;
    struct connection *all;
    int epoll;
    bool counting;
    uint64_t answers, missing;
};

static void die(const char *what)
{
    (void)fprintf(stderr, "peer_pipe_client: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now_s(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static uint64_t next_random(struct client *client)
{
    uint64_t x = client->random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    client->random = x;
    return x;
}

/* ---- requests and answers ------------------------------------------------------------- */

static void prepare_request(struct client *client)
{
    static const char get[] = "*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000000\r\n";
    static const char set[] = "*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000000\r\n$16\r\n"
                              "0123456789abcdef\r\n";
    const char *text = strcmp(client->protocol, "get") == 0 ? get : set;
    if (strcmp(client->protocol, "frames") == 0) {
        client->request_size = FRAME;
        memset(client->request, 'x', FRAME);
        return;
    }
    client->request_size = strlen(text);
    memcpy(client->request, text, client->request_size);
    client->key_at = (size_t)(strstr(text, "key:") - text) + 4;
}

static void put_requests(struct client *client, struct connection *c, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        char *to = c->out + c->out_size;
        memcpy(to, client->request, client->request_size);
        c->out_size += client->request_size;
        if (client->key_at == 0) {
            continue;
        }
        uint64_t key = (next_random(client) >> 32) * client->keys >> 32;
        for (int digit = DIGITS - 1; digit >= 0; digit--, key /= 10) {
            to[client->key_at + (size_t)digit] = (char)('0' + key % 10);
        }
    }
}

/* The size of the answer at the front; 0: not all of it is there. */
static size_t answer_size(struct client *client, const char *at, size_t size)
{
    if (client->key_at == 0) {
        return size >= FRAME ? FRAME : 0;
    }
    const char *line_end = memchr(at, '\n', size);
    if (line_end == NULL) {
        return 0;
    }
    size_t head = (size_t)(line_end - at) + 1;
    if (at[0] == '+') {
        return head;
    }
    if (at[0] != '$') {
        (void)fprintf(stderr, "peer_pipe_client: answered with %.*s", (int)head, at);
        exit(1);
    }
    long length = strtol(at + 1, NULL, 10);
    if (length < 0) {
        client->missing++;
        return head;
    }
    size_t whole = head + (size_t)length + 2;
    return size >= whole ? whole : 0;
}

/* ---- the connections -------------------------------------------------------------------- */

static void send_out(struct client *client, struct connection *c)
{
    while (c->out_sent < c->out_size) {
        ssize_t sent = send(c->fd, c->out + c->out_sent, c->out_size - c->out_sent, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
            (void)epoll_ctl(client->epoll, EPOLL_CTL_MOD, c->fd, &event);
            return;
        }
        if (sent < 0) {
            die("send");
        }
        c->out_sent += (size_t)sent;
    }
    c->out_size = c->out_sent = 0;
}

static void receive(struct client *client, struct connection *c)
{
    ssize_t got = recv(c->fd, c->in + c->kept, IN_SIZE - c->kept, 0);
    if (got < 0 && errno == EAGAIN) {
        return;
    }
    if (got <= 0) {
        die("the server closed");
    }
    size_t size = c->kept + (size_t)got, at = 0;
    uint32_t answers = 0;
    for (size_t one; at < size && (one = answer_size(client, c->in + at, size - at)) != 0;) {
        at += one;
        answers++;
    }
    c->kept = size - at;
    memmove(c->in, c->in + at, c->kept);
    client->answers += client->counting ? answers : 0;
    /* What is not sent yet stays in front: its room is that of DEPTH requests in all. */
    memmove(c->out, c->out + c->out_sent, c->out_size - c->out_sent);
    c->out_size -= c->out_sent;
    c->out_sent = 0;
    put_requests(client, c, answers);
    send_out(client, c);
}

static void dial(struct client *client, struct connection *c, uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int one = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        die("connect");
    }
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->in = malloc(IN_SIZE);
    c->out = malloc((size_t)client->depth * client->request_size);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (c->in == NULL || c->out == NULL ||
        epoll_ctl(client->epoll, EPOLL_CTL_ADD, c->fd, &event) != 0) {
        die("connection");
    }
}

static void run_until(struct client *client, double end_s)
{
    struct epoll_event events[EVENTS];
    while (now_s() < end_s) {
        int count = epoll_wait(client->epoll, events, EVENTS, 100);
        for (int i = 0; i < count; i++) {
            struct connection *c = events[i].data.ptr;
            if ((events[i].events & EPOLLOUT) != 0) {
                struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
                (void)epoll_ctl(client->epoll, EPOLL_CTL_MOD, c->fd, &event);
                send_out(client, c);
            }
            if ((events[i].events & ~(uint32_t)EPOLLOUT) != 0) {
                receive(client, c);
            }
        }
    }
}

static void begin(struct client *client, uint16_t port)
{
    client->epoll = epoll_create1(EPOLL_CLOEXEC);
    client->all = calloc(client->connections, sizeof *client->all);
    if (client->epoll < 0 || client->all == NULL) {
        die("memory");
    }
    prepare_request(client);
    for (uint32_t i = 0; i < client->connections; i++) {
        struct connection *c = &client->all[i];
        dial(client, c, port);
        put_requests(client, c, client->depth);
        send_out(client, c);
    }
}

static void finish(struct client *client)
{
    for (uint32_t i = 0; i < client->connections; i++) {
        (void)close(client->all[i].fd);
        free(client->all[i].in);
        free(client->all[i].out);
    }
    free(client->all);
    (void)close(client->epoll);
}

int main(int argc, char **argv)
{
    if (argc != 8) {
        (void)fprintf(stderr, "usage: peer_pipe_client frames|get|set PORT CONNECTIONS DEPTH "
                              "WARMUP_S SECONDS KEYS\n");
        return 2;
    }
    struct client client = {
        .protocol = argv[1],
        .connections = (uint32_t)strtoul(argv[3], NULL, 10),
        .depth = (uint32_t)strtoul(argv[4], NULL, 10),
        .keys = strtoull(argv[7], NULL, 10),
        .random = 88172645463325252U,
    };
    if (client.connections - 1 >= CONNECTIONS_MAX || client.depth - 1 >= DEPTH_MAX) {
        errno = EINVAL;
        die("connections or depth");
    }
    begin(&client, (uint16_t)strtoul(argv[2], NULL, 10));
    run_until(&client, now_s() + strtod(argv[5], NULL));
    client.counting = true;
    client.missing = 0;
    double began = now_s();
    run_until(&client, began + strtod(argv[6], NULL));
    double seconds = now_s() - began;
    (void)printf("{\"protocol\":\"%s\",\"connections\":%u,\"depth\":%u,\"seconds\":%.3f,"
                 "\"calls\":%llu,\"missing\":%llu,\"calls_per_second\":%.0f}\n",
                 client.protocol, client.connections, client.depth, seconds,
                 (unsigned long long)client.answers, (unsigned long long)client.missing,
                 (double)client.answers / seconds);
    finish(&client);
    return 0;
}
