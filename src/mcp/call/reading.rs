//! Reading on in an answer that did not fit its result: what is read counts like the result itself, for whoever
//! reads it and for the tool that gave it. What is sent on to an API as a file is read by no model, and not counted.

use std::net::IpAddr;

use crate::access::caller::Caller;
use crate::access::limit::{Asked, Cost, LimitRefusal, Of};
use crate::answers::Kept;
use crate::mcp::call::{Mcp, answer};
use crate::mcp::content;
use crate::mcp::server::Server;
use crate::tokens;

/// Who reads an answer.
pub struct Reader<'a> {
    pub caller: &'a Caller,
    /// Where they read it from, if over a network.
    pub peer: Option<IpAddr>,
}

/// Counts an answer of `server` against the limits of tokens its call had, before it is given. As with a result, it
/// may be read while anything is left, and what it comes to beyond that comes off what follows.
///
/// # Errors
/// When nothing is left, or that cannot be told.
pub async fn count(
    cx: &Mcp,
    reader: &Reader<'_>,
    server: &Server,
    kept: &Kept,
) -> Result<(), LimitRefusal> {
    let of = |tokens| Cost { tokens, nanos: 0 };
    let asked = Asked {
        caller: reader.caller,
        of: Of::Tool {
            server: server.id,
            name: &kept.tool,
        },
        limits: &server.settings.limits,
        peer: reader.peer,
        cost: of(1),
    };
    let mut permit = cx.limiter.admit_reading(&asked).await?;
    if permit.counts_tokens() {
        cx.limiter.settle(&mut permit, of(read(kept).await)).await;
    }
    Ok(())
}

/// The tokens of what a model reads of it.
async fn read(kept: &Kept) -> u64 {
    if !content::is_text(&kept.media_type) {
        return 0;
    }
    let bytes = kept.bytes.clone();
    let estimated = answer::aside(bytes.len(), move || {
        tokens::estimate(&String::from_utf8_lossy(&bytes)) as u64
    });
    // What cannot be estimated counts as if each of its bytes were one.
    estimated.await.unwrap_or(kept.bytes.len() as u64)
}
