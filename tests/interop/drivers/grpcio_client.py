"""gRPC over HTTP/2 by python3-grpcio, messages as bytes."""

import sys

import grpc

import lines


def begin(channel, line, running):
    timeout = line["timeout_ms"] / 1000 or None
    path, body = "/" + line["method"], line["body"]
    if line["kind"] == "bidi":
        requests = iter([bytes.fromhex(one) for one in body])
        call = channel.stream_stream(path)(requests, timeout=timeout)
    elif line["kind"] == "server_stream":
        call = channel.unary_stream(path)(bytes.fromhex(body), timeout=timeout)
    else:
        call = channel.unary_unary(path).future(bytes.fromhex(body), timeout=timeout)
    running[line["id"]] = call.cancel
    try:
        for message in [call.result()] if line["kind"] == "unary" else call:
            lines.say({"id": line["id"], "message": message.hex()})
    except grpc.RpcError:
        pass
    except grpc.FutureCancelledError:
        pass
    lines.end(line["id"], call.code().value[0], call.details() or "")


def main():
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    channel = grpc.insecure_channel(sys.argv[1], options=options)
    lines.serve(
        "hex",
        ["stream", "bidi", "any_method", "raw", "fast"],
        lambda line, running: begin(channel, line, running),
    )


main()
