"""Accounts that transfer money to each other.

A transfer goes to the account that pays. It takes the money off, sends it to the other account, and
writes a receipt. Whoever asks an account for its balance gets it on another topic.
"""

from aiohttp import web
from statefun import (
    LongType,
    RequestReplyHandler,
    StatefulFunctions,
    ValueSpec,
    kafka_egress_message,
    make_json_type,
    message_builder,
)

TRANSFER = make_json_type("bank/Transfer")
DEPOSIT = make_json_type("bank/Deposit")
QUESTION = make_json_type("bank/Question")
RECEIPT = make_json_type("bank/Receipt")
BALANCE = make_json_type("bank/Balance")
OPENING_BALANCE = 100
REQUEST_BYTES_MAX = 16 << 20

functions = StatefulFunctions()


@functions.bind("bank/account", specs=[ValueSpec(name="balance", type=LongType)])
def account(context, message):
    if context.storage.balance is None:
        context.storage.balance = OPENING_BALANCE
    if message.is_type(TRANSFER):
        pay(context, message.as_type(TRANSFER))
    elif message.is_type(DEPOSIT):
        context.storage.balance += message.as_type(DEPOSIT)["amount"]
    elif message.is_type(QUESTION):
        tell_balance(context, message.as_type(QUESTION))


def pay(context, transfer):
    accepted = context.storage.balance >= transfer["amount"]
    if accepted:
        context.storage.balance -= transfer["amount"]
        deposit = {"amount": transfer["amount"]}
        context.send(
            message_builder("bank/account", transfer["to"], value=deposit, value_type=DEPOSIT))
    receipt = transfer | {"from": context.address.id, "accepted": accepted}
    emit(context, "receipts", receipt, RECEIPT)


def tell_balance(context, question):
    balance = question | {"account": context.address.id, "balance": context.storage.balance}
    emit(context, "balances", balance, BALANCE)


def emit(context, topic, value, value_type):
    # Records with the same key keep their order.
    context.send_egress(
        kafka_egress_message("bank/records", topic, value, value_type, key=context.address.id))


handler = RequestReplyHandler(functions)


async def statefun(request):
    reply = await handler.handle_async(await request.read())
    return web.Response(body=reply, content_type="application/octet-stream")


# A long backlog arrives as one request, so the framework's limit of 1 MiB is too small.
app = web.Application(client_max_size=REQUEST_BYTES_MAX)
app.router.add_post("/statefun", statefun)

if __name__ == "__main__":
    web.run_app(app, host="localhost", port=8000)
