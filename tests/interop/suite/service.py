"""What every server of gRPC has: health, reflection, limits, unknown methods."""

from suite import *

HEALTH = "grpc.health.v1.Health"
SERVICES = [
    "dormouse.v1.BotStatus",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
]


def reflection(version, *requests):
    method = f"grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
    return {"do": "open", "stream": version, "method": method, "request": list(requests)}


def reflected(version):
    return [
        reflection(
            version,
            {"list_services": ""},
            {"file_containing_symbol": "dormouse.v1.BotStatus"},
            {"file_by_filename": "no/such.proto"},
        ),
        {
            "do": "next",
            "stream": version,
            "expect": {
                "list_services_response": {"service": [{"name": name} for name in SERVICES]}
            },
        },
        {
            "do": "next",
            "stream": version,
            "expect": {"file_descriptor_response": {"file_descriptor_proto": "$set"}},
        },
        {"do": "last", "stream": version, "expect": {"error_response": {"error_code": 5}}},
    ]


CASES = [
    case(
        "the server and its services are healthy",
        *(
            call(f"{HEALTH}/Check", {"service": name}, {"status": "SERVING"})
            for name in ["", *SERVICES]
        ),
        fails("NOT_FOUND", "service", call(f"{HEALTH}/Check", {"service": "no.Such"})),
    ),
    case(
        "health can be watched",
        {"do": "open", "stream": "h", "method": f"{HEALTH}/Watch", "request": {}},
        {"do": "next", "stream": "h", "expect": {"status": "SERVING"}},
        cancel("h"),
        {
            "do": "open",
            "stream": "h",
            "method": f"{HEALTH}/Watch",
            "request": {"service": "no.Such"},
        },
        {"do": "next", "stream": "h", "expect": {"status": "SERVICE_UNKNOWN"}},
        cancel("h"),
        needs={"stream"},
    ),
    case("reflection v1 shows all services", *reflected("v1"), needs={"bidi"}),
    case("reflection v1alpha shows the same", *reflected("v1alpha"), needs={"bidi"}),
    case(
        "unknown methods and services are unimplemented",
        fails("UNIMPLEMENTED", "", call("NoSuchMethod")),
        fails("UNIMPLEMENTED", "", call("no.such.Service/Check")),
        check({"decision": "DECISION_REPLY"}),
        needs={"any_method"},
    ),
    case(
        "a request over 4 MiB is refused and the connection lives",
        fails("RESOURCE_EXHAUSTED", "", check(contact="x" * (4 << 20))),
        check({"decision": "DECISION_REPLY"}),
        # the answer comes before the request has ended: HAProxy 2.6 makes a reset of that
        needs={"direct"},
    ),
    case(
        "an account has at most 1,000 bots, its own one included",
        *(set_policy({"revision": 1}, bot_id=f"b{i}") for i in range(999)),
        fails("RESOURCE_EXHAUSTED", "policy.bot_id", set_policy(bot_id="one more")),
        fails("RESOURCE_EXHAUSTED", "change.bot_id", set_status({**ACTIVE, "bot_id": "one more"})),
        set_policy({"revision": 2}, bot_id="b7"),
        needs={"fast"},
    ),
]

# Played last, alone: the server is told to stop while the stream is open.
DRAIN = [
    *watch(),
    set_status(INACTIVE),
    event({"contact_id": "c1"}, save={"seq": "event.seq"}),
    {"do": "stop_server"},
    # the cursor to resume from is exact
    {"do": "progress", "stream": "w", "expect": {"progress_seq": "$seq"}},
    {"do": "last", "stream": "w", "code": "UNAVAILABLE", "text": "the server is stopping"},
]
