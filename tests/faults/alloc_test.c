/* Every allocation fails once, whatever a client is doing: each input of the fuzz corpora is
 * played again and again, and each time the next allocation fails. What must come is a clear
 * answer to every call, or the connection's end; and the server goes on as if nothing had
 * happened. Leaks are the sanitizer's to find.
 *
 * usage: alloc_test <corpus folder> */
#include "base/assert.h"
#include "base/bytes.h"
#include "base/log.h"
#include "faults/alloc.h"
#include "faults/house.h"
#include "wire/ttrpc_frame.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INPUT_MAX = 65536, PATH_SIZE = 4096, CHECK_ID = 1 };

struct protocol {
    const char *name;
    struct dm_session *(*create)(const struct dm_session_limits *limits);
    struct dm_slice hello;
    /* How many calls have an end in what was sent. */
    unsigned (*ends)(struct dm_slice sent);
};

static struct {
    struct house house;
    const char *playing;
    uint64_t failures, closed, inputs;
} test;

#define CHECK(condition)                                                                   \
    do {                                                                                   \
        if (!(condition)) {                                                                \
            alloc_fail_at(0);                                                              \
            (void)fprintf(stderr, "%s, %s:%d: not %s\n", test.playing, __FILE__, __LINE__, \
                          #condition);                                                     \
            abort();                                                                       \
        }                                                                                  \
    } while (0)

/* ---- what was answered ----------------------------------------------------------------- */

static unsigned ttrpc_ends(struct dm_slice sent)
{
    unsigned ends = 0;
    for (size_t at = 0; at + DM_TTRPC_HEADER_SIZE <= sent.size;) {
        struct dm_ttrpc_header header;
        dm_ttrpc_header_load((const uint8_t *)sent.data + at, &header);
        ends += header.type == DM_TTRPC_RESPONSE || (header.flags & 1) != 0;
        at += DM_TTRPC_HEADER_SIZE + header.size;
        CHECK(at <= sent.size);
    }
    return ends;
}

static unsigned http1_ends(struct dm_slice sent)
{
    static const char head[] = "HTTP/1.1 ";
    unsigned ends = 0;
    for (size_t at = 0; at + sizeof head - 1 <= sent.size; at++) {
        ends += memcmp((const char *)sent.data + at, head, sizeof head - 1) == 0;
    }
    return ends;
}

enum { H2_FRAME_HEAD = 9, H2_DATA = 0, H2_HEADERS = 1, H2_RESET = 3, H2_STREAMS_MAX = 65536 };

/* Each stream once: trailers may be followed by a reset. */
static unsigned h2_ends(struct dm_slice sent)
{
    const uint8_t *bytes = sent.data;
    bool ended[H2_STREAMS_MAX] = {false};
    unsigned ends = 0;
    for (size_t at = 0; at + H2_FRAME_HEAD <= sent.size;) {
        const uint8_t *frame = bytes + at;
        uint32_t stream = dm_load_be32(frame + 5) % H2_STREAMS_MAX;
        bool last = frame[3] <= H2_HEADERS && (frame[4] & 1) != 0;
        if (stream != 0 && !ended[stream] && (last || frame[3] == H2_RESET)) {
            ended[stream] = true;
            ends++;
        }
        at += H2_FRAME_HEAD + ((size_t)frame[0] << 16 | (size_t)frame[1] << 8 | frame[2]);
        CHECK(at <= sent.size);
    }
    return ends;
}

static const struct protocol protocols[] = {
    {"ttrpc", dm_ttrpc_session, {NULL, 0}, ttrpc_ends},
    {"http1", dm_http1_session, {NULL, 0}, http1_ends},
    {"h2", dm_h2_session, {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33}, h2_ends},
};

/* ---- playing ----------------------------------------------------------------------------- */

struct result {
    unsigned ends;
    bool closed;
};

static struct result play(const struct protocol *protocol, struct dm_slice input)
{
    struct house_conn conn;
    struct result result = {.ends = 0, .closed = true};
    struct dm_session *session = protocol->create(&house_limits);
    if (session == NULL) {
        return result; /* the socket is closed at once */
    }
    house_connect(&test.house, &conn, session);
    if (protocol->hello.size != 0) {
        house_receive(&conn, protocol->hello);
    }
    house_receive(&conn, input);
    for (int i = 0; i < 4; i++) {
        house_settle(&conn);
        virtual_clock_advance(&test.house.clock, 1);
    }
    result.closed = session->closing;
    result.ends = protocol->ends(dm_buf_slice(&session->out));
    house_hang_up(&conn);
    return result;
}

/* Another client, afterwards, is served. */
static void serves(void)
{
    static const uint8_t check[] = "\x0a\x04"
                                   "acme\x12\x03"
                                   "ann";
    const struct dm_ttrpc_request request = {.service = dm_slice_str("dormouse.v1.BotStatus"),
                                             .method = dm_slice_str("Check"),
                                             .payload = dm_slice(check, sizeof check - 1)};
    struct house_conn conn;
    struct dm_buf in = {0};
    struct dm_ttrpc_header header;
    struct dm_ttrpc_response response;
    house_connect(&test.house, &conn, dm_ttrpc_session(&house_limits));
    bool written = dm_ttrpc_request_write(&in, CHECK_ID, 0, &request);
    CHECK(written);
    house_receive(&conn, dm_buf_slice(&in));
    house_settle(&conn);
    const uint8_t *sent = dm_buf_head(&conn.session->out);
    CHECK(dm_buf_size(&conn.session->out) > DM_TTRPC_HEADER_SIZE);
    dm_ttrpc_header_load(sent, &header);
    CHECK(dm_ttrpc_response_read(dm_slice(sent + DM_TTRPC_HEADER_SIZE, header.size), &response));
    CHECK(header.stream == CHECK_ID && response.code == 0 && response.payload.size != 0);
    house_hang_up(&conn);
    dm_buf_finish(&in);
}

/* Once with all memory; then with less and less trouble. */
static void play_failing(const struct protocol *protocol, struct dm_slice input)
{
    alloc_fail_at(0);
    struct result good = play(protocol, input);
    for (uint64_t i = 1;; i++) {
        alloc_fail_at(i);
        struct result bad = play(protocol, input);
        bool failed = alloc_failed();
        alloc_fail_at(0);
        if (!failed) {
            break;
        }
        CHECK(bad.closed || bad.ends >= good.ends);
        test.failures++;
        test.closed += bad.closed && !good.closed;
        serves();
    }
    test.inputs++;
}

static void play_file(const struct protocol *protocol, const char *path)
{
    static char input[INPUT_MAX];
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    size_t size = fread(input, 1, sizeof input, file);
    (void)fclose(file);
    test.playing = path;
    house_open(&test.house);
    play_failing(protocol, dm_slice(input, size));
    house_close(&test.house);
}

static void play_folder(const struct protocol *protocol, const char *corpus)
{
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/%s", corpus, protocol->name);
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    CHECK(count > 2);
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.') {
            (void)snprintf(path, sizeof path, "%s/%s/%s", corpus, protocol->name,
                           entries[i]->d_name);
            play_file(protocol, path);
        }
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: alloc_test <corpus folder>\n");
        return 2;
    }
    dm_log_configure(DM_LOG_ERROR, DM_LOG_FORMAT_LOGFMT);
    for (size_t i = 0; i < sizeof protocols / sizeof protocols[0]; i++) {
        play_folder(&protocols[i], argv[1]);
    }
    (void)printf("%" PRIu64 " inputs, %" PRIu64 " failed allocations, %" PRIu64
                 " of which closed their connection\n",
                 test.inputs, test.failures, test.closed);
    return 0;
}
