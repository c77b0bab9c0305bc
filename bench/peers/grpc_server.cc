// What a team would write instead: a gRPC C++ server (callback API) whose Check looks into
// a hash map in memory. No durability, no timers: only the cost of the call.
//
//   peer_grpc_server PORT CONTACTS

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <unordered_map>

#include <grpcpp/grpcpp.h>

#include "dormouse/v1/dormouse.grpc.pb.h"

namespace pb = dormouse::v1;

namespace
{

struct State {
    pb::Status status;
    pb::Reason reason;
    uint64_t fence;
};

class BotStatus final : public pb::BotStatus::CallbackService
{
  public:
    explicit BotStatus(unsigned contacts)
    {
        states_.reserve(contacts);
        for (unsigned i = 0; i < contacts; i++) {
            char key[64];
            std::snprintf(key, sizeof key, "a%07u/contact-%012u", i / 1000, i);
            states_[key] = {pb::STATUS_SNOOZED, pb::REASON_SET, 1};
        }
    }

    grpc::ServerUnaryReactor *Check(grpc::CallbackServerContext *context,
                                    const pb::CheckRequest *request,
                                    pb::CheckResponse *response) override
    {
        std::string key;
        key.reserve(request->account_id().size() + 1 + request->contact_id().size());
        key.append(request->account_id()).append("/").append(request->contact_id());
        const auto found = states_.find(key);
        const State state = found != states_.end()
                                ? found->second
                                : State{pb::STATUS_ACTIVE, pb::REASON_NEVER_SET, 0};
        response->set_decision(state.status == pb::STATUS_ACTIVE ? pb::DECISION_REPLY
                                                                 : pb::DECISION_SILENT);
        response->set_status(state.status);
        response->set_reason(state.reason);
        response->set_fence(state.fence);
        grpc::ServerUnaryReactor *reactor = context->DefaultReactor();
        reactor->Finish(grpc::Status::OK);
        return reactor;
    }

  private:
    std::unordered_map<std::string, State> states_;
};

} // namespace

int main(int argc, char **argv)
{
    if (argc != 3) {
        std::fprintf(stderr, "usage: peer_grpc_server PORT CONTACTS\n");
        return 2;
    }
    BotStatus service(static_cast<unsigned>(std::strtoul(argv[2], nullptr, 10)));
    grpc::ServerBuilder builder;
    builder.AddListeningPort(std::string("127.0.0.1:") + argv[1],
                             grpc::InsecureServerCredentials());
    builder.RegisterService(&service);
    const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
    if (server == nullptr) {
        return 1;
    }
    server->Wait();
    return 0;
}
