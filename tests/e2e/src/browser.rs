//! A real browser: Chromium without a window, driven as a user would (WebDriver, by way of `chromedriver`).

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::http::Client;
use crate::process::Companion;
use crate::wait::eventually;

const VARIABLE: &str = "STATERA_CHROMIUM";

/// Under this name WebDriver hands out elements.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Keys as WebDriver writes them.
pub mod keys {
    /// Enter.
    pub const ENTER: &str = "\u{e007}";
    /// The tabulator.
    pub const TAB: &str = "\u{e004}";
    /// Escape.
    pub const ESCAPE: &str = "\u{e00c}";
}

/// A browser with one tab. Closed when it is dropped.
pub struct Browser {
    client: Client,
    session: String,
    // Killed after the session has ended, which ends the browser.
    _driver: Companion,
}

impl Browser {
    /// Starts it.
    ///
    /// # Errors
    /// Why it is not there.
    ///
    /// # Panics
    /// If it is there and can't be started.
    pub fn start() -> Result<Browser, String> {
        let missing =
            || format!("`{VARIABLE}` is not set; `cargo xtask components` says how to get it");
        let chromium = PathBuf::from(std::env::var_os(VARIABLE).ok_or_else(missing)?);
        let mut command = Command::new(driver_of(&chromium));
        command.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut driver = Companion(command.spawn().expect("chromedriver starts"));
        let stdout = driver.0.stdout.take().expect("it is piped");
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let port = lines.find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse::<u16>().ok()
        });
        let port = port.expect("chromedriver says where it listens");
        std::thread::spawn(move || lines.for_each(drop));
        let client = Client::new(([127, 0, 0, 1], port).into());
        let mut browser = Browser { client, session: String::new(), _driver: driver };
        // Only pages of the test itself are opened, and in containers there is often no sandbox to be had.
        let arguments = json!([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--force-color-profile=srgb",
            "--no-first-run",
            "--disable-extensions"
        ]);
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "binary": chromium, "args": arguments },
        } } });
        let session = browser.ask("POST", "/session", &wanted);
        browser.session = session["sessionId"].as_str().expect("a session").to_owned();
        Ok(browser)
    }

    /// Goes to a page.
    ///
    /// # Panics
    /// If it can't be reached.
    pub fn open(&mut self, url: &str) {
        self.act("POST", "/url", &json!({ "url": url }));
    }

    /// Gives the page a size in pixels. A narrow one is a phone's.
    ///
    /// # Panics
    /// If the browser refuses.
    pub fn resize(&mut self, width: u32, height: u32) {
        let screen = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600
        });
        self.devtools("Emulation.setDeviceMetricsOverride", &screen);
    }

    /// Chooses the colours that the user's system prefers, `light` or `dark`; and nothing moves.
    ///
    /// # Panics
    /// If the browser refuses.
    pub fn prefer(&mut self, colours: &str) {
        let features = json!([
            { "name": "prefers-color-scheme", "value": colours },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.devtools("Emulation.setEmulatedMedia", &json!({ "features": features }));
    }

    /// Calls a function of the protocol of the developer tools.
    ///
    /// # Panics
    /// If the browser refuses.
    pub fn devtools(&mut self, command: &str, parameters: &Value) -> Value {
        self.act("POST", "/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    /// Runs the body of a function in the page, and returns what that returns.
    ///
    /// # Panics
    /// If it throws.
    pub fn run(&mut self, script: &str) -> Value {
        self.act("POST", "/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Waits until an expression is truthy, and returns its value.
    ///
    /// # Panics
    /// If it never is, with what was waited for and what the page says.
    pub fn wait(&mut self, what: &str, expression: &str) -> Value {
        let script = format!("return {expression}");
        let mut last = String::new();
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually(what, || {
                let value = self.run(&script);
                let is_truthy = !matches!(value, Value::Null | Value::Bool(false))
                    && value != json!("")
                    && value != json!(0);
                last = value.to_string();
                is_truthy.then_some(value)
            })
        }));
        found.unwrap_or_else(|panic| {
            eprintln!("{expression} is {last}; the page says:\n{}", self.text("body"));
            std::panic::resume_unwind(panic)
        })
    }

    /// The text of an element as it is shown.
    ///
    /// # Panics
    /// If there is none.
    pub fn text(&mut self, css: &str) -> String {
        let text = self.run(&format!("return document.querySelector({}).innerText", json!(css)));
        text.as_str().expect("an element has a text").to_owned()
    }

    /// Waits for an element and clicks it.
    ///
    /// # Panics
    /// If it never comes, or something else lies above it.
    pub fn click(&mut self, css: &str) {
        self.click_by("css selector", css);
    }

    /// Waits for a button with a text and clicks it.
    ///
    /// # Panics
    /// As [`Browser::click`].
    pub fn click_button(&mut self, text: &str) {
        self.click_by("xpath", &format!("//button[normalize-space()='{text}']"));
    }

    fn click_by(&mut self, using: &str, value: &str) {
        // A page that is drawn anew may replace an element between finding and clicking it.
        eventually(format!("a click on {value}"), || {
            let path = self.find(using, value)?;
            self.try_act("POST", &format!("{path}/click"), &json!({})).ok()
        });
    }

    /// Waits for a field and replaces what stands in it.
    ///
    /// # Panics
    /// If it never comes.
    pub fn fill(&mut self, css: &str, text: &str) {
        let path = eventually(css, || self.find("css selector", css));
        self.act("POST", &format!("{path}/clear"), &json!({}));
        self.act("POST", &format!("{path}/value"), &json!({ "text": text }));
    }

    /// Presses keys, wherever the focus is.
    ///
    /// # Panics
    /// If the browser refuses.
    pub fn press(&mut self, keys: &str) {
        let down_and_up = |key: char| {
            ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key.to_string() }))
        };
        let actions: Vec<Value> = keys.chars().flat_map(down_and_up).collect();
        let keyboard = json!([{ "type": "key", "id": "keyboard", "actions": actions }]);
        self.act("POST", "/actions", &json!({ "actions": keyboard }));
    }

    /// Minimizes the window, so that nobody can see the page.
    ///
    /// # Panics
    /// If the browser refuses.
    pub fn hide(&mut self) {
        self.act("POST", "/window/minimize", &json!({}));
    }

    /// Brings the window back.
    ///
    /// # Panics
    /// If the browser refuses.
    pub fn unhide(&mut self) {
        self.act("POST", "/window/rect", &json!({ "width": 1440, "height": 900 }));
    }

    /// What the console has said since it was asked last: errors, warnings, requests that were refused.
    ///
    /// # Panics
    /// If the browser refuses.
    pub fn console(&mut self) -> Vec<String> {
        let log = self.act("POST", "/se/log", &json!({ "type": "browser" }));
        let line = |entry: &Value| format!("{}: {}", entry["level"], entry["message"]);
        log.as_array().expect("a list").iter().map(line).collect()
    }

    /// What is seen, as PNG.
    ///
    /// # Panics
    /// If the browser refuses.
    pub fn screenshot(&mut self) -> Vec<u8> {
        let image = self.act("GET", "/screenshot", &Value::Null);
        STANDARD.decode(image.as_str().expect("an image")).expect("base64")
    }

    fn find(&mut self, using: &str, value: &str) -> Option<String> {
        let wanted = json!({ "using": using, "value": value });
        let element = self.try_act("POST", "/element", &wanted).ok()?;
        Some(format!("/element/{}", element[ELEMENT].as_str().expect("an element")))
    }

    fn act(&mut self, method: &str, path: &str, body: &Value) -> Value {
        self.try_act(method, path, body).unwrap_or_else(|error| panic!("{path} {body}: {error}"))
    }

    fn try_act(&mut self, method: &str, path: &str, body: &Value) -> Result<Value, Value> {
        let path = format!("/session/{}{path}", self.session);
        self.try_ask(method, &path, body)
    }

    fn ask(&mut self, method: &str, path: &str, body: &Value) -> Value {
        self.try_ask(method, path, body).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn try_ask(&mut self, method: &str, path: &str, body: &Value) -> Result<Value, Value> {
        let headers = [("Content-Type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let response = self.client.request(method, path, &headers, body.as_bytes());
        let response = response.expect("chromedriver answers");
        let value = response.json()["value"].take();
        if response.status == 200 { Ok(value) } else { Err(value) }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let path = format!("/session/{}", self.session);
        let _ = self.client.request("DELETE", &path, &[], b"");
    }
}

/// It usually lies beside the browser; else the system finds it by its name.
fn driver_of(chromium: &Path) -> PathBuf {
    let beside = chromium.with_file_name("chromedriver");
    if beside.is_file() { beside } else { "chromedriver".into() }
}
