//! Answers that are passed on piece by piece as they come, without what nobody is to see.

use std::time::Instant;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::timeout_at;

use crate::egress::Opened;
use crate::llm::exchange::of_egress;
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::proxy::Llm;
use crate::llm::veil::Veil;

/// A piece of an answer, or its end.
#[derive(Debug)]
pub enum Piece {
    More(Bytes),
    End,
}

/// Of an answer whose pieces stop without an end: the caller's connection breaks off, so that nobody takes a part for all
/// of it.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the answer broke off")]
pub struct BrokenOff;

/// Passes an answer on; `came` is told what came, and `goes` what of it goes on. `false`: the caller left.
///
/// # Errors
/// Why it did not come to its end.
pub(crate) async fn pass_on(
    cx: &Llm,
    (mut opened, mut veil): (Opened, Veil),
    (sender, deadline): (&mpsc::Sender<Piece>, Instant),
    (mut came, mut goes): (impl FnMut(&[u8]), impl FnMut(&[u8])),
) -> Result<bool, Fault> {
    let mut over = false;
    while !over {
        let next = tokio::select! {
            biased;
            () = sender.closed() => return Ok(false),
            () = cx.over.cancelled() => return Err(Fault::ending()),
            next = timeout_at(deadline.into(), opened.chunk()) => next,
        };
        let next = next.map_err(|_| {
            let text = "the answer did not end in time";
            Fault::new(FaultClass::Timeout, text)
        })?;
        let piece = match next.map_err(|error| of_egress(&error))? {
            Some(piece) => {
                came(&piece);
                veil.push(piece)
            }
            None => {
                over = true;
                veil.finish()
            }
        };
        if piece.is_empty() {
            continue;
        }
        goes(&piece);
        let sent = timeout_at(deadline.into(), sender.send(Piece::More(piece))).await;
        if !matches!(sent, Ok(Ok(()))) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Ends the caller's answer, where it came to its end and is taken until then.
pub(crate) async fn close(
    (sender, deadline): (mpsc::Sender<Piece>, Instant),
    ended: &Result<bool, Fault>,
) {
    if matches!(ended, Ok(true)) {
        let _ = timeout_at(deadline.into(), sender.send(Piece::End)).await;
    }
}
