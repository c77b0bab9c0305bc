#include "rpc/handlers.h"

#include "base/assert.h"
#include "grpc/health/v1/health.pb.h"
#include "rpc/call.h"
#include "rpc/message.h"
#include "rpc/ready.h"

#include <stdlib.h>

/* grpc.health.v1: all services are well or ill together, and say what /readyz says. */

typedef grpc_health_v1_HealthCheckResponse_ServingStatus serving_status;

static bool known(const struct dm_rpc *rpc, struct dm_slice service)
{
    return service.size == 0 || dm_method_service_known(rpc->methods.all, service);
}

static serving_status status_now(const struct dm_rpc *rpc)
{
    return dm_rpc_ready(rpc, NULL) == DM_OK
               ? grpc_health_v1_HealthCheckResponse_ServingStatus_SERVING
               : grpc_health_v1_HealthCheckResponse_ServingStatus_NOT_SERVING;
}

static struct dm_slice encode(uint8_t *scratch, serving_status status)
{
    grpc_health_v1_HealthCheckResponse response = {.status = status};
    return dm_encode(scratch, grpc_health_v1_HealthCheckResponse_fields, &response);
}

static enum dm_code read_service(const struct dm_inbound *in, struct dm_slice *service,
                                 struct dm_error *error)
{
    grpc_health_v1_HealthCheckRequest request = {0};
    enum dm_code code =
        dm_decode(in, in->payload, grpc_health_v1_HealthCheckRequest_fields, &request, error);
    *service = request.service;
    return code;
}

void dm_handle_health_check(struct dm_rpc *rpc, const struct dm_inbound *in)
{
    struct dm_slice service;
    struct dm_error error;
    if (read_service(in, &service, &error) != DM_OK) {
        dm_refuse(rpc, in, &error);
        return;
    }
    if (!known(rpc, service)) {
        (void)dm_fail(&error, DM_NOT_FOUND, "service: there is no service of this name here");
        dm_refuse(rpc, in, &error);
        return;
    }
    uint8_t scratch[DM_SMALL_MESSAGE];
    dm_answer(rpc, in, encode(scratch, status_now(rpc)));
}

/* ---- Watch ------------------------------------------------------------------------------- */

struct health_watch {
    bool known, told;
    serving_status last;
};

static void destroy(struct dm_rpc *rpc, void *task)
{
    (void)rpc;
    free(task);
}

static enum dm_task_result step(struct dm_rpc *rpc, struct dm_call *call, size_t *budget)
{
    (void)budget;
    struct health_watch *watch = call->task;
    serving_status status = watch->known
                                ? status_now(rpc)
                                : grpc_health_v1_HealthCheckResponse_ServingStatus_SERVICE_UNKNOWN;
    if (!watch->told || status != watch->last) {
        uint8_t scratch[DM_SMALL_MESSAGE];
        watch->told = true;
        watch->last = status;
        if (!dm_call_message(rpc, call, encode(scratch, status))) {
            return DM_TASK_DONE;
        }
    }
    if (rpc->draining) {
        struct dm_error error;
        (void)dm_fail(&error, DM_UNAVAILABLE, "the server is stopping");
        dm_call_fail(rpc, call, &error);
        return DM_TASK_DONE;
    }
    return DM_TASK_QUIET;
}

static const struct dm_task_ops watch_ops = {.step = step, .destroy = destroy};

void dm_handle_health_watch(struct dm_rpc *rpc, const struct dm_inbound *in)
{
    struct dm_slice service;
    struct dm_error error;
    if (read_service(in, &service, &error) != DM_OK) {
        dm_refuse(rpc, in, &error);
        return;
    }
    struct health_watch *watch = dm_xcalloc(1, sizeof *watch);
    watch->known = known(rpc, service);
    (void)dm_call_begin(rpc, in, &watch_ops, watch);
}
