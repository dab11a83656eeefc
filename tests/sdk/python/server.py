"""The function server of the conformance tests on the published Python SDK. ../README.md describes it."""

import argparse
import asyncio
import collections
import gzip
import signal
import socket
import sys
import time
import zlib

from aiohttp import web
from statefun import RequestReplyHandler
from statefun.request_reply_pb2 import ToFunction

from functions import make_functions

REQUEST_BYTES_MAX = 64 << 20
# Batches remembered for each function; later ones are counted only.
BATCHES_MAX = 100_000
INCOMPLETE_TAG = b"\xaa\x06"
OCTETS = "application/octet-stream"
# A fault answers these instead of running the function.
CANNED = {
    "error": (500, b""),
    "garbage": (200, b"\xff\xff\xff\xff"),
    "empty": (200, b""),
    "incomplete": (200, INCOMPLETE_TAG + b"\x00"),
}
COUNTERS = (
    "requests", "completed", "incomplete", "failed", "invocations", "overlaps", "held",
    "in_flight", "in_flight_max",
)


class Control:
    """What the tests see and set from outside: settings and statistics for each function, flags, attempts."""

    def __init__(self):
        self.in_flight = collections.Counter()
        self.reset()

    def reset(self):
        self.settings = {}
        self.flags = set()
        self.attempts = collections.Counter()
        self.stats = {}

    def set(self, change):
        function = change.pop("function", "*")
        self.settings.setdefault(function, {}).update(change)

    def setting(self, function, name):
        for scope in (function, "*"):
            value = self.settings.get(scope, {}).get(name)
            if value is not None:
                return value
        return None

    def take_fault(self, function):
        """The fault for this request, counting down its `times`."""
        for scope in (function, "*"):
            settings = self.settings.get(scope, {})
            times = settings.get("times")
            if settings.get("fault") is None or times == 0:
                continue
            if times is not None:
                settings["times"] = times - 1
            return settings["fault"], settings.get("status", 500)
        return None, 0

    def stats_of(self, function):
        return self.stats.setdefault(function, dict.fromkeys(COUNTERS, 0) | {"batch_sizes": []})


class Server:
    def __init__(self, ttl_ms):
        self.control = Control()
        self.handler = RequestReplyHandler(make_functions(self.control, ttl_ms))

    def application(self):
        app = web.Application(client_max_size=REQUEST_BYTES_MAX)
        app.router.add_post("/statefun", self.statefun)
        app.router.add_get("/control/health", self.health)
        app.router.add_get("/control/stats", self.stats)
        app.router.add_get("/control/wait", self.wait)
        app.router.add_post("/control/set", self.set)
        app.router.add_post("/control/flag", self.flag)
        app.router.add_post("/control/reset", self.reset)
        return app

    # The functions

    async def statefun(self, request):
        body = await request.read()
        invocation = ToFunction.FromString(body).invocation
        function, address_id = invocation.target.type, invocation.target.id
        stats = self.control.stats_of(function)
        stats["requests"] += 1
        limit = self.control.setting(function, "max_body_bytes")
        if limit is not None and len(body) > limit:
            stats["failed"] += 1
            return web.Response(status=413)
        self.enter(stats, (function, address_id))
        try:
            await self.linger(function, stats)
            return await self.answer(request, body, function, stats, len(invocation.invocations))
        except Exception as error:
            stats["failed"] += 1
            return web.Response(status=500, text=f"{type(error).__name__}: {error}")
        finally:
            self.leave(stats, (function, address_id))

    def enter(self, stats, address):
        in_flight = self.control.in_flight
        stats["overlaps"] += in_flight[address] > 0
        in_flight[address] += 1
        stats["in_flight"] += 1
        stats["in_flight_max"] = max(stats["in_flight_max"], stats["in_flight"])

    def leave(self, stats, address):
        stats["in_flight"] -= 1
        self.control.in_flight[address] -= 1
        if not self.control.in_flight[address]:
            del self.control.in_flight[address]

    async def linger(self, function, stats):
        stats["held"] += 1
        while self.control.setting(function, "hold"):
            await asyncio.sleep(0.002)
        stats["held"] -= 1
        delay_ms = self.control.setting(function, "delay_ms")
        if delay_ms:
            await asyncio.sleep(delay_ms / 1000)

    async def answer(self, request, body, function, stats, batch_size):
        fault, status = self.control.take_fault(function)
        if fault == "status" or fault in CANNED:
            stats["failed"] += 1
            status, canned = (status, b"") if fault == "status" else CANNED[fault]
            return web.Response(status=status, body=canned, content_type=OCTETS)
        if fault != "drop_before":
            body = await self.handler.handle_async(body)
            self.count(stats, body, batch_size)
        if fault in ("drop", "drop_before"):
            request.transport.abort()
        return encoded(body, fault)

    def count(self, stats, reply, batch_size):
        if reply.startswith(INCOMPLETE_TAG):
            stats["incomplete"] += 1
            return
        stats["completed"] += 1
        stats["invocations"] += batch_size
        if len(stats["batch_sizes"]) < BATCHES_MAX:
            stats["batch_sizes"].append(batch_size)

    # The control side

    async def health(self, _request):
        return web.json_response({"sdk": "python", "version": sys.version.split()[0]})

    async def stats(self, _request):
        return web.json_response(self.control.stats)

    async def wait(self, request):
        function, counter = request.query["function"], request.query["counter"]
        at_least = int(request.query["at_least"])
        deadline = time.monotonic() + int(request.query.get("timeout_ms", 10_000)) / 1000
        while self.control.stats_of(function)[counter] < at_least:
            if time.monotonic() > deadline:
                return web.json_response(self.control.stats_of(function), status=504)
            await asyncio.sleep(0.002)
        return web.json_response(self.control.stats_of(function))

    async def set(self, request):
        self.control.set(await request.json())
        return web.json_response({})

    async def flag(self, request):
        change = await request.json()
        if change["on"]:
            self.control.flags.add(change["name"])
        else:
            self.control.flags.discard(change["name"])
        return web.json_response({})

    async def reset(self, _request):
        self.control.reset()
        return web.json_response({})


def encoded(reply, fault):
    if fault == "content_type":
        return web.Response(body=reply, content_type="text/plain")
    headers = {}
    if fault == "gzip":
        reply, headers = gzip.compress(reply), {"Content-Encoding": "gzip"}
    elif fault == "deflate":
        reply, headers = zlib.compress(reply), {"Content-Encoding": "deflate"}
    return web.Response(body=reply, content_type=OCTETS, headers=headers)


async def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int, help="0: any free one")
    parser.add_argument("--ttl-ms", type=int, default=1000, help="how long the states of conformance/ttl live")
    parser.add_argument("--until-stdin-closes", action="store_true")
    options = parser.parse_args()

    listener = socket.create_server(("127.0.0.1", options.port))
    runner = web.AppRunner(Server(options.ttl_ms).application(), access_log=None)
    await runner.setup()
    await web.SockSite(runner, listener, shutdown_timeout=0.1).start()
    print(f"listening on {listener.getsockname()[1]}", flush=True)

    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, done.set)
    if options.until_stdin_closes:
        loop.add_reader(sys.stdin, lambda: sys.stdin.buffer.read1(4096) or done.set())
    await done.wait()
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
