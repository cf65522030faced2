//! What Prometheus and Grafana are given speaks of metrics that there are: the alert rules, the dashboard, the list on the
//! page. With promtool (in PATH, or where SDGROUP_PROMTOOL says) the rules are tested and the metrics looked at as well.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on says so"
)]

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use metrics_exporter_prometheus::PrometheusBuilder;
use sdgroup::telemetry::names::{self, Entry, Kind};
use serde_json::Value;

/// Labels that Prometheus itself adds.
const ADDED: [&str; 3] = ["instance", "job", "le"];

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn is_part_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The metric of this name, or of which this is the name of a series.
fn entry(name: &str) -> Option<&'static Entry> {
    let of_histogram = ["_bucket", "_sum", "_count"]
        .into_iter()
        .find_map(|end| name.strip_suffix(end));
    names::ALL.iter().find(|entry| match entry.kind {
        Kind::Histogram(_) => of_histogram == Some(entry.name),
        _ => entry.name == name,
    })
}

/// The names of our metrics in an expression, each with the labels that its braces name.
fn metrics_in(expression: &str) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for (at, _) in expression.match_indices("sdgroup_") {
        let rest = expression.get(at..).unwrap_or_default();
        let end = rest.find(|c| !is_part_of_name(c)).unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        let braces = behind.strip_prefix('{').and_then(|text| text.split_once('}'));
        let labels = braces.map(|(inner, _)| matched_labels(inner)).unwrap_or_default();
        found.push((name.to_owned(), labels));
    }
    found
}

/// `a="x", b!~"y,z"` names a and b.
fn matched_labels(inner: &str) -> Vec<String> {
    let outside = inner.split('"').step_by(2);
    let words = outside.map(|text| {
        text.trim_start_matches(',')
            .trim()
            .trim_end_matches(['=', '~', '!'])
            .trim()
    });
    words.filter(|word| !word.is_empty()).map(ToOwned::to_owned).collect()
}

/// The labels that an expression groups or joins by.
fn grouped_labels(expression: &str) -> Vec<String> {
    let mut labels = Vec::new();
    for word in ["by (", "on (", "without ("] {
        for (at, _) in expression.match_indices(word) {
            let rest = expression.get(at + word.len()..).unwrap_or_default();
            let list = rest.split(')').next().unwrap_or_default();
            labels.extend(list.split(',').map(|label| label.trim().to_owned()));
        }
    }
    labels
}

/// What is wrong with an expression; the metrics that it uses go to `used`.
fn faults(expression: &str, used: &mut BTreeSet<&'static str>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut known: BTreeSet<&str> = ADDED.into();
    for (name, labels) in metrics_in(expression) {
        let Some(entry) = entry(&name) else {
            faults.push(format!("there is no metric {name}"));
            continue;
        };
        used.insert(entry.name);
        known.extend(entry.labels);
        for label in labels.iter().filter(|label| !ADDED.contains(&label.as_str())) {
            if !entry.labels.contains(&label.as_str()) {
                faults.push(format!("{name} has no label {label}"));
            }
        }
    }
    let grouped = grouped_labels(expression);
    faults.extend(
        grouped
            .iter()
            .filter(|label| !known.contains(label.as_str()))
            .map(|label| format!("label {label} of nothing")),
    );
    faults
        .into_iter()
        .map(|fault| format!("{fault}: {expression}"))
        .collect()
}

/// The expressions of a file of rules, each on one line or in an indented block.
fn rule_expressions(rules: &str) -> Vec<String> {
    let mut expressions: Vec<String> = Vec::new();
    let mut lines = rules.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(first) = line.trim_start().strip_prefix("expr: ") else {
            continue;
        };
        if first != "|" {
            expressions.push(first.to_owned());
            continue;
        }
        let indent = " ".repeat(10);
        let mut block = String::new();
        while let Some(more) = lines.next_if(|line| line.starts_with(&indent)) {
            block.push_str(more.trim());
            block.push(' ');
        }
        expressions.push(block);
    }
    expressions
}

#[test]
fn the_alerts_watch_metrics_that_there_are() {
    let rules = read("deploy/prometheus/sdgroup.rules.yml");
    let expressions = rule_expressions(&rules);
    assert_eq!(expressions.len(), rules.matches("- alert: ").count());
    assert!(expressions.iter().all(|it| it.contains("sdgroup")), "{expressions:?}");
    let faults: Vec<_> = expressions
        .iter()
        .flat_map(|it| faults(it, &mut BTreeSet::new()))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
    let tests =
        read("deploy/prometheus/sdgroup.rules.test.yml") + &read("deploy/prometheus/sdgroup.rules.days.test.yml");
    for alert in rules
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("- alert: "))
    {
        let fires = tests.contains(&format!("alertname: {alert}\n        exp_alerts:"));
        assert!(fires, "{alert} has no test in which it fires");
    }
}

/// Every text below `value` under one of these keys.
fn texts_under<'v>(value: &'v Value, keys: &[&str], found: &mut Vec<&'v str>) {
    match value {
        Value::Object(fields) => {
            for (key, inner) in fields {
                match inner {
                    Value::String(text) if keys.contains(&key.as_str()) => found.push(text),
                    _ => texts_under(inner, keys, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|inner| texts_under(inner, keys, found)),
        _ => {}
    }
}

fn whole(value: &Value, key: &str) -> u64 {
    value
        .get(key)
        .and_then(Value::as_u64)
        .unwrap_or_else(|| panic!("{key} of {value}"))
}

#[test]
fn the_dashboard_shows_every_metric_and_none_that_there_is_not() {
    let dashboard: Value = serde_json::from_str(&read("deploy/grafana/sdgroup.json")).expect("JSON");
    let mut expressions = Vec::new();
    texts_under(&dashboard, &["expr", "query"], &mut expressions);
    let mut used = BTreeSet::new();
    let faults: Vec<_> = expressions.iter().flat_map(|it| faults(it, &mut used)).collect();
    assert!(faults.is_empty(), "{faults:#?}");
    let unused: Vec<_> = names::ALL
        .iter()
        .map(|entry| entry.name)
        .filter(|name| !used.contains(name))
        .collect();
    assert!(unused.is_empty(), "no panel shows {unused:?}");

    let panels = dashboard.get("panels").and_then(Value::as_array).expect("panels");
    let mut ids = BTreeSet::new();
    let mut covered = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(whole(panel, "id")), "two panels have one id: {panel}");
        let place = panel.get("gridPos").expect("a place");
        let (x, y) = (whole(place, "x"), whole(place, "y"));
        assert!(x + whole(place, "w") <= 24, "{panel}");
        for cell in (x..x + whole(place, "w")).flat_map(|x| (y..y + whole(place, "h")).map(move |y| (x, y))) {
            assert!(covered.insert(cell), "panels lie on each other: {panel}");
        }
    }
    let mut sources = Vec::new();
    texts_under(&dashboard, &["uid"], &mut sources);
    assert!(
        sources.iter().all(|uid| ["${datasource}", "sdgroup"].contains(uid)),
        "{sources:?}"
    );
}

#[test]
fn the_page_lists_every_metric_with_its_labels() {
    let page = read("deploy/docs/monitoring.md");
    let listed: Vec<&str> = page.lines().filter(|line| line.starts_with("| `sdgroup_")).collect();
    let row = |entry: &Entry| {
        let kind = match entry.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        format!(
            "| `{}` | {kind} | {} | {} |",
            entry.name,
            entry.labels.join(", "),
            entry.help
        )
    };
    let table: Vec<String> = names::ALL.iter().map(row).collect();
    assert!(
        listed == table,
        "deploy/docs/monitoring.md is to have this table:\n{}",
        table.join("\n")
    );
}

fn promtool() -> Option<PathBuf> {
    if let Some(said) = std::env::var_os("SDGROUP_PROMTOOL") {
        return Some(PathBuf::from(said));
    }
    let search = std::env::var_os("PATH")?;
    std::env::split_paths(&search)
        .map(|folder| folder.join("promtool"))
        .find(|file| file.is_file())
}

/// All metrics as a scrape shows them.
fn scrape() -> String {
    let mut builder = PrometheusBuilder::new();
    for entry in names::ALL {
        if let Kind::Histogram(bounds) = entry.kind {
            let matcher = metrics_exporter_prometheus::Matcher::Full(entry.name.to_owned());
            builder = builder.set_buckets_for_metric(matcher, bounds).expect("bounds");
        }
    }
    let recorder = builder.build_recorder();
    metrics::with_local_recorder(&recorder, || {
        names::describe();
        for entry in names::ALL {
            let labels: Vec<_> = entry
                .labels
                .iter()
                .map(|label| metrics::Label::new(*label, "x"))
                .collect();
            match entry.kind {
                Kind::Counter => metrics::counter!(entry.name, labels).increment(1),
                Kind::Gauge => metrics::gauge!(entry.name, labels).set(1.0),
                Kind::Histogram(_) => metrics::histogram!(entry.name, labels).record(1.0),
            }
        }
    });
    recorder.handle().render()
}

#[test]
fn promtool_finds_nothing_wrong() {
    let text = scrape();
    assert!(
        names::ALL
            .iter()
            .all(|entry| text.contains(&format!("# HELP {} ", entry.name))),
        "{text}"
    );
    let Some(promtool) = promtool() else {
        eprintln!("NOT CHECKED by promtool: it is not in PATH (Debian has it in the package prometheus)");
        return;
    };
    let run = |arguments: &[&str], input: &str| {
        let mut command = Command::new(&promtool);
        command
            .args(arguments)
            .current_dir(repository().join("deploy/prometheus"));
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("promtool");
        // It need not read what it is not asked about.
        let _ = child.stdin.take().expect("its input").write_all(input.as_bytes());
        let output = child.wait_with_output().expect("its end");
        let said = [output.stdout, output.stderr].concat();
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&said)
        );
    };
    run(&["check", "metrics"], &text);
    run(&["check", "rules", "sdgroup.rules.yml"], "");
    run(
        &["test", "rules", "sdgroup.rules.test.yml", "sdgroup.rules.days.test.yml"],
        "",
    );
}
