//! The metrics of the process as Prometheus reads them.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::telemetry::names::{self, Kind};

/// The type of the text that [`Exposition::render`] makes.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Why metrics cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// A histogram of the list has no bounds.
    #[error("metric {name} cannot be kept: {why}")]
    Bounds {
        /// The metric.
        name: &'static str,
        /// What the recorder says.
        why: String,
    },
    /// The process keeps metrics already.
    #[error("metrics were set up twice in one process")]
    Twice,
}

/// The text of all metrics, made anew whenever it is asked for.
#[derive(Clone)]
pub struct Exposition(PrometheusHandle);

impl Exposition {
    /// The text.
    #[must_use]
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Takes what histograms have gathered into their buckets. To be called every few seconds, or they grow.
    pub fn tidy(&self) {
        self.0.run_upkeep();
    }
}

fn recorder() -> Result<PrometheusRecorder, MetricsError> {
    let mut builder = PrometheusBuilder::new();
    for entry in names::ALL {
        if let Kind::Histogram(bounds) = entry.kind {
            builder = builder
                .set_buckets_for_metric(Matcher::Full(entry.name.to_owned()), bounds)
                .map_err(|error| MetricsError::Bounds {
                    name: entry.name,
                    why: error.to_string(),
                })?;
        }
    }
    Ok(builder.build_recorder())
}

/// Has the process keep its metrics from now on. Before this, all of them go nowhere.
///
/// # Errors
/// When it was done before.
pub fn install() -> Result<Exposition, MetricsError> {
    let recorder = recorder()?;
    let exposition = Exposition(recorder.handle());
    metrics::set_global_recorder(recorder).map_err(|_| MetricsError::Twice)?;
    names::describe();
    Ok(exposition)
}

/// Runs `work` with metrics of its own, and returns how they read.
#[cfg(test)]
pub(super) fn during(work: impl FnOnce()) -> Exposition {
    let recorder = recorder().unwrap();
    metrics::with_local_recorder(&recorder, || {
        names::describe();
        work();
    });
    Exposition(recorder.handle())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_metric_has_its_help_its_kind_and_its_labels_in_the_text() {
        let text = during(|| {
            names::JOBS_PLACED.with(["Files", "File4", "LeastUsed"]).increment(1);
            names::STORAGE_JOBS.with(["File4"]).set(3.0);
            names::SESSION_SECONDS
                .with(["director"])
                .record(Duration::from_secs(7200));
        })
        .render();
        for line in [
            "# HELP sdgroup_jobs_placed_total Jobs placed on a storage, by the policy that ranked it.",
            "# TYPE sdgroup_jobs_placed_total counter",
            r#"sdgroup_jobs_placed_total{group="Files",storage="File4",policy="LeastUsed"} 1"#,
            "# TYPE sdgroup_storage_jobs gauge",
            "# TYPE sdgroup_session_duration_seconds histogram",
            r#"sdgroup_session_duration_seconds_bucket{kind="director",le="3600"} 0"#,
            r#"sdgroup_session_duration_seconds_bucket{kind="director",le="7200"} 1"#,
            r#"sdgroup_session_duration_seconds_bucket{kind="director",le="86400"} 1"#,
        ] {
            assert!(text.lines().any(|found| found == line), "no line {line} in:\n{text}");
        }
    }

    #[test]
    fn tidying_loses_nothing() {
        let exposition = during(|| {
            let histogram = names::PROBE_SECONDS.with(["File4"]);
            for _ in 0..1000 {
                histogram.record(Duration::from_millis(3));
            }
        });
        exposition.tidy();
        exposition.tidy();
        let text = exposition.render();
        assert!(
            text.contains(r#"sdgroup_probe_duration_seconds_count{storage="File4"} 1000"#),
            "{text}"
        );
    }
}
