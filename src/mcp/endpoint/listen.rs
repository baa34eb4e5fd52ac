//! Streams that stay open: what changes on a server reaches everyone who listens.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Bytes;
use axum::response::Response;
use futures::future::BoxFuture;
use futures::stream;
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::mcp::endpoint::admit::{Admitted, rpc_error};
use crate::mcp::endpoint::http::{not_allowed, session_of};
use crate::mcp::endpoint::session::{OUTBOX_MESSAGES_MAX, Session, WATCHED_MAX, is_too_quiet};
use crate::mcp::endpoint::standing::Standing;
use crate::mcp::endpoint::stream::{KEEP_ALIVE, OpenStream, event, keep_alive, response};
use crate::mcp::endpoint::wire::{INTERNAL_ERROR, Params, RpcError, notification, result_message};
use crate::mcp::provider::Client;

/// The three notifications that say: ask for the lists again.
const CHANGES: [&str; 3] = [
    "notifications/tools/list_changed",
    "notifications/resources/list_changed",
    "notifications/prompts/list_changed",
];

/// What an open stream waits for.
pub(super) struct Listening {
    /// Sent first.
    pub(super) opening: Vec<Bytes>,
    /// Whose stream it is: it ends when that is not so any more.
    pub(super) standing: Standing,
    /// What is sent to a session; when it is closed, another stream has taken its place.
    pub(super) outbox: Option<mpsc::Receiver<String>>,
    /// The session whose watched resources the stream tells of.
    pub(super) watching: Option<Arc<Session>>,
    /// The session whose replies go over the stream, which are waited for at the end.
    pub(super) answering: Option<Arc<Session>>,
    pub(super) revisions: watch::Receiver<i64>,
    /// The messages a new revision makes.
    pub(super) on_change: Vec<String>,
    pub(super) ended: CancellationToken,
    pub(super) shutdown: CancellationToken,
    /// Sent last when the server ends the stream.
    pub(super) closing: Option<String>,
    /// Let go when the stream is over, whoever ended it.
    pub(super) _held: (Release, OpenStream),
}

/// Undoes what opening a stream did.
pub(super) struct Release(pub(super) Option<Box<dyn FnOnce() + Send>>);

impl Drop for Release {
    fn drop(&mut self) {
        if let Some(release) = self.0.take() {
            release();
        }
    }
}

impl Listening {
    pub(super) fn into_response(self) -> Response {
        response(stream::unfold(Some(self), |listening| async move {
            let mut listening = listening?;
            let bytes = listening.next().await;
            match bytes {
                Some(bytes) => Some((Ok::<_, Infallible>(bytes), Some(listening))),
                None => listening
                    .closing
                    .take()
                    .map(|last| (Ok(event("message", &last)), None)),
            }
        }))
    }

    /// The next bytes; `None` when the server ends the stream.
    async fn next(&mut self) -> Option<Bytes> {
        if !self.opening.is_empty() {
            return Some(self.opening.remove(0));
        }
        let mut idle = std::pin::pin!(tokio::time::sleep(KEEP_ALIVE));
        loop {
            tokio::select! {
                biased;
                () = self.ended.cancelled() => return None,
                () = self.shutdown.cancelled() => return self.rest().await,
                message = received(&mut self.outbox) => return Some(event("message", &message?)),
                // Nobody tells of revisions any more when the server is gone.
                changed = self.revisions.changed() => {
                    changed.ok()?;
                    return self.standing.holds().await.then(|| self.changes());
                }
                () = self.standing.is_in_doubt() => {
                    if !self.standing.holds().await {
                        return None;
                    }
                }
                () = &mut idle => return self.standing.holds().await.then(keep_alive),
            }
        }
    }

    /// What a new revision makes.
    fn changes(&self) -> Bytes {
        let updates = self.watching.as_ref().map(|session| session.updates());
        let updates = updates.unwrap_or_default();
        let messages = self.on_change.iter().chain(&updates);
        let events = messages.map(|message| event("message", message));
        Bytes::from(events.collect::<Vec<_>>().concat())
    }

    /// The next bytes after the process was told to end: what requests that still run have to say,
    /// until none does.
    async fn rest(&mut self) -> Option<Bytes> {
        let session = self.answering.clone()?;
        let outbox = self.outbox.as_mut()?;
        let mut idle = std::pin::pin!(tokio::time::sleep(KEEP_ALIVE));
        loop {
            // A request has said everything before it ends.
            let runs = session.is_running();
            if let Ok(message) = outbox.try_recv() {
                return Some(event("message", &message));
            }
            if !runs {
                return None;
            }
            tokio::select! {
                biased;
                () = self.ended.cancelled() => return None,
                message = outbox.recv() => return Some(event("message", &message?)),
                () = session.quiet() => {}
                () = &mut idle => return Some(keep_alive()),
            }
        }
    }
}

async fn received(outbox: &mut Option<mpsc::Receiver<String>>) -> Option<String> {
    match outbox {
        Some(outbox) => outbox.recv().await,
        None => std::future::pending().await,
    }
}

/// Every `list_changed`, for streams of the handshake era.
pub(super) fn all_changes() -> Vec<String> {
    CHANGES
        .iter()
        .map(|method| json!({ "jsonrpc": "2.0", "method": method }).to_string())
        .collect()
}

/// GET: the stream of a session. Without a session there is none.
pub(super) fn session_stream(admitted: &Admitted) -> Response {
    let session = match session_of(admitted) {
        Ok(Some(session)) => session,
        Ok(None) => return not_allowed(),
        Err(response) => return *response,
    };
    let Some(permit) = admitted.stream() else {
        return too_many();
    };
    let (sender, outbox) = mpsc::channel(OUTBOX_MESSAGES_MAX);
    // A second GET takes the place of the first.
    *session.outbox.lock() = Some(sender);
    let listening = Listening {
        opening: vec![keep_alive()],
        standing: Standing::of(admitted),
        outbox: Some(outbox),
        watching: Some(session.clone()),
        answering: None,
        revisions: admitted
            .endpoint
            .0
            .parts
            .catalog
            .revisions(admitted.server.id),
        on_change: all_changes(),
        ended: session.ended.clone(),
        shutdown: admitted.endpoint.0.parts.shutdown.clone(),
        closing: None,
        _held: (detach(&session), permit),
    };
    let mut response = listening.into_response();
    if let Ok(id) = HeaderValue::from_str(&session.id) {
        response.headers_mut().insert("mcp-session-id", id);
    }
    response
}

fn detach(session: &Arc<Session>) -> Release {
    let session = session.clone();
    Release(Some(Box::new(move || {
        let mut outbox = session.outbox.lock();
        if outbox.as_ref().is_some_and(mpsc::Sender::is_closed) {
            *outbox = None;
        }
        drop(outbox);
        session.touch();
    })))
}

/// `subscriptions/listen` (MCP 2026-07-28): acknowledged first, then whatever was asked for.
pub(super) fn subscribe(admitted: &Admitted, id: &str, params: &Params<'_>) -> Response {
    let wanted: Value = params
        .notifications
        .and_then(|raw| serde_json::from_str(raw.get()).ok())
        .unwrap_or(Value::Null);
    if !wanted.is_object() {
        let error = RpcError::invalid_params("`notifications` is missing: what is to be heard of?");
        return rpc_error(StatusCode::OK, &error, Some(id));
    }
    let Some(permit) = admitted.stream() else {
        return too_many();
    };
    let kinds = [
        "toolsListChanged",
        "resourcesListChanged",
        "promptsListChanged",
    ];
    let mut accepted = json!({});
    let subscription: Value = serde_json::from_str(id).unwrap_or_default();
    let meta = json!({ "io.modelcontextprotocol/subscriptionId": subscription });
    let mut on_change = Vec::new();
    for (kind, method) in kinds.iter().zip(CHANGES) {
        if wanted.get(kind).and_then(Value::as_bool) == Some(true) {
            accepted[kind] = json!(true);
            on_change.push(notification(method, &json!({ "_meta": meta })));
        }
    }
    let resources = wanted
        .get("resourceSubscriptions")
        .and_then(Value::as_array);
    let uris = resources.into_iter().flatten().filter_map(Value::as_str);
    let uris: Vec<&str> = uris.take(WATCHED_MAX).collect();
    if !uris.is_empty() {
        accepted["resourceSubscriptions"] = json!(uris);
    }
    let updated = "notifications/resources/updated";
    on_change.extend(
        uris.iter()
            .map(|uri| notification(updated, &json!({ "uri": uri, "_meta": meta }))),
    );
    let acknowledged = notification(
        "notifications/subscriptions/acknowledged",
        &json!({ "notifications": accepted, "_meta": meta }),
    );
    let closing = format!("{{\"resultType\":\"complete\",\"_meta\":{meta}}}");
    Listening {
        opening: vec![event("message", &acknowledged)],
        standing: Standing::of(admitted),
        outbox: None,
        watching: None,
        answering: None,
        revisions: admitted
            .endpoint
            .0
            .parts
            .catalog
            .revisions(admitted.server.id),
        on_change,
        ended: CancellationToken::new(),
        shutdown: admitted.endpoint.0.parts.shutdown.clone(),
        closing: Some(result_message(id, &closing)),
        _held: (Release(None), permit),
    }
    .into_response()
}

pub(super) fn too_many() -> Response {
    let error = RpcError::new(
        INTERNAL_ERROR,
        "too many streams are open; close one and try again",
    );
    rpc_error(StatusCode::SERVICE_UNAVAILABLE, &error, None)
}

/// A client of the stateless era: it is told things while a call runs, and asked only through the
/// call's result.
pub(super) struct StatelessClient {
    pub(super) capabilities: Value,
    /// Log messages are sent only where the request asked for them.
    pub(super) log_level: Option<String>,
    pub(super) stream: mpsc::Sender<String>,
}

impl Client for StatelessClient {
    fn request(&self, _: &'static str, _: Value) -> BoxFuture<'_, Result<Value, String>> {
        Box::pin(std::future::ready(Err(
            "this client is asked through input_required".to_owned(),
        )))
    }

    fn notify(&self, method: &'static str, params: Value) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let wanted = match (method, self.log_level.as_deref()) {
                ("notifications/message", None) => false,
                (_, level) => !level.is_some_and(|level| is_too_quiet(method, &params, level)),
            };
            if wanted {
                // A client that left needs no notice.
                let _ = self.stream.send(notification(method, &params)).await;
            }
        })
    }

    fn capabilities(&self) -> &Value {
        &self.capabilities
    }
}
