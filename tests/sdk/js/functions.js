"use strict";
// The functions of the namespace `conformance`, on the published JavaScript SDK. ../README.md says what each one does.

// Where it was installed; else wherever Node finds it from here.
const installed = [process.env.STATERA_NODE_MODULES, __dirname].filter(Boolean);
const { StateFun, messageBuilder, egressMessageBuilder } = require(
  require.resolve("apache-flink-statefun", { paths: installed })
);

const NAMESPACE = "conformance";
const OUT = "conformance/out";
const COMMAND = StateFun.jsonType("conformance/Command");
const REPORT = StateFun.jsonType("conformance/Report");
const TYPES = {
  bool: StateFun.booleanType(),
  int: StateFun.intType(),
  float: StateFun.floatType(),
  string: StateFun.stringType(),
  json: StateFun.jsonType("conformance/Json"),
  bytes: StateFun.customType("conformance/Bytes", (bytes) => bytes, (bytes) => bytes),
};
const EMPTY = { bool: false, int: 0, string: "", bytes: "", json: {} };
// Longer arguments are reported by their length and checksum alone.
const HEX_BYTES_MAX = 64;

/** Binds every function. `control` holds what does not belong to any state: flags and attempts. */
function makeFunctions(control, ttlMs) {
  const functions = new StateFun();
  const bind = (name, handle, specs = []) =>
    functions.bind({ typename: `${NAMESPACE}/${name}`, fn: dispatcher(name, handle), specs });
  const state = (name, type, expiry) => ({ name, type, ...expiry });
  const values = (names) => names.map((name) => state(`${name}_value`, TYPES[name]));

  bind("types", types, values(Object.keys(TYPES)));
  bind("ttl", ttl, [
    state("written", TYPES.int, { expireAfterWrite: ttlMs }),
    state("invoked", TYPES.int, { expireAfterCall: ttlMs }),
    state("kept", TYPES.int),
  ]);
  bind("timer", timer, [state("fired", TYPES.json)]);
  bind("batch", batch, [
    state("count", TYPES.int),
    state("violations", TYPES.int),
    state("last", TYPES.json),
    state("order", TYPES.json),
  ]);
  bind("caller", caller);
  bind("relay", relay, [state("passed", TYPES.int)]);
  bind("fail", failing(control), [state("ok", TYPES.int), state("seen", TYPES.json)]);
  bind("big", big, [state("blob", TYPES.bytes)]);
  bind("empty", empty, values(Object.keys(EMPTY)));
  bind("reply", reply);
  bind("account", account, [state("balance", TYPES.int), state("moves", TYPES.int)]);
  return functions;
}

// What is common to all functions

/** Turns `handle(context, command) -> fields of the report, or null for no report` into a function of the SDK. */
function dispatcher(name, handle) {
  const run = (context, command) =>
    command.do === "steps"
      ? { steps: command.steps.map((step) => run(context, step)) }
      : handle(context, command);

  return (context, message) => {
    const base = { function: name, id: context.self.id };
    if (message.is(REPORT)) {
      const received = { from: addressJson(context.caller), received: message.as(REPORT) };
      return emit(context, REPORT, { ...base, ...received });
    }
    if (!message.is(COMMAND)) {
      return answer(context, {}, REPORT, { ...base, argument: describe(message) });
    }
    const command = message.as(COMMAND);
    const fields = run(context, command);
    if (fields !== null) {
      const echo = { do: command.do, ...("tag" in command && { tag: command.tag }) };
      answer(context, command, REPORT, { ...base, ...echo, ...fields });
    }
  };
}

/** Sends to where the command wants its answer. */
function answer(context, command, valueType, value) {
  const route = answerRoute(context, command);
  if (route === "out") {
    emit(context, valueType, value);
  } else if (route !== "none") {
    send(context, route, valueType, value);
  }
}

/** `"out"`, `"none"`, or an address. Without a wish: the caller if there is one, else `"out"`. */
function answerRoute(context, command) {
  const wish = command.answer || (context.caller ? "caller" : "out");
  return wish === "caller" ? callerOf(context) : wish;
}

function callerOf(context) {
  if (!context.caller) {
    throw new Error("there is no caller to answer");
  }
  return addressJson(context.caller);
}

function send(context, to, valueType, value) {
  context.send(outgoing(to, valueType, value));
}

function outgoing(to, valueType, value) {
  return messageBuilder({ typename: to.function, id: to.id, value, valueType });
}

function emit(context, valueType, value) {
  context.send(egressMessageBuilder({ typename: OUT, value, valueType }));
}

/** The type and value that a command wants sent: `message` is another command, `as` and `value` any value. */
function payload(command) {
  return "as" in command
    ? [typeNamed(command.as), fromJson(command.as, command.value)]
    : [COMMAND, command.message];
}

function typeNamed(name) {
  if (!(name in TYPES)) {
    throw new Error(`this SDK has no type \`${name}\``);
  }
  return TYPES[name];
}

function addressJson(address) {
  return address ? { function: address.typename, id: address.id } : null;
}

function describe(message) {
  const box = message.typedValue;
  const described = { typename: message.valueTypeName, has_value: box.getHasValue() };
  if (described.has_value) {
    const raw = message.rawValueBytes;
    Object.assign(described, fingerprint(raw));
    const name = Object.keys(TYPES).find((candidate) => message.is(TYPES[candidate]));
    if (raw.length <= HEX_BYTES_MAX) {
      described.hex = raw.toString("hex");
      if (name !== undefined) {
        described.value = toJson(name, message.as(TYPES[name]));
      }
    }
  }
  return described;
}

function fingerprint(raw) {
  return { bytes: raw.length, crc32: crc32(raw) };
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit++) {
    rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1;
  }
  return rest;
});

function crc32(raw) {
  let crc = 0xffffffff;
  for (const byte of raw) {
    crc = CRC_TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

function toJson(name, value) {
  return name === "bytes" && value !== null ? Buffer.from(value).toString("hex") : value;
}

function fromJson(name, value) {
  return name === "bytes" ? Buffer.from(value, "hex") : value;
}

function valuesOf(context, names) {
  return Object.fromEntries(names.map((name) => [name, toJson(name, context.storage[`${name}_value`])]));
}

function setValues(context, values) {
  for (const [name, value] of Object.entries(values)) {
    typeNamed(name);
    context.storage[`${name}_value`] = fromJson(name, value);
  }
}

function deleteValues(context, names) {
  for (const name of names) {
    typeNamed(name);
    context.storage[`${name}_value`] = null;
  }
}

function unknown(command) {
  throw new Error(`unknown command \`${command.do}\``);
}

// The functions

function types(context, command) {
  switch (command.do) {
    case "set":
      setValues(context, command.values);
      break;
    case "delete":
      deleteValues(context, command.names);
      break;
    case "get":
      break;
    default:
      unknown(command);
  }
  return { values: valuesOf(context, Object.keys(TYPES)) };
}

function ttl({ storage }, command) {
  const names = ["written", "invoked", "kept"];
  switch (command.do) {
    case "set":
      for (const name of command.names || names) {
        storage[name] = command.value;
      }
      break;
    case "get":
      break;
    default:
      unknown(command);
  }
  return { written: storage.written, invoked: storage.invoked, kept: storage.kept };
}

function timer(context, command) {
  const { storage } = context;
  switch (command.do) {
    case "send_after": {
      const fired = { do: "fired", tag: command.tag ?? null, answer: "out" };
      const to = command.to || addressJson(context.self);
      const message = outgoing(to, COMMAND, command.message || fired);
      context.sendAfter(command.delay_ms, message, command.token || undefined);
      return { token: command.token ?? null };
    }
    case "cancel":
      context.cancelDelayedMessage(command.token);
      return { token: command.token };
    case "fired":
      storage.fired = [...(storage.fired || []), command.tag ?? null];
      break;
    case "get":
      break;
    default:
      unknown(command);
  }
  return { fired: storage.fired || [] };
}

function batch({ storage }, command) {
  switch (command.do) {
    case "add":
      storage.count = (storage.count || 0) + 1;
      checkOrder(storage, command.from || "", command.seq);
      if (command.record) {
        storage.order = [...(storage.order || []), command.seq];
      }
      return { count: storage.count, seq: command.seq };
    case "get":
      return {
        count: storage.count || 0,
        violations: storage.violations || 0,
        last: storage.last || {},
        order: storage.order || [],
      };
    default:
      return unknown(command);
  }
}

function checkOrder(storage, sender, seq) {
  const last = storage.last || {};
  if (sender in last && seq !== last[sender] + 1) {
    storage.violations = (storage.violations || 0) + 1;
  }
  storage.last = { ...last, [sender]: seq };
}

function caller(context) {
  return { caller: addressJson(context.caller) };
}

function relay(context, command) {
  switch (command.do) {
    case "send": {
      const sent = relayMessages(context, command);
      // The answer is then the business of whom it was sent to.
      return command.pass_answer ? null : { sent };
    }
    case "ring":
      return relayRing(context, command);
    case "get":
      return { passed: context.storage.passed || 0 };
    default:
      return unknown(command);
  }
}

function relayMessages(context, command) {
  const targets = [command.to].flat();
  const times = command.times ?? 1;
  let [valueType, value] = payload(command);
  if (command.pass_answer) {
    value = { ...value, answer: answerRoute(context, command) };
  }
  for (let number = 0; number < times; number++) {
    if ("first" in command) {
      value = { ...value, seq: command.first + number, from: context.self.id };
    }
    for (const target of targets) {
      send(context, target, valueType, value);
    }
  }
  return times * targets.length;
}

function relayRing(context, command) {
  context.storage.passed = (context.storage.passed || 0) + 1;
  if (command.hops === 0) {
    return { ring: "done" };
  }
  const { ids } = command;
  const next = ids[(ids.indexOf(context.self.id) + 1) % ids.length];
  const onward = { hops: command.hops - 1, answer: answerRoute(context, command) };
  send(context, { function: context.self.typename, id: next }, COMMAND, { ...command, ...onward });
  return null;
}

function failing(control) {
  return ({ storage }, command) => {
    switch (command.do) {
      case "get":
        return { ok: storage.ok || 0, seen: storage.seen || [] };
      case "fail":
        throw new Error("told to fail");
      case "fail_times": {
        const attempts = (control.attempts.get(command.key) || 0) + 1;
        control.attempts.set(command.key, attempts);
        if (attempts <= command.times) {
          throw new Error(`told to fail ${command.times} times`);
        }
        break;
      }
      case "fail_while":
        if (control.flags.has(command.flag)) {
          throw new Error(`flag \`${command.flag}\` is set`);
        }
        break;
      case "ok":
        break;
      default:
        unknown(command);
    }
    storage.ok = (storage.ok || 0) + 1;
    storage.seen = [...(storage.seen || []), command.tag ?? null];
    return { ok: storage.ok, attempts: control.attempts.get(command.key) || 0 };
  };
}

function big(context, command) {
  const { storage } = context;
  switch (command.do) {
    case "set":
      storage.blob = pattern(command);
      break;
    case "delete":
      storage.blob = null;
      break;
    case "fetch":
      answer(context, command, TYPES.bytes, storage.blob || Buffer.alloc(0));
      return null;
    case "emit":
      emit(context, TYPES.bytes, pattern(command));
      return null;
    case "send":
      send(context, command.to, TYPES.bytes, pattern(command));
      break;
    case "get":
      break;
    default:
      unknown(command);
  }
  const { blob } = storage;
  return { blob: blob === null ? null : fingerprint(blob) };
}

/** `bytes` bytes; the one at index i is (i + seed) mod 256. */
function pattern({ bytes, seed = 0 }) {
  const period = Uint8Array.from({ length: 256 }, (_, index) => (index + seed) % 256);
  return Buffer.alloc(bytes, period);
}

function empty(context, command) {
  switch (command.do) {
    case "store":
      setValues(context, EMPTY);
      break;
    case "clear":
      deleteValues(context, Object.keys(EMPTY));
      break;
    case "look":
      break;
    case "emit":
      for (const [name, value] of Object.entries(EMPTY)) {
        emit(context, TYPES[name], fromJson(name, value));
      }
      break;
    case "send":
      for (const [name, value] of Object.entries(EMPTY)) {
        send(context, command.to, TYPES[name], fromJson(name, value));
      }
      break;
    case "nothing":
      return null;
    default:
      unknown(command);
  }
  return { values: valuesOf(context, Object.keys(EMPTY)) };
}

function reply(context, command) {
  switch (command.do) {
    case "reply":
      for (let number = 0; number < (command.times ?? 1); number++) {
        context.send(replyMessage(context, command));
      }
      break;
    case "later":
      context.sendAfter(command.delay_ms, replyMessage(context, command));
      break;
    case "never":
      break;
    default:
      unknown(command);
  }
  return null;
}

function replyMessage(context, command) {
  const to = callerOf(context);
  return "as" in command
    ? outgoing(to, ...payload(command))
    : outgoing(to, REPORT, { function: "reply", id: context.self.id, echo: command });
}

function account(context, command) {
  const { storage } = context;
  const balance = storage.balance || 0;
  switch (command.do) {
    case "open":
      storage.balance = command.balance;
      break;
    case "transfer": {
      storage.balance = balance - command.amount;
      storage.moves = (storage.moves || 0) + 1;
      const deposit = { do: "deposit", amount: command.amount, answer: "none" };
      send(context, { function: context.self.typename, id: command.to }, COMMAND, deposit);
      break;
    }
    case "deposit":
      storage.balance = balance + command.amount;
      storage.moves = (storage.moves || 0) + 1;
      break;
    case "get":
      break;
    default:
      unknown(command);
  }
  return { balance: storage.balance, moves: storage.moves || 0 };
}

module.exports = { makeFunctions };
