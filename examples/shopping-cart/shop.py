"""Shopping carts, and the stock that they take from.

`shop/stock`, one instance for each item, knows how many there are. `shop/cart`, one for each user,
asks it for what the user wants, and gets it or not. Nothing is in two carts, or in a cart and on the
shelf.
"""

from aiohttp import web
from statefun import (
    IntType,
    RequestReplyHandler,
    StatefulFunctions,
    ValueSpec,
    kafka_egress_message,
    make_json_type,
    message_builder,
)

RESTOCK = make_json_type("shop/Restock")
REQUEST = make_json_type("shop/Request")
AVAILABILITY = make_json_type("shop/Availability")
ORDER = make_json_type("shop/Order")
CART = make_json_type("shop/Cart")
RECEIPT = make_json_type("shop/Receipt")
REQUEST_BYTES_MAX = 16 << 20

functions = StatefulFunctions()


@functions.bind("shop/stock", specs=[ValueSpec(name="quantity", type=IntType)])
def stock(context, message):
    quantity = context.storage.quantity or 0
    if message.is_type(RESTOCK):
        context.storage.quantity = quantity + message.as_type(RESTOCK)["quantity"]
    elif message.is_type(REQUEST):
        wanted = message.as_type(REQUEST)["quantity"]
        available = wanted <= quantity
        if available:
            context.storage.quantity = quantity - wanted
        answer = {"item": context.address.id, "quantity": wanted, "available": available}
        send(context, context.caller.typename, context.caller.id, answer, AVAILABILITY)


@functions.bind("shop/cart", specs=[ValueSpec(name="cart", type=CART)])
def cart(context, message):
    # What is in it; what was not to be had; how many answers the stock owes; orders that wait for them.
    cart = context.storage.cart or {"items": {}, "missing": [], "owed": 0, "later": []}
    if message.is_type(AVAILABILITY):
        take(cart, message.as_type(AVAILABILITY))
    elif message.is_type(ORDER):
        cart["later"].append(message.as_type(ORDER))
    # Several things may be asked for at once, but who clears the cart or pays means all that was
    # ordered before.
    while cart["later"] and (cart["later"][0]["do"] == "add" or cart["owed"] == 0):
        carry_out(context, cart, cart["later"].pop(0))
    context.storage.cart = cart


def take(cart, answer):
    cart["owed"] -= 1
    item = answer["item"]
    if answer["available"]:
        cart["items"][item] = cart["items"].get(item, 0) + answer["quantity"]
    else:
        cart["missing"].append(item)


def carry_out(context, cart, order):
    match order["do"]:
        case "add":
            send(context, "shop/stock", order["item"], {"quantity": order["quantity"]}, REQUEST)
            cart["owed"] += 1
        case "clear":
            for item, quantity in cart["items"].items():
                send(context, "shop/stock", item, {"quantity": quantity}, RESTOCK)
            cart |= {"items": {}, "missing": []}
        case "checkout":
            user = context.address.id
            receipt = {"user": user, "items": cart["items"], "missing": cart["missing"]}
            context.send_egress(
                kafka_egress_message("shop/receipts", "receipts", receipt, RECEIPT, key=user))
            cart |= {"items": {}, "missing": []}


def send(context, typename, id, value, value_type):
    context.send(message_builder(typename, id, value=value, value_type=value_type))


handler = RequestReplyHandler(functions)


async def statefun(request):
    reply = await handler.handle_async(await request.read())
    return web.Response(body=reply, content_type="application/octet-stream")


# A long backlog arrives as one request, so the framework's limit of 1 MiB is too small.
app = web.Application(client_max_size=REQUEST_BYTES_MAX)
app.router.add_post("/statefun", statefun)

if __name__ == "__main__":
    web.run_app(app, host="localhost", port=8000)
