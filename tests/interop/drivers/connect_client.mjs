// @connectrpc/connect-node: Connect with protobuf or JSON and gRPC-Web over HTTP/1.1 or
// HTTP/2, and gRPC over HTTP/2.
import { ConnectError } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { Schema, serve } from "./lines.mjs";

const [target, descriptors, protocol, httpVersion = "1.1"] = process.argv.slice(2);
const schema = new Schema(descriptors);
const base = { baseUrl: `http://${target}`, httpVersion };
const connect = { ...base, useBinaryFormat: protocol === "connect-proto" };
const transports = {
  "connect-proto": () => createConnectTransport(connect),
  "connect-json": () => createConnectTransport(connect),
  "grpc-web": () => createGrpcWebTransport(base),
  grpc: () => createGrpcTransport({ baseUrl: `http://${target}` }),
};
const transport = transports[protocol]();
// Reads by GET, where a URL holds them.
const getting = protocol.startsWith("connect-")
  ? createConnectTransport({ ...connect, useHttpGet: true })
  : transport;

async function* all(messages) {
  yield* messages;
}

async function call(line, signal, tell) {
  const method = schema.method(line.method);
  const timeout = line.timeout_ms || undefined;
  if (line.kind === "unary") {
    const small = JSON.stringify(line.body).length < 4096;
    const by = small && line.id % 2 === 0 ? getting : transport;
    const request = schema.read(method.input, line.body);
    const response = await by.unary(method, signal, timeout, undefined, request);
    tell(schema.write(method.output, response.message));
    return;
  }
  const bodies = line.kind === "bidi" ? line.body : [line.body];
  const requests = all(bodies.map((one) => schema.read(method.input, one)));
  const response = await transport.stream(method, signal, timeout, undefined, requests);
  for await (const message of response.message) {
    tell(schema.write(method.output, message));
  }
}

async function begin(...args) {
  try {
    await call(...args);
    return { code: 0, text: "" };
  } catch (reason) {
    const error = ConnectError.from(reason);
    return { code: error.code, text: error.rawMessage };
  }
}

const can = ["stream", "any_method", "fast"];
const both = protocol === "grpc" || httpVersion === "2"; // ways at once
await serve(both ? [...can, "bidi"] : can, begin);
