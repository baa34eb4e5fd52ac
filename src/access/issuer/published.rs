//! The keys of one issuer: read over the network when they are needed, kept a while, and kept longer
//! while the issuer does not answer.
//!
//! However many tokens come, with whatever in them, an issuer is asked at most once per pause.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::access::issuer::settings::{IssuerSettings, is_private_to_us};
use crate::access::token::verify::KeySet;
use crate::egress::{Egress, EgressError, Patience, Upstream};
use crate::types::{Clock, UpstreamRequest};

/// After so many seconds keys are read again.
const FRESH_S: i64 = 600;
/// Nothing was asked sooner than so many seconds ago, whatever token came: with a key that is not
/// known, or while the issuer does not answer.
const UNKNOWN_PAUSE_S: i64 = 30;
const FAILED_PAUSE_S: i64 = 10;
/// Keys of an issuer that does not answer are good for so long.
const STALE_S_MAX: i64 = 24 * 3600;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// How keys are read.
#[derive(Clone)]
pub(in crate::access) struct Reader {
    pub(in crate::access) egress: Egress,
    /// What it may reach.
    pub(in crate::access) upstream: Upstream,
    pub(in crate::access) clock: Clock,
}

/// The keys of one issuer.
pub(in crate::access) struct Published {
    settings: Arc<IssuerSettings>,
    state: ArcSwap<State>,
    /// One request at a time.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Clone, Default)]
struct State {
    keys: Option<Arc<KeySet>>,
    /// When they were read, and when that was tried last, in seconds since 1970.
    read_at: i64,
    tried_at: Option<i64>,
}

/// Why keys cannot be read.
#[derive(Debug, thiserror::Error)]
pub(in crate::access) enum ReadError {
    #[error(transparent)]
    Egress(#[from] EgressError),
    #[error("{0} answered with status {1}")]
    Status(Url, u16),
    #[error("{0} gives no keys that tokens can be verified with")]
    NoKeys(Url),
    #[error("{0} describes another issuer, or says nowhere that can be trusted where its keys are")]
    Description(String),
}

impl Reader {
    /// One that reaches what everybody may.
    pub(in crate::access) fn new(egress: Egress, clock: Clock) -> Self {
        let upstream = egress.upstream(&[]);
        Self {
            egress,
            upstream,
            clock,
        }
    }
}

impl State {
    fn age(&self, now: i64) -> i64 {
        now.saturating_sub(self.read_at)
    }

    /// Whether to ask now: because of their age, or since `unknown`, a key that is not among them.
    fn is_due(&self, now: i64, unknown: bool) -> bool {
        let wanted = self.keys.is_none() || unknown || self.age(now) >= FRESH_S;
        let pause = if unknown && self.keys.is_some() {
            UNKNOWN_PAUSE_S
        } else {
            FAILED_PAUSE_S
        };
        let rested = self
            .tried_at
            .is_none_or(|tried| !(0..pause).contains(&(now - tried)));
        wanted && rested
    }

    fn good(&self, now: i64) -> Option<Arc<KeySet>> {
        self.keys.clone().filter(|_| self.age(now) < STALE_S_MAX)
    }
}

impl Published {
    pub(in crate::access) fn new(settings: Arc<IssuerSettings>) -> Arc<Self> {
        Arc::new(Self {
            settings,
            state: ArcSwap::default(),
            asking: tokio::sync::Mutex::new(()),
        })
    }

    /// The keys as they are known; read anew where they are old, or since one was `unknown` and that
    /// was not tried just now. `None`: there are none, because the issuer does not answer.
    pub(in crate::access) async fn keys(
        self: &Arc<Self>,
        reader: &Reader,
        unknown: bool,
    ) -> Option<Arc<KeySet>> {
        let now = reader.clock.now().timestamp();
        let state = self.state.load();
        if state.is_due(now, unknown) {
            drop(state);
            let (published, reader) = (self.clone(), reader.clone());
            // A task, because whoever asked may leave and others wait for the same answer; it ends with
            // its timeout.
            let asked = tokio::spawn(async move { published.ask(&reader, unknown).await });
            let _ = asked.await;
        } else if state.keys.is_none() || unknown {
            drop(state);
            // Somebody may be asking just now.
            let _ = self.asking.lock().await;
        }
        self.state.load().good(now)
    }

    async fn ask(&self, reader: &Reader, unknown: bool) {
        let _one = self.asking.lock().await;
        let now = reader.clock.now().timestamp();
        let before = State::clone(&self.state.load());
        if !before.is_due(now, unknown) {
            return;
        }
        let tried = State {
            tried_at: Some(now),
            ..before
        };
        self.state.store(Arc::new(tried.clone()));
        match self.read(reader).await {
            Ok(keys) => self.state.store(Arc::new(State {
                keys: Some(Arc::new(keys)),
                read_at: now,
                ..tried
            })),
            Err(error) => {
                let issuer = &self.settings.issuer;
                tracing::warn!(%issuer, %error, "the keys of an issuer cannot be read now");
            }
        }
    }

    async fn read(&self, reader: &Reader) -> Result<KeySet, ReadError> {
        let url = match &self.settings.jwks_url {
            Some(url) => url.clone(),
            None => self.described(reader).await?,
        };
        let body = get(reader, &url).await?;
        KeySet::parse(&body).ok_or(ReadError::NoKeys(url))
    }

    /// Where the issuer says its keys are.
    async fn described(&self, reader: &Reader) -> Result<Url, ReadError> {
        let wrong = || ReadError::Description(self.settings.issuer.clone());
        let at = self.settings.description().ok_or_else(wrong)?;
        let body = get(reader, &at).await?;
        let said: Value = serde_json::from_slice(&body).unwrap_or_default();
        let url = said["jwks_uri"]
            .as_str()
            .and_then(|url| Url::parse(url).ok());
        url.filter(|url| said["issuer"] == *self.settings.issuer && is_private_to_us(url))
            .ok_or_else(wrong)
    }
}

/// What an address answers with. A redirect is no answer.
pub(in crate::access) async fn get(reader: &Reader, url: &Url) -> Result<Bytes, ReadError> {
    let accept = HeaderValue::from_static("application/json, application/jwk-set+json");
    let request = UpstreamRequest {
        method: Method::GET,
        url: url.clone(),
        headers: HeaderMap::from_iter([(ACCEPT, accept)]),
        body: Bytes::new(),
    };
    let never = CancellationToken::new();
    let patience = Patience {
        deadline: Instant::now() + REQUEST_TIMEOUT,
        cancel: &never,
    };
    let sent = reader
        .egress
        .send_short(&reader.upstream, request, patience, ANSWER_BYTES_MAX);
    let answer = sent.await?;
    if answer.status != http::StatusCode::OK || answer.truncated {
        return Err(ReadError::Status(url.clone(), answer.status.as_u16()));
    }
    Ok(answer.body)
}
