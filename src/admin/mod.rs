//! The operator's HTTP: metrics and liveness for everybody who is let in, and on a socket in the file system the
//! interface by which he commands ([`api`]), which is served to the network for those who show a token ([`token`]), and
//! with a page for browsers ([`dashboard`]).
//!
//! The pages know nothing of sessions: what they show they ask of [`Vitals`], which must answer without a lock that a
//! session takes, so that no scrape, however slow its reader, can hold up a job. The interface asks the directory
//! itself.

pub mod api;
pub mod dashboard;
pub mod metrics;
pub mod server;
pub mod socket;
mod steering;
pub mod token;

use std::fmt::Debug;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

use self::metrics::Exposition;

pub use self::steering::{NotReloaded, Outcome, Reloaded, Steering};

/// How the process is, asked at every request.
pub trait Vitals: Debug + Send + Sync {
    /// Brings the gauges up to date, before they are read.
    fn show(&self);

    /// In which phase of its life it is, in a word.
    fn phase(&self) -> &'static str;

    /// Why the process cannot take every job, one line each; empty when it can.
    fn obstacles(&self) -> Vec<String>;

    /// What the operator should look at although every job is taken, one line each.
    fn remarks(&self) -> Vec<String>;
}

/// What the pages are made of.
#[derive(Clone)]
struct Pages {
    exposition: Exposition,
    vitals: Arc<dyn Vitals>,
}

/// The pages: `/metrics`, `/livez`, `/readyz`.
pub fn pages(exposition: Exposition, vitals: Arc<dyn Vitals>) -> Router {
    Router::new()
        .route("/metrics", get(scrape))
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(readiness))
        .fallback(|| async { (StatusCode::NOT_FOUND, "here are: /metrics /livez /readyz\n") })
        .with_state(Pages { exposition, vitals })
}

async fn scrape(State(pages): State<Pages>) -> impl IntoResponse {
    pages.vitals.show();
    (
        [(header::CONTENT_TYPE, metrics::CONTENT_TYPE)],
        pages.exposition.render(),
    )
}

async fn readiness(State(pages): State<Pages>) -> impl IntoResponse {
    let obstacles = pages.vitals.obstacles();
    let (status, mut lines) = if obstacles.is_empty() {
        (StatusCode::OK, vec!["ready".to_owned()])
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, obstacles)
    };
    lines.extend(pages.vitals.remarks());
    lines.push(String::new());
    (status, lines.join("\n"))
}
