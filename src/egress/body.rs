//! Bodies are read up to a limit, and not a byte further.

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;

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

    use futures::stream;
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
}
