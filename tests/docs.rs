//! What the documentation shows is what happens: its commands are run, and what they print is compared.

#![allow(clippy::expect_used, reason = "a test that cannot be set up has failed")]

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
