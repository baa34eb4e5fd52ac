//! HTTP+SSE of MCP 2024-11-05, which old clients still speak: a GET opens the stream and names the
//! URL to POST to; every answer comes over the stream.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::mcp::endpoint::admit::{
    Admitted, admit, json_response, read, rpc_error, too_many_requests,
};
use crate::mcp::endpoint::dispatch::Exchange;
use crate::mcp::endpoint::http::{client, notified};
use crate::mcp::endpoint::listen::{Listening, Release, all_changes, too_many};
use crate::mcp::endpoint::session::{OUTBOX_MESSAGES_MAX, Session, SessionLimits};
use crate::mcp::endpoint::standing::Standing;
use crate::mcp::endpoint::stream::event;
use crate::mcp::endpoint::version::Version;
use crate::mcp::endpoint::wire::{
    INTERNAL_ERROR, INVALID_REQUEST, Message, RpcError, initialize_in_batch, messages,
    result_message,
};
use crate::mcp::endpoint::{
    BATCH_MAX, Endpoint, LEGACY_SESSIONS_MAX, LEGACY_SESSIONS_PER_HOLDER_MAX, headers, progress,
};
use crate::mcp::provider::Progress;

/// The stream keeps a session alive; without it, it is over.
const IDLE: Duration = Duration::from_mins(1);
pub(super) const LIMITS: SessionLimits = SessionLimits {
    per_server: LEGACY_SESSIONS_MAX,
    per_holder: LEGACY_SESSIONS_PER_HOLDER_MAX,
    idle: IDLE,
    displace: false,
};

pub(super) async fn open_only(state: State<Endpoint>, request: Request) -> Response {
    let slug = state.0.0.only.clone().unwrap_or_default();
    open_at(state.0, &slug, "/mcp/messages".to_owned(), request).await
}

pub(super) async fn open(
    State(endpoint): State<Endpoint>,
    Path(slug): Path<String>,
    request: Request,
) -> Response {
    let messages = format!("/mcp/{slug}/messages");
    open_at(endpoint, &slug, messages, request).await
}

async fn open_at(endpoint: Endpoint, slug: &str, messages: String, request: Request) -> Response {
    let admitted = match admit(endpoint, slug, request).await {
        Ok((admitted, _)) => admitted,
        Err(response) => return response,
    };
    if let Err(response) = offered(&admitted) {
        return *response;
    }
    let Some(permit) = admitted.stream() else {
        return too_many();
    };
    let (sender, outbox) = mpsc::channel(OUTBOX_MESSAGES_MAX);
    // The version is settled by `initialize`; until then the oldest is spoken.
    let session = Session::new(
        admitted.server.id,
        &admitted.caller,
        admitted.holder.clone(),
        Version::V2024_11_05,
        json!({}),
    );
    *session.outbox.lock() = Some(sender);
    if admitted.endpoint.0.legacy.add(&session, LIMITS).is_err() {
        return too_many();
    }
    let (owner, gone) = (admitted.endpoint.clone(), session.clone());
    let id = &session.id;
    let prefix = &admitted.endpoint.0.parts.prefix;
    Listening {
        opening: vec![event(
            "endpoint",
            &format!("{prefix}{messages}?sessionId={id}"),
        )],
        standing: Standing::of(&admitted),
        outbox: Some(outbox),
        watching: Some(session.clone()),
        answering: Some(session.clone()),
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
        _held: (
            Release(Some(Box::new(move || owner.0.legacy.remove(&gone)))),
            permit,
        ),
    }
    .into_response()
}

fn offered(admitted: &Admitted) -> Result<(), Box<Response>> {
    let on = admitted
        .server
        .settings
        .legacy_sse
        .unwrap_or(admitted.endpoint.0.parts.legacy_sse);
    if on {
        return Ok(());
    }
    let error = RpcError::new(
        INVALID_REQUEST,
        "HTTP+SSE is switched off here; use streamable HTTP",
    );
    Err(Box::new(rpc_error(StatusCode::NOT_FOUND, &error, None)))
}

#[derive(Deserialize)]
pub(super) struct SessionQuery {
    #[serde(rename = "sessionId", default)]
    session_id: String,
}

pub(super) async fn receive_only(
    state: State<Endpoint>,
    query: Query<SessionQuery>,
    request: Request,
) -> Response {
    let slug = state.0.0.only.clone().unwrap_or_default();
    receive(state, Path(slug), query, request).await
}

pub(super) async fn receive(
    State(endpoint): State<Endpoint>,
    Path(slug): Path<String>,
    Query(query): Query<SessionQuery>,
    request: Request,
) -> Response {
    let (admitted, body) = match admit(endpoint, &slug, request).await {
        Ok(admitted) => admitted,
        Err(response) => return response,
    };
    if let Some(over) = &admitted.over {
        return too_many_requests(over, None);
    }
    let sessions = &admitted.endpoint.0.legacy;
    let Some(session) = sessions.find(
        &query.session_id,
        admitted.server.id,
        &admitted.caller,
        IDLE,
    ) else {
        let error = RpcError::new(
            INVALID_REQUEST,
            "this session is not known; open the stream again",
        );
        return rpc_error(StatusCode::NOT_FOUND, &error, None);
    };
    let outbox = session.outbox.lock().clone();
    let Some(outbox) = outbox else {
        let error = RpcError::new(INVALID_REQUEST, "the stream of this session is closed");
        return rpc_error(StatusCode::GONE, &error, None);
    };
    let bytes = match read(&admitted.headers, body).await {
        Ok(bytes) => bytes,
        Err(response) => return response,
    };
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    let texts = match messages(text, session.settled_version(), BATCH_MAX) {
        Ok(texts) => texts,
        Err(error) => return rpc_error(StatusCode::BAD_REQUEST, &error, None),
    };
    let alone = !text.trim_start().starts_with('[');
    let stream = Stream {
        admitted: Arc::new(admitted),
        session,
        outbox,
    };
    for text in texts {
        match stream.take(text, alone) {
            Ok(()) => {}
            Err((status, reply)) if alone => return json_response(status, reply),
            // A client that left needs no answer.
            Err((_, reply)) => drop(stream.outbox.send(reply).await),
        }
    }
    (StatusCode::ACCEPTED, "Accepted").into_response()
}

/// A session whose stream is open.
#[derive(Clone)]
struct Stream {
    admitted: Arc<Admitted>,
    session: Arc<Session>,
    outbox: mpsc::Sender<String>,
}

impl Stream {
    /// Takes one message. Its reply goes over the stream, after this POST is answered, from a task
    /// that ends with the session. Gives the status and the reply of a message that is refused.
    fn take(&self, text: &str, alone: bool) -> Result<(), (StatusCode, String)> {
        let session = &self.session;
        match Message::parse(text) {
            Err(malformed) => return Err((StatusCode::BAD_REQUEST, malformed.to_message())),
            Ok(Message::Notification { method, params }) => notified(session, &method, &params),
            Ok(Message::Response { id, result }) => session.answer(id.get(), result),
            Ok(Message::Request { id, method, .. }) if method == "initialize" && !alone => {
                let reply = initialize_in_batch().to_message(Some(id.get()));
                return Err((StatusCode::BAD_REQUEST, reply));
            }
            Ok(Message::Request { id, .. }) => {
                let cancel = CancellationToken::new();
                let Some(running) = session.run(id.get(), cancel.clone()) else {
                    let error = RpcError::new(INTERNAL_ERROR, "too many requests at once");
                    let reply = error.to_message(Some(id.get()));
                    return Err((StatusCode::SERVICE_UNAVAILABLE, reply));
                };
                let (stream, text) = (self.clone(), text.to_owned());
                tokio::spawn(async move {
                    let _running = running;
                    let ended = stream.session.ended.clone();
                    tokio::select! {
                        () = ended.cancelled() => {}
                        () = stream.run(&text, cancel) => {}
                    }
                });
            }
        }
        Ok(())
    }

    async fn run(self, text: &str, cancel: CancellationToken) {
        let Ok(Message::Request { id, method, params }) = Message::parse(text) else {
            return;
        };
        let Self {
            admitted,
            session,
            outbox,
        } = self;
        let settled = if method == "initialize" {
            None
        } else {
            session.settled_version()
        };
        let version = match settled {
            Some(version) => Ok(version),
            None => headers::version(&admitted.headers, &method, &params).map(|version| {
                if version.is_stateless() {
                    Version::LATEST_WITH_HANDSHAKE
                } else {
                    version
                }
            }),
        };
        let reply = match version {
            Err(error) => error.to_message(Some(id.get())),
            Ok(version) => {
                if method == "initialize" {
                    let capabilities = params
                        .capabilities
                        .and_then(|raw| serde_json::from_str(raw.get()).ok());
                    session.settle(version, capabilities.unwrap_or_else(|| json!({})));
                }
                let token = params.meta.as_ref().and_then(|meta| meta.progress_token);
                let exchange = Exchange {
                    mcp: admitted.endpoint.0.parts.mcp.clone(),
                    server: admitted.server.clone(),
                    caller: admitted.caller.clone(),
                    holder: admitted.holder.clone(),
                    target: admitted.entry.target(),
                    closed: admitted.entry.closed.clone(),
                    version,
                    session: Some(session.clone()),
                    hears: true,
                    client: client(Some(&session), version, &params, outbox.clone()),
                    progress: token.map_or_else(Progress::default, |token| {
                        progress(token.get(), outbox.clone())
                    }),
                    cancel,
                    trace_id: admitted.trace_id.clone(),
                    parent: admitted.parent,
                    passed: admitted.passed.clone(),
                    peer: admitted.peer,
                    over: None,
                    base: admitted.base.clone(),
                };
                let _cancelled_with_the_session = exchange.cancel.clone().drop_guard();
                let result = exchange.dispatch(&method, &params).await;
                match result {
                    Ok(result) => result_message(id.get(), &result),
                    Err(error) => error.to_message(Some(id.get())),
                }
            }
        };
        // A client that left needs no answer.
        let _ = outbox.send(reply).await;
    }
}
