// What the drivers in JavaScript share: the line protocol of ../driver.py, and the
// messages of the FileDescriptorSet.
import { createInterface } from "node:readline";
import { readFileSync } from "node:fs";
import { createFileRegistry, fromBinary, fromJson, toJson } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

export function say(line) {
  process.stdout.write(JSON.stringify(line) + "\n");
}

export class Schema {
  constructor(path) {
    const set = fromBinary(FileDescriptorSetSchema, readFileSync(path));
    this.registry = createFileRegistry(set);
  }

  // What nobody serves goes by the shape of Check.
  method(fullName) {
    const [service, name] = fullName.split("/");
    const found = this.registry.getService(service)?.methods.find((one) => one.name === name);
    if (found) return found;
    const check = this.registry.getService("dormouse.v1.BotStatus").method.check;
    return { ...check, name, parent: { ...check.parent, typeName: service } };
  }

  read(type, json) {
    return fromJson(type, json, { registry: this.registry });
  }

  write(type, message) {
    return toJson(type, message, { registry: this.registry });
  }
}

// begin(line, signal, tell) calls `tell` for each message and returns {code, text}.
export async function serve(can, begin) {
  const running = new Map();
  say({ body: "json", can });
  for await (const text of createInterface({ input: process.stdin })) {
    const line = JSON.parse(text);
    if (line.cancel) {
      running.get(line.id)?.abort();
      continue;
    }
    const abort = new AbortController();
    running.set(line.id, abort);
    begin(line, abort.signal, (message) => say({ id: line.id, message }))
      .catch((error) => ({ code: 2, text: `driver: ${error.stack}` }))
      .then((end) => {
        running.delete(line.id);
        say({ id: line.id, ...end });
      });
  }
  process.exit(0);
}
