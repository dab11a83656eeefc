"use strict";
// The function server of the conformance tests on the published JavaScript SDK. ../README.md describes it.

const http = require("http");
const zlib = require("zlib");
const { Readable } = require("stream");
const { parseArgs } = require("util");
const { makeFunctions } = require("./functions");

// Batches remembered for each function; later ones are counted only.
const BATCHES_MAX = 100000;
const OCTETS = "application/octet-stream";
// A fault answers these instead of running the function.
const CANNED = {
  error: [500, Buffer.alloc(0)],
  garbage: [200, Buffer.from([0xff, 0xff, 0xff, 0xff])],
  empty: [200, Buffer.alloc(0)],
  incomplete: [200, Buffer.from([0xaa, 0x06, 0x00])],
};
const COUNTERS = [
  "requests", "completed", "incomplete", "failed", "invocations", "overlaps", "held",
  "in_flight", "in_flight_max",
];

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** What the tests see and set from outside: settings and statistics for each function, flags, attempts. */
class Control {
  inFlight = new Map();

  constructor() {
    this.reset();
  }

  reset() {
    this.settings = {};
    this.flags = this.flags || new Set();
    this.attempts = this.attempts || new Map();
    // The functions hold on to these two.
    this.flags.clear();
    this.attempts.clear();
    this.stats = {};
  }

  set({ function: scope = "*", ...change }) {
    this.settings[scope] = { ...this.settings[scope], ...change };
  }

  setting(name, key) {
    return this.settings[name]?.[key] ?? this.settings["*"]?.[key] ?? null;
  }

  /** The fault for this request, counting down its `times`. */
  takeFault(name) {
    for (const scope of [name, "*"]) {
      const settings = this.settings[scope];
      const times = settings?.times ?? null;
      if (!settings?.fault || times === 0) {
        continue;
      }
      if (times !== null) {
        settings.times = times - 1;
      }
      return { fault: settings.fault, status: settings.status ?? 500 };
    }
    return { fault: null, status: 0 };
  }

  statsOf(name) {
    this.stats[name] ??= { ...Object.fromEntries(COUNTERS.map((counter) => [counter, 0])), batch_sizes: [] };
    return this.stats[name];
  }
}

class Server {
  constructor(ttlMs) {
    this.control = new Control();
    this.functions = makeFunctions(this.control, ttlMs);
  }

  async handle(request, response) {
    const url = new URL(request.url, "http://localhost");
    const body = await bodyOf(request);
    if (url.pathname === "/statefun" && request.method === "POST") {
      return this.statefun(request, response, body);
    }
    const answer = await this.controlled(`${request.method} ${url.pathname}`, url.searchParams, body);
    response.writeHead(answer.status ?? 200, { "Content-Type": "application/json" });
    response.end(JSON.stringify(answer.json ?? {}));
  }

  // The functions

  async statefun(request, response, body) {
    const { name, address, batchSize } = targetOf(body);
    const stats = this.control.statsOf(name);
    stats.requests += 1;
    const limit = this.control.setting(name, "max_body_bytes");
    if (limit !== null && body.length > limit) {
      stats.failed += 1;
      return respond(response, { status: 413, body: Buffer.alloc(0) });
    }
    this.enter(stats, address);
    await this.linger(name, stats);
    const { fault, status } = this.control.takeFault(name);
    let answer;
    if (fault === "status" || fault in CANNED) {
      stats.failed += 1;
      const [code, canned] = fault === "status" ? [status, Buffer.alloc(0)] : CANNED[fault];
      answer = { status: code, body: canned };
    } else if (fault !== "drop_before") {
      answer = await this.invoke(body);
      count(stats, answer, batchSize);
    }
    this.leave(stats, address);
    if (fault === "drop" || fault === "drop_before") {
      request.socket.destroy();
    } else {
      respond(response, answer, fault);
    }
  }

  /** Hands the request to the SDK as its HTTP handler sees it, and catches what it answers. */
  async invoke(body) {
    const answer = { status: 500, body: Buffer.alloc(0) };
    const response = {
      writeHead: (status) => (answer.status = status),
      end: (bytes) => (answer.body = bytes ? Buffer.from(bytes) : answer.body),
    };
    await this.functions.handle(Readable.from([body], { objectMode: true }), response);
    return answer;
  }

  enter(stats, address) {
    const sameAddress = this.control.inFlight.get(address) || 0;
    stats.overlaps += sameAddress > 0 ? 1 : 0;
    this.control.inFlight.set(address, sameAddress + 1);
    stats.in_flight += 1;
    stats.in_flight_max = Math.max(stats.in_flight_max, stats.in_flight);
  }

  leave(stats, address) {
    stats.in_flight -= 1;
    const left = this.control.inFlight.get(address) - 1;
    if (left === 0) {
      this.control.inFlight.delete(address);
    } else {
      this.control.inFlight.set(address, left);
    }
  }

  async linger(name, stats) {
    stats.held += 1;
    while (this.control.setting(name, "hold")) {
      await pause(2);
    }
    stats.held -= 1;
    const delayMs = this.control.setting(name, "delay_ms");
    if (delayMs) {
      await pause(delayMs);
    }
  }

  // The control side

  async controlled(route, query, body) {
    switch (route) {
      case "GET /control/health":
        return { json: { sdk: "js", version: process.versions.node } };
      case "GET /control/stats":
        return { json: this.control.stats };
      case "GET /control/wait":
        return this.wait(query);
      case "POST /control/set":
        this.control.set(JSON.parse(body));
        return {};
      case "POST /control/flag": {
        const { name, on } = JSON.parse(body);
        on ? this.control.flags.add(name) : this.control.flags.delete(name);
        return {};
      }
      case "POST /control/reset":
        this.control.reset();
        return {};
      default:
        return { status: 404 };
    }
  }

  async wait(query) {
    const stats = () => this.control.statsOf(query.get("function"));
    const deadline = performance.now() + Number(query.get("timeout_ms") ?? 10000);
    while (stats()[query.get("counter")] < Number(query.get("at_least"))) {
      if (performance.now() > deadline) {
        return { status: 504, json: stats() };
      }
      await pause(2);
    }
    return { json: stats() };
  }
}

async function bodyOf(request) {
  const chunks = [];
  for await (const chunk of request) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function targetOf(body) {
  const { ToFunction } = globalThis.proto.io.statefun.sdk.reqreply;
  const invocation = ToFunction.deserializeBinary(body).getInvocation();
  const target = invocation.getTarget();
  return {
    name: target.getType(),
    address: `${target.getType()}/${target.getId()}`,
    batchSize: invocation.getInvocationsList().length,
  };
}

function count(stats, { status, body }, batchSize) {
  if (status !== 200) {
    stats.failed += 1;
  } else if (body[0] === 0xaa && body[1] === 0x06) {
    stats.incomplete += 1;
  } else {
    stats.completed += 1;
    stats.invocations += batchSize;
    if (stats.batch_sizes.length < BATCHES_MAX) {
      stats.batch_sizes.push(batchSize);
    }
  }
}

function respond(response, { status, body }, fault = null) {
  const headers = { "Content-Type": fault === "content_type" ? "text/plain" : OCTETS };
  if (fault === "gzip" || fault === "deflate") {
    headers["Content-Encoding"] = fault;
    body = fault === "gzip" ? zlib.gzipSync(body) : zlib.deflateSync(body);
  }
  headers["Content-Length"] = body.length;
  response.writeHead(status, headers);
  response.end(body);
}

function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      "ttl-ms": { type: "string", default: "1000" },
      "until-stdin-closes": { type: "boolean", default: false },
    },
  });
  const server = new Server(Number(values["ttl-ms"]));
  const listener = http.createServer((request, response) => {
    server.handle(request, response).catch((error) => {
      console.error(error);
      response.headersSent ? response.destroy() : response.writeHead(500).end();
    });
  });
  listener.listen(Number(positionals[0]), "127.0.0.1", () => {
    console.log(`listening on ${listener.address().port}`);
  });
  if (values["until-stdin-closes"]) {
    process.stdin.resume().on("end", () => process.exit(0));
  }
  for (const signal of ["SIGINT", "SIGTERM"]) {
    process.on(signal, () => process.exit(0));
  }
}

main();
