//! The dashboard in a real browser, with real daemons behind it: what it shows is what the interface says, and what is clicked
//! happens.

use crate::SDGROUP;
use crate::browser::{Browser, View};
use crate::lab::sdgroup::ADMIN_TOKEN;
use crate::lab::{JOB_WITHIN, Lab, Plan};
use serde_json::{Value, json};
use std::io::Write as _;

const DESK: View = View {
    width: 1280,
    height: 900,
    dark: false,
};

/// What the interface says, over the socket.
fn overview(lab: &mut Lab) -> Value {
    let (status, printed) = lab.sdgroup().run(&["status", "--json"]);
    assert!(status.success(), "{printed}");
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
}

/// The least contrast of a text with what is behind it, and that text (WCAG 2: 4.5 is enough for text of any size).
const CONTRAST: &str = r#"
(() => {
  const parse = (colour) => colour.match(/[\d.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = colour.map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let it = element; it; it = it.parentElement) {
      const colour = parse(getComputedStyle(it).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour.slice(0, 3);
    }
    return [255, 255, 255];
  };
  let least = [99, ""];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility()) continue;
    const [one, other] = [light(parse(getComputedStyle(element).color).slice(0, 3)), light(behind(element))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < least[0]) least = [ratio, element.textContent];
  }
  return least;
})()
"#;

fn sign_in(browser: &mut Browser, lab: &mut Lab) {
    browser.open(&format!("http://{}/", lab.sdgroup().admin_address()));
    browser.wait("document.activeElement.id === 'token'");
    browser.write("not the token of the lab");
    browser.press("Enter");
    browser.wait("document.getElementById('login-error').textContent === 'That is not the token.'");
    assert!(browser.evaluate("document.getElementById('board').hidden") == json!(true));
    // The browser itself tells of the refusal on its console.
    let told = browser.take_errors();
    assert!(told.iter().all(|error| error.contains("401")), "{told:?}");
    browser.write(ADMIN_TOKEN);
    browser.press("Enter");
    browser.wait("document.querySelectorAll('.member').length === 3");
}

#[test]
fn the_dashboard_shows_what_the_interface_says_and_does_what_is_clicked() {
    let Some(mut browser) = Browser::start() else {
        // The harness shows nothing of a test that passes, and has no word for one that could not be done.
        let told = "NOT TESTED: the dashboard, since there is no Chromium (apt-get install chromium, or SDGROUP_CHROMIUM=program)";
        writeln!(std::io::stderr(), "{told}").unwrap();
        return;
    };
    let mut plan = Plan::with_policy("ListedOrder");
    plan.settings = plan.settings.clone().without_probes();
    plan.settings.ejection_time = "1 minute";
    plan.tree("Docs", 1);
    let mut gate = plan.gate("Slow");
    let mut lab = plan.start(std::path::Path::new(SDGROUP));
    lab.job("Docs", "Full").must_be_ok();
    lab.storage("File4").kill();
    let slow = lab.run_job("Slow", "Full");
    gate.feed(3_000_000, JOB_WITHIN);

    browser.look_from(DESK);
    sign_in(&mut browser, &mut lab);
    shows_what_is(&mut browser, &mut lab);
    drains_by_keyboard(&mut browser, &mut lab);
    looks_well_everywhere(&mut browser);

    // It goes on by itself when sdgroup does.
    gate.open();
    lab.wait(slow).must_be_ok();
    browser.wait("document.querySelectorAll('#jobs tbody tr').length === 0");
    browser.wait("document.querySelector('#placements li').innerText.includes('terminated')");
    assert_eq!(browser.take_errors(), Vec::<String>::new());
    let (status, printed) = lab.sdgroup().run(&["ready", "File5"]);
    assert!(status.success(), "{printed}");
    browser.wait("document.querySelector('.member[data-key=File5] .state').textContent === 'ready'");
    lab.sdgroup().terminate();
    browser.wait("!document.getElementById('link').hidden");
    lab.sdgroup().wait_for_end(JOB_WITHIN).expect("its end");
    lab.sdgroup().start();
    browser.wait("document.getElementById('link').hidden");
    browser.wait("document.getElementById('process').textContent.includes(', ready, up ')");
}

/// Each figure on the page is one of the interface's.
fn shows_what_is(browser: &mut Browser, lab: &mut Lab) {
    browser.wait("document.querySelectorAll('#jobs tbody tr').length === 1");
    browser.wait("document.querySelector('.member[data-key=File4] .state').textContent === 'ejected'");
    let told = overview(lab);
    assert_eq!(browser.text("#groups h2"), told["groups"][0]["name"].as_str().unwrap());
    let numbers = browser.text("#groups .numbers");
    let usable = told["groups"][0]["usable_storages"].to_string();
    assert_eq!(numbers, format!("1 job, 0 waiting, {usable} of 3 storages get jobs"));
    for storage in told["storages"].as_array().unwrap() {
        let member = format!(".member[data-key={}]", storage["name"].as_str().unwrap());
        let (jobs, limit) = (&storage["jobs"], &storage["jobs_limit"]);
        assert_eq!(browser.text(&format!("{member} .jobs")), format!("{jobs} of {limit}"));
        let trouble = storage["trouble"].as_str();
        assert_eq!(
            browser.evaluate(&format!("document.querySelector('{member} .trouble').textContent")),
            json!(trouble.unwrap_or(""))
        );
    }
    let job = &told["jobs"][0];
    let row = browser.text("#jobs tbody tr");
    for part in [&job["name"], &job["storage"], &job["client"], &job["level"]] {
        assert!(row.contains(part.as_str().unwrap()), "{part} in {row}");
    }
    let placements = told["placements"].as_array().unwrap();
    assert_eq!(placements.len(), 2);
    assert_eq!(
        browser.evaluate("[...document.querySelectorAll('#placements .why')].map((why) => why.textContent)"),
        json!([placements[0]["reason"], placements[1]["reason"]])
    );
    let failover = &told["failovers"][0];
    assert_eq!(failover["from"], "File4");
    assert_eq!(browser.text("#failovers .why"), failover["error"].as_str().unwrap());
    browser.wait("document.querySelector('.member[data-key=File5] svg').hasAttribute('aria-label')");
    assert_eq!(browser.take_errors(), Vec::<String>::new());
}

/// A drain without a mouse, and then with one.
fn drains_by_keyboard(browser: &mut Browser, lab: &mut Lab) {
    browser.evaluate("document.getElementById('leave').focus()");
    let is_there = "document.activeElement.getAttribute('aria-label') === 'Change the state of File5'";
    for _ in 0..20 {
        if browser.evaluate(is_there) == json!(true) {
            break;
        }
        browser.press("Tab");
    }
    browser.wait(is_there);
    browser.press("Enter");
    browser.wait("document.getElementById('change').open");
    browser.press("Escape");
    browser.wait("!document.getElementById('change').open");
    browser.wait(is_there);
    browser.press("Enter");
    browser.wait("document.activeElement.value === 'ready'");
    browser.press("ArrowDown");
    browser.press("Tab");
    browser.write("ann");
    browser.press("Tab");
    browser.write("new <b>disks</b>");
    browser.press("Enter");
    browser.wait("!document.getElementById('change').open");
    browser.wait("document.querySelector('.member[data-key=File5] .state').textContent === 'draining'");
    let told = overview(lab);
    let file5 = &told["storages"][1];
    assert_eq!(
        (&file5["state"], &file5["by"], &file5["reason"]),
        (&json!("draining"), &json!("ann"), &json!("new <b>disks</b>"))
    );
    let note = browser.text(".member[data-key=File5] .note");
    assert_eq!(note, "draining by ann (new <b>disks</b>)");

    browser.click(".member[data-key=File6] .change");
    browser.wait("document.getElementById('change').open");
    browser.click("#change-form input[value=maintenance]");
    // What the interface refuses is told in place.
    browser.evaluate("document.getElementById('by').value = ' '");
    browser.click("#change-form .main");
    browser.wait("document.getElementById('change-error').textContent === 'by is empty'");
    let told = browser.take_errors();
    assert!(told.iter().all(|error| error.contains("400")), "{told:?}");
    browser.evaluate("document.getElementById('by').value = 'ann'");
    browser.click("#change-form .main");
    browser.wait("document.querySelector('.member[data-key=File6] .state').textContent === 'maintenance'");
    assert_eq!(overview(lab)["storages"][2]["state"], "maintenance");
}

fn looks_well_everywhere(browser: &mut Browser) {
    browser.click(".member[data-key=File6] .change");
    browser.wait("document.getElementById('change').open");
    for (width, dark) in [(1280, false), (1280, true), (375, false), (375, true)] {
        browser.look_from(View {
            width,
            height: 800,
            dark,
        });
        let least = browser.evaluate(CONTRAST);
        assert!(least[0].as_f64().unwrap() >= 4.5, "{width} dark {dark}: {least}");
        let broad = browser.evaluate("document.documentElement.scrollWidth");
        assert!(
            broad.as_u64().unwrap() <= u64::from(width),
            "{width} wide, and {broad} to be seen"
        );
    }
    browser.click("#change-cancel");
    browser.look_from(DESK);
}
