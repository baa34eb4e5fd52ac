//! Takes a stream of server-sent events apart into frames that keep their bytes, so that they can be passed on
//! as they are.

use bytes::{Bytes, BytesMut};

/// A frame that never ends is cut off here.
const FRAME_BYTES_MAX: usize = 16 << 20;

/// Frames of a stream (WHATWG HTML, section 9.2), each with the blank line that ends it.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: BytesMut,
    /// How far the buffer was looked through for an end.
    seen: usize,
}

/// A frame longer than anybody sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("one event of the stream is longer than {FRAME_BYTES_MAX} bytes")]
pub struct FrameTooLong;

impl Frames {
    /// Takes in what arrived.
    ///
    /// # Errors
    /// Where a frame does not end.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), FrameTooLong> {
        if self.buffer.len() + bytes.len() > FRAME_BYTES_MAX {
            return Err(FrameTooLong);
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// The next whole frame.
    pub fn next_frame(&mut self) -> Option<Bytes> {
        let bytes = &self.buffer[..];
        let mut at = self.seen;
        while let Some(found) = memchr::memchr2(b'\n', b'\r', &bytes[at..]) {
            let end = line_end(bytes, at + found);
            // A carriage return at the very end may be half of a line's end.
            let Some(end) = end else {
                self.seen = at + found;
                return None;
            };
            match bytes.get(end) {
                None => {
                    self.seen = at + found;
                    return None;
                }
                Some(b'\n' | b'\r') => {
                    let Some(end) = line_end(bytes, end) else {
                        // `\r` ends the stream so far; whether `\n` follows, the blank line is whole.
                        self.seen = at + found;
                        return None;
                    };
                    self.seen = 0;
                    return Some(self.buffer.split_to(end).freeze());
                }
                Some(_) => at = end,
            }
        }
        self.seen = at.max(self.seen);
        None
    }

    /// What is left when the stream ends.
    pub fn rest(&mut self) -> Bytes {
        self.seen = 0;
        self.buffer.split().freeze()
    }
}

/// Where the line that ends at `at` is over; `None` where that is not known yet.
fn line_end(bytes: &[u8], at: usize) -> Option<usize> {
    match (bytes[at], bytes.get(at + 1)) {
        (b'\n', _) => Some(at + 1),
        (_, Some(b'\n')) => Some(at + 2),
        (_, Some(_)) => Some(at + 1),
        (_, None) => None,
    }
}

/// The data of a frame, where it is one line: where it stands in the frame.
pub fn data_of(frame: &[u8]) -> Option<std::ops::Range<usize>> {
    let mut found = None;
    let mut from = 0;
    while from < frame.len() {
        let end = memchr::memchr2(b'\n', b'\r', &frame[from..]).map_or(frame.len(), |n| from + n);
        let line = &frame[from..end];
        if let Some(data) = line.strip_prefix(b"data:") {
            if found.is_some() {
                return None;
            }
            let space = usize::from(data.first() == Some(&b' '));
            found = Some(from + 5 + space..end);
        }
        from = end + 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(pieces: &[&[u8]]) -> (Vec<String>, String) {
        let (mut frames, mut all) = (Frames::default(), Vec::new());
        for piece in pieces {
            frames.push(piece).unwrap();
            while let Some(frame) = frames.next_frame() {
                all.push(String::from_utf8(frame.to_vec()).unwrap());
            }
        }
        (all, String::from_utf8(frames.rest().to_vec()).unwrap())
    }

    #[test]
    fn no_byte_is_lost_wherever_the_stream_is_cut() {
        let stream =
            "event: a\ndata: {}\n\n: ping\r\n\r\ndata: 1\r\rdata: x\n\ndata: [DONE]\n\nhalf";
        let (whole, rest) = frames(&[stream.as_bytes()]);
        assert_eq!(whole.len(), 5);
        assert_eq!(rest, "half");
        for cut in 0..stream.len() {
            let (first, second) = stream.as_bytes().split_at(cut);
            let (parted, rest) = frames(&[first, second]);
            assert_eq!(parted.concat() + &rest, stream, "{cut}");
            let data = |frames: &[String]| -> Vec<String> {
                let with_data = frames.iter().filter_map(|frame| {
                    data_of(frame.as_bytes()).map(|place| frame[place].to_owned())
                });
                with_data.collect()
            };
            assert_eq!(data(&parted), data(&whole), "{cut}");
        }
    }

    #[test]
    fn the_data_of_a_frame_is_found() {
        for (frame, expected) in [
            ("data: {\"a\":1}\n\n", Some("{\"a\":1}")),
            ("event: x\r\ndata:1\r\n\r\n", Some("1")),
            ("data: a\ndata: b\n\n", None),
            (": data: no\n\n", None),
        ] {
            assert_eq!(
                data_of(frame.as_bytes()).map(|place| &frame[place]),
                expected
            );
        }
    }
}
