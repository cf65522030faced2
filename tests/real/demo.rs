//! The demo of the README, from beginning to end.

use std::process::Command;

#[test]
fn the_demo_of_the_readme_runs_to_its_end() {
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--example", "demo", "--", "--once"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo");

    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{printed}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for told in [
        "the same, byte for byte",
        "Placed on File4",
        "killed",
        "Failover from File5 to File6",
    ] {
        assert!(printed.contains(told), "the demo does not say {told:?}:\n{printed}");
    }
}
