//! Bodies of requests on their way to a provider.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use parking_lot::{Mutex, MutexGuard};
use tokio::time::{timeout, timeout_at};

use crate::egress::Upload;
use crate::llm::account::BYTES_PER_TOKEN;
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::forward::BYTES_PER_TOKEN_OF_MEDIA;
use crate::llm::through::IDLE_TIME;
use crate::llm::through::words::Words;

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
pub(crate) struct Sent {
    is_text: bool,
    /// How many bytes there are to be, where it was said.
    length: Option<u64>,
    bytes: AtomicU64,
    on_its_way: AtomicBool,
    /// All of it has gone out.
    ended: AtomicBool,
    /// Whoever sends it broke off, or is too slow.
    broke: AtomicBool,
    /// Why it was ended here.
    refused: Mutex<Option<Fault>>,
    /// What it asks for.
    words: Mutex<Words>,
}

impl Default for Sent {
    fn default() -> Self {
        Self::of(&HeaderMap::new(), Words::Unread)
    }
}

impl Sent {
    /// Nothing yet, of a request with these headers.
    pub(super) fn of(headers: &HeaderMap, words: Words) -> Self {
        let said = |name| headers.get(name).and_then(|value| value.to_str().ok());
        Self {
            is_text: is_text(said(CONTENT_TYPE).unwrap_or_default()),
            length: said(CONTENT_LENGTH).and_then(|length| length.parse().ok()),
            bytes: AtomicU64::new(0),
            on_its_way: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            broke: AtomicBool::new(false),
            refused: Mutex::default(),
            words: Mutex::new(words),
        }
    }

    /// All of a request of this media type.
    pub(crate) async fn whole(media: &HeaderValue, body: &[u8]) -> Result<Self, Fault> {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, media.clone())]);
        let sent = Self::of(&headers, Words::of(&headers)?);
        sent.pass(body).await?;
        Ok(sent)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Whether it did not come to its end for a reason that is not the provider's.
    pub(super) fn broke(&self) -> bool {
        self.broke.load(Relaxed)
    }

    /// The request leaves, with or without a body.
    pub(super) fn leaves(&self, has_body: bool) {
        self.on_its_way.store(true, Relaxed);
        if !has_body {
            self.ended.store(true, Relaxed);
        }
    }

    /// Whether the provider may have all of it. Where it was said how long it is, nobody waits for more.
    pub(super) fn is_whole(&self) -> bool {
        let is_there = || self.length.is_some_and(|length| self.bytes() >= length);
        self.on_its_way.load(Relaxed) && (self.ended.load(Relaxed) || is_there())
    }

    /// Why it was ended here, where it was; told once.
    pub(super) fn take_refusal(&self) -> Option<Fault> {
        self.refused.lock().take()
    }

    /// About how many tokens it has.
    pub(super) fn tokens(&self) -> u64 {
        let words = self.words.lock();
        let bytes = words.bytes().unwrap_or_else(|| self.bytes());
        tokens(bytes, self.is_text || words.is_json())
    }

    /// What it asks for.
    pub(super) fn words(&self) -> MutexGuard<'_, Words> {
        self.words.lock()
    }

    /// A piece goes out.
    ///
    /// # Errors
    /// Where there may be no more of it, or nobody can read it.
    pub(super) fn push(&self, piece: &[u8]) -> Result<(), Fault> {
        self.words.lock().push(piece)?;
        let more = piece.len() as u64;
        if self.bytes.fetch_add(more, Relaxed) + more > UPLOAD_BYTES_MAX {
            return Err(too_large(UPLOAD_BYTES_MAX));
        }
        Ok(())
    }

    /// A piece goes out, read so little at a time that nobody else waits long for what it is in plain.
    async fn pass(&self, piece: &[u8]) -> Result<(), Fault> {
        let step = self.words.lock().step();
        for (place, part) in piece.chunks(step).enumerate() {
            if place > 0 {
                tokio::task::yield_now().await;
            }
            self.push(part)?;
        }
        Ok(())
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
        let broke = || sent.broke.store(true, Relaxed);
        let Ok(next) = timeout(IDLE_TIME, upload.next()).await else {
            broke();
            return Err(std::io::ErrorKind::TimedOut.into());
        };
        let Some(piece) = next.transpose().inspect_err(|_| broke())? else {
            sent.ended.store(true, Relaxed);
            return Ok(None);
        };
        if let Err(fault) = sent.pass(&piece).await {
            broke();
            *sent.refused.lock() = Some(fault);
            return Err(std::io::ErrorKind::InvalidData.into());
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use http::header::CONTENT_ENCODING;

    use super::*;

    #[tokio::test]
    async fn what_is_long_in_plain_keeps_nobody_waiting() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&vec![b' '; 16 << 20]).unwrap();
        let body = gzip.finish().unwrap();
        let parts = body.len() / 1_024;
        assert!(parts > 8);
        let headers = [(CONTENT_ENCODING, HeaderValue::from_static("gzip"))];
        let headers: HeaderMap = headers.into_iter().collect();
        let sent = Arc::new(Sent::of(&headers, Words::of(&headers).unwrap()));
        let mut upload = bounded(upload_of(body.into()), sent.clone());
        let is_there = AtomicBool::new(false);
        let read = async {
            upload.next().await.unwrap().unwrap();
            is_there.store(true, Relaxed);
        };
        let others = async {
            let mut turns = 0;
            while !is_there.load(Relaxed) {
                turns += 1;
                tokio::task::yield_now().await;
            }
            turns
        };
        let ((), turns) = tokio::join!(read, others);
        assert!(turns >= parts, "{turns}");
        assert_eq!(sent.words().bytes(), Some(16 << 20));
    }
}
