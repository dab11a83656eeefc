//! Money goes from account to account: withdrawn here, deposited there, and a receipt comes back.

use std::sync::Arc;

use statera_sdk::{
    App, BoxError, Cell, Context, IntoValue, Name, Result, TypedValue, Value, ValueError,
};

use super::counter::at;
use super::generator::{Generator, Plan, ask};
use super::host::Host;
use super::job::{Job, Outcome};
use super::measure::window;
use super::numbers::{Skew, mix, number_of};
use super::tally::Tally;

const FUNCTION: Name = Name::from_static("bench/account");
const ACCOUNT: Cell<Account> = Cell::new("account");

/// What each account has in the beginning.
const ENDOWMENT: i64 = 1_000;
const AMOUNT_MAX: u64 = 10;

/// Most transfers are from and to few of the accounts.
const SKEW: Skew = Skew { messages_percent: 80, ids_percent: 20 };

struct Account {
    balance: i64,
    /// Withdrawn, and no receipt yet.
    unsettled: i64,
}

/// A step of a transfer, or the question what is there.
struct Step {
    kind: Kind,
    amount: i64,
    /// The other account.
    peer: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Withdraw = 0,
    Deposit = 1,
    Receipt = 2,
    Ask = 3,
}

pub(super) async fn run(job: &Job) -> anyhow::Result<Outcome> {
    let tally = Arc::new(Tally::default());
    let app = App::new().function(&FUNCTION, ACCOUNT, account(FUNCTION, tally.clone()));
    let host = Host::start(app, job)?;
    let (ids, ended) = (job.ids, tally.clone());
    let make = move |number: u64| {
        let peer = SKEW.pick(!number, ids);
        let amount = 1 + (mix(number) % AMOUNT_MAX) as i64;
        let step = Step { kind: Kind::Withdraw, amount, peer };
        (at(&FUNCTION, SKEW.pick(number, ids)), step.encoded())
    };
    let over = move || ended.ended.get();
    let engine = host.engine.clone();
    let generator = Generator::start(engine, "bench/source", Plan::endless(), over, make)?;
    let mut outcome = window(&host, &tally, job).await?;

    let taken = generator.stop(&host).await?;
    host.until("for receipts", || tally.ended.get() == taken).await?;
    let question = Step { kind: Kind::Ask, amount: 0, peer: 0 }.into_value()?;
    ask(&host, &tally, ids, move |id| (at(&FUNCTION, id), question.clone())).await?;
    let balances = tally.answers.values().sum;
    outcome.compare("sum of all balances", balances, ENDOWMENT * ids as i64);
    outcome.compare("accounts with unsettled transfers", tally.wrong.get(), 0);
    host.stop().await?;
    Ok(outcome)
}

fn account(
    name: Name,
    tally: Arc<Tally>,
) -> impl Fn(&mut Context<'_>, Step) -> Result + Send + Sync + 'static {
    move |ctx, Step { kind, amount, peer }| {
        let Account { balance, unsettled } = ctx.get_or_default(ACCOUNT)?;
        match kind {
            Kind::Withdraw if balance < amount => tally.ended.add(1),
            Kind::Withdraw => {
                let after = Account { balance: balance - amount, unsettled: unsettled + amount };
                ctx.set(ACCOUNT, after);
                let deposit = Step { kind: Kind::Deposit, amount, peer: 0 };
                ctx.send((&name, peer), deposit);
            }
            Kind::Deposit => {
                ctx.set(ACCOUNT, Account { balance: balance + amount, unsettled });
                ctx.reply(Step { kind: Kind::Receipt, amount, peer: 0 });
            }
            Kind::Receipt => {
                ctx.set(ACCOUNT, Account { balance, unsettled: unsettled - amount });
                tally.ended.add(1);
            }
            Kind::Ask => {
                tally.wrong.add(u64::from(unsettled != 0));
                tally.answers.note(number_of(&ctx.id())?, balance);
                return Ok(());
            }
        }
        tally.messages.add(1);
        Ok(())
    }
}

impl Default for Account {
    fn default() -> Account {
        Account { balance: ENDOWMENT, unsettled: 0 }
    }
}

impl Account {
    fn bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.balance.to_le_bytes());
        bytes[8..].copy_from_slice(&self.unsettled.to_le_bytes());
        bytes
    }
}

impl Value for Account {
    const TYPENAME: &'static str = "bench/Account";

    fn encode(&self, out: &mut Vec<u8>) -> Result<(), BoxError> {
        out.extend(self.bytes());
        Ok(())
    }

    fn decode(bytes: &[u8]) -> Result<Account, BoxError> {
        let (balance, unsettled) = bytes.split_first_chunk().ok_or("too short")?;
        let unsettled = i64::from_le_bytes(unsettled.try_into()?);
        Ok(Account { balance: i64::from_le_bytes(*balance), unsettled })
    }

    fn to_typed_value(&self) -> Result<TypedValue, ValueError> {
        Ok(TypedValue::new(Account::TYPENAME, &self.bytes()))
    }
}

impl Step {
    fn encoded(&self) -> TypedValue {
        let mut bytes = [0; 17];
        bytes[0] = self.kind as u8;
        bytes[1..9].copy_from_slice(&self.amount.to_le_bytes());
        bytes[9..].copy_from_slice(&self.peer.to_le_bytes());
        TypedValue::new(Step::TYPENAME, &bytes)
    }
}

impl Value for Step {
    const TYPENAME: &'static str = "bench/Step";

    fn encode(&self, out: &mut Vec<u8>) -> Result<(), BoxError> {
        out.extend(self.encoded().value());
        Ok(())
    }

    fn decode(bytes: &[u8]) -> Result<Step, BoxError> {
        let (kind, bytes) = bytes.split_first().ok_or("empty")?;
        let kinds = [Kind::Withdraw, Kind::Deposit, Kind::Receipt, Kind::Ask];
        let kind = *kinds.get(usize::from(*kind)).ok_or("no such step")?;
        let (amount, peer) = bytes.split_first_chunk().ok_or("too short")?;
        let peer = u64::from_le_bytes(peer.try_into()?);
        Ok(Step { kind, amount: i64::from_le_bytes(*amount), peer })
    }

    fn to_typed_value(&self) -> Result<TypedValue, ValueError> {
        Ok(self.encoded())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_and_accounts_come_back_from_their_bytes() {
        for kind in [Kind::Withdraw, Kind::Deposit, Kind::Receipt, Kind::Ask] {
            let step = Step { kind, amount: 7, peer: u64::MAX };
            let back = Step::from_typed_value(&step.encoded()).unwrap();
            assert_eq!((back.kind, back.amount, back.peer), (kind, 7, u64::MAX));
        }
        let account = Account { balance: -1, unsettled: 2 }.into_value().unwrap();
        let back = Account::from_typed_value(&account).unwrap();
        assert_eq!((back.balance, back.unsettled), (-1, 2));
        assert!(Step::decode(&[9; 17]).is_err() && Step::decode(&[0; 5]).is_err());
    }
}
