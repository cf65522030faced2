//! The operator's interface: JSON over HTTP, below `/api/v1`.
//!
//! What it answers is made of types of its own, so that it stays the same when what they are made from changes; the
//! command line and the dashboard read the same types. Times are in UTC and as RFC 3339 writes them, sizes are bytes.
//! Its description for programs, `/api/v1/openapi.json`, is made of the types and the routes.

pub mod config;
mod error;
pub mod explain;
pub mod explanation;
pub mod failovers;
pub mod groups;
pub mod handover;
pub mod jobs;
#[cfg(test)]
mod openapi_tests;
pub mod overview;
pub mod peers;
pub mod process;
pub mod queue;
pub mod reload;
pub mod sessions;
pub mod storages;
#[cfg(test)]
mod tests;
pub mod traffic;
pub mod volumes;

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::http::header;
use axum::routing::get;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use error::{ApiError, ErrorShown};

use super::{Steering, Vitals};
use crate::session::{Context, Current};
use crate::store::Store;
use crate::types::Moment;

/// What every request finds, whatever configuration is in force when it comes.
#[derive(Clone)]
pub struct Office {
    /// The configuration in force, with the storages and the jobs.
    pub current: Arc<Current>,
    /// What outlives the process.
    pub store: Arc<dyn Store>,
    /// The process itself.
    pub steering: Arc<dyn Steering>,
    /// How the process is.
    pub vitals: Arc<dyn Vitals>,
    /// When it started.
    pub started: Moment,
}

/// What the answers to one request are made of.
#[derive(Debug, Clone)]
pub struct Desk {
    /// The storages and the jobs.
    pub context: Arc<Context>,
    /// What outlives the process.
    pub store: Arc<dyn Store>,
    /// The process itself.
    pub steering: Arc<dyn Steering>,
    /// How the process is.
    pub vitals: Arc<dyn Vitals>,
    /// When it started.
    pub started: Moment,
}

/// What the description says before the routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "sdgroup",
        description = "The operator's interface of sdgroup. On its socket nobody logs in; at AdminAddress every request carries \
                       the token (Authorization: Bearer). Times are in UTC, sizes are bytes. An answer that is none is an \
                       ErrorShown, which says what to do.",
        license(name = "Apache-2.0 OR MIT"),
    ),
    security((), ("token" = [])),
    modifiers(&Token),
)]
struct Description;

/// How a caller at `AdminAddress` shows that he may command.
struct Token;

impl utoipa::Modify for Token {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
    }
}

impl FromRef<Office> for Desk {
    fn from_ref(office: &Office) -> Self {
        Self {
            context: office.current.context(),
            store: Arc::clone(&office.store),
            steering: Arc::clone(&office.steering),
            vitals: Arc::clone(&office.vitals),
            started: office.started,
        }
    }
}

/// The interface.
pub fn api(office: Office) -> Router {
    let (router, document) = described().split_for_parts();
    let document: Arc<str> = serde_json::to_string(&document).unwrap_or_default().into();
    let served = move || {
        let document = Arc::clone(&document);
        async move { ([(header::CONTENT_TYPE, "application/json")], document.to_string()) }
    };
    router
        .route("/api/v1/openapi.json", get(served))
        .route("/api/{*path}", axum::routing::any(unknown))
        .with_state(office)
}

/// The routes, and what is said of them.
fn described() -> OpenApiRouter<Office> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(process::process))
        .routes(routes!(peers::all))
        .routes(routes!(groups::all))
        .routes(routes!(storages::all))
        .routes(routes!(storages::one))
        .routes(routes!(storages::decide))
        .routes(routes!(jobs::all))
        .routes(routes!(queue::all))
        .routes(routes!(explain::explain))
        .routes(routes!(failovers::all))
        .routes(routes!(sessions::all))
        .routes(routes!(sessions::end))
        .routes(routes!(volumes::all))
        .routes(routes!(traffic::traffic))
        .routes(routes!(config::config))
        .routes(routes!(reload::reload))
        .routes(routes!(handover::hand_over))
        .routes(routes!(overview::overview))
        .routes(routes!(overview::events))
}

async fn unknown() -> ApiError {
    ApiError::missing("there is nothing of that name; /api/v1/openapi.json tells all that is there")
}
