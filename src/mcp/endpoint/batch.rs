//! A JSON array of messages in one POST, which version 2025-03-26 has. Each request in it is one like
//! any other: counted in its session, and cancelled by a notification.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use futures::future::{BoxFuture, FutureExt, join_all, ready};
use http::StatusCode;

use crate::mcp::endpoint::BATCH_MAX;
use crate::mcp::endpoint::admit::{Admitted, rpc_error};
use crate::mcp::endpoint::http::{exchange, notified, replied};
use crate::mcp::endpoint::session::Session;
use crate::mcp::endpoint::version::Version;
use crate::mcp::endpoint::wire::{
    INTERNAL_ERROR, Message, RpcError, batch, initialize_in_batch, no_batches, result_message,
};

/// The replies to the requests of an array, as an array in the same order. All run at once.
pub(super) async fn answer(
    admitted: &Admitted,
    session: Option<&Arc<Session>>,
    text: &str,
) -> Response {
    let header = admitted.headers.get("mcp-protocol-version");
    let stated = header.map(|value| value.to_str().unwrap_or_default());
    let version = session.map_or(stated.unwrap_or("2025-03-26"), |s| s.version.as_str());
    if version != Version::V2025_03_26.as_str() {
        return rpc_error(StatusCode::BAD_REQUEST, &no_batches(), None);
    }
    let members = match batch(text, BATCH_MAX) {
        Ok(members) => members,
        Err(error) => return rpc_error(StatusCode::BAD_REQUEST, &error, None),
    };
    // All are begun before any runs, so that whatever comes later can cancel any of them.
    let begun = members
        .into_iter()
        .filter_map(|member| begin(admitted, session, member.get()));
    let replies = join_all(begun.collect::<Vec<_>>()).await;
    if replies.is_empty() {
        return StatusCode::ACCEPTED.into_response();
    }
    replied(admitted, StatusCode::OK, format!("[{}]", replies.join(",")))
}

/// Takes one message: the reply in the making, where there will be one.
fn begin<'a>(
    admitted: &'a Admitted,
    session: Option<&'a Arc<Session>>,
    text: &'a str,
) -> Option<BoxFuture<'a, String>> {
    match Message::parse(text) {
        Ok(Message::Request { id, method, params }) => {
            let refused = |error: &RpcError| Some(ready(error.to_message(Some(id.get()))).boxed());
            if method == "initialize" {
                return refused(&initialize_in_batch());
            }
            let exchange = exchange(admitted, Version::V2025_03_26, session.cloned());
            let running = session.map(|session| session.run(id.get(), exchange.cancel.clone()));
            if let Some(None) = running {
                let error = RpcError::new(INTERNAL_ERROR, "too many requests at once");
                return refused(&error);
            }
            let run = async move {
                let _counted_until_the_reply = running;
                let _cancelled_when_the_client_leaves = exchange.cancel.clone().drop_guard();
                match exchange.dispatch(&method, &params).await {
                    Ok(result) => result_message(id.get(), &result),
                    Err(error) => error.to_message(Some(id.get())),
                }
            };
            Some(run.boxed())
        }
        Ok(Message::Notification { method, params }) => {
            if let Some(session) = session {
                notified(session, &method, &params);
            }
            None
        }
        Ok(Message::Response { id, result }) => {
            if let Some(session) = session {
                session.answer(id.get(), result);
            }
            None
        }
        Err(malformed) => Some(ready(malformed.to_message()).boxed()),
    }
}
