//! Holds the source to the shape that `ARCHITECTURE.md` describes: which layer may use which, what the pure layers
//! must not touch, how long a file may be, and which names say nothing.
//!
//! It reads the source as text, which is crude, and enough: what it forbids nobody writes by accident in another form.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Every layer, and the layers it may use. A new layer starts with an entry here.
const LAYERS: &[(&str, &[&str])] = &[
    ("types", &[]),
    ("wire", &["types"]),
    ("handshake", &["types", "wire"]),
    ("net", &[]),
    ("channel", &["types", "wire", "handshake", "net"]),
    ("relay", &["net"]),
    ("table", &[]),
    ("config", &["types", "net"]),
    ("bacula", &["types", "config"]),
    ("telemetry", &["types"]),
    ("group", &["types", "config"]),
    ("store", &["types", "config"]),
    ("simulate", &["types", "table", "config", "group", "store"]),
    ("volumes", &["types", "wire", "table", "config", "store"]),
    (
        "probe",
        &[
            "types",
            "wire",
            "handshake",
            "net",
            "channel",
            "config",
            "telemetry",
            "group",
        ],
    ),
    (
        "session",
        &[
            "types",
            "wire",
            "handshake",
            "net",
            "channel",
            "relay",
            "config",
            "telemetry",
            "group",
            "store",
            "volumes",
        ],
    ),
    (
        "admin",
        &[
            "types",
            "net",
            "config",
            "telemetry",
            "group",
            "store",
            "volumes",
            "session",
        ],
    ),
    (
        "process",
        &[
            "types",
            "net",
            "relay",
            "config",
            "telemetry",
            "group",
            "store",
            "volumes",
            "probe",
            "session",
            "admin",
        ],
    ),
    (
        "cli",
        &[
            "types",
            "table",
            "config",
            "bacula",
            "telemetry",
            "group",
            "store",
            "simulate",
            "volumes",
            "probe",
            "admin",
            "process",
        ],
    ),
];

/// What must not occur in some layers (by the beginning of the path below `src/`), and why.
const ABSENCES: &[(&[&str], &[&str], &str)] = &[
    (
        &["wire/", "handshake/", "group/policy"],
        &[
            "Instant::now",
            "SystemTime::now",
            "getrandom",
            "RandomState",
            "tokio::",
            ".elapsed()",
        ],
        "is pure: time and dice come in as arguments",
    ),
    (
        &[
            "types/",
            "wire/",
            "handshake/",
            "table",
            "bacula/",
            "group/",
            "simulate/",
            "volumes/",
            "store/",
        ],
        &[
            "TcpStream",
            "TcpListener",
            "UdpSocket",
            "tokio::net",
            "std::os::fd",
            "socket2",
            "rustix::net",
        ],
        "never touches a socket",
    ),
    (
        &[
            "types/",
            "wire/",
            "handshake/",
            "table",
            "group/",
            "simulate/",
            "net/",
            "relay/",
            "channel/",
        ],
        &["std::fs", "File::open", "rusqlite", "std::env"],
        "never touches the file system or the environment",
    ),
    (
        &[
            "types/",
            "wire/",
            "handshake/",
            "net/",
            "channel/",
            "relay/",
            "table",
            "config/",
            "bacula/",
            "group/",
            "store/",
            "simulate/",
            "volumes/",
            "probe/",
            "session/",
            "admin/",
            "process/",
            "cli",
        ],
        &[
            "use tracing",
            "tracing::info",
            "tracing::warn",
            "tracing::error",
            "tracing::debug",
            "tracing::trace",
            "use metrics::",
            "metrics::counter",
            "metrics::gauge",
            "metrics::histogram",
        ],
        "emits types of telemetry::event, so that log and metrics cannot drift apart",
    ),
];

/// Words that say nothing about what a thing is.
const EMPTY_WORDS: &[&str] = &[
    "Util", "Utils", "Helper", "Helpers", "Common", "Misc", "Manager", "Handler", "Info", "Data",
];

/// Beginnings that say nothing about what a function does.
const EMPTY_BEGINNINGS: &[&str] = &["get_", "do_", "process_"];

/// Names that are Bacula's own.
const BACULAS_NAMES: &[&str] = &["GetVolInfo"];

const MAX_LINES: usize = 600;

/// One source file: its path below `src/`, and its lines without tests. Comments are blanked, not removed, so that
/// line numbers stay right.
struct Source {
    path: String,
    lines: Vec<String>,
}

impl Source {
    fn read(root: &Path, file: &Path) -> Option<Self> {
        let path = file.strip_prefix(root).ok()?.to_string_lossy().replace('\\', "/");
        let name = path.rsplit('/').next()?;
        let is_test = name.ends_with("tests.rs") || name == "testing.rs" || path.contains("/tests/");
        if is_test {
            return None;
        }
        let text = fs::read_to_string(file).ok()?;
        Some(Self {
            path,
            lines: without_tests(&text),
        })
    }

    fn layer(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or(&self.path);
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// How many modules the file is deep: `src/wire/mod.rs` 1, `src/wire/packet.rs` 2.
    fn depth(&self) -> usize {
        let parts = self.path.split('/').count();
        if self.path.ends_with("/mod.rs") {
            parts - 1
        } else {
            parts
        }
    }
}

/// The lines before the unit tests, with comments blanked. Unit tests stand at the end of a file.
fn without_tests(text: &str) -> Vec<String> {
    let all: Vec<&str> = text.lines().collect();
    let next = all.iter().skip(1);
    let end = all
        .iter()
        .zip(next)
        .position(|(attribute, item)| *attribute == "#[cfg(test)]" && item.starts_with("mod tests {"))
        .unwrap_or(all.len());
    let code = |line: &&str| {
        let comment = line.trim_start().starts_with("//");
        if comment { String::new() } else { (*line).to_owned() }
    };
    all.iter().take(end).map(code).collect()
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    files(&root, &mut found);
    found.sort();
    let sources: Vec<Source> = found.iter().filter_map(|file| Source::read(&root, file)).collect();
    assert!(
        sources.len() > 20,
        "only {} source files found below {}",
        sources.len(),
        root.display()
    );
    sources
}

/// The identifiers that follow `crate::` in a line, `crate::{a, b}` included.
fn used_layers(line: &str) -> Vec<String> {
    let ident = |text: &str| {
        text.chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect::<String>()
    };
    let mut used = Vec::new();
    for (at, _) in line.match_indices("crate::") {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = line.get(at + "crate::".len()..).unwrap_or_default();
        match rest.strip_prefix('{') {
            Some(list) => used.extend(list.split(',').map(|item| ident(item.trim_start()))),
            None => used.push(ident(rest)),
        }
    }
    used.retain(|name| !name.is_empty());
    used
}

fn report(faults: &[String]) {
    let mut text = String::new();
    for fault in faults {
        let _ = writeln!(text, "  {fault}");
    }
    assert!(faults.is_empty(), "{} fault(s):\n{text}", faults.len());
}

/// Calls `check` for every line of `sources` that holds code.
fn each_line(sources: &[Source], mut check: impl FnMut(&Source, &str, String)) {
    for source in sources {
        for (at, line) in source.lines.iter().enumerate().filter(|(_, line)| !line.is_empty()) {
            check(source, line, format!("src/{}:{}", source.path, at + 1));
        }
    }
}

/// Files of no layer, and layers without a file.
fn unknown_layers(sources: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    for source in sources {
        let layer = source.layer();
        let known = ["lib", "main"].contains(&layer) || LAYERS.iter().any(|(name, _)| *name == layer);
        if !known {
            faults.push(format!("src/{} belongs to no layer of tests/layering.rs", source.path));
        }
    }
    for (layer, _) in LAYERS {
        if !sources.iter().any(|source| source.layer() == *layer) {
            faults.push(format!("tests/layering.rs knows a layer {layer}, which has no file"));
        }
    }
    faults
}

#[test]
fn every_layer_is_known() {
    report(&unknown_layers(&sources()));
}

#[test]
fn the_table_itself_points_downwards() {
    let mut faults = Vec::new();
    for (at, (layer, allowed)) in LAYERS.iter().enumerate() {
        for used in *allowed {
            if !LAYERS.iter().take(at).any(|(lower, _)| lower == used) {
                faults.push(format!(
                    "{layer} may use {used}, which does not stand above it in the table"
                ));
            }
        }
    }
    report(&faults);
}

fn upward_imports(sources: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    each_line(sources, |source, line, place| {
        let Some((layer, allowed)) = LAYERS.iter().find(|(name, _)| *name == source.layer()) else {
            return;
        };
        for used in used_layers(line) {
            if used != *layer && !allowed.contains(&used.as_str()) {
                faults.push(format!("{place}: {layer} must not use {used}"));
            }
        }
        if line.trim_end().ends_with("crate::{") {
            faults.push(format!("{place}: one use per layer, so that this test sees them all"));
        }
        if line.contains(&"super::".repeat(source.depth())) {
            faults.push(format!("{place}: leaves its layer by super::; write crate::"));
        }
    });
    faults
}

#[test]
fn imports_point_downwards() {
    report(&upward_imports(&sources()));
}

fn present_absences(sources: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    each_line(sources, |source, line, place| {
        for (paths, words, why) in ABSENCES {
            if !paths.iter().any(|path| source.path.starts_with(path)) {
                continue;
            }
            for word in words.iter().filter(|word| line.contains(**word)) {
                faults.push(format!("{place}: {word}, but {} {why}", source.layer()));
            }
        }
    });
    faults
}

#[test]
fn pure_layers_stay_pure() {
    report(&present_absences(&sources()));
}

fn long_files(sources: &[Source]) -> Vec<String> {
    let long = sources.iter().filter(|source| source.lines.len() >= MAX_LINES);
    long.map(|source| format!("src/{} has {} lines without its tests", source.path, source.lines.len()))
        .collect()
}

#[test]
fn files_can_be_read_in_one_go() {
    report(&long_files(&sources()));
}

/// The name that a line declares, if it declares one, and whether it is a function's.
fn declared(line: &str) -> Option<(String, bool)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = words
        .iter()
        .position(|word| ["struct", "enum", "trait", "type", "fn", "mod"].contains(word))?;
    let qualifiers = words.iter().take(at).all(|word| {
        word.starts_with("pub") || word.ends_with(')') || ["async", "const", "unsafe", "in"].contains(word)
    });
    let name: String = words
        .get(at + 1)?
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    (qualifiers && !name.is_empty()).then(|| (name, words.get(at) == Some(&"fn")))
}

/// `RouteTaken` -> `Route`, `Taken`.
fn camel_words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for c in name.chars() {
        match words.last_mut() {
            Some(word) if !c.is_uppercase() => word.push(c),
            _ => words.push(c.to_string()),
        }
    }
    words
}

fn empty_names(sources: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    for source in sources {
        for part in source.path.trim_end_matches(".rs").split(['/', '_']) {
            // "data" alone is Bacula's word for one of its two kinds of connection.
            let empty = EMPTY_WORDS.iter().any(|word| word.eq_ignore_ascii_case(part));
            if empty && part != "data" {
                faults.push(format!("src/{}: {part} says nothing", source.path));
            }
        }
    }
    each_line(sources, |_, line, place| {
        let Some((name, is_function)) = declared(line) else {
            return;
        };
        if BACULAS_NAMES.contains(&name.as_str()) {
            return;
        }
        if camel_words(&name)
            .iter()
            .any(|word| EMPTY_WORDS.contains(&word.as_str()))
        {
            faults.push(format!("{place}: {name} says nothing"));
        }
        if is_function && EMPTY_BEGINNINGS.iter().any(|beginning| name.starts_with(beginning)) {
            faults.push(format!("{place}: {name} begins with a word that says nothing"));
        }
    });
    faults
}

#[test]
fn names_say_what_a_thing_is() {
    report(&empty_names(&sources()));
}

/// What each rule finds in a file that breaks it, and in one that does not.
#[test]
fn every_rule_can_be_broken() {
    type Rule = fn(&[Source]) -> Vec<String>;
    let made_up = |path: &str, text: &str| Source {
        path: path.to_owned(),
        lines: without_tests(text),
    };
    let (long, short) = ("fn a() {}\n".repeat(MAX_LINES), "fn a() {}\n".repeat(MAX_LINES - 1));
    let cases: &[(Rule, &str, &str, &str)] = &[
        (
            upward_imports,
            "wire/packet.rs",
            "use crate::session::Context;",
            "use crate::types::JobId;",
        ),
        (upward_imports, "wire/packet.rs", "use crate::{", "use super::line;"),
        (
            upward_imports,
            "wire/packet.rs",
            "use super::super::session;",
            "pub(super) fn it() {}",
        ),
        (
            upward_imports,
            "wire/mod.rs",
            "use super::types;",
            "// use super::types;",
        ),
        (
            present_absences,
            "group/policy/weighted.rs",
            "Instant::now()",
            "now: Instant",
        ),
        (present_absences, "table.rs", "std::fs::read(path)", "rows.len()"),
        (
            present_absences,
            "simulate/mod.rs",
            "tokio::net::lookup_host(name)",
            "tokio::time::advance(step)",
        ),
        (
            present_absences,
            "bacula/conf.rs",
            "tracing::warn!(text)",
            "use std::fs;",
        ),
        (long_files, "cli/run.rs", &long, &short),
        (empty_names, "net/dial.rs", "pub struct PeerInfo {", "pub struct Peer {"),
        (empty_names, "net/dial.rs", "async fn get_peer() {", "async fn peer() {"),
        (empty_names, "net/helpers.rs", "", ""),
    ];
    for (rule, path, wrong, right) in cases {
        let found = rule(&[made_up(path, wrong)]);
        assert_eq!(found.len(), 1, "{wrong} in {path}: {found:?}");
        let renamed = path.replace("helpers", "listen");
        let found = rule(&[made_up(&renamed, right)]);
        assert!(found.is_empty(), "{right} in {path}: {found:?}");
    }
    let layers = LAYERS.iter().map(|(layer, _)| made_up(&format!("{layer}/mod.rs"), ""));
    let mut layers: Vec<Source> = layers.collect();
    assert_eq!(unknown_layers(&layers), Vec::<String>::new());
    layers.push(made_up("attic/mod.rs", ""));
    layers.remove(0);
    assert_eq!(unknown_layers(&layers).len(), 2, "one too many, one too few");
}

#[test]
fn the_reader_of_source_reads_rightly() {
    assert_eq!(
        used_layers("use crate::wire::packet; use crate::{types, net::dial};"),
        ["wire", "types", "net"]
    );
    assert_eq!(used_layers("use my_crate::wire;"), Vec::<String>::new());
    assert_eq!(
        declared("pub(super) async fn get_it() {"),
        Some(("get_it".to_owned(), true))
    );
    assert_eq!(
        declared("pub struct PeerInfo<'a> {"),
        Some(("PeerInfo".to_owned(), false))
    );
    assert_eq!(declared("let x = 1; // a struct of sorts"), None);
    assert_eq!(camel_words("GetVolInfo"), ["Get", "Vol", "Info"]);
    let text = "use a;\n// crate::cli\n#[cfg(test)]\nmod tests {\nuse crate::cli;\n}\n";
    assert_eq!(without_tests(text), ["use a;", ""]);
}
