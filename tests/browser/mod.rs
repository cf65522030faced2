//! A headless Chromium, driven over its own pipe (the Chrome DevTools Protocol, one JSON object after the other with a zero byte
//! between): no port, no WebSocket, no driver program.

// Several binaries share this module, and none of them uses all of it.
#![allow(dead_code)]

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Far more than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What Debian and others call it; `SDGROUP_CHROMIUM` names another.
const PROGRAMS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// A browser with one page.
pub(crate) struct Browser {
    child: Child,
    input: ChildStdin,
    heard: Receiver<Value>,
    last: u64,
    session: Option<String>,
    errors: Vec<String>,
    _profile: TempDir,
}

/// How the page is to be shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) dark: bool,
}

impl Browser {
    /// Starts one; `None` where there is none.
    pub(crate) fn start() -> Option<Self> {
        let program = program()?;
        let profile = TempDir::new().expect("a folder for the browser");
        // Its pipes are its descriptors 3 and 4, which only a shell can give it without code that is not safe.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1", "sh", &program])
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
            ])
            .args(["--no-first-run", "--hide-scrollbars", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start the browser");
        let input = child.stdin.take().expect("its input");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let (sender, heard) = channel();
        std::thread::spawn(move || {
            let messages = output.split(0).map_while(Result::ok);
            let mut values = messages.filter_map(|message| serde_json::from_slice(&message).ok());
            values.try_for_each(|value: Value| sender.send(value))
        });
        let mut browser = Self {
            child,
            input,
            heard,
            last: 0,
            session: None,
            errors: Vec::new(),
            _profile: profile,
        };
        let made = browser.call("Target.createTarget", &json!({"url": "about:blank"}));
        let attached = json!({"targetId": made["targetId"], "flatten": true});
        let session = browser.call("Target.attachToTarget", &attached)["sessionId"].clone();
        browser.session = session.as_str().map(str::to_owned);
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            browser.call(domain, &json!({}));
        }
        Some(browser)
    }

    /// Asks the browser for something and returns its answer.
    pub(crate) fn call(&mut self, method: &str, params: &Value) -> Value {
        self.last += 1;
        let mut request = json!({"id": self.last, "method": method, "params": params});
        if let Some(session) = &self.session {
            request["sessionId"] = json!(session);
        }
        let mut text = request.to_string().into_bytes();
        text.push(0);
        self.input.write_all(&text).expect("the browser listens");
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let message = self.heard.recv_timeout(left);
            let message = message.unwrap_or_else(|error| panic!("{method} is not answered: {error}"));
            if message["id"] == json!(self.last) {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            self.note(&message);
        }
    }

    /// Keeps what a person would see in red on the console.
    fn note(&mut self, message: &Value) {
        let params = &message["params"];
        let told = match message["method"].as_str() {
            Some("Runtime.exceptionThrown") => Some(params["exceptionDetails"].to_string()),
            Some("Runtime.consoleAPICalled")
                if ["error", "warning", "assert"].contains(&params["type"].as_str().unwrap_or("")) =>
            {
                Some(params["args"].to_string())
            }
            Some("Log.entryAdded")
                if ["error", "warning"].contains(&params["entry"]["level"].as_str().unwrap_or("")) =>
            {
                Some(params["entry"].to_string())
            }
            _ => None,
        };
        self.errors.extend(told);
    }

    /// The errors and warnings on the console since the last time.
    pub(crate) fn take_errors(&mut self) -> Vec<String> {
        // What was said before this answer has been heard with it.
        self.evaluate("1");
        std::mem::take(&mut self.errors)
    }

    /// Opens a page.
    pub(crate) fn open(&mut self, url: &str) {
        let answer = self.call("Page.navigate", &json!({"url": url}));
        assert!(answer["errorText"].is_null(), "{url}: {answer}");
        self.wait("document.readyState === 'complete'");
    }

    /// Shows this markup in place of a page.
    pub(crate) fn show(&mut self, markup: &str) {
        let tree = self.call("Page.getFrameTree", &json!({}));
        let frame = &tree["frameTree"]["frame"]["id"];
        self.call("Page.setDocumentContent", &json!({"frameId": frame, "html": markup}));
    }

    /// What an expression is in the page; a promise is waited for.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let answer = self.call("Runtime.evaluate", &asked);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Waits until an expression holds in the page.
    pub(crate) fn wait(&mut self, condition: &str) {
        let deadline = Instant::now() + PATIENCE;
        let look = format!(
            "new Promise((told) => {{ const began = Date.now(); const look = () => {{ const is = Boolean({condition}); \
             if (is || Date.now() - began > 5000) told(is); else setTimeout(look, 30); }}; look(); }})"
        );
        while self.evaluate(&look) != json!(true) {
            assert!(
                Instant::now() < deadline,
                "in vain for {condition} in:\n{}",
                self.evaluate("document.body.innerText")
            );
        }
    }

    /// The text that a person sees of an element.
    pub(crate) fn text(&mut self, selector: &str) -> String {
        let text = self.evaluate(&format!("document.querySelector({}).innerText", json!(selector)));
        text.as_str().unwrap_or_else(|| panic!("no {selector}")).to_owned()
    }

    /// Clicks on the middle of an element, as a mouse does.
    pub(crate) fn click(&mut self, selector: &str) {
        let middle = self.evaluate(&format!(
            "(() => {{ const it = document.querySelector({}); it.scrollIntoView({{block: 'center'}}); \
             const box = it.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; }})()",
            json!(selector)
        ));
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({"type": kind, "x": middle[0], "y": middle[1], "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", &event);
        }
    }

    /// Presses a key: `Tab`, `Enter`, `Escape`, `ArrowDown`.
    pub(crate) fn press(&mut self, key: &str) {
        let (code, text) = match key {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            "Escape" => (27, ""),
            "ArrowDown" => (40, ""),
            other => panic!("the key {other}"),
        };
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code});
            if !text.is_empty() && kind == "keyDown" {
                event["text"] = json!(text);
            }
            self.call("Input.dispatchKeyEvent", &event);
        }
    }

    /// Types into what has the focus.
    pub(crate) fn write(&mut self, text: &str) {
        self.call("Input.insertText", &json!({"text": text}));
    }

    /// Shows the page as this device does.
    pub(crate) fn look_from(&mut self, view: View) {
        let View { width, height, dark } = view;
        let device = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.call("Emulation.setDeviceMetricsOverride", &device);
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", &media);
    }

    /// A picture of what is seen, as PNG.
    pub(crate) fn picture(&mut self) -> Vec<u8> {
        // Two frames: what has changed is laid out, and drawn.
        self.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))");
        let taken = self.call("Page.captureScreenshot", &json!({"format": "png"}));
        let text = taken["data"].as_str().expect("a picture");
        openssl::base64::decode_block(text).expect("base64")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It takes its own processes with it when it is asked; one that does not listen is killed.
        let mut text = json!({"id": 0, "method": "Browser.close"}).to_string().into_bytes();
        text.push(0);
        let asked = self.input.write_all(&text).is_ok();
        let deadline = Instant::now() + Duration::from_secs(5);
        while asked && Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

fn program() -> Option<String> {
    if let Ok(named) = std::env::var("SDGROUP_CHROMIUM") {
        return Some(named);
    }
    let path = std::env::var_os("PATH")?;
    let here = |name: &&str| std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
    PROGRAMS.iter().find(|name| here(name)).map(|name| (*name).to_owned())
}
