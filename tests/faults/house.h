#ifndef TESTS_FAULTS_HOUSE_H
#define TESTS_FAULTS_HOUSE_H

#include "engine/engine.h"
#include "lib/virtual_clock.h"
#include "rpc/rpc.h"
#include "wire/session.h"

/* The whole server but its sockets, threads and disks: sessions, calls, the engine, over
 * memory and a virtual clock. For fuzzing and for failing allocations. */

struct house {
    struct virtual_clock clock;
    struct dm_journal *journal;
    struct dm_store *store;
    struct dm_engine *engine;
    struct dm_rpc *rpc;
};

void house_open(struct house *house);
void house_close(struct house *house);
/* A turn of the loop: what is due, what is durable, a step of the view. */
void house_turn(struct house *house);

/* A connection, driven as src/loop drives one. */
struct house_conn {
    struct house *house;
    struct dm_session *session;
    struct dm_sink sink;
};

/* Takes over the session. */
void house_connect(struct house *house, struct house_conn *conn, struct dm_session *session);
/* Bytes from the client: not looked at when the session is closing. */
void house_receive(struct house_conn *conn, struct dm_slice bytes);
/* Bytes for the client gather in conn->session->out. */
void house_settle(struct house_conn *conn);
void house_hang_up(struct house_conn *conn);

/* The limits that the server gives its sessions. */
extern const struct dm_session_limits house_limits;
extern struct dm_crowd house_crowd;

#endif
