#ifndef DM_WIRE_H2_REQUEST_H
#define DM_WIRE_H2_REQUEST_H

#include "wire/h2_stream.h"

/* Requests over HTTP/2: nghttp2's callbacks for what a client sends, which gather each stream's
 * request and put the stream on the ready list. They only note and submit: they never receive,
 * send or free the session. */

void dm_h2_request_callbacks(nghttp2_session_callbacks *callbacks);

/* Judges what has come of a request so far, and acts on it. */
void dm_h2_request_judge(struct dm_h2 *h, struct dm_h2_stream *st);
/* The owner is done with the bytes that the last event showed. */
void dm_h2_request_shown(struct dm_h2 *h);
/* Once every DM_BODY_WINDOW_MS: refuses those that came too slowly. */
void dm_h2_request_hurry(struct dm_h2 *h);
/* The server stops: answers all that are not whole. */
void dm_h2_request_give_up(struct dm_h2 *h);

#endif
