#include "fuzz/session.h"

#include "base/assert.h"
#include "faults/house.h"
#include "lib/sim_disk.h"
#include "rpc/ready.h"

#include <stdlib.h>
#include <string.h>

enum { PIECES_SPREAD = 9 };

/* From memory that ends with the piece and is gone afterwards: a sanitizer sees what was
 * read beyond it or kept. */
static void receive(struct house_conn *conn, struct dm_slice piece)
{
    void *copy = malloc(piece.size == 0 ? 1 : piece.size);
    DM_ASSERT(copy != NULL);
    memcpy(copy, piece.data, piece.size);
    house_receive(conn, dm_slice(copy, piece.size));
    free(copy);
}

/* Small and large ones: 1 to 2^k bytes, with k by chance. */
static size_t piece_size(uint64_t *random, size_t left)
{
    uint64_t most = 1ULL << (dm_test_random(random) % PIECES_SPREAD * 2);
    uint64_t size = 1 + dm_test_random(random) % most;
    return size < left ? (size_t)size : left;
}

static void send_all(struct house_conn *conn)
{
    house_settle(conn);
    dm_buf_consume(&conn->session->out, dm_buf_size(&conn->session->out));
}

/* What the loop asks and tells between the pieces: the socket is full at times, and so is the
 * server; slow messages are refused. */
static void disturb(struct house_conn *conn, uint64_t *random)
{
    struct dm_session *session = conn->session;
    struct dm_load load;
    session->unsent = dm_test_random(random) % 4 == 0 ? 1 : 0;
    house_crowd.full = dm_test_random(random) % 8 == 0;
    if (dm_test_random(random) % 8 == 0) {
        (void)dm_session_hurry(session);
    }
    dm_session_load(session, &load);
    DM_ASSERT(load.memory >= session->out.capacity);
}

void fuzz_session(struct dm_session *(*create)(const struct dm_session_limits *limits),
                  struct dm_slice hello, const uint8_t *data, size_t size)
{
    struct house house;
    struct house_conn conn;
    uint64_t random = size;
    house_open(&house);
    struct dm_session *session = create(&house_limits);
    DM_ASSERT(session != NULL);
    house_connect(&house, &conn, session);
    if (hello.size != 0) {
        receive(&conn, hello);
    }
    for (size_t at = 0; at < size && !session->closing;) {
        size_t piece = piece_size(&random, size - at);
        receive(&conn, dm_slice(data + at, piece));
        disturb(&conn, &random);
        at += piece;
        if (dm_test_random(&random) % 4 != 0) {
            send_all(&conn);
            virtual_clock_advance(&house.clock, (int64_t)(dm_test_random(&random) % 20000));
        }
    }
    if (size % 2 == 0) {
        dm_session_drain(session);
        dm_rpc_drain(house.rpc);
    }
    house_crowd.full = false;
    session->unsent = 0;
    for (int i = 0; i < 4; i++) {
        send_all(&conn);
        virtual_clock_advance(&house.clock, 3000);
    }
    house_hang_up(&conn);
    house_close(&house);
}

/* ---- however it is cut ------------------------------------------------------------------ */

static void pull(struct dm_session *session)
{
    struct dm_session_event event;
    do {
        while (dm_session_next(session, &event)) {
            if (event.kind == DM_EVENT_CALL) {
                dm_session_reply(session, event.id, event.payload);
            } else if (event.kind == DM_EVENT_HTTP) {
                dm_session_http_reply(session, event.id, 200, "text/plain", event.method);
            }
        }
        dm_session_flush(session);
    } while (session->more);
}

static void feed(struct dm_session *session, const uint8_t *data, size_t size, uint64_t *random)
{
    for (size_t at = 0; at < size && !session->closing;) {
        size_t piece = random == NULL ? size : piece_size(random, size - at);
        dm_session_feed(session, dm_slice(data + at, piece));
        pull(session);
        at += piece;
    }
}

void fuzz_pieces(struct dm_session *(*create)(const struct dm_session_limits *limits),
                 const uint8_t *data, size_t size)
{
    uint64_t random = size;
    struct dm_session *whole = create(&house_limits), *cut = create(&house_limits);
    DM_ASSERT(whole != NULL && cut != NULL);
    feed(whole, data, size, NULL);
    feed(cut, data, size, &random);
    DM_ASSERT(dm_slice_equal(dm_buf_slice(&whole->out), dm_buf_slice(&cut->out)));
    DM_ASSERT(whole->closing == cut->closing);
    dm_session_destroy(whole);
    dm_session_destroy(cut);
}
