"""Greets people according to how often they came by.

A request goes to `example/person`, one instance for each name, which counts visits in its state. It tells
`example/greeter`, which finds the words and hands them to the egress.
"""

from aiohttp import web
from statefun import (
    IntType,
    RequestReplyHandler,
    StatefulFunctions,
    ValueSpec,
    egress_message_builder,
    make_json_type,
    message_builder,
)

REQUEST = make_json_type("example/GreetRequest")
RECORD = make_json_type("io.statefun.playground/EgressRecord")
REQUEST_BYTES_MAX = 16 << 20

functions = StatefulFunctions()


@functions.bind("example/person", specs=[ValueSpec(name="visits", type=IntType)])
async def person(context, message):
    visits = (context.storage.visits or 0) + 1
    context.storage.visits = visits
    request = message.as_type(REQUEST) | {"visits": visits}
    context.send(
        message_builder("example/greeter", context.address.id, value=request, value_type=REQUEST))


@functions.bind("example/greeter")
async def greeter(context, message):
    request = message.as_type(REQUEST)
    record = {"topic": "greetings", "payload": greeting(request["name"], request["visits"])}
    context.send_egress(
        egress_message_builder("io.statefun.playground/egress", value=record, value_type=RECORD))


def greeting(name, visits):
    match visits:
        case 1:
            return f"Hello {name}, good to meet you!"
        case 2:
            return f"Hello again, {name}. So you liked it here!"
        case 3:
            return f"{name}! Three visits make a habit."
        case _:
            return f"Make yourself at home, {name}: this is visit number {visits}."


handler = RequestReplyHandler(functions)


async def statefun(request):
    reply = await handler.handle_async(await request.read())
    return web.Response(body=reply, content_type="application/octet-stream")


# A long backlog arrives as one request, so the framework's limit of 1 MiB is too small.
app = web.Application(client_max_size=REQUEST_BYTES_MAX)
app.router.add_post("/statefun", statefun)

if __name__ == "__main__":
    web.run_app(app, host="localhost", port=8000)
