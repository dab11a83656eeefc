//! The functions of the quickstart. They keep nothing themselves: their state comes with each request, and goes back
//! with each reply.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use statera_model::{
    Address, Delayed, Egress, Expiration, FunctionType, Mutation, Name, Outcome, Outgoing, Reply,
    StateChange, StateSpec, TypedValue,
};
use statera_protocol::types::{self, ValueError};
use statera_protocol::{Invocation, OwnedRequest};

/// What an account holds before anything was moved.
pub(super) const OPENING_BALANCE: i64 = 1000;

/// The one state of each function, a long.
pub(super) const VISITS: &str = "visits";
pub(super) const BALANCE: &str = "balance";

/// The types of messages, as they are named over HTTP.
pub(super) const VISIT: &str = "demo/Visit";
pub(super) const TRANSFER: &str = "demo/Transfer";
pub(super) const REMIND: &str = "demo/Remind";
const DEPOSIT: &str = "demo/Deposit";
const RING: &str = "demo/Ring";
const ANSWER: &str = "demo/Answer";

/// The longest time in the future for which a reminder is set.
const REMIND_AFTER_MAX: Duration = Duration::from_secs(24 * 3600);

/// Why a function does not answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    #[error("there is no function `{0}` here")]
    NoFunction(FunctionType),
    #[error("the state is not what this function stored")]
    State(#[from] ValueError),
}

/// Runs a function on a batch of messages.
pub(super) fn invoke(request: &OwnedRequest) -> Result<Outcome, Failed> {
    match request.target.function.as_str() {
        "demo/greeter" => with_state(request, VISITS, greet),
        "demo/account" => with_state(request, BALANCE, keep_account),
        "demo/reminder" => with_state(request, "rung", remind),
        _ => Err(Failed::NoFunction(request.target.function.clone())),
    }
}

/// Counts how often a person came by.
fn greet(request: &OwnedRequest, visits: Option<i64>, reply: &mut Reply) -> i64 {
    let mut visits = visits.unwrap_or_default();
    let name = &request.target.id;
    for message in &request.invocations {
        visits += 1;
        let greeting = match visits {
            1 => format!("Hello {name}, good to meet you!"),
            _ => format!("Hello {name}, this is visit number {visits}."),
        };
        answer(reply, message, &json!({ "greeting": greeting, "visits": visits }));
    }
    visits
}

#[derive(Deserialize)]
struct Transfer {
    to: String,
    amount: i64,
}

/// A transfer on its way: the account that receives it answers whoever asked for it.
#[derive(Deserialize, Serialize)]
struct Deposit {
    from: String,
    amount: i64,
    answer_to: Option<(String, String)>,
}

/// Moves money. What one account gives, another one takes in a message: at no time can it be lost or counted twice.
fn keep_account(request: &OwnedRequest, balance: Option<i64>, reply: &mut Reply) -> i64 {
    let mut balance = balance.unwrap_or(OPENING_BALANCE);
    let this = &request.target;
    for message in &request.invocations {
        if message.argument.typename() == DEPOSIT {
            balance += receive(this, &message.argument, reply);
            continue;
        }
        match read::<Transfer>(&message.argument, TRANSFER) {
            Ok(Transfer { to, amount }) if amount > balance || amount <= 0 || *to == *this.id => {
                let why = format!("cannot move {amount} from {} to {to}", this.id);
                answer(reply, message, &json!({ "refused": why, "balance": balance }));
            }
            Ok(Transfer { to, amount }) => {
                balance -= amount;
                let caller = message.caller.as_ref();
                let answer_to =
                    caller.map(|caller| (caller.function.to_string(), caller.id.to_string()));
                let deposit = Deposit { from: this.id.to_string(), amount, answer_to };
                send(reply, Address::new(this.function.clone(), to), DEPOSIT, &json!(deposit));
            }
            Err(why) => answer(reply, message, &json!({ "refused": why })),
        }
    }
    balance
}

fn receive(this: &Address, deposit: &TypedValue, reply: &mut Reply) -> i64 {
    // Only accounts send deposits; one made by hand that can't be read moves nothing.
    let Ok(Deposit { from, amount, answer_to }) = read::<Deposit>(deposit, DEPOSIT) else {
        return 0;
    };
    if let Some((function, id)) = answer_to
        && let Ok(function) = Name::parse(&function)
    {
        let moved = json!({ "moved": amount, "from": from, "to": &*this.id });
        send(reply, Address::new(function, id), ANSWER, &moved);
    }
    amount
}

#[derive(Deserialize)]
struct Remind {
    after_seconds: f64,
    text: String,
}

/// Sends itself a message that arrives later, and writes to the egress when it does.
fn remind(request: &OwnedRequest, rung: Option<i64>, reply: &mut Reply) -> i64 {
    let mut rung = rung.unwrap_or_default();
    for message in &request.invocations {
        if message.argument.typename() == RING {
            rung += 1;
            reply.egress.push(Egress {
                egress: Name::from_parts("demo", "reminders"),
                argument: message.argument.clone(),
            });
            continue;
        }
        match read::<Remind>(&message.argument, REMIND) {
            Ok(Remind { after_seconds, text }) => {
                let after = Duration::try_from_secs_f64(after_seconds).unwrap_or_default();
                let delay_ms = after.min(REMIND_AFTER_MAX).as_millis() as i64;
                let argument = TypedValue::new(RING, text.as_bytes());
                let message = Outgoing { target: request.target.clone(), argument };
                reply.delayed.push(Delayed::Send { delay_ms, message, token: None });
            }
            Err(why) => answer(reply, message, &json!({ "refused": why })),
        }
    }
    rung
}

/// Runs a function with its state, or asks for the state if it did not come with the request.
fn with_state(
    request: &OwnedRequest,
    name: &str,
    run: impl FnOnce(&OwnedRequest, Option<i64>, &mut Reply) -> i64,
) -> Result<Outcome, Failed> {
    let Some(state) = request.states.iter().find(|state| &*state.name == name) else {
        return Ok(Outcome::Incomplete(vec![StateSpec {
            name: name.into(),
            typename: types::LONG.into(),
            expiration: Expiration::Never,
        }]));
    };
    let value = state.value.as_ref().filter(|value| value.has_value());
    let before = value.map(types::decode).transpose()?;
    let mut reply = Reply::default();
    let after = run(request, before, &mut reply);
    if before != Some(after) {
        let change = StateChange::Modify(types::encode(after));
        reply.mutations.push(Mutation { state: name.into(), change });
    }
    Ok(Outcome::Complete(reply))
}

fn read<'a, T: Deserialize<'a>>(value: &'a TypedValue, typename: &str) -> Result<T, String> {
    if value.typename() != typename {
        return Err(format!("a message of type `{typename}` is expected"));
    }
    serde_json::from_slice(value.value()).map_err(|error| error.to_string())
}

/// Answers whoever sent a message, if somebody waits.
fn answer(reply: &mut Reply, message: &Invocation, answer: &serde_json::Value) {
    if let Some(caller) = &message.caller {
        send(reply, caller.clone(), ANSWER, answer);
    }
}

fn send(reply: &mut Reply, target: Address, typename: &str, json: &serde_json::Value) {
    // The line end is for people who look at it in a terminal.
    let argument = TypedValue::new(typename, format!("{json}\n").as_bytes());
    reply.messages.push(Outgoing { target, argument });
}

#[cfg(test)]
mod tests {
    use statera_protocol::PersistedValue;

    use super::*;

    /// Runs one function with a balance or count and returns the one after, and what it sent as text.
    fn run(function: &str, before: i64, messages: &[(&str, &str)]) -> (Option<i64>, Vec<String>) {
        let caller = Address::new(Name::parse("test/caller").unwrap(), "1");
        let state = match function {
            "demo/account" => BALANCE,
            "demo/greeter" => VISITS,
            _ => "rung",
        };
        let invocation = |(typename, json): &(&str, &str)| Invocation {
            caller: Some(caller.clone()),
            argument: TypedValue::new(typename, json.as_bytes()),
        };
        let request = OwnedRequest {
            target: Address::new(Name::parse(function).unwrap(), "Ada"),
            states: vec![PersistedValue { name: state.into(), value: Some(types::encode(before)) }],
            invocations: messages.iter().map(invocation).collect(),
        };
        let Outcome::Complete(reply) = invoke(&request).unwrap() else { panic!("incomplete") };
        let after = reply.mutations.first().map(|mutation| match &mutation.change {
            StateChange::Modify(value) => types::decode(value).unwrap(),
            StateChange::Delete => panic!("deleted"),
        });
        let text = |message: &Outgoing| {
            let value = String::from_utf8_lossy(message.argument.value()).trim().to_owned();
            format!("{} {value}", message.target)
        };
        (after, reply.messages.iter().map(text).collect())
    }

    #[test]
    fn each_visit_of_a_batch_counts() {
        let (visits, sent) = run("demo/greeter", 1, &[(VISIT, ""), (VISIT, "")]);
        assert_eq!(visits, Some(3));
        assert!(sent[1].contains(r#""visits":3"#), "{sent:?}");
    }

    #[test]
    fn what_one_account_gives_is_in_the_message() {
        let transfer = r#"{"to":"Bob","amount":30}"#;
        let (balance, sent) = run("demo/account", 100, &[(TRANSFER, transfer)]);
        assert_eq!(balance, Some(70));
        assert!(sent[0].starts_with("demo/account/Bob {"), "{sent:?}");
        let deposit = r#"{"from":"Bob","amount":30,"answer_to":["test/caller","1"]}"#;
        let (balance, sent) = run("demo/account", 70, &[(DEPOSIT, deposit)]);
        assert_eq!(balance, Some(100));
        assert!(sent[0].starts_with("test/caller/1 {"), "{sent:?}");
    }

    #[test]
    fn impossible_transfers_move_nothing() {
        for json in [
            r#"{"to":"Bob","amount":101}"#,
            r#"{"to":"Bob","amount":-1}"#,
            r#"{"to":"Ada","amount":1}"#,
            "nonsense",
        ] {
            let (balance, sent) = run("demo/account", 100, &[(TRANSFER, json)]);
            assert_eq!(balance, None, "{json}");
            assert!(sent[0].contains("refused"), "{sent:?}");
        }
    }

    #[test]
    fn state_that_did_not_come_is_asked_for() {
        let request = OwnedRequest {
            target: Address::new(Name::parse("demo/greeter").unwrap(), "Ada"),
            states: Vec::new(),
            invocations: Vec::new(),
        };
        assert!(matches!(invoke(&request), Ok(Outcome::Incomplete(_))));
    }
}
