//! The dashboard in a real browser, with a shop under load behind it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod dashboard_world;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use dashboard_world::{POISON, Shop, screenshots, shop};
use serde_json::{Value, json};
use statera_e2e::{Browser, eventually, keys, within};

/// A laptop, and a phone.
const SCREENS: [(u32, u32); 2] = [(1440, 900), (390, 844)];

/// Each page, and what must be on it.
const PAGES: [(&str, &str); 15] = [
    ("", ".chart .line"),
    ("map", ".map a.node.function"),
    ("functions", "tbody tr:nth-child(5)"),
    ("functions/shop/cart", ".chart .line"),
    ("instances", "tbody tr:nth-child(5)"),
    ("instances?prefix=shop%2Fcart%2Fa", "tbody a[href='#/instances/shop/cart/ann']"),
    ("instances/shop/cart/ann", "[data-state=items]"),
    ("instances/shop/cart/ann", "table[aria-label='Last invocations'] tbody tr"),
    ("timers", "tbody tr"),
    ("endpoints", "tbody button"),
    ("streams", ".sources li"),
    ("epochs", "tbody tr:nth-child(5)"),
    ("deadletters", "tbody tr"),
    ("engine", "[aria-pressed=true]"),
    ("nowhere", "main a[href='#/']"),
];

/// Pages of which there are pictures, and their names.
const PICTURES: [(&str, &str); 5] = [
    ("", "overview"),
    ("map", "map"),
    ("functions/shop/cart", "function"),
    ("instances/shop/cart/ann", "instance"),
    ("deadletters", "dead-letters"),
];

fn count(shop: &Shop, list: &str, field: &str) -> usize {
    shop.ask(list)[field].as_array().unwrap().len()
}

fn dead_letters(shop: &Shop, number: usize) {
    eventually(format!("{number} dead letters"), || {
        (count(shop, "/v1/deadletters", "deadLetters") == number).then_some(())
    });
}

fn poison(customer: &str) -> Value {
    json!({ "customer": customer, "good": "tea", "quantity": POISON })
}

#[test]
fn every_page_shows_what_flows_on_a_laptop_and_on_a_phone() {
    let Some(mut shop) = shop(&[]) else { return };
    shop.open();
    eventually("an order", || {
        (count(&shop, "/v1/state/shop/cart/ann", "states") > 0).then_some(())
    });
    shop.order("ann", &poison("ann"));
    dead_letters(&shop, 1);
    for (width, height) in SCREENS {
        shop.browser.resize(width, height);
        for (page, selector) in PAGES {
            shop.show(page);
            shop.browser.wait(page, &format!("document.querySelector({})", json!(selector)));
            let alert =
                shop.browser.run("return document.querySelector('[role=alert]')?.innerText");
            assert_eq!(alert, Value::Null, "{page}");
            let overflow = "return document.documentElement.scrollWidth - innerWidth";
            assert_eq!(shop.browser.run(overflow), json!(0), "{page} at {width}");
            assert_eq!(shop.browser.run(OUTSIDE), json!([]), "{page} at {width}");
            assert_eq!(nameless(&mut shop.browser), Vec::<String>::new(), "{page}");
        }
    }
    live_figures_move(&mut shop);
    assert_eq!(shop.browser.console(), Vec::<String>::new());
    if let Some(folder) = screenshots() {
        shop.browser.prefer("light");
        let mut save = |shop: &mut Shop, name: String| {
            std::fs::write(folder.join(name), shop.browser.screenshot()).unwrap();
        };
        for (width, height) in SCREENS {
            shop.browser.resize(width, height);
            for (page, name) in PICTURES {
                shop.show(page);
                take_pictures(&mut shop, name, width, &mut save);
            }
            let letter = shop.ask("/v1/deadletters")["deadLetters"][0]["id"].clone();
            shop.show(&format!("deadletters/{}", letter.as_str().unwrap()));
            shop.browser.click_button("Edit message");
            take_pictures(&mut shop, "edit", width, &mut save);
            shop.browser.click_button("Leave it as it was");
        }
    }
    assert_eq!(shop.browser.console(), Vec::<String>::new());
}

/// Cells whose content reaches beyond the panel they are in.
const OUTSIDE: &str = "
    return [...document.querySelectorAll('.panel')].flatMap((panel) => {
        const edge = panel.getBoundingClientRect().right;
        return [...panel.querySelectorAll('tbody th, td, dd, button, input')]
            .filter((one) => {
                const range = document.createRange();
                range.selectNodeContents(one);
                return Math.max(range.getBoundingClientRect().right, one.getBoundingClientRect().right) > edge;
            })
            .map((one) => one.innerText);
    })";

/// What can be operated or is a picture, but would be read aloud without a name.
fn nameless(browser: &mut Browser) -> Vec<String> {
    let tree = browser.devtools("Accessibility.getFullAXTree", &json!({}));
    let named = ["button", "link", "textbox", "searchbox", "checkbox", "image", "table", "dialog"];
    let text = |node: &Value, field: &str| node[field]["value"].as_str().unwrap_or("").to_owned();
    let nodes = tree["nodes"].as_array().unwrap().iter();
    nodes
        .filter(|node| node["ignored"] != json!(true))
        .filter(|node| named.contains(&&*text(node, "role")) && text(node, "name").is_empty())
        .map(Value::to_string)
        .collect()
}

fn take_pictures(
    shop: &mut Shop,
    name: &str,
    width: u32,
    save: &mut impl FnMut(&mut Shop, String),
) {
    // Enough points for charts to be worth looking at; those of all pages come from one stream.
    let points = "document.querySelectorAll('.chart').length === 0 \
        || document.querySelector('.chart .line')?.getAttribute('d').split('L').length > 45";
    within(Duration::from_secs(90), "points in charts", || {
        let there = shop.browser.run(&format!("return {points}"));
        (there == json!(true)).then_some(())
    });
    save(shop, format!("{name}-{width}.png"));
    if name == "overview" {
        shop.browser.prefer("dark");
        save(shop, format!("{name}-dark-{width}.png"));
        shop.browser.prefer("light");
    }
}

fn live_figures_move(shop: &mut Shop) {
    shop.show("");
    let figure = "document.querySelector('[data-chart=Throughput] b')?.innerText";
    shop.browser.wait("a rate", &format!("parseFloat({figure}) > 0"));
    shop.browser.wait("the stream", "document.getElementById('state').innerText === 'Live'");
    let line = "document.querySelector('[data-chart=Throughput] .line')?.getAttribute('d')";
    let epoch = "document.querySelector('[data-chart=\"Duration of epochs\"] .note').innerText";
    let before = shop.browser.run(&format!("return [{line}, {epoch}]"));
    let moved = format!("{line} !== {} && {epoch} !== {}", before[0], before[1]);
    shop.browser.wait("another epoch and another point", &moved);
}

#[test]
fn a_poison_message_is_found_edited_and_redriven() {
    let Some(mut shop) = shop(&[]) else { return };
    shop.open();
    shop.order("mallory", &poison("mallory"));
    shop.order("trudy", &poison("trudy"));
    dead_letters(&shop, 2);

    // From what needs attention to the letter.
    shop.show("");
    shop.browser.click(".attention a[href='#/deadletters']");
    shop.browser.fill("input[name=text]", "shop/cart/mall");
    shop.browser.press(keys::ENTER);
    shop.browser.wait("one letter", "document.querySelectorAll('tbody tr').length === 1");
    assert!(shop.browser.text("tbody tr").contains("quantity is not a number"));
    shop.browser.click("tbody tr a");
    shop.browser.wait("its message", "document.querySelector('pre')?.innerText.includes('three')");

    // The field has the focus at once; what is wrong is refused, and the right thing goes back, all by keys.
    shop.browser.click_button("Edit message");
    shop.browser.wait("the field", "document.activeElement.id === 'message-text'");
    shop.browser.fill("#message-text", "{\"good\": \"tea\", \"quantity\": 3");
    shop.browser.press(&format!("{}{}", keys::TAB, keys::ENTER));
    shop.browser
        .wait("a remark", "document.querySelector('.toast.bad')?.innerText.includes('JSON')");
    shop.browser.wait("the field", "document.activeElement.id === 'message-text'");
    shop.browser.fill("#message-text", "{\"good\": \"tea\",\n  \"quantity\": 3}");
    shop.browser.press(&format!("{}{}", keys::TAB, keys::ENTER));

    // It leads to who gets it, whose state shows the effect.
    shop.browser.wait("the instance", "location.hash === '#/instances/shop/cart/mallory'");
    let items = "document.querySelector('[data-state=items]')?.closest('tr').querySelector('pre').innerText";
    shop.browser.wait("the tea", &format!("{items}?.replace(/\\s/g, '') === '{{\"tea\":3}}'"));
    let outcomes = "document.querySelector('table[aria-label=\"Last invocations\"]')?.textContent";
    shop.browser.wait("what had failed", &format!("{outcomes}?.includes('dead letter')"));
    let states = shop.ask("/v1/state/shop/cart/mallory");
    assert_eq!(states["states"][0]["json"], json!({ "tea": 3 }));
    assert_eq!(count(&shop, "/v1/deadletters", "deadLetters"), 1);

    // The other one is chosen and dropped, after a question.
    shop.show("deadletters");
    shop.browser.click("input[aria-label^='Choose ']");
    shop.browser.click_button("Drop the 1 chosen");
    shop.browser.click("dialog button[type=submit]");
    shop.browser.wait("nothing", "document.querySelector('.empty')");
    dead_letters(&shop, 0);
    assert_eq!(shop.browser.console(), Vec::<String>::new());
}

#[test]
fn what_is_paused_by_hand_is_resumed_by_hand() {
    let Some(mut shop) = shop(&[]) else { return };
    shop.open();
    shop.show("");
    shop.browser.wait("a function", "document.querySelector('a[href=\"#/functions/shop/cart\"]')");
    let things = [
        ("functions/shop/cart", "shop/cart", "/v1/functions/shop/cart", ""),
        ("instances/shop/cart/ann", "shop/cart/ann", "/v1/instances/shop/cart/ann", ""),
        ("endpoints", "shop/*", "/v1/endpoints", "/endpoints/0"),
        ("streams", "shop/imports", "/v1/ingresses", "/ingresses/1"),
    ];
    for (page, name, path, place) in things {
        shop.show(page);
        shop.browser.click(&format!("button[aria-label='Pause {name}']"));
        shop.browser.wait("a question", "document.activeElement.name === 'field'");
        shop.browser.press(&format!("bad release{}", keys::ENTER));
        shop.browser.wait(
            "the pause",
            "document.querySelector('.banner.held')?.innerText.includes('bad release')",
        );
        let paused = shop.ask(path).pointer(&format!("{place}/paused/reason")).cloned();
        assert_eq!(paused, Some(json!("bad release")), "{name}");
        shop.browser.click(&format!("button[aria-label='Resume {name}']"));
        shop.browser.wait("the end of the pause", "!document.querySelector('.banner.held')");
        assert_eq!(shop.ask(path).pointer(&format!("{place}/paused")), None, "{name}");
    }

    // Whoever changes their mind changes nothing.
    shop.show("functions/shop/cart");
    shop.browser.click("button[aria-label='Pause shop/cart']");
    shop.browser.press(keys::ESCAPE);
    shop.browser.wait("no question", "!document.querySelector('dialog')");
    assert_eq!(shop.ask("/v1/functions/shop/cart").get("paused"), None);

    shop.show("engine");
    shop.browser.click_button("debug");
    shop.browser
        .wait("a level", "document.querySelector('[aria-pressed=true]')?.innerText === 'debug'");
    assert_eq!(shop.ask("/v1/log"), json!({ "filter": "debug" }));
    assert_eq!(shop.browser.console(), Vec::<String>::new());
}

/// How long nothing may happen.
const IDLE: Duration = Duration::from_secs(3);

#[test]
fn a_page_that_nobody_sees_asks_nothing_and_a_closed_one_leaves_the_engine_idle() {
    let Some(mut shop) = shop(&[]) else { return };
    shop.order("ann", &json!({ "good": "tea", "quantity": 1 }));
    shop.show("functions");
    shop.browser.wait("the stream", "document.getElementById('state').innerText === 'Live'");
    shop.browser.run(
        "window.asked = 0; const real = fetch; window.fetch = (...all) => { asked += 1; return real(...all); }",
    );
    shop.browser.wait("a further request", "asked > 0");
    shop.browser.hide();
    shop.browser.wait("nobody to see it", "document.hidden");
    let asked = shop.browser.run("return asked");
    let quiet = quiet(&shop);
    assert_eq!(shop.browser.run("return asked"), asked);
    assert!(quiet <= 10, "{quiet} ticks of 10 ms in {IDLE:?} with a hidden page");

    shop.browser.unhide();
    shop.browser.wait("further requests", &format!("asked > {asked} + 1"));
    shop.browser.wait("the stream", "document.getElementById('state').innerText === 'Live'");
    assert_eq!(shop.browser.console(), Vec::<String>::new());

    let Shop { browser, statera, .. } = &mut shop;
    browser.open("about:blank");
    // What the stream was told last may still be under way.
    let ticks = within(Duration::from_secs(30), "an idle engine", || {
        let ticks = cpu_ticks(statera.pid());
        std::thread::sleep(IDLE);
        Some(cpu_ticks(statera.pid()) - ticks).filter(|ticks| *ticks <= 10)
    });
    println!("idle: {} CPU ms in {} s after the dashboard was closed", ticks * 10, IDLE.as_secs());
}

/// Waits, and returns what processor time that has cost the engine.
fn quiet(shop: &Shop) -> u64 {
    let (start, ticks) = (Instant::now(), cpu_ticks(shop.statera.pid()));
    within(2 * IDLE, "time to pass", || (start.elapsed() >= IDLE).then_some(()));
    cpu_ticks(shop.statera.pid()) - ticks
}

/// User and system time in units of 1/100 s.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // Behind the name in parentheses, which may hold anything.
    let fields: Vec<&str> = stat[stat.rfind(')').unwrap()..].split(' ').collect();
    [12, 13].iter().map(|index| fields[*index].parse::<u64>().unwrap()).sum()
}

#[test]
fn a_token_is_asked_for_once() {
    const TOKEN: &str = "0123456789abcdef0123456789abcdef";
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), TOKEN).unwrap();
    let Some(mut shop) = shop(&["--admin-token-file", file.path().to_str().unwrap()]) else {
        return;
    };
    let url = shop.url("engine");
    shop.browser.open(&url);
    for token in ["wrong", TOKEN] {
        shop.browser.wait("a question", "document.activeElement.type === 'password'");
        shop.browser.press(&format!("{token}{}", keys::ENTER));
        shop.browser.wait(
            "an answer to it",
            "document.activeElement.type !== 'password' || document.activeElement.value === ''",
        );
    }
    shop.wait_for_page();
    shop.browser.wait("the stream", "document.getElementById('state').innerText === 'Live'");
    assert!(shop.browser.text("main").contains("What is logged"));
    shop.show("functions");
    assert_eq!(shop.browser.run("return document.querySelector('dialog')"), Value::Null);
    assert_eq!(shop.browser.run("return localStorage.length"), json!(0));
}

/// As many as may listen to events.
const LISTENERS_MAX: usize = 32;

#[test]
fn where_no_more_may_listen_the_page_asks_every_few_seconds() {
    let Some(mut shop) = shop(&[]) else { return };
    shop.open();
    let listeners: Vec<_> = (0..LISTENERS_MAX).map(|_| listen(&shop)).collect();
    shop.show("");
    shop.browser
        .wait("to be asked", "document.getElementById('state').innerText === 'Every few seconds'");
    let figure = "document.querySelector('[data-chart=Throughput] b')?.innerText";
    shop.browser.wait("a rate", &format!("parseFloat({figure}) > 0"));
    for listener in listeners {
        listener.shutdown(Shutdown::Both).unwrap();
    }
    within(Duration::from_secs(60), "the stream", || {
        let state = shop.browser.run("return document.getElementById('state').innerText");
        (state == json!("Live")).then_some(())
    });
}

/// Listens to events, until it is shut down.
fn listen(shop: &Shop) -> TcpStream {
    let admin = shop.statera.admin().unwrap();
    let mut stream = TcpStream::connect(admin).unwrap();
    write!(stream, "GET /v1/events HTTP/1.1\r\nHost: {admin}\r\n\r\n").unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    // It has to go on reading, or it is cut off.
    let mut reader = stream.try_clone().unwrap();
    std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
    stream
}
