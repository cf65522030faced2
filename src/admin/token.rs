//! Who may use the operator's interface over the network: whoever knows the token.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};

use super::api::ErrorShown;
use super::server::Caller;
use crate::telemetry::event::{TokenCause, TokenRefused};
use crate::types::Secret;

/// What tells the token that is in force; nobody is let in where there is none.
pub type InForce = Arc<dyn Fn() -> Option<Secret> + Send + Sync>;

/// `pages`, for those who show the token with every request.
pub fn guarded(pages: Router, token: InForce) -> Router {
    pages.layer(middleware::from_fn_with_state(token, check))
}

async fn check(State(token): State<InForce>, request: Request, next: Next) -> Response {
    let cause = match shown(request.headers()) {
        Some(shown) if token().is_some_and(|token| token == shown) => return next.run(request).await,
        Some(_) => TokenCause::Wrong,
        None => TokenCause::Missing,
    };
    let caller = request.extensions().get::<Caller>();
    TokenRefused {
        peer: caller.and_then(|Caller(peer)| *peer),
        cause,
    }
    .emit();
    let error = "show the token of the configuration (AdminToken): Authorization: Bearer TOKEN".to_owned();
    let details = Vec::new();
    let shown = ErrorShown { error, details };
    let scheme = [(header::WWW_AUTHENTICATE, "Bearer")];
    (StatusCode::UNAUTHORIZED, scheme, Json(shown)).into_response()
}

/// Secrets are compared in a time that does not depend on where they differ.
fn shown(headers: &HeaderMap) -> Option<Secret> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| Secret::new(token.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use hyper_util::service::TowerToHyperService;

    use super::*;
    use crate::telemetry::log::Format;
    use crate::telemetry::testing::{LogLines, Scrape};

    const NONE: [Option<&str>; 3] = [None, Some("Basic 0123456789abcdef"), Some("0123456789abcdef")];
    const WRONG: [Option<&str>; 2] = [Some("Bearer 0123456789abcdeF"), Some("Bearer ")];

    async fn status(in_force: Option<Secret>, authorization: Option<&str>) -> u16 {
        let pages = Router::new().route("/", get(|| async { "hello" }));
        let pages = guarded(pages, Arc::new(move || in_force.clone()));
        let caller = Caller(Some("192.0.2.7:4711".parse().unwrap()));
        let mut request = Request::builder().uri("/").extension(caller);
        if let Some(text) = authorization {
            request = request.header(header::AUTHORIZATION, text);
        }
        let service = TowerToHyperService::new(pages);
        let request = request.body(Body::empty()).unwrap();
        let response = hyper::service::Service::call(&service, request).await.unwrap();
        response.status().as_u16()
    }

    fn token() -> Secret {
        Secret::new("0123456789abcdef".to_owned())
    }

    #[tokio::test]
    async fn only_the_token_opens() {
        assert_eq!(status(Some(token()), Some("Bearer 0123456789abcdef")).await, 200);
        assert_eq!(status(Some(token()), Some("bearer 0123456789abcdef")).await, 200);
        for wrong in NONE.into_iter().chain(WRONG) {
            assert_eq!(status(Some(token()), wrong).await, 401, "{wrong:?}");
        }
    }

    #[tokio::test]
    async fn where_there_is_no_token_nobody_is_let_in() {
        for in_force in [None, Some(Secret::stand_in())] {
            for shown in [None, Some("Bearer "), Some("Bearer 0123456789abcdef")] {
                assert_eq!(status(in_force.clone(), shown).await, 401, "{shown:?}");
            }
        }
    }

    #[test]
    fn who_is_not_let_in_is_told_and_counted() {
        let scrape = Scrape::new();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let requests = async {
            for refused in NONE.into_iter().chain(WRONG) {
                status(Some(token()), refused).await;
            }
            status(Some(token()), Some("Bearer 0123456789abcdef")).await;
        };
        let lines = LogLines::of(Format::Text, || scrape.during(|| runtime.block_on(requests)));
        assert_eq!(lines.len(), 5, "who is let in is not told: {lines:?}");
        for (cause, times) in [("no_token", 3), ("wrong_token", 2)] {
            let series = format!("sdgroup_logins_refused_total{{peer=\"operator\",cause=\"{cause}\"}}");
            assert_eq!(scrape.value(&series), times.to_string());
            let told = |line: &&String| line.contains(cause) && line.contains("192.0.2.7:4711");
            assert_eq!(lines.iter().filter(told).count(), times, "{lines:?}");
        }
        let is_shown = |line: &String| line.to_lowercase().contains("0123456789abcdef");
        assert!(!lines.iter().any(is_shown), "{lines:?}");
    }
}
