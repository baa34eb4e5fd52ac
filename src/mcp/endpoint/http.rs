//! Streamable HTTP: one POST, one answer, which is JSON unless there is something to say before it.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use http::header::{ACCEPT, ALLOW};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::mcp::endpoint::admit::{
    Admitted, admit, json_response, read, rpc_error, too_many_requests,
};
use crate::mcp::endpoint::dispatch::Exchange;
use crate::mcp::endpoint::session::{Session, SessionClient, SessionLimits};
use crate::mcp::endpoint::stream::{First, Running, event, response};
use crate::mcp::endpoint::version::Version;
use crate::mcp::endpoint::wire::{
    HEADER_MISMATCH, INTERNAL_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, MISSING_CAPABILITY,
    Message, PARSE_ERROR, Params, RpcError, UNSUPPORTED_VERSION, result_message,
};
use crate::mcp::endpoint::{Endpoint, MESSAGES_MAX, batch, headers, listen, progress, seen};
use crate::mcp::provider::{Client, Progress};
use crate::mcp::server::{Provider, Server};
use crate::mcp::tool::Tool;

const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");

pub(super) async fn handle_only(state: State<Endpoint>, request: Request) -> Response {
    let slug = state.0.0.only.clone().unwrap_or_default();
    handle(state, Path(slug), request).await
}

pub(super) async fn handle(
    State(endpoint): State<Endpoint>,
    Path(slug): Path<String>,
    request: Request,
) -> Response {
    let method = request.method().clone();
    if method == Method::OPTIONS {
        return (
            StatusCode::NO_CONTENT,
            [(ALLOW, "GET, POST, DELETE, OPTIONS")],
        )
            .into_response();
    }
    let (admitted, body) = match admit(endpoint, &slug, request).await {
        Ok(admitted) => admitted,
        Err(response) => return response,
    };
    match method {
        Method::POST => post(admitted, body).await,
        Method::GET => listen::session_stream(&admitted),
        Method::DELETE => end_session(&admitted),
        _ => not_allowed(),
    }
}

pub(super) fn not_allowed() -> Response {
    let error = RpcError::new(INVALID_REQUEST, "POST a message to this URL");
    let mut response = rpc_error(StatusCode::METHOD_NOT_ALLOWED, &error, None);
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static("POST"));
    response
}

async fn post(admitted: Admitted, body: Body) -> Response {
    let bytes = match read(&admitted.headers, body).await {
        Ok(bytes) => bytes,
        Err(response) => return response,
    };
    let session = match session_of(&admitted) {
        Ok(session) => session,
        Err(response) => return *response,
    };
    let admitted = Arc::new(admitted);
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    if text.trim_start().starts_with('[') {
        return match &admitted.over {
            None => batch::answer(&admitted, session.as_ref(), text).await,
            Some(over) => too_many_requests(over, None),
        };
    }
    match Message::parse(text) {
        Ok(Message::Request { id, method, params }) => {
            if let Some(over) = admitted.over.as_ref().filter(|_| method != "tools/call") {
                return too_many_requests(over, Some(id.get()));
            }
            let version = match decide(&admitted, session.as_deref(), &method, &params) {
                Ok(version) => version,
                Err(error) => {
                    seen::misread(&admitted, &method, &error);
                    return rpc_error(StatusCode::BAD_REQUEST, &error, Some(id.get()));
                }
            };
            let opens = matches!(&*method, "initialize" | "subscriptions/listen");
            if !opens && may_speak_before(&admitted, session.as_ref(), &params) {
                return streamed(admitted, session, version, bytes.clone()).await;
            }
            request(&admitted, session, version, (id.get(), &method, &params)).await
        }
        Ok(Message::Notification { method, params }) => {
            if let Some(over) = &admitted.over {
                return too_many_requests(over, None);
            }
            if let Some(session) = &session {
                notified(session, &method, &params);
            }
            StatusCode::ACCEPTED.into_response()
        }
        Ok(Message::Response { id, result }) => {
            if let Some(session) = &session {
                session.answer(id.get(), result);
            }
            StatusCode::ACCEPTED.into_response()
        }
        Err(malformed) => json_response(StatusCode::BAD_REQUEST, malformed.to_message()),
    }
}

/// A request that sends nothing before its reply, or that opens something.
async fn request(
    admitted: &Arc<Admitted>,
    session: Option<Arc<Session>>,
    version: Version,
    (id, method, params): (&str, &str, &Params<'_>),
) -> Response {
    if version.is_stateless() && method == "subscriptions/listen" {
        return listen::subscribe(admitted, id, params);
    }
    let sessions = admitted.server.settings.sessions.is_some();
    if session.is_none() && sessions && method == "initialize" && !version.is_stateless() {
        return start_session(admitted, version, id, params).await;
    }
    let exchange = exchange(admitted, version, session);
    let _cancelled_when_the_client_leaves = exchange.cancel.clone().drop_guard();
    let result = exchange.dispatch(method, params).await;
    answer(admitted, version, id, result)
}

/// The version of a request, and everything that has to hold for it.
fn decide(
    admitted: &Admitted,
    session: Option<&Session>,
    method: &str,
    params: &Params<'_>,
) -> Result<Version, RpcError> {
    if let Some(session) = session {
        headers::known(&admitted.headers)?;
        return Ok(session.version);
    }
    let version = headers::version(&admitted.headers, method, params)?;
    if version.is_stateless() {
        headers::check(&admitted.headers, method, params)?;
        if method == "tools/call" {
            let target = admitted.entry.target();
            let may = |tool: &Tool| admitted.caller.may(target, Some(&tool.def.operation));
            headers::check_arguments(&admitted.headers, &admitted.server, may, params)?;
        }
    }
    Ok(version)
}

/// Whether the answer may become a stream: someone asked for progress, or tools from code talk.
fn may_speak_before(
    admitted: &Admitted,
    session: Option<&Arc<Session>>,
    params: &Params<'_>,
) -> bool {
    let asked = params
        .meta
        .as_ref()
        .is_some_and(|meta| meta.progress_token.is_some());
    let native = matches!(admitted.server.provider, Provider::Native(_));
    (asked || native || session.is_some()) && Accepts::of(&admitted.headers).stream
}

/// What the client can read. A client that says nothing of it, or nothing of use, reads both.
#[derive(Clone, Copy)]
struct Accepts {
    json: bool,
    stream: bool,
}

impl Accepts {
    fn of(headers: &HeaderMap) -> Self {
        let mut accepts = Self {
            json: false,
            stream: false,
        };
        for value in headers.get_all(ACCEPT) {
            for range in value.to_str().unwrap_or_default().split(',') {
                let range = range.split(';').next().unwrap_or_default().trim();
                let any = range == "*/*";
                accepts.json |= any || matches!(range, "application/json" | "application/*");
                accepts.stream |= any || matches!(range, "text/event-stream" | "text/*");
            }
        }
        if accepts.json || accepts.stream {
            accepts
        } else {
            Self {
                json: true,
                stream: true,
            }
        }
    }
}

pub(super) fn exchange(
    admitted: &Admitted,
    version: Version,
    session: Option<Arc<Session>>,
) -> Exchange {
    Exchange {
        mcp: admitted.endpoint.0.parts.mcp.clone(),
        server: admitted.server.clone(),
        caller: admitted.caller.clone(),
        holder: admitted.holder.clone(),
        target: admitted.entry.target(),
        closed: admitted.entry.closed.clone(),
        version,
        hears: session.is_some() || version.is_stateless(),
        session,
        client: None,
        progress: Progress::default(),
        cancel: tokio_util::sync::CancellationToken::new(),
        trace_id: admitted.trace_id.clone(),
        parent: admitted.parent,
        passed: admitted.passed.clone(),
        peer: admitted.peer,
        over: admitted.over.clone(),
        base: admitted.base.clone(),
    }
}

/// Runs a request that may send messages before its reply.
async fn streamed(
    admitted: Arc<Admitted>,
    session: Option<Arc<Session>>,
    version: Version,
    bytes: Bytes,
) -> Response {
    let (sender, messages) = mpsc::channel(MESSAGES_MAX);
    let mut exchange = exchange(&admitted, version, session.clone());
    let cancel = exchange.cancel.clone();
    let status = Arc::new(parking_lot::Mutex::new(StatusCode::OK));
    let seen = status.clone();
    let reply = Box::pin(async move {
        let text = std::str::from_utf8(&bytes).unwrap_or_default();
        let Ok(Message::Request { id, method, params }) = Message::parse(text) else {
            return RpcError::new(PARSE_ERROR, "not a request").to_message(None);
        };
        if let Some(token) = params.meta.as_ref().and_then(|meta| meta.progress_token) {
            exchange.progress = progress(token.get(), sender.clone());
        }
        exchange.client = client(session.as_ref(), version, &params, sender);
        let result = match session.map(|session| session.run(id.get(), exchange.cancel.clone())) {
            Some(None) => Err(RpcError::new(INTERNAL_ERROR, "too many requests at once")),
            _running => exchange.dispatch(&method, &params).await,
        };
        *seen.lock() = http_status(version, &result);
        match result {
            Ok(result) => result_message(id.get(), &result),
            Err(error) => error.to_message(Some(id.get())),
        }
    });
    let running = Running {
        reply,
        messages,
        cancel: cancel.drop_guard(),
    };
    match running.first().await {
        First::Reply(reply) => {
            let status = *status.lock();
            replied(&admitted, status, reply)
        }
        First::Message(first, running) => {
            let Some(permit) = admitted.stream() else {
                let error = RpcError::new(INTERNAL_ERROR, "too many streams are open");
                return rpc_error(StatusCode::SERVICE_UNAVAILABLE, &error, None);
            };
            response(running.into_events(first).map(move |event| {
                let _held_while_the_stream_lives = &permit;
                event
            }))
        }
    }
}

/// The way back to the client: through its session, or, without one, by asking in the answer.
pub(super) fn client(
    session: Option<&Arc<Session>>,
    version: Version,
    params: &Params<'_>,
    stream: mpsc::Sender<String>,
) -> Option<Arc<dyn Client>> {
    if let Some(session) = session {
        return Some(Arc::new(SessionClient {
            session: session.clone(),
            stream,
        }));
    }
    version.is_stateless().then(|| {
        let capabilities = params
            .meta
            .as_ref()
            .and_then(|meta| meta.client_capabilities);
        let capabilities = capabilities.and_then(|raw| serde_json::from_str(raw.get()).ok());
        let log_level = params
            .meta
            .as_ref()
            .and_then(|meta| meta.log_level.as_deref().map(str::to_owned));
        let client = listen::StatelessClient {
            capabilities: capabilities.unwrap_or_else(|| json!({})),
            log_level,
            stream,
        };
        Arc::new(client) as Arc<dyn Client>
    })
}

fn http_status(version: Version, result: &Result<String, RpcError>) -> StatusCode {
    match result {
        Err(error) if version.is_stateless() => match error.code {
            METHOD_NOT_FOUND => StatusCode::NOT_FOUND,
            HEADER_MISMATCH | MISSING_CAPABILITY | UNSUPPORTED_VERSION => StatusCode::BAD_REQUEST,
            _ => StatusCode::OK,
        },
        _ => StatusCode::OK,
    }
}

fn answer(
    admitted: &Admitted,
    version: Version,
    id: &str,
    result: Result<String, RpcError>,
) -> Response {
    let status = http_status(version, &result);
    let body = match result {
        Ok(result) => result_message(id, &result),
        Err(error) => error.to_message(Some(id)),
    };
    replied(admitted, status, body)
}

/// A reply as JSON, or as the one event of a stream for a client that reads nothing else.
pub(super) fn replied(admitted: &Admitted, status: StatusCode, body: String) -> Response {
    let accepts = Accepts::of(&admitted.headers);
    if accepts.json || status != StatusCode::OK {
        return json_response(status, body);
    }
    response(stream::iter([Ok(event("message", &body))]))
}

pub(super) fn notified(session: &Session, method: &str, params: &Params<'_>) {
    if method == "notifications/cancelled"
        && let Some(id) = params.request_id
    {
        session.cancel(id.get());
    }
}

/// The session a request names. None is fine; an unknown, expired or foreign one is 404, so that the
/// client makes a new one.
pub(super) fn session_of(admitted: &Admitted) -> Result<Option<Arc<Session>>, Box<Response>> {
    let stateless = headers::is_stateless(&admitted.headers);
    let Some(id) = admitted.headers.get(SESSION_ID).filter(|_| !stateless) else {
        return Ok(None);
    };
    let idle = session_limits(&admitted.server).map(|limits| limits.idle);
    let sessions = &admitted.endpoint.0.sessions;
    let found = id
        .to_str()
        .ok()
        .zip(idle)
        .and_then(|(id, idle)| sessions.find(id, admitted.server.id, &admitted.caller, idle));
    found.map(Some).ok_or_else(|| {
        let error = RpcError::new(
            INVALID_REQUEST,
            "this session is not known; initialize a new one",
        );
        Box::new(rpc_error(StatusCode::NOT_FOUND, &error, None))
    })
}

fn session_limits(server: &Server) -> Option<SessionLimits> {
    server.settings.sessions.map(|settings| SessionLimits {
        per_server: settings.sessions_max,
        per_holder: settings.sessions_max,
        idle: std::time::Duration::from_millis(settings.idle_ms),
        displace: true,
    })
}

async fn start_session(
    admitted: &Admitted,
    version: Version,
    id: &str,
    params: &Params<'_>,
) -> Response {
    let capabilities: Value = params
        .capabilities
        .and_then(|raw| serde_json::from_str(raw.get()).ok())
        .unwrap_or_else(|| json!({}));
    let (server, caller, holder) = (
        admitted.server.id,
        &admitted.caller,
        admitted.holder.clone(),
    );
    let session = Session::new(server, caller, holder, version, capabilities);
    let limits = session_limits(&admitted.server);
    let added = limits.map(|limits| admitted.endpoint.0.sessions.add(&session, limits));
    if let Some(Err(error)) = added {
        let error = RpcError::new(INTERNAL_ERROR, error.to_string());
        return rpc_error(StatusCode::SERVICE_UNAVAILABLE, &error, Some(id));
    }
    let result = exchange(admitted, version, Some(session.clone()))
        .dispatch("initialize", params)
        .await;
    let mut response = answer(admitted, version, id, result);
    if let Ok(value) = HeaderValue::from_str(&session.id) {
        response.headers_mut().insert(SESSION_ID, value);
    }
    response
}

fn end_session(admitted: &Admitted) -> Response {
    match session_of(admitted) {
        Ok(Some(session)) => {
            admitted.endpoint.0.sessions.remove(&session);
            StatusCode::NO_CONTENT.into_response()
        }
        Ok(None) => not_allowed(),
        Err(response) => *response,
    }
}
