//! Outcomes as a picture: bars for what matters, one row for each outcome. SVG, by hand: it is a dozen rectangles.

use std::fmt::Write as _;

use super::outcome::Outcome;
use super::report::{has_several_layouts, title};

const LEFT: f64 = 190.0;
const PANEL: f64 = 200.0;
const GAP: f64 = 50.0;
const TOP: f64 = 50.0;
const ROW: f64 = 26.0;
const BAR: f64 = 16.0;

/// Colours that people who see fewer of them can tell apart (Okabe and Ito).
const COLOURS: [&str; 8] = [
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#999999",
];

/// One column of bars.
struct Panel {
    title: &'static str,
    unit: &'static str,
    value: fn(&Outcome) -> f64,
}

const PANELS: [Panel; 4] = [
    Panel {
        title: "wait, 95 of 100",
        unit: "min",
        value: |outcome| outcome.waits.p95_seconds / 60.0,
    },
    Panel {
        title: "job from start to end, mean",
        unit: "min",
        value: |outcome| outcome.lasts.mean_seconds / 60.0,
    },
    Panel {
        title: "failed and refused",
        unit: "jobs",
        #[allow(clippy::cast_precision_loss, reason = "a number of jobs")]
        value: |outcome| (outcome.failed + outcome.refused) as f64,
    },
    Panel {
        title: "restores over several storages",
        unit: "%",
        value: |outcome| outcome.scattered * 100.0,
    },
];

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The picture.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "a number of rows")]
pub fn svg(outcomes: &[Outcome]) -> String {
    let panels = PANELS.len() as f64 + 1.0;
    let width = LEFT + panels * PANEL + (panels - 1.0) * GAP + 90.0;
    let height = TOP + outcomes.len() as f64 * ROW + 40.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} \
         {height:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let several = has_several_layouts(outcomes);
    for (at, outcome) in outcomes.iter().enumerate() {
        let y = TOP + at as f64 * ROW + BAR - 3.0;
        let name = escaped(&title(outcome, several));
        let _ = writeln!(
            svg,
            "<text x=\"{:.0}\" y=\"{y:.0}\" text-anchor=\"end\">{name}</text>",
            LEFT - 10.0
        );
    }
    for (at, panel) in PANELS.iter().enumerate() {
        bars(&mut svg, panel, LEFT + at as f64 * (PANEL + GAP), outcomes);
    }
    shares(&mut svg, LEFT + PANELS.len() as f64 * (PANEL + GAP), outcomes);
    svg.push_str("</svg>\n");
    svg
}

fn heading(svg: &mut String, x: f64, title: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{x:.0}\" y=\"{:.0}\" font-weight=\"bold\">{}</text>",
        TOP - 16.0,
        escaped(title)
    );
}

#[allow(clippy::cast_precision_loss, reason = "a number of rows")]
fn bars(svg: &mut String, panel: &Panel, x: f64, outcomes: &[Outcome]) {
    heading(svg, x, panel.title);
    let most = outcomes.iter().map(panel.value).fold(0.0, f64::max);
    for (at, outcome) in outcomes.iter().enumerate() {
        let value = (panel.value)(outcome);
        let width = if most > 0.0 { value / most * PANEL } else { 0.0 };
        let y = TOP + at as f64 * ROW;
        let _ = writeln!(
            svg,
            "<rect x=\"{x:.0}\" y=\"{y:.0}\" width=\"{width:.1}\" height=\"{BAR:.0}\" fill=\"{}\"/>\n<text x=\"{:.0}\" \
             y=\"{:.0}\" fill=\"#333\">{value:.1} {}</text>",
            COLOURS[0],
            x + width + 4.0,
            y + BAR - 3.0,
            panel.unit
        );
    }
}

/// How the bytes are shared out, one colour a storage.
#[allow(clippy::cast_precision_loss, reason = "a number of rows")]
fn shares(svg: &mut String, x: f64, outcomes: &[Outcome]) {
    heading(svg, x, "bytes by storage");
    for (at, outcome) in outcomes.iter().enumerate() {
        let sum: f64 = outcome.storages.iter().map(|share| share.bytes).sum();
        let y = TOP + at as f64 * ROW;
        let mut from = x;
        for (share, colour) in outcome.storages.iter().zip(COLOURS.iter().cycle()) {
            let width = if sum > 0.0 { share.bytes / sum * PANEL } else { 0.0 };
            let _ = writeln!(
                svg,
                "<rect x=\"{from:.1}\" y=\"{y:.0}\" width=\"{width:.1}\" height=\"{BAR:.0}\" fill=\"{colour}\"><title>{}: \
                 {:.1}%</title></rect>",
                escaped(&share.storage),
                if sum > 0.0 { share.bytes / sum * 100.0 } else { 0.0 }
            );
            from += width;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::{Share, Waits};

    #[test]
    fn every_outcome_has_its_bars_and_names_are_escaped() {
        let outcome = |policy: &str, bytes: [f64; 2]| Outcome {
            policy: policy.to_owned(),
            layout: String::new(),
            jobs: 0,
            ended: 0,
            failed: 0,
            failed_full: 0,
            refused: 0,
            makespan_seconds: 0.0,
            waits: Waits::default(),
            lasts: Waits::default(),
            imbalance: 0.0,
            scattered: 0.25,
            storages: bytes
                .into_iter()
                .map(|bytes| Share {
                    storage: "<File4>".to_owned(),
                    jobs: 0,
                    bytes,
                    busy_seconds: 0.0,
                })
                .collect(),
        };
        let svg = svg(&[outcome("LeastUsed", [3.0, 1.0]), outcome("A & B", [0.0, 0.0])]);
        assert_eq!(svg.matches("<rect").count(), 1 + 2 * (PANELS.len() + 2));
        assert!(svg.contains("A &amp; B") && svg.contains("&lt;File4&gt;: 75.0%") && svg.contains("25.0 %"));
        assert!(svg.starts_with("<svg xmlns") && svg.ends_with("</svg>\n"));
    }
}
