//! Who may use the operator's interface over the network: whoever knows the token.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};

use super::api::ErrorShown;
use crate::types::Secret;

/// What tells the token that is in force; nobody is let in where there is none.
pub type InForce = Arc<dyn Fn() -> Option<Secret> + Send + Sync>;

/// `pages`, for those who show the token with every request.
pub fn guarded(pages: Router, token: InForce) -> Router {
    pages.layer(middleware::from_fn_with_state(token, check))
}

async fn check(State(token): State<InForce>, request: Request, next: Next) -> Response {
    if shown(request.headers()).is_some_and(|shown| token() == Some(shown)) {
        return next.run(request).await;
    }
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

    async fn status(authorization: Option<&str>) -> u16 {
        let pages = Router::new().route("/", get(|| async { "hello" }));
        let pages = guarded(pages, Arc::new(|| Some(Secret::new("0123456789abcdef".to_owned()))));
        let mut request = Request::builder().uri("/");
        if let Some(text) = authorization {
            request = request.header(header::AUTHORIZATION, text);
        }
        let service = TowerToHyperService::new(pages);
        let request = request.body(Body::empty()).unwrap();
        let response = hyper::service::Service::call(&service, request).await.unwrap();
        response.status().as_u16()
    }

    #[tokio::test]
    async fn only_the_token_opens() {
        assert_eq!(status(Some("Bearer 0123456789abcdef")).await, 200);
        assert_eq!(status(Some("bearer 0123456789abcdef")).await, 200);
        for wrong in [
            None,
            Some("Bearer 0123456789abcdeF"),
            Some("Bearer "),
            Some("Basic 0123456789abcdef"),
            Some("0123456789abcdef"),
        ] {
            assert_eq!(status(wrong).await, 401, "{wrong:?}");
        }
    }
}
