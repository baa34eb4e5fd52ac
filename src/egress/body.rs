//! Bodies are read up to a limit, and not a byte further. A body of events ends earlier: with its last
//! event, with the deadline, or with as many events as anyone reads.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::timeout_at;

use crate::events::{Decoder, Event, Framing};

/// How many events are collected.
const EVENTS_MAX: usize = 10_000;
/// How often is told what has arrived.
const TOLD_EVERY: Duration = Duration::from_millis(250);

/// What was read of a body.
pub(crate) struct Bounded {
    pub(crate) bytes: Bytes,
    /// There was more.
    pub(crate) truncated: bool,
}

/// Reads `body` to its end or to `limit` bytes. A body of one frame is not copied.
pub(crate) async fn read<B>(body: B, limit: usize) -> Result<Bounded, B::Error>
where
    B: Body<Data = Bytes>,
{
    let mut body = std::pin::pin!(body);
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(mut data) = frame?.into_data() else {
            continue;
        };
        let room = limit - first.len() - rest.len();
        let truncated = data.len() > room;
        data.truncate(room);
        if first.is_empty() {
            first = data;
        } else {
            rest.extend_from_slice(&data);
        }
        if truncated {
            return Ok(Bounded {
                bytes: join(first, rest),
                truncated,
            });
        }
    }
    Ok(Bounded {
        bytes: join(first, rest),
        truncated: false,
    })
}

/// What has arrived of a body of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrived {
    pub events: usize,
    pub bytes: usize,
}

/// Hears what has arrived, now and then.
pub type Watch<'w> = dyn Fn(Arrived) + Send + Sync + 'w;

/// Where the collecting of events ends.
pub(crate) struct Until<'w> {
    pub(crate) framing: Framing,
    pub(crate) bytes_max: usize,
    pub(crate) deadline: Instant,
    pub(crate) watch: &'w Watch<'w>,
}

/// Collects a body of events. Whatever ends it, what arrived counts; `truncated` says that there may
/// have been more. Only a body that breaks before anything arrived is an error.
pub(crate) async fn collect<B>(body: B, until: Until<'_>) -> Result<Bounded, B::Error>
where
    B: Body<Data = Bytes>,
{
    let mut body = std::pin::pin!(body);
    let mut decoder = Decoder::new(until.framing);
    let mut bytes = BytesMut::new();
    let (mut events, mut told) = (0, None::<(Instant, usize)>);
    let truncated = loop {
        let data = match timeout_at(until.deadline.into(), body.frame()).await {
            Ok(None) => break false,
            Ok(Some(Err(error))) if bytes.is_empty() => return Err(error),
            Err(_) | Ok(Some(Err(_))) => break true,
            Ok(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => data,
                Err(_) => continue,
            },
        };
        let room = data.len().min(until.bytes_max - bytes.len());
        bytes.extend_from_slice(&data[..room]);
        let found = decoder.push(&data[..room]);
        events += found.len();
        if found.iter().any(Event::is_end) {
            break false;
        }
        if room < data.len() || events >= EVENTS_MAX {
            break true;
        }
        let (since, before) = told.unzip();
        // Comments and half an event are no progress.
        let news = events > before.unwrap_or(0);
        if news && since.is_none_or(|since| since.elapsed() >= TOLD_EVERY) {
            told = Some((Instant::now(), events));
            (until.watch)(Arrived {
                events,
                bytes: bytes.len(),
            });
        }
    };
    Ok(Bounded {
        bytes: bytes.freeze(),
        truncated,
    })
}

fn join(first: Bytes, rest: BytesMut) -> Bytes {
    if rest.is_empty() {
        return first;
    }
    let mut whole = match first.try_into_mut() {
        Ok(first) => first,
        Err(shared) => BytesMut::from(&shared[..]),
    };
    whole.unsplit(rest);
    whole.freeze()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::StreamExt;
    use futures::stream::{self, BoxStream};
    use http_body::Frame;
    use http_body_util::StreamBody;

    use super::*;

    async fn read_chunks(chunks: &[&'static str], limit: usize) -> (String, bool) {
        let frames: Vec<Result<_, Infallible>> = chunks
            .iter()
            .map(|c| Ok(Frame::data(Bytes::from_static(c.as_bytes()))))
            .collect();
        let read = read(StreamBody::new(stream::iter(frames)), limit)
            .await
            .unwrap();
        (
            String::from_utf8(read.bytes.to_vec()).unwrap(),
            read.truncated,
        )
    }

    #[tokio::test]
    async fn a_body_ends_at_the_limit() {
        assert_eq!(read_chunks(&[], 3).await, (String::new(), false));
        assert_eq!(read_chunks(&["abc"], 3).await, ("abc".into(), false));
        assert_eq!(read_chunks(&["abcd"], 3).await, ("abc".into(), true));
        assert_eq!(
            read_chunks(&["a", "", "bc"], 3).await,
            ("abc".into(), false)
        );
        assert_eq!(
            read_chunks(&["ab", "cd", "ef"], 3).await,
            ("abc".into(), true)
        );
        assert_eq!(read_chunks(&["abc", "d"], 3).await, ("abc".into(), true));
    }

    async fn collect_chunks(
        chunks: Vec<Result<&'static str, &'static str>>,
        bytes_max: usize,
        endless: bool,
    ) -> Result<(String, bool, usize), &'static str> {
        let frames = chunks
            .into_iter()
            .map(|chunk| chunk.map(|text| Frame::data(Bytes::from_static(text.as_bytes()))));
        let rest: BoxStream<'static, _> = if endless {
            stream::pending().boxed()
        } else {
            stream::empty().boxed()
        };
        let heard = AtomicUsize::new(0);
        let until = Until {
            framing: Framing::Lines,
            bytes_max,
            deadline: Instant::now() + Duration::from_millis(50),
            watch: &|arrived: Arrived| heard.store(arrived.events, Ordering::Relaxed),
        };
        let body = StreamBody::new(stream::iter(frames).chain(rest));
        let collected = collect(body, until).await?;
        let text = String::from_utf8(collected.bytes.to_vec()).unwrap();
        Ok((text, collected.truncated, heard.load(Ordering::Relaxed)))
    }

    #[tokio::test]
    async fn what_brings_no_event_is_no_progress() {
        let chunks = [
            "data: 1\n\n",
            ": wait\n\n",
            ": wait\n\n",
            "data: 2\n\n",
            ": wait\n\n",
        ];
        let frames = stream::iter(chunks).then(async |chunk| {
            std::thread::sleep(TOLD_EVERY + Duration::from_millis(10));
            Ok::<_, Infallible>(Frame::data(Bytes::from_static(chunk.as_bytes())))
        });
        let heard = parking_lot::Mutex::new(Vec::new());
        let until = Until {
            framing: Framing::ServerSent,
            bytes_max: 1_000,
            deadline: Instant::now() + Duration::from_mins(1),
            watch: &|arrived: Arrived| heard.lock().push(arrived.events),
        };
        collect(StreamBody::new(Box::pin(frames)), until)
            .await
            .unwrap();
        assert_eq!(*heard.lock(), [1, 2]);
    }

    #[tokio::test]
    async fn events_end_with_the_last_one_the_deadline_or_a_limit() {
        let whole = |text: &str, truncated, heard| Ok((text.to_owned(), truncated, heard));
        let rows = [
            (
                vec![Ok("1\n2"), Ok("3\n")],
                99,
                false,
                whole("1\n23\n", false, 1),
            ),
            (vec![Ok("1\n")], 99, true, whole("1\n", true, 1)),
            (vec![Ok("[DONE]\n")], 99, true, whole("[DONE]\n", false, 0)),
            (vec![Ok("1\n2\n3\n")], 4, true, whole("1\n2\n", true, 0)),
            (
                vec![Ok("1\n"), Err("broken")],
                99,
                false,
                whole("1\n", true, 1),
            ),
            (vec![Err("broken")], 99, false, Err("broken")),
        ];
        for (chunks, bytes_max, endless, expected) in rows {
            assert_eq!(
                collect_chunks(chunks.clone(), bytes_max, endless).await,
                expected,
                "{chunks:?}"
            );
        }
    }
}
