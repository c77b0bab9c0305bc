#include "rpc/handlers.h"

#include "core/ident.h"
#include "rpc/call.h"
#include "rpc/convert.h"

/* GetStats: numbers for people. */

static google_protobuf_Duration lag(const struct dm_histogram *histogram, double fraction)
{
    return dm_duration((int64_t)dm_histogram_quantile(histogram, fraction));
}

void dm_handle_bot_status_get_stats(struct dm_rpc *rpc, const struct dm_inbound *in)
{
    dormouse_v1_GetStatsRequest request = {0};
    struct dm_error error;
    if (dm_decode(in, in->payload, dormouse_v1_GetStatsRequest_fields, &request, &error) != DM_OK ||
        (request.account_id.size != 0 &&
         dm_id_check(request.account_id, "account_id", &error) != DM_OK)) {
        dm_refuse(rpc, in, &error);
        return;
    }
    struct dm_engine_stats stats;
    dm_engine_stats(rpc->engine, request.account_id, &stats);
    const struct dm_histogram *lags = stats.wake_lag_ms;
    bool woken = lags->count != 0;
    dormouse_v1_GetStatsResponse response = {
        .contacts = stats.counts.contacts,
        .active = stats.counts.active,
        .snoozed = stats.counts.snoozed,
        .inactive = stats.counts.inactive,
        .wakes = stats.wakes,
        .has_next_wake = stats.next_wake_ms != 0,
        .next_wake = dm_timestamp(stats.next_wake_ms),
        .has_wake_lag_p50 = woken,
        .wake_lag_p50 = lag(lags, 0.5),
        .has_wake_lag_p99 = woken,
        .wake_lag_p99 = lag(lags, 0.99),
        .has_wake_lag_max = woken,
        .wake_lag_max = dm_duration((int64_t)lags->max),
        .last_seq = stats.last_seq,
        .oldest_seq = stats.oldest_seq,
    };
    uint8_t scratch[DM_SMALL_MESSAGE];
    dm_answer(rpc, in, dm_encode(scratch, dormouse_v1_GetStatsResponse_fields, &response));
}
