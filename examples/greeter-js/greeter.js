"use strict";
// Greets people according to how often they came by.
//
// A request goes to `example/person`, one instance for each name, which counts visits in its state. It tells
// `example/greeter`, which finds the words and hands them to the egress.

const http = require("http");
const { StateFun, messageBuilder, egressMessageBuilder } = require("apache-flink-statefun");

const REQUEST = StateFun.jsonType("example/GreetRequest");
const RECORD = StateFun.jsonType("io.statefun.playground/EgressRecord");

const functions = new StateFun();

functions.bind({
  typename: "example/person",
  specs: [{ name: "visits", type: StateFun.intType() }],
  fn(context, message) {
    const visits = (context.storage.visits ?? 0) + 1;
    context.storage.visits = visits;
    const value = { ...message.as(REQUEST), visits };
    context.send(
      messageBuilder({ typename: "example/greeter", id: context.self.id, value, valueType: REQUEST })
    );
  },
});

functions.bind({
  typename: "example/greeter",
  fn(context, message) {
    const { name, visits } = message.as(REQUEST);
    const value = { topic: "greetings", payload: greeting(name, visits) };
    context.send(
      egressMessageBuilder({ typename: "io.statefun.playground/egress", value, valueType: RECORD })
    );
  },
});

function greeting(name, visits) {
  switch (visits) {
    case 1:
      return `Hello ${name}, good to meet you!`;
    case 2:
      return `Hello again, ${name}. So you liked it here!`;
    case 3:
      return `${name}! Three visits make a habit.`;
    default:
      return `Make yourself at home, ${name}: this is visit number ${visits}.`;
  }
}

http.createServer(functions.handler()).listen(8000, "localhost", () => {
  console.log("functions on http://localhost:8000");
});
