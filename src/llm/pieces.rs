//! Answers that are passed on piece by piece as they come, without what nobody is to see.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{timeout, timeout_at};

use crate::egress::Opened;
use crate::llm::exchange::of_egress;
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::proxy::Llm;
use crate::llm::veil::Veil;

/// How long a caller has to take what there is of an answer that broke off.
const LAST_WORD_TIME: Duration = Duration::from_secs(5);

/// A piece of an answer, or word that no more of it comes.
pub type Piece = Result<Bytes, BrokenOff>;

/// Of an answer that does not come to its end: the caller's connection ends as the provider's did, so that nobody takes
/// a part for all of it.
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
        let sent = timeout_at(deadline.into(), sender.send(Ok(piece))).await;
        if !matches!(sent, Ok(Ok(()))) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Ends the caller's answer.
pub(crate) async fn close(sender: mpsc::Sender<Piece>, ended: &Result<bool, Fault>) {
    if ended.is_err() {
        let _ = timeout(LAST_WORD_TIME, sender.send(Err(BrokenOff))).await;
    }
}
