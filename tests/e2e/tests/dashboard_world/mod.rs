//! A shop under load, and a browser that looks at its dashboard.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};
use statera_e2e::{
    App, Browser, Client, FunctionServer, Functions, Reaction, Statera, Target, repository, skipped,
};

const TYPE: &str = "e2e/Json";

/// What `quantity` is in a message that the cart refuses.
pub(crate) const POISON: &str = "three";

const CUSTOMERS: [&str; 16] = [
    "ann", "bob", "cleo", "dan", "eve", "finn", "gus", "hana", "ivo", "june", "kai", "lea", "mio",
    "nora", "olaf", "pia",
];
const GOODS: [&str; 5] = ["tea", "coffee", "cups", "sugar", "milk"];

/// Between two requests of a customer: some hundred messages a second in all.
const PAUSE: Duration = Duration::from_millis(15);

/// Every so many orders there is a reminder for later.
const REMINDER_EVERY: i64 = 7;

/// Carts take orders, and the goods leave as parcels.
fn functions() -> Functions {
    Functions::default()
        .with("shop/cart", &["items", "orders"], |context, order| {
            let mut items = context.get("items");
            let good = order["good"].as_str().unwrap_or("nothing").to_owned();
            let had = items[&good].as_i64().unwrap_or(0);
            let quantity = order["quantity"].as_i64().unwrap_or(0);
            if items.is_null() {
                items = json!({});
            }
            items[&good] = json!(had + quantity);
            context.set("items", items);
            let orders = context.add("orders", 1);
            context.send("shop/stock", &good, order);
            if orders % REMINDER_EVERY == 0 {
                let id = context.id();
                let later = Duration::from_secs(600);
                let token = format!("reminder-{orders}");
                context.send_after(later, Some(&token), ("shop/reminder", &id), order);
            }
            context.answer(orders);
        })
        .with("shop/stock", &["sold"], |context, order| {
            let sold = context.add("sold", order["quantity"].as_i64().unwrap_or(0));
            let packer = format!("packer-{}", sold % 4);
            context.send("shop/shipping", &packer, order);
            if sold % 5 == 0 {
                let id = context.id();
                context.send("shop/supplier", &id, order);
            }
        })
        .with("shop/supplier", &["asked"], |context, order| {
            context.add("asked", 1);
            context.send("shop/audit", "all", order);
        })
        .with("shop/shipping", &["parcels"], |context, order| {
            context.add("parcels", 1);
            context.emit("shop/parcels", order);
            context.send("shop/audit", "all", order);
        })
        .with("shop/audit", &["seen"], |context, _| {
            context.add("seen", 1);
        })
        .with("shop/reminder", &[], |_, _| {})
}

fn module(url: &str) -> String {
    format!(
        "
kind: io.statefun.endpoints.v2/http
spec: {{ functions: shop/*, urlPathTemplate: {url} }}
---
kind: io.statera.v1/http-ingress
spec: {{ id: shop/web, address: 127.0.0.1:0 }}
---
kind: io.statera.v1/file-ingress
spec:
  id: shop/imports
  path: $DIR/imports.jsonl
  follow: true
  records:
    - valueType: {TYPE}
      key: /customer
      targets: [shop/cart]
---
kind: io.statera.v1/file-egress
spec: {{ id: shop/parcels, path: $DIR/parcels.jsonl }}
---
kind: io.statera.v1/engine
spec: {{ shards: 2 }}
"
    )
}

/// The shop, running, and the browser.
pub(crate) struct Shop {
    pub(crate) browser: Browser,
    pub(crate) statera: Statera,
    pub(crate) app: App,
    load: Option<Load>,
    _functions: FunctionServer,
}

/// Starts a shop with these further arguments of `statera run`; none if there is no browser.
pub(crate) fn shop(arguments: &[&str]) -> Option<Shop> {
    let browser = match Browser::start() {
        Ok(browser) => browser,
        Err(why) => {
            skipped("chromium", &why);
            return None;
        }
    };
    let all = functions();
    let functions = FunctionServer::start(move |body| {
        let poison = format!("\"quantity\":\"{POISON}\"");
        let is_poisoned = body.windows(poison.len()).any(|bytes| bytes == poison.as_bytes());
        if is_poisoned {
            return Reaction::Status(422, format!("quantity is not a number: {POISON}"));
        }
        all.react(body)
    });
    let mut app = App::new(&module(&functions.url()));
    app.set_arguments(arguments);
    std::fs::write(app.path("imports.jsonl"), "").unwrap();
    let statera = app.start();
    Some(Shop { browser, statera, app, load: None, _functions: functions })
}

impl Shop {
    /// Customers come, from now on.
    pub(crate) fn open(&mut self) {
        let imports = self.app.path("imports.jsonl");
        self.load = Some(Load::start(|| self.statera.client("shop/web"), imports));
    }

    /// Sends a message to a cart.
    pub(crate) fn order(&self, customer: &str, order: &Value) {
        let target = Target { function: "shop/cart", id: customer };
        let body = order.to_string();
        let sent = self.statera.client("shop/web").send(target, TYPE, None, body.as_bytes());
        sent.unwrap().expect(202);
    }

    /// Goes to a page of the dashboard, and waits until it shows something.
    pub(crate) fn show(&mut self, page: &str) {
        let url = self.url(page);
        self.browser.open(&url);
        self.wait_for_page();
    }

    /// Where a page of the dashboard is.
    pub(crate) fn url(&self, page: &str) -> String {
        format!("http://{}/#/{page}", self.statera.admin().unwrap())
    }

    /// Waits until what was asked for is there.
    pub(crate) fn wait_for_page(&mut self) {
        self.browser.wait(
            "a page",
            "document.querySelector('main h1') && !document.querySelector('.loading')",
        );
    }

    /// Asks the admin API.
    pub(crate) fn ask(&self, path: &str) -> Value {
        let mut client = Client::new(self.statera.admin().unwrap());
        client.request("GET", path, &[], b"").unwrap().expect(200).json()
    }
}

/// Threads that send orders. They end with it.
struct Load {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    fn start(client: impl Fn() -> Client, imports: PathBuf) -> Load {
        let over = Arc::new(AtomicBool::new(false));
        let order = |nth: usize| {
            let customer = CUSTOMERS[nth * 7 % CUSTOMERS.len()];
            let good = GOODS[nth * 3 % GOODS.len()];
            (customer, json!({ "customer": customer, "good": good, "quantity": nth % 4 + 1 }))
        };
        let customer = |first: usize, calls: bool| {
            let (mut client, over) = (client(), over.clone());
            std::thread::spawn(move || {
                for nth in (first..).step_by(3) {
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    let (id, order) = order(nth);
                    let (target, body) = (Target { function: "shop/cart", id }, order.to_string());
                    let sent = match calls {
                        true => client.call(target, TYPE, None, body.as_bytes()),
                        false => client.send(target, TYPE, None, body.as_bytes()),
                    };
                    // What is paused, or stopping, takes nothing.
                    drop(sent);
                    std::thread::sleep(PAUSE);
                }
            })
        };
        let mut threads = vec![customer(0, false), customer(1, false), customer(2, true)];
        let is_over = over.clone();
        threads.push(std::thread::spawn(move || {
            let mut file = OpenOptions::new().append(true).open(imports).unwrap();
            for nth in 0.. {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                writeln!(file, "{}", order(nth).1).unwrap();
                std::thread::sleep(4 * PAUSE);
            }
        }));
        Load { over, threads }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Where screenshots are wanted, if they are: `STATERA_SCREENSHOTS`, from the root of the repository.
pub(crate) fn screenshots() -> Option<PathBuf> {
    let folder = repository().join(std::env::var_os("STATERA_SCREENSHOTS")?);
    std::fs::create_dir_all(&folder).unwrap();
    Some(folder)
}
