//! The metrics of one test: all of its sdgroup runs on the test's own thread.

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::wait::until_true;

/// Metrics, from here until it is dropped. To be made before anything that counts, in a test of one thread.
pub(crate) struct Meters {
    handle: PrometheusHandle,
    _recording: metrics::LocalRecorderGuard<'static>,
}

impl Meters {
    pub(crate) fn new() -> Self {
        // A test's recorder lives as long as the test's process, which is short.
        let recorder: &'static PrometheusRecorder = Box::leak(Box::new(PrometheusBuilder::new().build_recorder()));
        Self {
            handle: recorder.handle(),
            _recording: metrics::set_default_local_recorder(recorder),
        }
    }

    /// The sum of all series with whole numbers whose name and labels have all of these parts.
    pub(crate) fn sum(&self, parts: &[&str]) -> i64 {
        let text = self.handle.render();
        let series = text.lines().filter_map(|line| line.rsplit_once(' '));
        let wanted =
            series.filter(|(series, _)| !series.starts_with('#') && parts.iter().all(|part| series.contains(part)));
        wanted.filter_map(|(_, value)| value.parse::<i64>().ok()).sum()
    }

    /// Waits until the sum is `count`.
    pub(crate) async fn until(&self, parts: &[&str], count: i64) {
        until_true(&format!("{parts:?} to be {count}"), || self.sum(parts) == count).await;
    }
}
