//! Bodies of requests on their way to a provider.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use parking_lot::Mutex;
use tokio::time::{timeout, timeout_at};

use crate::egress::Upload;
use crate::llm::account::BYTES_PER_TOKEN;
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::forward::BYTES_PER_TOKEN_OF_MEDIA;
use crate::llm::through::IDLE_TIME;
use crate::llm::through::skim::Skim;

/// The body of a request, which is passed on as it comes.
pub const UPLOAD_BYTES_MAX: u64 = 512 << 20;
/// Media types whose bytes are no text.
const NO_TEXT: [&str; 7] = [
    "multipart/",
    "audio/",
    "image/",
    "video/",
    "application/octet-stream",
    "application/pdf",
    "application/zip",
];

/// What is known of a body of which some has gone out.
pub(super) struct Sent {
    is_text: bool,
    bytes: AtomicU64,
    /// Whoever sends it broke off, or is too slow.
    broke: AtomicBool,
    /// The model it names.
    top: Mutex<Skim<1>>,
}

impl Default for Sent {
    fn default() -> Self {
        Self::with("")
    }
}

impl Sent {
    /// Nothing yet, of this media type.
    pub(super) fn with(media: &str) -> Self {
        Self {
            is_text: is_text(media),
            bytes: AtomicU64::new(0),
            broke: AtomicBool::new(false),
            top: Mutex::new(Skim::new(["model"])),
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether it did not come to its end for a reason that is not the provider's.
    pub(super) fn broke(&self) -> bool {
        self.broke.load(Ordering::Relaxed)
    }

    /// About how many tokens it has.
    pub(super) fn tokens(&self) -> u64 {
        tokens(self.bytes(), self.is_text)
    }

    /// The model that a body in JSON names.
    pub(super) fn model(&self) -> Option<String> {
        self.top.lock().text(0)
    }

    /// A piece goes out. `false`: it is more than there may be.
    pub(super) fn push(&self, piece: &[u8]) -> bool {
        if self.is_text {
            self.top.lock().push(piece);
        }
        let more = piece.len() as u64;
        self.bytes.fetch_add(more, Ordering::Relaxed) + more <= UPLOAD_BYTES_MAX
    }
}

/// Whether so many bytes per token are those of text.
pub(super) fn is_text(media: &str) -> bool {
    !NO_TEXT.iter().any(|kind| media.starts_with(kind))
}

/// About how many tokens bytes have.
pub(super) fn tokens(bytes: u64, is_text: bool) -> u64 {
    bytes.div_ceil(if is_text {
        BYTES_PER_TOKEN
    } else {
        BYTES_PER_TOKEN_OF_MEDIA
    })
}

pub(super) fn too_large(bytes_max: u64) -> Fault {
    let text = format!("the body is longer than {bytes_max} bytes");
    Fault::new(FaultClass::TooLarge, text)
}

/// A body that is counted, and ends with an error where it is too long or does not go on.
pub(super) fn bounded(upload: Upload, sent: Arc<Sent>) -> Upload {
    let pieces = stream::try_unfold((upload, sent), async |(mut upload, sent)| {
        let broke = || sent.broke.store(true, Ordering::Relaxed);
        let Ok(next) = timeout(IDLE_TIME, upload.next()).await else {
            broke();
            return Err(std::io::ErrorKind::TimedOut.into());
        };
        let Some(piece) = next.transpose().inspect_err(|_| broke())? else {
            return Ok(None);
        };
        if !sent.push(&piece) {
            broke();
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        Ok(Some((piece, (upload, sent))))
    });
    pieces.boxed()
}

/// All of a body, of so many bytes at most, which has to go on and to be here by then.
pub(crate) async fn gathered(
    (mut upload, bytes_max): (Upload, usize),
    deadline: Instant,
) -> Result<Bytes, Fault> {
    let broken = || {
        let text = "the body broke off, or did not go on";
        Fault::new(FaultClass::Invalid, text)
    };
    let mut whole = BytesMut::new();
    loop {
        let until = deadline.min(Instant::now() + IDLE_TIME);
        let next = timeout_at(until.into(), upload.next()).await;
        let Some(piece) = next.map_err(|_| broken())? else {
            return Ok(whole.freeze());
        };
        let piece = piece.map_err(|_| broken())?;
        if whole.len() + piece.len() > bytes_max {
            return Err(too_large(bytes_max as u64));
        }
        whole.extend_from_slice(&piece);
    }
}

/// A body that is all here.
pub(crate) fn upload_of(body: Bytes) -> Upload {
    stream::once(async { Ok(body) }).boxed()
}
