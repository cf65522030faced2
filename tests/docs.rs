//! What the documentation shows is what happens: its commands are run, and what they print is compared.

#![allow(clippy::expect_used, reason = "a test that cannot be set up has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sdgroup::config::model::PolicyName;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page() -> String {
    fs::read_to_string(repository().join("deploy/docs/choosing-a-policy.md")).expect("read the page")
}

/// A block of the page: its language and its lines.
struct Block {
    language: String,
    text: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(language) = line.strip_prefix("```") else {
            continue;
        };
        let text: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        blocks.push(Block {
            language: language.to_owned(),
            text: text.join("\n") + "\n",
        });
    }
    blocks
}

/// Runs `command` as somebody would who has sdgroup and this repository's `deploy` before him.
fn run(command: &str, folder: &Path) -> String {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_sdgroup"));
    let search = std::env::var("PATH").expect("a search path");
    let output = Command::new("sh")
        .args(["-e", "-c", command])
        .current_dir(folder)
        .env(
            "PATH",
            format!("{}:{search}", program.parent().expect("a folder").display()),
        )
        .output()
        .expect("run a shell");
    assert!(
        output.status.success(),
        "{command}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn the_figures_of_the_page_come_from_its_commands() {
    let folder = tempfile::tempdir().expect("a folder");
    std::os::unix::fs::symlink(repository().join("deploy"), folder.path().join("deploy")).expect("link deploy");
    let page = page();
    let figures = page.split("## With your own jobs").next().expect("the figures");
    let mut printed = String::new();
    let mut compared = 0;
    for block in blocks(figures) {
        match block.language.as_str() {
            "sh" => printed = run(&block.text, folder.path()),
            "text" => {
                assert_eq!(block.text, printed, "the page is to be brought up to date");
                compared += 1;
            }
            other => panic!("a block of {other}"),
        }
    }
    assert_eq!(compared, 4);
    let (drawn, shown) = (
        folder.path().join("slow.svg"),
        repository().join("deploy/docs/slow.svg"),
    );
    assert_eq!(
        fs::read_to_string(drawn).expect("drawn"),
        fs::read_to_string(shown).expect("shown")
    );
}

/// Every document, by its path: all below `deploy`, and those at the top.
fn pages() -> Vec<(PathBuf, String)> {
    let mut paths: Vec<PathBuf> = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "benches/README.md"]
        .map(|name| repository().join(name))
        .into();
    let mut folders = vec![repository().join("deploy")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder of documents") {
            let path = entry.expect("a document").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                paths.push(path);
            }
        }
    }
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("read a page");
        (path, text)
    };
    paths.into_iter().map(read).collect()
}

/// What stands between `](` and `)`.
fn links(page: &str) -> Vec<&str> {
    let behind = page.split("](").skip(1);
    behind.filter_map(|rest| rest.split(')').next()).collect()
}

#[test]
fn every_link_leads_somewhere_and_every_page_is_in_the_index() {
    let mut faults = Vec::new();
    for (path, text) in pages() {
        let folder = path.parent().expect("a folder");
        for link in links(&text) {
            let file = link.split('#').next().unwrap_or_default();
            let is_elsewhere = link.starts_with("http") || file.is_empty();
            if !is_elsewhere && !folder.join(file).exists() {
                faults.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    let docs = repository().join("deploy/docs");
    let index = fs::read_to_string(docs.join("README.md")).expect("the index");
    for (path, _) in pages().iter().filter(|(path, _)| path.parent() == Some(&docs)) {
        let name = path.file_name().expect("a name").to_string_lossy();
        let listed = index.contains(&format!("]({name})"));
        assert!(listed || name == "README.md", "{name} is not in deploy/docs/README.md");
    }
}

/// The commands of sdgroup that a page shows: in its blocks of shell, and in its text between backticks.
fn shown_commands(page: &str) -> Vec<String> {
    let mut shown = Vec::new();
    let mut add = |code: &str| {
        for (at, _) in code.match_indices("sdgroup ") {
            let before = code.get(..at).unwrap_or_default().chars().next_back();
            if before.is_none_or(|c| c.is_whitespace() || c == '(') {
                let rest = code.get(at + "sdgroup ".len()..).unwrap_or_default();
                let end = rest
                    .find(['|', '>', '<', ';', ')', '#', '\n', '&'])
                    .unwrap_or(rest.len());
                shown.push(rest.get(..end).unwrap_or_default().trim().to_owned());
            }
        }
    };
    for block in blocks(page).iter().filter(|block| block.language == "sh") {
        add(&block.text.replace("\\\n", " "));
    }
    for text in page.split("```").step_by(2) {
        let code = text
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|code| code.starts_with("sdgroup "));
        code.for_each(|code| add(&code.replace('\n', " ")));
    }
    shown.retain(|command| !command.is_empty() && !command.starts_with('-'));
    shown
}

/// What sdgroup says of a command, once for each.
struct Helps(BTreeMap<String, String>);

impl Helps {
    fn of(&mut self, path: &str) -> &str {
        self.0.entry(path.to_owned()).or_insert_with(|| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_sdgroup"));
            let output = command
                .args(path.split_whitespace())
                .arg("--help")
                .output()
                .expect("sdgroup");
            String::from_utf8(output.stdout).expect("text")
        })
    }

    /// Whether there is such a command below the one at `path`.
    fn has(&mut self, path: &str, command: &str) -> bool {
        self.of(path)
            .lines()
            .any(|line| line.split_whitespace().next() == Some(command) && line.starts_with("  "))
    }

    /// What is wrong with a command that a page shows.
    fn fault(&mut self, shown: &str) -> Option<String> {
        let words: Vec<&str> = shown.split_whitespace().collect();
        let mut path = String::new();
        for word in words.iter().take(2) {
            if word.starts_with('-') {
                break;
            }
            if self.has(&path, word) {
                path = format!("{path} {word}");
            } else if path.is_empty() {
                return Some(format!("there is no command {word}"));
            } else if self.of(&path).contains("\nCommands:") {
                return Some(format!("{path} has no {word}"));
            }
        }
        let flags = words.iter().filter(|word| word.starts_with("--"));
        let unknown = flags
            .filter_map(|word| word.split('=').next())
            .find(|flag| !self.of(&path).contains(flag));
        unknown.map(|flag| format!("{path} has no {flag}"))
    }
}

#[test]
fn every_command_that_is_shown_is_one() {
    let mut helps = Helps(BTreeMap::new());
    let (mut faults, mut seen) = (Vec::new(), 0);
    for (path, text) in pages() {
        for shown in shown_commands(&text) {
            seen += 1;
            if let Some(fault) = helps.fault(&shown) {
                faults.push(format!("{}: sdgroup {shown}: {fault}", path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(seen > 60, "{seen} commands were found");
}

#[test]
fn the_example_history_comes_from_its_command() {
    let shipped = repository().join("deploy/simulate/jobs.csv");
    let made = run("sdgroup simulate --generate 'clients=20 days=14'", repository());
    assert_eq!(fs::read_to_string(shipped).expect("shipped"), made);
}

#[test]
fn every_policy_has_its_paragraph() {
    let page = page();
    let readme = fs::read_to_string(repository().join("README.md")).expect("read the README");
    for policy in PolicyName::ALL {
        assert!(page.contains(&format!("\n**{policy}.** ")), "{policy}");
        assert!(readme.contains(&format!("\n| `{policy}` | ")), "{policy}");
    }
}

/// The scenarios that the page on kinds of jobs names are there.
#[test]
fn every_kind_of_job_has_its_scenario() {
    let page = fs::read_to_string(repository().join("deploy/docs/jobs.md")).expect("read the page");
    let mut named = 0;
    for row in page.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let shown_by = row.trim_end_matches(" |").rsplit(" | ").next().expect("a last column");
        for scenario in shown_by.split('`').filter(|text| text.contains("::")) {
            let (file, function) = scenario.split_once("::").expect("a file and a function");
            let file = repository().join(format!("tests/real/{file}.rs"));
            let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{scenario}: {error}"));
            assert!(text.contains(&format!("fn {function}")), "{scenario}");
            named += 1;
        }
    }
    assert!(named > 15, "the page names {named} scenarios");
}
