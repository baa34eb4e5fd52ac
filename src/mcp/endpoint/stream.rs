//! Server-sent events: framing, keep-alive, and bodies that end with what they wait for.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::Stream;
use futures::future::BoxFuture;
use futures::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use tokio::sync::mpsc;
use tokio_util::sync::DropGuard;

/// Below the idle limit of every common proxy.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// One event. JSON text has no line breaks of its own.
pub(super) fn event(kind: &str, data: &str) -> Bytes {
    Bytes::from(format!("event: {kind}\ndata: {data}\n\n"))
}

pub(super) fn keep_alive() -> Bytes {
    Bytes::from_static(b": keep-alive\n\n")
}

pub(super) fn response(
    stream: impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static,
) -> Response {
    let mut response = Response::new(Body::from_stream(stream));
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// A request that runs while its messages are sent; dropping it cancels the request.
pub(super) struct Running {
    pub(super) reply: BoxFuture<'static, String>,
    pub(super) messages: mpsc::Receiver<String>,
    pub(super) cancel: DropGuard,
}

/// What happened first.
pub(super) enum First {
    /// The request is done and had nothing to say before: its reply is the whole answer.
    Reply(String),
    /// There is a message to send first: the answer is a stream.
    Message(String, Running),
}

impl Running {
    pub(super) async fn first(mut self) -> First {
        tokio::select! {
            biased;
            Some(message) = self.messages.recv() => First::Message(message, self),
            reply = &mut self.reply => match self.messages.try_recv() {
                Ok(message) => {
                    self.reply = Box::pin(std::future::ready(reply));
                    First::Message(message, self)
                }
                Err(_) => First::Reply(reply),
            },
        }
    }

    /// The messages, then the reply.
    pub(super) fn into_events(
        self,
        first: String,
    ) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
        stream::unfold((Some(first), Some(self)), |(first, running)| async move {
            if let Some(first) = first {
                return Some((Ok(event("message", &first)), (None, running)));
            }
            let mut running = running?;
            tokio::select! {
                biased;
                Some(message) = running.messages.recv() => {
                    Some((Ok(event("message", &message)), (None, Some(running))))
                }
                reply = &mut running.reply => {
                    // What was sent before the reply was ready goes first.
                    let mut events = Vec::new();
                    while let Ok(message) = running.messages.try_recv() {
                        events.push(event("message", &message));
                    }
                    events.push(event("message", &reply));
                    running.cancel.disarm();
                    Some((Ok(Bytes::from(events.concat())), (None, None)))
                }
                () = tokio::time::sleep(KEEP_ALIVE) => Some((Ok(keep_alive()), (None, Some(running)))),
            }
        })
    }
}
