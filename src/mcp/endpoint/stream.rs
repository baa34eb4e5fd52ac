//! Server-sent events: framing, keep-alive, and bodies that end with what they wait for.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::Stream;
use futures::future::BoxFuture;
use futures::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::DropGuard;

use crate::mcp::endpoint::wire::on_one_line;
use crate::types::ServerId;

/// Below the idle limit of every common proxy.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// One event: JSON, or a path.
pub(super) fn event(kind: &str, data: &str) -> Bytes {
    let data = on_one_line(data);
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

/// How many streams are open, in all and for each holder on a server: one key cannot take the
/// streams of everyone else.
pub(super) struct Streams {
    max: usize,
    per_holder_max: usize,
    open: Mutex<OpenStreams>,
}

#[derive(Default)]
struct OpenStreams {
    all: usize,
    by_holder: HashMap<(ServerId, String), usize>,
}

impl Streams {
    pub(super) fn new(max: usize, per_holder_max: usize) -> Self {
        Self {
            max,
            per_holder_max,
            open: Mutex::default(),
        }
    }

    /// How many are open.
    pub(super) fn count(&self) -> usize {
        self.open.lock().all
    }

    /// Counts a stream until the answer is dropped; `None` when there are too many.
    pub(super) fn open(self: &Arc<Self>, server: ServerId, holder: String) -> Option<OpenStream> {
        let whose = (server, holder);
        let mut open = self.open.lock();
        let of_holder = open.by_holder.get(&whose).copied().unwrap_or_default();
        if open.all >= self.max || of_holder >= self.per_holder_max {
            return None;
        }
        open.all += 1;
        open.by_holder.insert(whose.clone(), of_holder + 1);
        Some(OpenStream {
            streams: self.clone(),
            whose,
        })
    }
}

/// A stream that is open.
pub(super) struct OpenStream {
    streams: Arc<Streams>,
    whose: (ServerId, String),
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let mut open = self.streams.open.lock();
        open.all -= 1;
        if let Some(count) = open.by_holder.get_mut(&self.whose) {
            *count -= 1;
            if *count == 0 {
                open.by_holder.remove(&self.whose);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_leaves_streams_for_the_others() {
        let streams = Arc::new(Streams::new(3, 2));
        let (here, there) = (ServerId::generate(), ServerId::generate());
        let open = |server, holder: &str| streams.open(server, holder.to_owned());
        let mut greedy: Vec<_> = (0..2).filter_map(|_| open(here, "key:1")).collect();
        assert_eq!(greedy.len(), 2);
        assert!(open(here, "key:1").is_none(), "its share is used up");
        let other = open(here, "key:2");
        assert!(other.is_some());
        assert!(open(there, "key:1").is_none(), "all are used up");
        greedy.pop();
        assert!(open(there, "key:1").is_some());
        drop((greedy, other));
        assert!(streams.open.lock().by_holder.is_empty());
        assert_eq!(streams.open.lock().all, 0);
    }
}
