//! The three paths there are.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::{Registry, TextEncoder};

use super::readiness::Readiness;

#[derive(Debug, Clone)]
pub(super) struct Service {
    pub(super) readiness: Arc<Readiness>,
    pub(super) metrics: Registry,
}

pub(super) fn router(service: Service) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .fallback(not_found)
        .with_state(service)
}

/// The process answers: that is all that liveness means.
async fn healthz() -> &'static str {
    "ok\n"
}

async fn readyz(State(service): State<Service>) -> Response {
    let reasons = service.readiness.reasons();
    if !reasons.is_empty() {
        let body = format!("{{\"ready\":false,\"reasons\":[{}]}}\n", codes(reasons));
        return (StatusCode::SERVICE_UNAVAILABLE, JSON, body).into_response();
    }
    let warnings = service.readiness.warnings();
    if warnings.is_empty() {
        return "ready\n".into_response();
    }
    (JSON, format!("{{\"ready\":true,\"warnings\":[{}]}}\n", codes(warnings))).into_response()
}

const JSON: [(header::HeaderName, &str); 1] = [(header::CONTENT_TYPE, "application/json")];

/// Codes as members of a JSON list; they contain nothing that JSON would escape.
fn codes(codes: impl IntoIterator<Item = &'static str>) -> String {
    codes.into_iter().map(|code| format!("\"{code}\"")).collect::<Vec<_>>().join(",")
}

async fn metrics(State(service): State<Service>) -> Response {
    match TextEncoder::new().encode_to_string(&service.metrics.gather()) {
        Ok(text) => {
            ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "metrics cannot be encoded");
            (StatusCode::INTERNAL_SERVER_ERROR, "metrics cannot be encoded\n").into_response()
        }
    }
}

async fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "not here; try /healthz, /readyz or /metrics\n").into_response()
}
