/* The ceiling: a bare libuv server that answers every frame of 64 bytes with the same 64
 * bytes, and knows nothing else. One thread; what one read brings is answered by one write.
 *
 *   peer_echo_server <port of 127.0.0.1> */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { FRAME = 64, READ_SIZE = 256 * 1024, BACKLOG = 1024 };

struct conn {
    uv_tcp_t tcp;
    size_t waiting; /* writes that the socket did not take at once */
    size_t kept;
    char half[FRAME]; /* the beginning of a frame */
};

struct write {
    uv_write_t request;
    char bytes[];
};

/* `half` of the connection before what was read: both are one run of bytes. */
static char read_buf[FRAME + READ_SIZE];

static void die(const char *what, int error)
{
    (void)fprintf(stderr, "peer_echo_server: %s: %s\n", what, uv_strerror(error));
    exit(1);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)handle, (void)suggested;
    *buf = uv_buf_init(read_buf + FRAME, READ_SIZE);
}

static void on_written(uv_write_t *request, int status)
{
    struct conn *c = request->handle->data;
    (void)status; /* the next read tells */
    c->waiting--;
    free(request->data);
}

static void answer(struct conn *c, char *bytes, size_t size)
{
    uv_buf_t buf = uv_buf_init(bytes, (unsigned)size);
    int sent = c->waiting == 0 ? uv_try_write((uv_stream_t *)&c->tcp, &buf, 1) : 0;
    size_t done = sent > 0 ? (size_t)sent : 0;
    if (done == size) {
        return;
    }
    struct write *rest = malloc(sizeof *rest + size - done);
    if (rest == NULL) {
        die("write", UV_ENOMEM);
    }
    memcpy(rest->bytes, bytes + done, size - done);
    rest->request.data = rest;
    buf = uv_buf_init(rest->bytes, (unsigned)(size - done));
    if (uv_write(&rest->request, (uv_stream_t *)&c->tcp, &buf, 1, on_written) != 0) {
        free(rest);
        return;
    }
    c->waiting++;
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    struct conn *c = stream->data;
    if (size < 0) {
        uv_close((uv_handle_t *)stream, on_closed);
        return;
    }
    char *begin = buf->base - c->kept;
    size_t total = c->kept + (size_t)size, whole = total - total % FRAME;
    memcpy(begin, c->half, c->kept);
    c->kept = total - whole;
    memcpy(c->half, begin + whole, c->kept);
    if (whole > 0) {
        answer(c, begin, whole);
    }
}

static void on_connection(uv_stream_t *listener, int status)
{
    if (status < 0) {
        die("listen", status);
    }
    struct conn *c = calloc(1, sizeof *c);
    if (c == NULL) {
        die("accept", UV_ENOMEM);
    }
    c->tcp.data = c;
    (void)uv_tcp_init(listener->loop, &c->tcp);
    if (uv_accept(listener, (uv_stream_t *)&c->tcp) != 0) {
        uv_close((uv_handle_t *)&c->tcp, on_closed);
        return;
    }
    (void)uv_tcp_nodelay(&c->tcp, 1);
    (void)uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
}

int main(int argc, char **argv)
{
    uv_tcp_t listener;
    struct sockaddr_in address;
    char *end = NULL;
    long port = argc == 2 ? strtol(argv[1], &end, 10) : 0;
    if (port <= 0 || port > 65535 || *end != '\0') {
        (void)fprintf(stderr, "usage: peer_echo_server PORT\n");
        return 2;
    }
    (void)uv_ip4_addr("127.0.0.1", (int)port, &address);
    (void)uv_tcp_init(uv_default_loop(), &listener);
    int error = uv_tcp_bind(&listener, (const struct sockaddr *)&address, 0);
    error = error != 0 ? error : uv_listen((uv_stream_t *)&listener, BACKLOG, on_connection);
    if (error != 0) {
        die("listen", error);
    }
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
