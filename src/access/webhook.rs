//! Tells an owner's URL of calls that wait: signed, masked, and tried a few times. Whoever calls never
//! waits for it; what does not fit the queue is lost and logged, and still stands in the inbox.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::access::vault::master::{MasterKey, Purpose};
use crate::egress::{Egress, Patience, Reach};
use crate::store::{Store, StoreError};
use crate::types::{ServerId, UpstreamRequest};

/// Notices that wait to be sent, and that are sent at once.
const QUEUE_MAX: usize = 256;
const SENDING_MAX: usize = 16;
/// How often one is tried, and how long is waited after the first failure; twice as long after each.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);
/// How long one try may take, and how much of the answer is read.
const PATIENCE: Duration = Duration::from_secs(10);
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// HMAC-SHA256 of the body.
const SIGNATURE: HeaderName = HeaderName::from_static("causeway-signature");

/// The sending side. Cheap to clone.
#[derive(Clone)]
pub struct Webhooks(Arc<Inner>);

struct Inner {
    secrets: hmac::Key,
    queue: mpsc::Sender<Notice>,
    /// Where people decide.
    page: String,
}

/// Where a notice goes, and what may be reached for it.
#[derive(Clone, Debug)]
pub struct Destination {
    pub url: Url,
    pub reach: Reach,
}

/// What is told.
pub struct Notice {
    pub server: ServerId,
    pub destination: Destination,
    /// JSON.
    pub body: String,
}

/// The end that [`Queue::deliver`] reads from.
pub struct Queue {
    notices: mpsc::Receiver<Notice>,
    secrets: hmac::Key,
}

impl Webhooks {
    /// Both ends. `page` is where people decide.
    pub fn channel(master: &MasterKey, page: String) -> (Self, Queue) {
        let key = master.derive(Purpose::ApprovalWebhooks);
        let secrets = hmac::Key::new(hmac::HMAC_SHA256, &*key);
        let (queue, notices) = mpsc::channel(QUEUE_MAX);
        let inner = Inner {
            secrets: secrets.clone(),
            queue,
            page,
        };
        (Self(Arc::new(inner)), Queue { notices, secrets })
    }

    /// Where people decide.
    pub fn page(&self) -> &str {
        &self.0.page
    }

    /// What a server's notices are signed with: 64 hex digits, whose characters are the key. `number` is which of
    /// its secrets, see [`Store::webhook_secret`].
    pub fn secret(&self, server: ServerId, number: i64) -> String {
        secret(&self.0.secrets, server, number)
    }

    /// Hands a notice to whoever sends it. Never waits.
    pub fn send(&self, notice: Notice) {
        let server = notice.server;
        if self.0.queue.try_send(notice).is_err() {
            tracing::warn!(server.id = %server, "a webhook was not sent: too many wait");
        }
    }
}

impl Queue {
    /// Sends what is handed in, until it is told to stop. `store` knows which secret is good.
    pub async fn deliver(mut self, egress: Egress, store: Store, stop: CancellationToken) {
        let signing = Signing {
            secrets: self.secrets.clone(),
            store,
        };
        let mut sending = FuturesUnordered::new();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some(()) = sending.next() => {}
                notice = self.notices.recv(), if sending.len() < SENDING_MAX => {
                    let Some(notice) = notice else { return };
                    sending.push(deliver(&egress, notice, &signing, &stop));
                }
            }
        }
    }
}

/// What notices are signed with.
struct Signing {
    secrets: hmac::Key,
    store: Store,
}

impl Signing {
    /// The signature of a body by the secret that is good at this moment.
    async fn of(&self, notice: &Notice) -> Result<String, StoreError> {
        let number = self.store.webhook_secret(notice.server).await?;
        let secret = secret(&self.secrets, notice.server, number);
        Ok(signature(&secret, notice.body.as_bytes()))
    }
}

/// The first secret of a server is made of its id alone.
fn secret(secrets: &hmac::Key, server: ServerId, number: i64) -> String {
    let mut made_of = server.0.as_bytes().to_vec();
    if number > 0 {
        made_of.extend(number.to_be_bytes());
    }
    hex::encode(hmac::sign(secrets, &made_of))
}

/// `sha256=` and the HMAC of the body in hex digits.
pub fn signature(secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    format!("sha256={}", hex::encode(hmac::sign(&key, body)))
}

/// Sends one notice until it is taken, a few times. Each time it is signed anew: a secret that was replaced meanwhile
/// signs nothing any more.
async fn deliver(egress: &Egress, notice: Notice, signing: &Signing, stop: &CancellationToken) {
    let upstream = egress.upstream_within(notice.destination.reach.clone());
    let mut pause = PAUSE;
    for left in (0..TRIES).rev() {
        let patience = Patience {
            deadline: Instant::now() + PATIENCE,
            cancel: stop,
        };
        let why = match signing.of(&notice).await {
            Ok(signed) => {
                let request = request(&notice, &signed);
                let sent = egress.send_short(&upstream, request, patience, ANSWER_BYTES_MAX);
                match sent.await {
                    Ok(answer) if answer.status.is_success() => return,
                    Ok(answer) => format!("it answered {}", answer.status),
                    Err(error) => error.to_string(),
                }
            }
            Err(error) => error.to_string(),
        };
        if left == 0 || stop.is_cancelled() {
            tracing::warn!(server.id = %notice.server, why, "a webhook was given up");
            return;
        }
        tracing::debug!(server.id = %notice.server, why, "a webhook is tried again");
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => pause *= 2,
        }
    }
}

fn request(notice: &Notice, signed: &str) -> UpstreamRequest {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(value) = HeaderValue::from_str(signed) {
        headers.insert(SIGNATURE, value);
    }
    UpstreamRequest {
        method: Method::POST,
        url: notice.destination.url.clone(),
        headers,
        body: Bytes::from(notice.body.clone()),
    }
}
