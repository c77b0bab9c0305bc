/* What a protocol costs a call: its request's bytes into a session, the event, the answer's
 * bytes out. The answer itself is always the same 12 bytes. JSON lines on stdout: nanoseconds
 * of processor time, and the bytes on the wire.
 *
 *   wire_bench [rounds] [depth] [protocol]
 *
 * `depth`: calls that come in one read. Without a protocol, each has its turn. gRPC's client is
 * libnghttp2's; only the server's side is measured. */

#include "wire/session.h"
#include "wire/ttrpc_frame.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DEFAULT_ROUNDS = 20000, DEFAULT_DEPTH = 16, DEPTH_MAX = 128, GRPC_HEAD = 5 };

static const char request_bytes[] = "\x0a\x08"
                                    "a0000017\x12\x14"
                                    "contact-000000012345";
static const char answer_bytes[] = "\x08\x03\x10\x02\x18\x02\x20\x01\x2a\x02\x08\x01";
enum { REQUEST_SIZE = sizeof request_bytes - 1, ANSWER_SIZE = sizeof answer_bytes - 1 };

struct bench {
    struct dm_session *session;
    struct dm_buf input;
    uint32_t depth, stream;
    nghttp2_session *client; /* gRPC */
    uint32_t ended;          /* streams of it that the server has ended */
};

static uint64_t processor_ns(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void die(const char *what)
{
    (void)fprintf(stderr, "wire_bench: %s\n", what);
    exit(1);
}

static void append(struct bench *bench, const void *bytes, size_t size)
{
    if (!dm_buf_append(&bench->input, bytes, size)) {
        die("no memory");
    }
}

/* ---- the clients: one round's requests into `input` -------------------------------------------
 */

static void ask_ttrpc(struct bench *bench)
{
    const struct dm_ttrpc_request request = {
        .service = dm_slice_str("dormouse.v1.BotStatus"),
        .method = dm_slice_str("Check"),
        .payload = dm_slice(request_bytes, REQUEST_SIZE),
    };
    for (uint32_t i = 0; i < bench->depth; i++) {
        bench->stream += 2;
        if (!dm_ttrpc_request_write(&bench->input, bench->stream, DM_TTRPC_REMOTE_CLOSED,
                                    &request)) {
            die("no memory");
        }
    }
}

static void ask_connect(struct bench *bench)
{
    char head[256];
    int size = snprintf(head, sizeof head,
                        "POST /dormouse.v1.BotStatus/Check HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                        "Content-Type: application/proto\r\nContent-Length: %d\r\n\r\n",
                        REQUEST_SIZE);
    for (uint32_t i = 0; i < bench->depth; i++) {
        append(bench, head, (size_t)size);
        append(bench, request_bytes, REQUEST_SIZE);
    }
}

static nghttp2_nv header(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value),
                        NGHTTP2_NV_FLAG_NONE};
}

static ssize_t read_body(nghttp2_session *client, int32_t stream, uint8_t *to, size_t size,
                         uint32_t *flags, nghttp2_data_source *source, void *context)
{
    (void)client, (void)stream, (void)source, (void)context;
    if (size < GRPC_HEAD + REQUEST_SIZE) {
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    memset(to, 0, GRPC_HEAD);
    to[GRPC_HEAD - 1] = REQUEST_SIZE;
    memcpy(to + GRPC_HEAD, request_bytes, REQUEST_SIZE);
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    return GRPC_HEAD + REQUEST_SIZE;
}

static int on_stream_close(nghttp2_session *client, int32_t stream, uint32_t error, void *context)
{
    struct bench *bench = context;
    (void)client, (void)stream;
    bench->ended += error == NGHTTP2_NO_ERROR;
    return 0;
}

static void send_client(struct bench *bench)
{
    const uint8_t *bytes;
    for (ssize_t size; (size = nghttp2_session_mem_send(bench->client, &bytes)) > 0;) {
        append(bench, bytes, (size_t)size);
    }
}

static void ask_grpc(struct bench *bench)
{
    const nghttp2_nv headers[] = {
        header(":method", "POST"),
        header(":scheme", "http"),
        header(":path", "/dormouse.v1.BotStatus/Check"),
        header(":authority", "127.0.0.1"),
        header("content-type", "application/grpc"),
        header("te", "trailers"),
    };
    const nghttp2_data_provider body = {.read_callback = read_body};
    for (uint32_t i = 0; i < bench->depth; i++) {
        if (nghttp2_submit_request(bench->client, NULL, headers, sizeof headers / sizeof headers[0],
                                   &body, NULL) < 0) {
            die("nghttp2 took no request");
        }
    }
    send_client(bench);
}

static void begin_grpc(struct bench *bench)
{
    nghttp2_session_callbacks *callbacks;
    if (nghttp2_session_callbacks_new(&callbacks) != 0) {
        die("no memory");
    }
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    if (nghttp2_session_client_new(&bench->client, callbacks, bench) != 0 ||
        nghttp2_submit_settings(bench->client, NGHTTP2_FLAG_NONE, NULL, 0) != 0) {
        die("no HTTP/2 client");
    }
    nghttp2_session_callbacks_del(callbacks);
}

/* ---- the server
 * -------------------------------------------------------------------------------------- */

static uint32_t serve(struct bench *bench)
{
    struct dm_session_event event;
    uint32_t calls = 0;
    dm_session_feed(bench->session, dm_buf_slice(&bench->input));
    while (dm_session_next(bench->session, &event)) {
        dm_session_reply(bench->session, event.id, dm_slice(answer_bytes, ANSWER_SIZE));
        calls++;
    }
    dm_session_flush(bench->session);
    return calls;
}

struct protocol {
    const char *name;
    struct dm_session *(*session)(const struct dm_session_limits *);
    void (*ask)(struct bench *);
};

static uint64_t one_round(struct bench *bench, const struct protocol *protocol, uint64_t *bytes_in,
                          uint64_t *bytes_out)
{
    bench->ended = 0;
    dm_buf_reset(&bench->input, SIZE_MAX);
    protocol->ask(bench);
    uint64_t began = processor_ns();
    uint32_t calls = serve(bench);
    uint64_t took = processor_ns() - began;
    struct dm_buf *out = &bench->session->out;
    *bytes_in += dm_buf_size(&bench->input);
    *bytes_out += dm_buf_size(out);
    if (calls != bench->depth || bench->session->closing) {
        die("calls were lost");
    }
    if (bench->client != NULL &&
        (nghttp2_session_mem_recv(bench->client, dm_buf_head(out), dm_buf_size(out)) < 0 ||
         bench->ended != bench->depth)) {
        die("answers were lost");
    }
    dm_buf_reset(out, SIZE_MAX);
    return took;
}

static void run(const struct protocol *protocol, uint64_t rounds, uint32_t depth)
{
    struct bench bench = {.depth = depth, .stream = UINT32_MAX};
    uint64_t took = 0, bytes_in = 0, bytes_out = 0;
    bench.session = protocol->session(&(struct dm_session_limits){0});
    if (bench.session == NULL) {
        die("no session");
    }
    if (protocol->ask == ask_grpc) {
        begin_grpc(&bench);
    }
    (void)one_round(&bench, protocol, &bytes_in, &bytes_out); /* greetings */
    bytes_in = bytes_out = 0;
    for (uint64_t i = 0; i < rounds; i++) {
        took += one_round(&bench, protocol, &bytes_in, &bytes_out);
    }
    double calls = (double)rounds * depth;
    printf("{\"bench\":\"wire\",\"protocol\":\"%s\",\"depth\":%u,\"ns_each\":%.1f,"
           "\"bytes_in\":%.0f,\"bytes_out\":%.0f}\n",
           protocol->name, depth, (double)took / calls, (double)bytes_in / calls,
           (double)bytes_out / calls);
    (void)fflush(stdout);
    nghttp2_session_del(bench.client);
    dm_session_destroy(bench.session);
    dm_buf_finish(&bench.input);
}

int main(int argc, char **argv)
{
    static const struct protocol protocols[] = {
        {"ttrpc", dm_ttrpc_session, ask_ttrpc},
        {"connect", dm_http1_session, ask_connect},
        {"grpc", dm_h2_session, ask_grpc},
    };
    uint64_t rounds = argc > 1 ? strtoull(argv[1], NULL, 10) : DEFAULT_ROUNDS;
    uint32_t depth = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : DEFAULT_DEPTH;
    if (rounds == 0 || depth == 0 || depth > DEPTH_MAX) {
        die("usage: wire_bench [rounds] [depth, at most 128] [protocol]");
    }
    printf("{\"bench\":\"wire\",\"compiler\":\"%s\",\"rounds\":%llu}\n", __VERSION__,
           (unsigned long long)rounds);
    for (size_t i = 0; i < sizeof protocols / sizeof protocols[0]; i++) {
        if (argc < 4 || strcmp(argv[3], protocols[i].name) == 0) {
            run(&protocols[i], rounds, depth);
        }
    }
    return 0;
}
