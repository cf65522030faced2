//! For tests: the metrics text and the log lines that a piece of code made.

use std::io;
use std::sync::{Arc, Mutex};

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use tracing_subscriber::fmt::MakeWriter;

use super::{log, names};

/// A recorder of one test's own.
pub(crate) struct Scrape {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl Scrape {
    pub(crate) fn new() -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, names::describe);
        Self { recorder, handle }
    }

    /// Runs `work` with this recorder.
    pub(crate) fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        metrics::with_local_recorder(&self.recorder, work)
    }

    /// Runs `work` with this recorder, on a runtime of one thread.
    pub(crate) async fn beside<T>(&self, work: impl Future<Output = T>) -> T {
        let _guard = metrics::set_default_local_recorder(&self.recorder);
        work.await
    }

    pub(crate) fn text(&self) -> String {
        self.handle.render()
    }

    /// The value of one series, as `/metrics` has it.
    pub(crate) fn value(&self, series: &str) -> String {
        let text = self.text();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{series} is not in:\n{text}")).to_owned()
    }
}

/// The log lines of one test.
#[derive(Clone, Default)]
pub(crate) struct LogLines(Arc<Mutex<Vec<u8>>>);

impl LogLines {
    /// The lines, in the given format, that `work` logs.
    pub(crate) fn of(format: log::Format, work: impl FnOnce()) -> Vec<String> {
        let lines = Self::default();
        let subscriber = log::subscriber(format, "trace", false, lines.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, work);
        lines.text().lines().map(str::to_owned).collect()
    }

    /// All of them.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for LogLines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for LogLines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
