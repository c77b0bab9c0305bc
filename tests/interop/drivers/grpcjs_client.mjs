// gRPC over HTTP/2 by @grpc/grpc-js.
import grpc from "@grpc/grpc-js";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { Schema, serve } from "./lines.mjs";

const [target, descriptors] = process.argv.slice(2);
const schema = new Schema(descriptors);
const client = new grpc.Client(target, grpc.credentials.createInsecure(), {
  "grpc.max_send_message_length": -1,
  "grpc.max_receive_message_length": -1,
});

function status({ code, details }) {
  return { code, text: details ?? "" };
}

function start(line, method, done) {
  const path = "/" + line.method;
  const encode = (message) => Buffer.from(toBinary(method.input, message));
  const decode = (bytes) => fromBinary(method.output, bytes);
  const options = line.timeout_ms ? { deadline: Date.now() + line.timeout_ms } : {};
  const metadata = new grpc.Metadata();
  if (line.kind === "bidi") {
    const call = client.makeBidiStreamRequest(path, encode, decode, metadata, options);
    for (const one of line.body) call.write(schema.read(method.input, one));
    call.end();
    return call;
  }
  const request = schema.read(method.input, line.body);
  if (line.kind === "server_stream") {
    return client.makeServerStreamRequest(path, encode, decode, request, metadata, options);
  }
  return client.makeUnaryRequest(path, encode, decode, request, metadata, options, done);
}

function begin(line, signal, tell) {
  const method = schema.method(line.method);
  return new Promise((resolve) => {
    const unary = (error, message) => {
      if (error) return resolve(status(error));
      tell(schema.write(method.output, message));
      resolve({ code: 0, text: "" });
    };
    const call = start(line, method, unary);
    signal.addEventListener("abort", () => call.cancel());
    if (line.kind === "unary") return;
    call.on("data", (message) => tell(schema.write(method.output, message)));
    call.on("error", () => {});
    call.on("status", (end) => setImmediate(() => resolve(status(end))));
  });
}

await serve(["stream", "bidi", "any_method", "fast"], async (...call) => begin(...call));
