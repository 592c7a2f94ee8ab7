//! Which request is answered by what.
use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{
        DefaultBodyLimit, Query, Request, State,
        rejection::{BytesRejection, QueryRejection},
    },
    http::StatusCode,
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use tokio::{net::UnixListener, sync::Semaphore};

use super::{
    Control, Earnings, EnergyAnswer, For, Spoken, Status,
    failure::{Failure, failure},
    metrics,
};
use crate::{
    amount::Unit,
    earnings,
    governor::now_secs,
    policy::Mode,
    why::{Summary, WINDOW_SECS},
};

/// Largest request.
const MAX_BODY_BYTES: usize = 4096;
/// Requests at a time; further ones are turned away.
const MAX_REQUESTS: usize = 16;
/// Longest request; earnings of years take their time.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Debug, Deserialize)]
struct WhyQuery {
    secs: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct EarningsQuery {
    days: Option<u32>,
}

/// Answers until the worker ends.
pub async fn serve(listener: UnixListener, control: Arc<Control>) {
    let stop = control.shutdown.clone();
    let served = axum::serve(listener, router(control)).with_graceful_shutdown(stop.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(%error, "the control API ended");
    }
}

fn router(control: Arc<Control>) -> Router {
    let slots = Arc::new(Semaphore::new(MAX_REQUESTS));
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/why", get(why))
        .route("/v1/energy", get(energy))
        .route("/v1/earnings", get(all_earnings))
        .route("/v1/pause", post(pause))
        .route("/v1/resume", post(resume))
        .route("/v1/drain", post(drain))
        .route("/v1/reload", post(reload))
        .route("/v1/metrics", get(metrics_text))
        .fallback(|| async { failure(StatusCode::NOT_FOUND, "there is no such path; docs/CONTROL.md lists them") })
        .method_not_allowed_fallback(|| async {
            failure(StatusCode::METHOD_NOT_ALLOWED, "this path takes another method; docs/CONTROL.md lists them")
        })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn_with_state(slots, bounded))
        .with_state(control)
}

async fn bounded(State(slots): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    let Ok(_slot) = slots.try_acquire() else {
        return failure(StatusCode::SERVICE_UNAVAILABLE, "too many requests at a time; try again");
    };
    match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => failure(StatusCode::GATEWAY_TIMEOUT, "it took longer than a minute; is the chain's node slow?"),
    }
}

async fn status(State(control): State<Arc<Control>>) -> Json<Status> {
    Json(control.status().await)
}

async fn why(
    State(control): State<Arc<Control>>,
    query: Result<Query<WhyQuery>, QueryRejection>,
) -> Result<Json<Summary>, Failure> {
    let secs = query?.secs.unwrap_or(WINDOW_SECS).min(WINDOW_SECS);
    Ok(Json(control.ctx.governor.why.summary(now_secs(), secs)))
}

async fn all_earnings(
    State(control): State<Arc<Control>>,
    query: Result<Query<EarningsQuery>, QueryRejection>,
) -> Result<Json<Earnings>, Failure> {
    let earnings = earnings::read(&control.ctx.chain, control.ctx.me, query?.days.unwrap_or(30)).await;
    let earnings = earnings.map_err(|error| Failure(StatusCode::BAD_GATEWAY, format!("{error:#}")))?;
    let Unit { symbol, decimals } = control.unit.clone();
    let energy = control.ctx.governor.energy.accounts();
    Ok(Json(Earnings { symbol, decimals, earnings, energy }))
}

async fn energy(State(control): State<Arc<Control>>) -> Result<Json<EnergyAnswer>, Failure> {
    let energy = &control.ctx.governor.energy;
    let Some(state) = energy.state() else {
        let text = match energy.is_on() {
            true => "the sensors were not read yet; ask again in a few seconds",
            false => {
                "no energy is kept: name sensors (energy_sensors) or a simulation (simulate) in the settings; docs/ENERGY.md"
            }
        };
        return Err(Failure(StatusCode::NOT_FOUND, text.into()));
    };
    let attestation = energy.attestation().map(|attestation| (*attestation).clone());
    Ok(Json(EnergyAnswer { state: (*state).clone(), agreements: energy.accounts(), attestation }))
}

async fn pause(State(control): State<Arc<Control>>, body: Body) -> Result<Response, Failure> {
    Ok(control.speak(Mode::Paused { until: until(body)? }))
}

async fn resume(State(control): State<Arc<Control>>) -> Response {
    control.speak(Mode::Auto)
}

async fn drain(State(control): State<Arc<Control>>, body: Body) -> Result<Response, Failure> {
    Ok(control.speak(Mode::Draining { until: until(body)? }))
}

type Body = Result<Bytes, BytesRejection>;

/// Reads a [`For`], whatever content type was named: a duration that is overlooked would be a pause without an end.
fn until(body: Body) -> Result<Option<u64>, Failure> {
    let bytes = body?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let read: Result<For, _> = serde_json::from_slice(&bytes);
    let problem = |error| format!("the body cannot be used: {error}; expected nothing or {{\"secs\": 1800}}");
    let wanted = read.map_err(|error| Failure(StatusCode::BAD_REQUEST, problem(error)))?;
    Ok(wanted.secs.map(|secs| now_secs().saturating_add(secs)))
}

async fn reload(State(control): State<Arc<Control>>) -> Response {
    match (control.reload)() {
        Ok(reloaded) => Json(reloaded).into_response(),
        Err(error) => failure(StatusCode::UNPROCESSABLE_ENTITY, format!("{error:#}")),
    }
}

async fn metrics_text(State(control): State<Arc<Control>>) -> String {
    metrics::text(&control)
}

impl Control {
    fn speak(&self, mode: Mode) -> Response {
        if let Err(error) = self.ctx.governor.set_mode(mode) {
            return failure(StatusCode::INTERNAL_SERVER_ERROR, format!("writing it down: {error}"));
        }
        tracing::info!(?mode, "the owner speaks");
        Json(Spoken { mode, agreements: self.taken_part() }).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_duration_is_overlooked() {
        let read = |text: &'static str| until(Ok(Bytes::from_static(text.as_bytes())));
        assert_eq!(read(""), Ok(None));
        assert!(read("{\"secs\":5}").unwrap().unwrap() >= now_secs());
        for bad in ["secs=5", "{\"secs\":-1}", "{\"minutes\":1}", "5"] {
            let Failure(code, error) = read(bad).unwrap_err();
            assert_eq!(code, StatusCode::BAD_REQUEST);
            assert!(error.contains("expected nothing or {\"secs\": 1800}"), "{error}");
        }
    }
}
