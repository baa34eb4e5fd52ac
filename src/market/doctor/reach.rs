//! The way from outside to this process, walked by the process itself: by its public URL, and by nothing
//! else. The policy for APIs forbids that address; this is no request for anybody.

use std::time::{Duration, Instant};

use http::{HeaderMap, Method};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::egress::{AllowRule, Egress, EgressError, EgressSettings, Patience};
use crate::market::api::Market;
use crate::market::doctor::probe::{self, Echo};
use crate::market::doctor::{Check, State, hosts};
use crate::types::{UpstreamRequest, UpstreamResponse};

/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(6);
const ANSWER_BYTES_MAX: usize = 16 << 10;
/// A stream was not held back if its first event came so long before its end.
const EARLIER: Duration = Duration::from_millis(600);

/// Whether the public URL leads to this process, and with a host that it lets in.
pub(super) async fn public(market: &Market) -> Vec<Check> {
    let parts = &market.0.parts;
    let base = parts.address.at_start();
    let nonce = uuid::Uuid::now_v7().simple().to_string();
    let url = format!("{base}{}?nonce={nonce}", probe::ECHO);
    let of = |state, found| Check::new("public-url", state, found).with("url", base);
    let answer = match ask(&url, &|| {}).await {
        Ok(answer) => answer,
        Err(why) => {
            let check = of(State::Fail, "doctor-public-unreached").with("why", why);
            return vec![check.advise("doctor-public-unreached-advice")];
        }
    };
    let echo = serde_json::from_slice::<Echo>(&answer.body);
    let Some(echo) = echo.ok().filter(|_| answer.status.is_success()) else {
        let check = of(State::Fail, "doctor-public-stranger").with("status", answer.status);
        return vec![check.advise("doctor-public-stranger-advice")];
    };
    let is_public = parts.doctor.0.places.is_public;
    let check = match echo.answer == parts.doctor.sign(&nonce) {
        true if is_public => of(State::Ok, "doctor-public-fine"),
        true => of(State::Ok, "doctor-public-unsaid"),
        false => of(State::Warn, "doctor-public-other").advise("doctor-public-other-advice"),
    };
    vec![check, hosts(&parts.hosts, echo.admitted)]
}

/// Whether a stream through the public URL arrives as it is sent.
pub(super) async fn streaming(market: &Market) -> Vec<Check> {
    let url = format!("{}{}", market.0.parts.address.at_start(), probe::STREAM);
    let began = Instant::now();
    let first = Mutex::new(None::<Instant>);
    let arrived = || {
        first.lock().get_or_insert_with(Instant::now);
    };
    let answer = ask(&url, &arrived).await;
    let ended = Instant::now();
    let fine = |answer: &UpstreamResponse| answer.status.is_success() && !answer.truncated;
    let first = *first.lock();
    let check = match (answer, first) {
        (Ok(answer), Some(first)) if fine(&answer) => {
            let early = ended.duration_since(first) >= EARLIER;
            let check = if early {
                Check::new("streaming", State::Ok, "doctor-streaming-fine")
            } else {
                Check::new("streaming", State::Fail, "doctor-streaming-held")
                    .advise("doctor-streaming-advice")
            };
            check
                .with("ms", first.duration_since(began).as_millis())
                .with("all", probe::STREAM_TAKES.as_millis())
        }
        // Why it is not reached is told where that is looked at.
        _ => Check::new("streaming", State::Fail, "doctor-streaming-none"),
    };
    vec![check]
}

/// Asks an address of our own.
async fn ask(
    url: &str,
    arrived: &(dyn Fn() + Send + Sync),
) -> Result<UpstreamResponse, EgressError> {
    let url: Url = url.parse().map_err(|_| EgressError::InvalidUrl)?;
    let egress = egress(&url).ok_or(EgressError::InvalidUrl)?;
    let request = UpstreamRequest {
        method: Method::GET,
        url,
        headers: HeaderMap::new(),
        body: bytes::Bytes::new(),
    };
    let cancel = CancellationToken::new();
    let patience = Patience {
        deadline: Instant::now() + REQUEST,
        cancel: &cancel,
    };
    let upstream = egress.upstream(&[]);
    let watch = |_| arrived();
    egress
        .send_watched(&upstream, request, patience, &watch)
        .await
}

/// Connections to this one address.
fn egress(url: &Url) -> Option<Egress> {
    let port = url.port_or_known_default()?;
    let rule: AllowRule = format!("{}:{port}", url.host_str()?).parse().ok()?;
    Some(Egress::new(EgressSettings {
        allow: vec![rule],
        first_byte_timeout: REQUEST,
        body_bytes_max: ANSWER_BYTES_MAX,
        ..EgressSettings::default()
    }))
}
