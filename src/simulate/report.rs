//! Outcomes side by side, as text and as JSON.

use super::outcome::Outcome;
use crate::table::{Side, columns};
use crate::types::Bytes;

/// A length for a table: "45.2 s", "12.3 min", "5.4 h".
fn length(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 99.95 => format!("{seconds:.1} s"),
        seconds if seconds < 5_999.0 => format!("{:.1} min", seconds / 60.0),
        seconds if seconds < 359_999.0 => format!("{:.1} h", seconds / 3_600.0),
        seconds => format!("{:.1} d", seconds / 86_400.0),
    }
}

fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bytes are whole numbers"
)]
fn bytes(bytes: f64) -> String {
    Bytes(bytes as u64).to_string()
}

/// What an outcome is called: its policy, and its group where there are several.
pub(super) fn title(outcome: &Outcome, several: bool) -> String {
    if several {
        format!("{} {}", outcome.layout, outcome.policy)
    } else {
        outcome.policy.clone()
    }
}

pub(super) fn has_several_layouts(outcomes: &[Outcome]) -> bool {
    outcomes
        .windows(2)
        .any(|pair| matches!(pair, [one, next] if one.layout != next.layout))
}

/// All outcomes as text: one line for each, then what each storage had of it.
#[must_use]
pub fn text(outcomes: &[Outcome]) -> String {
    let several = has_several_layouts(outcomes);
    let header = [
        "",
        "makespan",
        "wait mean",
        "wait p95",
        "job mean",
        "job p95",
        "failed",
        "refused",
        "imbalance",
        "scattered",
    ];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for outcome in outcomes {
        rows.push(vec![
            title(outcome, several),
            length(outcome.makespan_seconds),
            length(outcome.waits.mean_seconds),
            length(outcome.waits.p95_seconds),
            length(outcome.lasts.mean_seconds),
            length(outcome.lasts.p95_seconds),
            outcome.failed.to_string(),
            outcome.refused.to_string(),
            percent(outcome.imbalance),
            percent(outcome.scattered),
        ]);
    }
    let mut text = columns(&rows, &[Side::Left, Side::Right]);
    text.push('\n');
    let mut rows = Vec::new();
    let storages = outcomes
        .first()
        .map(|outcome| outcome.storages.as_slice())
        .unwrap_or_default();
    if !several {
        let mut header = vec![String::new()];
        for share in storages {
            header.push(format!("{} jobs", share.storage));
            header.push("bytes".to_owned());
        }
        rows.push(header);
    }
    for outcome in outcomes {
        let mut row = vec![title(outcome, several)];
        for share in &outcome.storages {
            let name = if several {
                format!("{}: ", share.storage)
            } else {
                String::new()
            };
            row.push(format!("{name}{}", share.jobs));
            row.push(bytes(share.bytes));
        }
        rows.push(row);
    }
    text.push_str(&columns(&rows, &[Side::Left, Side::Right]));
    text
}

/// All outcomes as JSON.
///
/// # Errors
/// Never: there is nothing in them that JSON cannot hold.
pub fn json(outcomes: &[Outcome]) -> serde_json::Result<String> {
    serde_json::to_string_pretty(outcomes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::{Share, Waits};

    fn outcome(layout: &str) -> Outcome {
        let waits = Waits {
            mean_seconds: 45.23,
            p95_seconds: 5_400.0,
            longest_seconds: 9_000.0,
        };
        Outcome {
            policy: "LeastUsed".to_owned(),
            layout: layout.to_owned(),
            jobs: 100,
            ended: 97,
            failed: 2,
            failed_full: 1,
            refused: 1,
            makespan_seconds: 100_000.0,
            waits,
            lasts: waits,
            imbalance: 0.123,
            scattered: 0.5,
            storages: vec![Share {
                storage: "File4".to_owned(),
                jobs: 97,
                bytes: 1.5e12,
                busy_seconds: 90.0,
            }],
        }
    }

    #[test]
    fn outcomes_stand_below_each_other() {
        let text = text(&[outcome("a"), outcome("a")]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[1],
            "LeastUsed    27.8 h     45.2 s  90.0 min    45.2 s  90.0 min       2        1      12.3%      50.0%"
        );
        assert_eq!(
            (lines[4], lines[5]),
            ("           File4 jobs   bytes", "LeastUsed          97  1.5 TB")
        );
        let several = super::text(&[outcome("a"), outcome("b")]);
        assert!(
            several.contains("b LeastUsed") && several.contains("File4: 97"),
            "{several}"
        );
    }

    #[test]
    fn json_has_every_figure() {
        let parsed: serde_json::Value = serde_json::from_str(&json(&[outcome("a")]).unwrap()).unwrap();
        assert_eq!(parsed[0]["storages"][0]["bytes"], 1.5e12);
        assert_eq!(parsed[0]["waits"]["p95_seconds"], 5_400.0);
    }
}
