#ifndef DM_WIRE_HTTP1_JUDGE_H
#define DM_WIRE_HTTP1_JUDGE_H

#include "wire/http1_parse.h"

/* What the headers of a request say together: where it ends, and for whom and for what it
 * is. Pure. */

/* Sets path, query and authority of *request, from `target` and Host. 0, or the HTTP status
 * of a refusal with its sentence (static text). */
int dm_http1_request_judge(struct dm_http1_request *request, struct dm_slice target,
                           const char **why);

#endif
