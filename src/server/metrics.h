#ifndef DM_SERVER_METRICS_H
#define DM_SERVER_METRICS_H

#include "base/buf.h"
#include "engine/engine.h"
#include "loop/loop.h"
#include "rpc/rpc.h"

/* Everything that the server counts, in Prometheus' text format 0.0.4, appended to `out`. */
void dm_metrics_write(struct dm_buf *out, struct dm_engine *engine, const struct dm_rpc *rpc,
                      const struct dm_loop *loop);

#define DM_METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

#endif
