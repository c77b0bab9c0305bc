#ifndef TESTS_INTEGRATION_SUPPORT_H
#define TESTS_INTEGRATION_SUPPORT_H

#include "lib/peer.h"

#include <sys/resource.h>
#include <sys/types.h>

/* A dormoused of the test's own, and just enough protobuf to speak to it. */

struct server {
    pid_t pid; /* 0: not running */
    uint16_t port;
    int starts; /* every start writes a log of its own */
    char folder[128], log[160];
};

/* A new temporary folder. */
void server_folder(struct server *server);
/* Starts it on a free port with the folder's data, and more arguments (NULL-terminated, or
 * NULL). Returns when it serves, or has ended: then pid is 0 and the status is returned. */
int server_start(struct server *server, const char *const *arguments);
/* The same, with a limit of descriptors. */
int server_start_limited(struct server *server, const char *const *arguments, struct rlimit *files);
/* The same; the new process calls `prepare` just before it becomes the server. */
int server_start_prepared(struct server *server, const char *const *arguments,
                          void (*prepare)(void *context), void *context);
/* The same, but returns at once. */
void server_spawn(struct server *server, const char *const *arguments,
                  void (*prepare)(void *context), void *context);
/* Waits for its end: the exit status, or 128 + the signal. */
int server_wait(struct server *server);
/* SIGTERM, and server_wait. */
int server_stop(struct server *server);
void server_kill(struct server *server);
/* Is this text in the log of the last start? */
bool server_logged(const struct server *server, const char *text);
/* Removes the folder; kills it when it still runs. */
void server_remove(struct server *server);

/* Runs the program to its end: its status, and what it wrote to stdout and stderr. */
int server_run(const char *const *arguments, char *output, size_t size);

/* ---- protobuf -------------------------------------------------------------------------- */

void pb_text(struct dm_buf *to, uint32_t field, const char *text);
void pb_bytes(struct dm_buf *to, uint32_t field, struct dm_slice bytes);
void pb_number(struct dm_buf *to, uint32_t field, uint64_t number);
/* The last occurrence of a field; 0 or empty when it is not there. */
uint64_t pb_get_number(struct dm_slice message, uint32_t field);
struct dm_slice pb_get_bytes(struct dm_slice message, uint32_t field);

/* ---- calls of dormouse.v1.BotStatus ----------------------------------------------------- */

#define BOT_STATUS "dormouse.v1.BotStatus"
enum { STATUS_ACTIVE = 1, STATUS_SNOOZED = 2, STATUS_INACTIVE = 3 };
enum { DECISION_REPLY = 1, DECISION_SILENT = 3 };

/* Sends it; the id of the call. */
uint32_t send_set_status(struct peer *peer, const char *contact, int status);
uint32_t send_check(struct peer *peer, const char *contact);
uint32_t send_watch(struct peer *peer, uint64_t after_seq, bool from_start);
/* Sends it and waits for the answer; the response's code. */
int set_status(struct peer *peer, const char *contact, int status);
/* The decision; negative: the code of a failure. */
int check(struct peer *peer, const char *contact);
/* The next event of a watch: its seq, and the contact's name. 0: the stream ended. */
uint64_t next_event(struct peer *peer, uint32_t id, char *contact, size_t size);

#endif
