"""The functions of the namespace `conformance`, on the published Python SDK. ../README.md says what each one does."""

import zlib
from datetime import timedelta

from statefun import (
    BoolType,
    DoubleType,
    FloatType,
    IntType,
    LongType,
    StatefulFunctions,
    StringType,
    ValueSpec,
    egress_message_builder,
    make_json_type,
    message_builder,
    simple_type,
)

NAMESPACE = "conformance"
OUT = "conformance/out"
COMMAND = make_json_type("conformance/Command")
REPORT = make_json_type("conformance/Report")
TYPES = {
    "bool": BoolType,
    "int": IntType,
    "float": FloatType,
    "long": LongType,
    "double": DoubleType,
    "string": StringType,
    "json": make_json_type("conformance/Json"),
    "bytes": simple_type("conformance/Bytes", serialize_fn=bytes, deserialize_fn=bytes),
}
EMPTY = {"bool": False, "int": 0, "string": "", "bytes": "", "json": {}}
# Longer arguments are reported by their length and checksum alone.
HEX_BYTES_MAX = 64


class CommandFailed(Exception):
    """A command asked for a failure, or could not be carried out."""


def make_functions(control, ttl_ms):
    """Binds every function. `control` holds what does not belong to any state: flags and attempts."""
    functions = StatefulFunctions()
    ttl = timedelta(milliseconds=ttl_ms)

    def bind(name, handle, specs=()):
        functions.register(f"{NAMESPACE}/{name}", dispatcher(name, handle), list(specs))

    bind("types", types, [ValueSpec(f"{name}_value", tpe) for name, tpe in TYPES.items()])
    bind("ttl", ttl_function, [
        ValueSpec("written", IntType, expire_after_write=ttl),
        ValueSpec("invoked", IntType, expire_after_call=ttl),
        ValueSpec("kept", IntType),
    ])
    bind("timer", timer, [ValueSpec("fired", TYPES["json"])])
    bind("batch", batch, [
        ValueSpec("count", IntType),
        ValueSpec("violations", IntType),
        ValueSpec("last", TYPES["json"]),
        ValueSpec("order", TYPES["json"]),
    ])
    bind("caller", caller)
    bind("relay", relay, [ValueSpec("passed", IntType)])
    bind("fail", failing(control), [ValueSpec("ok", IntType), ValueSpec("seen", TYPES["json"])])
    bind("big", big, [ValueSpec("blob", TYPES["bytes"])])
    bind("empty", empty, [ValueSpec(f"{name}_value", TYPES[name]) for name in EMPTY])
    bind("reply", reply)
    bind("account", account, [ValueSpec("balance", IntType), ValueSpec("moves", IntType)])
    return functions


# What is common to all functions


def dispatcher(name, handle):
    """Turns `handle(context, command) -> fields of the report, or None for no report` into a function of the SDK."""

    def run(context, command):
        if command["do"] == "steps":
            return {"steps": [run(context, step) for step in command["steps"]]}
        return handle(context, command)

    def function(context, message):
        base = {"function": name, "id": context.address.id}
        if message.is_type(REPORT):
            received = {"from": address_json(context.caller), "received": message.as_type(REPORT)}
            return emit(context, REPORT, base | received)
        if not message.is_type(COMMAND):
            return answer(context, {}, REPORT, base | {"argument": describe(message)})
        command = message.as_type(COMMAND)
        fields = run(context, command)
        if fields is not None:
            echo = {key: command[key] for key in ("do", "tag") if key in command}
            answer(context, command, REPORT, base | echo | fields)

    return function


def answer(context, command, value_type, value):
    """Sends to where the command wants its answer."""
    route = answer_route(context, command)
    if route == "out":
        emit(context, value_type, value)
    elif route != "none":
        send(context, route, value_type, value)


def answer_route(context, command):
    """`"out"`, `"none"`, or an address. Without a wish: the caller if there is one, else `"out"`."""
    wish = command.get("answer") or ("caller" if context.caller else "out")
    if wish != "caller":
        return wish
    if context.caller is None:
        raise CommandFailed("there is no caller to answer")
    return address_json(context.caller)


def send(context, to, value_type, value):
    context.send(outgoing(to, value_type, value))


def outgoing(to, value_type, value):
    return message_builder(to["function"], to["id"], value=value, value_type=value_type)


def emit(context, value_type, value):
    context.send_egress(egress_message_builder(OUT, value=value, value_type=value_type))


def payload(command):
    """The type and value that a command wants sent: `message` is another command, `as` and `value` any value."""
    if "as" in command:
        return TYPES[command["as"]], from_json(command["as"], command["value"])
    return COMMAND, command["message"]


def address_json(address):
    return None if address is None else {"function": address.typename, "id": address.id}


def own_address(context):
    return address_json(context.address)


def describe(message):
    raw = message.raw_value()
    described = {"typename": message.value_typename(), "has_value": raw is not None}
    if raw is not None:
        described |= fingerprint(raw)
        known = (name for name, tpe in TYPES.items() if message.is_type(tpe))
        name = next(known, None)
        if len(raw) <= HEX_BYTES_MAX:
            described["hex"] = raw.hex()
            if name is not None:
                described["value"] = to_json(name, message.as_type(TYPES[name]))
    return described


def fingerprint(raw):
    return {"bytes": len(raw), "crc32": zlib.crc32(raw)}


def to_json(name, value):
    return value.hex() if name == "bytes" and value is not None else value


def from_json(name, value):
    return bytes.fromhex(value) if name == "bytes" else value


def values_of(context, names):
    return {name: to_json(name, getattr(context.storage, f"{name}_value")) for name in names}


def set_values(context, values):
    for name, value in values.items():
        setattr(context.storage, f"{name}_value", from_json(name, value))


def delete_values(context, names):
    for name in names:
        delattr(context.storage, f"{name}_value")


def unknown(command):
    raise CommandFailed(f"unknown command `{command['do']}`")


# The functions


def types(context, command):
    match command["do"]:
        case "set":
            set_values(context, command["values"])
        case "delete":
            delete_values(context, command["names"])
        case "get":
            pass
        case _:
            unknown(command)
    return {"values": values_of(context, TYPES)}


def ttl_function(context, command):
    names = ("written", "invoked", "kept")
    match command["do"]:
        case "set":
            for name in command.get("names", names):
                setattr(context.storage, name, command["value"])
        case "get":
            pass
        case _:
            unknown(command)
    return {name: getattr(context.storage, name) for name in names}


def timer(context, command):
    match command["do"]:
        case "send_after":
            fired = {"do": "fired", "tag": command.get("tag"), "answer": "out"}
            message = outgoing(
                command.get("to") or own_address(context), COMMAND, command.get("message") or fired)
            delay = timedelta(milliseconds=command["delay_ms"])
            context.send_after(delay, message, command.get("token") or "")
            return {"token": command.get("token")}
        case "cancel":
            context.cancel_delayed_message(command["token"])
            return {"token": command["token"]}
        case "fired":
            context.storage.fired = (context.storage.fired or []) + [command.get("tag")]
        case "get":
            pass
        case _:
            unknown(command)
    return {"fired": context.storage.fired or []}


def batch(context, command):
    storage = context.storage
    match command["do"]:
        case "add":
            storage.count = (storage.count or 0) + 1
            check_order(storage, command.get("from", ""), command["seq"])
            if command.get("record"):
                storage.order = (storage.order or []) + [command["seq"]]
            return {"count": storage.count, "seq": command["seq"]}
        case "get":
            return {
                "count": storage.count or 0,
                "violations": storage.violations or 0,
                "last": storage.last or {},
                "order": storage.order or [],
            }
        case _:
            unknown(command)


def check_order(storage, sender, seq):
    last = storage.last or {}
    if sender in last and seq != last[sender] + 1:
        storage.violations = (storage.violations or 0) + 1
    storage.last = last | {sender: seq}


def caller(context, _command):
    return {"caller": address_json(context.caller)}


def relay(context, command):
    match command["do"]:
        case "send":
            sent = relay_messages(context, command)
            # The answer is then the business of whom it was sent to.
            return None if command.get("pass_answer") else {"sent": sent}
        case "ring":
            return relay_ring(context, command)
        case "get":
            return {"passed": context.storage.passed or 0}
        case _:
            unknown(command)


def relay_messages(context, command):
    targets = command["to"] if isinstance(command["to"], list) else [command["to"]]
    value_type, value = payload(command)
    if command.get("pass_answer"):
        value = value | {"answer": answer_route(context, command)}
    times = command.get("times", 1)
    for number in range(times):
        if "first" in command:
            value = value | {"seq": command["first"] + number, "from": context.address.id}
        for target in targets:
            send(context, target, value_type, value)
    return times * len(targets)


def relay_ring(context, command):
    context.storage.passed = (context.storage.passed or 0) + 1
    if command["hops"] == 0:
        return {"ring": "done"}
    ids = command["ids"]
    own = ids.index(context.address.id) if context.address.id in ids else -1
    target = own_address(context) | {"id": ids[(own + 1) % len(ids)]}
    onward = {"hops": command["hops"] - 1, "answer": answer_route(context, command)}
    send(context, target, COMMAND, command | onward)
    return None


def failing(control):
    def fail(context, command):
        storage = context.storage
        match command["do"]:
            case "get":
                return {"ok": storage.ok or 0, "seen": storage.seen or []}
            case "fail":
                raise CommandFailed("told to fail")
            case "fail_times":
                control.attempts[command["key"]] += 1
                if control.attempts[command["key"]] <= command["times"]:
                    raise CommandFailed(f"told to fail {command['times']} times")
            case "fail_while":
                if command["flag"] in control.flags:
                    raise CommandFailed(f"flag `{command['flag']}` is set")
            case "ok":
                pass
            case _:
                unknown(command)
        storage.ok = (storage.ok or 0) + 1
        storage.seen = (storage.seen or []) + [command.get("tag")]
        return {"ok": storage.ok, "attempts": control.attempts.get(command.get("key"), 0)}

    return fail


def big(context, command):
    match command["do"]:
        case "set":
            context.storage.blob = pattern(command)
        case "delete":
            del context.storage.blob
        case "fetch":
            answer(context, command, TYPES["bytes"], context.storage.blob or b"")
            return None
        case "emit":
            emit(context, TYPES["bytes"], pattern(command))
            return None
        case "send":
            send(context, command["to"], TYPES["bytes"], pattern(command))
        case "get":
            pass
        case _:
            unknown(command)
    blob = context.storage.blob
    return {"blob": None if blob is None else fingerprint(blob)}


def pattern(command):
    """`bytes` bytes; the one at index i is (i + seed) mod 256."""
    seed, length = command.get("seed", 0), command["bytes"]
    period = bytes((index + seed) % 256 for index in range(256))
    return (period * (length // 256 + 1))[:length]


def empty(context, command):
    match command["do"]:
        case "store":
            set_values(context, EMPTY)
        case "clear":
            delete_values(context, EMPTY)
        case "look":
            pass
        case "emit":
            for name, value in EMPTY.items():
                emit(context, TYPES[name], from_json(name, value))
        case "send":
            for name, value in EMPTY.items():
                send(context, command["to"], TYPES[name], from_json(name, value))
        case "nothing":
            return None
        case _:
            unknown(command)
    return {"values": values_of(context, EMPTY)}


def reply(context, command):
    match command["do"]:
        case "reply":
            for _ in range(command.get("times", 1)):
                context.send(reply_message(context, command))
        case "later":
            delay = timedelta(milliseconds=command["delay_ms"])
            context.send_after(delay, reply_message(context, command))
        case "never":
            pass
        case _:
            unknown(command)
    return None


def reply_message(context, command):
    if context.caller is None:
        raise CommandFailed("there is no caller to answer")
    to = address_json(context.caller)
    if "as" in command:
        return outgoing(to, *payload(command))
    return outgoing(to, REPORT, {"function": "reply", "id": context.address.id, "echo": command})


def account(context, command):
    storage = context.storage
    balance = storage.balance or 0
    match command["do"]:
        case "open":
            storage.balance = command["balance"]
        case "transfer":
            storage.balance = balance - command["amount"]
            storage.moves = (storage.moves or 0) + 1
            deposit = {"do": "deposit", "amount": command["amount"], "answer": "none"}
            send(context, own_address(context) | {"id": command["to"]}, COMMAND, deposit)
        case "deposit":
            storage.balance = balance + command["amount"]
            storage.moves = (storage.moves or 0) + 1
        case "get":
            pass
        case _:
            unknown(command)
    return {"balance": storage.balance, "moves": storage.moves or 0}
