//! A connection to a running server's `/api/v1`: requests, lists that are followed from page to page,
//! and waiting for one's turn.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::Bytes;
use clap::Args;
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::cli::missing::missing;
use crate::cli::sent::Sent;
use crate::config;
use crate::egress::{AllowRule, Egress, EgressSettings, Patience};
use crate::problem::NOTHING;
use crate::types::{UpstreamRequest, UpstreamResponse};

const PATIENCE: Duration = Duration::from_mins(10);

/// Where `causeway serve` is by default.
pub(super) const DEFAULT_URL: &str = "http://127.0.0.1:8080";

/// Which server, and who asks.
#[derive(Args)]
pub(super) struct Target {
    /// The running server
    #[arg(
        long = "server",
        global = true,
        display_order = 900,
        value_name = "URL",
        default_value = DEFAULT_URL,
        env = "CAUSEWAY_SERVER"
    )]
    url: Url,
    #[command(flatten)]
    auth: Auth,
}

#[derive(Args)]
pub(super) struct Auth {
    /// A key for it: the admin key, or for `call` also an API key. Without one, ./data/admin.key is
    /// used if it is there and the server runs on this machine
    #[arg(
        long,
        global = true,
        display_order = 901,
        value_name = "K",
        env = "CAUSEWAY_KEY",
        hide_env_values = true
    )]
    key: Option<String>,
}

/// What a segment of a path holds as it is (RFC 3986 section 2.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// How often a request is sent again that came too soon, and how long that is waited for.
const WAITS_MAX: usize = 10;
const WAIT_MAX: Duration = Duration::from_secs(30);
/// Rows of each page of a list but the first, and pages that are followed.
const PAGE_ROWS: usize = 1_000;
const PAGES_MAX: usize = 1_000;

/// A path below `/api/v1`, of segments that may hold anything.
pub(super) fn path_of(segments: &[&str]) -> String {
    let escaped = segments
        .iter()
        .map(|segment| format!("/{}", utf8_percent_encode(segment, ESCAPED)));
    format!("/api/v1{}", escaped.collect::<String>())
}

/// A connection to one server's API.
pub(super) struct Api {
    egress: Egress,
    url: Url,
    key: Option<String>,
}

impl Api {
    pub(super) fn new(url: Url, key: Option<String>) -> anyhow::Result<Self> {
        let host = url
            .host_str()
            .context("the URL of the server names no host")?;
        let port = url.port_or_known_default().unwrap_or(80);
        let rule: AllowRule = format!("{host}:{port}").parse()?;
        // The user named this server: it is the one destination there is.
        let egress = Egress::new(EgressSettings {
            allow: vec![rule],
            ..EgressSettings::default()
        });
        Ok(Self { egress, url, key })
    }

    pub(super) fn of(target: Target) -> anyhow::Result<Self> {
        Self::with(target.url, target.auth)
    }

    /// With the key that was given; else the one in `./data`, but for a server on this machine only:
    /// it is no other server's business.
    pub(super) fn with(url: Url, auth: Auth) -> anyhow::Result<Self> {
        let here = match url.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        };
        let key = auth.key.or_else(|| here.then(local_key).flatten());
        Self::new(url, key)
    }

    /// Sends a request whose answer is JSON, or nothing at all; a problem comes back as an error with
    /// its detail.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Sent>,
    ) -> anyhow::Result<Value> {
        let text = self.exchange(method, path, body).await?;
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&text).map_err(|_| self.stranger())
    }

    /// What there is at a path; `None`: nothing.
    pub(super) async fn find(&self, path: &str) -> anyhow::Result<Option<Value>> {
        let response = self.asked(Method::GET, path, None).await?;
        if response.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let body = self.good(response, path)?;
        serde_json::from_slice(&body)
            .map(Some)
            .map_err(|_| self.stranger())
    }

    /// Asks for a list and follows its pages: the first answer, with the rows of all pages in each of
    /// `members`.
    pub(super) async fn list(&self, path: &str, members: &[&str]) -> anyhow::Result<Value> {
        let mut whole = self.send(Method::GET, path, None).await?;
        for _ in 0..PAGES_MAX {
            let cursor = whole["nextCursor"].take();
            let Some(cursor) = cursor.as_str() else {
                if let Some(whole) = whole.as_object_mut() {
                    whole.remove("nextCursor");
                }
                return Ok(whole);
            };
            let joint = if path.contains('?') { '&' } else { '?' };
            let next = format!("{path}{joint}limit={PAGE_ROWS}&cursor={cursor}");
            let mut next = self.send(Method::GET, &next, None).await?;
            for member in members {
                match (&mut whole[*member], next[*member].take()) {
                    (Value::Array(rows), Value::Array(more)) => rows.extend(more),
                    (Value::Object(rows), Value::Object(more)) => rows.extend(more),
                    _ => return Err(self.stranger()),
                }
            }
            whole["nextCursor"] = next["nextCursor"].take();
        }
        bail!(
            "{} has more than {} rows",
            self.origin(),
            PAGES_MAX * PAGE_ROWS
        )
    }

    /// A path of ours, below the path that the server's URL may have.
    fn address(&self, path: &str) -> anyhow::Result<Url> {
        let base = self.url.as_str().trim_end_matches('/');
        Ok(format!("{base}{path}").parse()?)
    }

    /// What answers, but not as Causeway does.
    pub(super) fn stranger(&self) -> anyhow::Error {
        anyhow::anyhow!(
            "{} answered with something else than Causeway does; is it the address of a Causeway?",
            self.origin()
        )
    }

    /// Sends a request; the body of an answer that says it went well.
    pub(super) async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<Sent>,
    ) -> anyhow::Result<Bytes> {
        let response = self.asked(method, path, body).await?;
        self.good(response, path)
    }

    /// Sends a request, and again where it came too soon.
    async fn asked(
        &self,
        method: Method,
        path: &str,
        body: Option<Sent>,
    ) -> anyhow::Result<UpstreamResponse> {
        let mut headers = HeaderMap::new();
        if let Some(key) = &self.key {
            let mut value = HeaderValue::from_str(&format!("Bearer {key}"))
                .context("--key has characters a key cannot have")?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let body = body.map(|sent| {
            headers.insert(CONTENT_TYPE, sent.kind);
            sent.bytes
        });
        let request = UpstreamRequest {
            method,
            url: self.address(path)?,
            headers,
            body: body.unwrap_or_default(),
        };
        let mut response = self.answered(request.clone()).await?;
        for _ in 0..WAITS_MAX {
            let Some(wait) = waits(&response) else { break };
            tokio::time::sleep(wait).await;
            response = self.answered(request.clone()).await?;
        }
        Ok(response)
    }

    /// The body of an answer that says it went well; a problem comes back as an error.
    fn good(&self, response: UpstreamResponse, path: &str) -> anyhow::Result<Bytes> {
        if response.status.is_success() {
            return Ok(response.body);
        }
        let answer: Value = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
        let detail = answer
            .get("detail")
            .and_then(Value::as_str)
            .unwrap_or("no details");
        let named = missing(path).filter(|_| detail == NOTHING);
        let named = named.map(|named| format!("there is {named}, or not for you"));
        let detail = named.as_deref().unwrap_or(detail);
        let hint = match response.status.as_u16() {
            401 => "; give --key, the admin key of the server (admin.key in its data directory)",
            404 => "; check the names and ids, the server's home page lists what there is",
            _ => "",
        };
        bail!(
            "{} answered {}: {detail}{hint}",
            self.origin(),
            response.status
        )
    }

    /// Sends once.
    async fn answered(&self, request: UpstreamRequest) -> anyhow::Result<UpstreamResponse> {
        let cancel = CancellationToken::new();
        let patience = Patience {
            deadline: Instant::now() + PATIENCE,
            cancel: &cancel,
        };
        let upstream = self.egress.upstream(&[]);
        let sent = self.egress.send(&upstream, request, patience).await;
        sent.with_context(|| {
            format!(
                "no answer from {}; is `causeway serve` running there?",
                self.origin()
            )
        })
    }

    /// The server, as it is said to people.
    fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }
}

/// How long to wait before a request is sent again that came too soon, where that is soon enough.
fn waits(response: &UpstreamResponse) -> Option<Duration> {
    if response.status != StatusCode::TOO_MANY_REQUESTS {
        return None;
    }
    let seconds = response.headers.get(RETRY_AFTER)?.to_str().ok()?.parse();
    let wait = seconds.ok().map(Duration::from_secs);
    wait.filter(|wait| *wait <= WAIT_MAX)
}

/// The admin key of a server on this machine, started from this directory.
fn local_key() -> Option<String> {
    let data = config::environment("CAUSEWAY__STORE__DATA").unwrap_or_else(|| "./data".to_owned());
    let text = std::fs::read_to_string(Path::new(&data).join("admin.key")).ok()?;
    Some(text.trim().to_owned())
}
