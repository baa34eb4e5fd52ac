//! `application/vnd.amazon.eventstream`, the binary form of AWS's streams
//! (<https://smithy.io/2.0/aws/amazon-eventstream.html>). Bytes in, events out, wherever the bytes are parted.
//!
//! ```text
//! total length u32 | headers length u32 | CRC-32 of these | headers | payload | CRC-32 of all before
//! ```

use serde_json::json;

use crate::events::Event;
use crate::llm::fault::{Fault, FaultClass};

/// Lengths and their checksum.
const PRELUDE_BYTES: usize = 12;
const CHECKSUM_BYTES: usize = 4;
/// AWS's own bound of a message.
const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// Takes a stream apart. After a fault it gives nothing but that fault.
#[derive(Debug, Default)]
pub struct Frames {
    held: Vec<u8>,
    fault: Option<Fault>,
}

impl Frames {
    /// The events that these bytes complete: named after `:event-type`, or `exception:` and what went wrong; `data`
    /// is their payload.
    ///
    /// # Errors
    /// Where the bytes are not such a stream, or were changed on the way. Events before that come first.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>, Fault> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        self.held.extend_from_slice(bytes);
        let mut events = Vec::new();
        let mut at = 0;
        let mut rest = self.held.as_slice();
        loop {
            match message(rest) {
                Ok(Some((event, length))) => {
                    events.extend(event);
                    at += length;
                    rest = rest.get(length..).unwrap_or_default();
                }
                Ok(None) => break,
                Err(why) => {
                    let text = format!("the provider's stream cannot be understood: {why}");
                    self.fault = Some(Fault::new(FaultClass::Upstream, text));
                    break;
                }
            }
        }
        self.held.drain(..at);
        match &self.fault {
            Some(fault) if events.is_empty() => Err(fault.clone()),
            _ => Ok(events),
        }
    }
}

/// The first message and its length, where all of it is there. One that says nothing of an event has none.
fn message(bytes: &[u8]) -> Result<Option<(Option<Event>, usize)>, &'static str> {
    let Some(prelude) = bytes.get(..PRELUDE_BYTES) else {
        return Ok(None);
    };
    let mut prelude = Cursor(prelude);
    let (total, headers) = (prelude.length()?, prelude.length()?);
    let checksum = prelude.number()?;
    if crc32fast::hash(bytes.get(..8).unwrap_or_default()) != checksum {
        return Err("it is no event stream of AWS, or its lengths were changed");
    }
    let around = PRELUDE_BYTES + CHECKSUM_BYTES;
    if total > MESSAGE_BYTES_MAX {
        return Err("a message of it is longer than 16 MiB");
    }
    if total < around || headers > total - around {
        return Err("the lengths of a message contradict each other");
    }
    let Some(whole) = bytes.get(..total) else {
        return Ok(None);
    };
    let (checked, checksum) = whole.split_at(total - CHECKSUM_BYTES);
    if crc32fast::hash(checked) != Cursor(checksum).number()? {
        return Err("a message of it was changed on the way");
    }
    let (headers, payload) = checked
        .get(PRELUDE_BYTES..)
        .unwrap_or_default()
        .split_at(headers);
    Ok(Some((event(headers, payload)?, total)))
}

/// The headers that say what a message is.
#[derive(Default)]
struct Named {
    message: String,
    event: String,
    exception: String,
    code: String,
    text: String,
}

fn event(headers: &[u8], payload: &[u8]) -> Result<Option<Event>, &'static str> {
    let mut named = Named::default();
    let mut cursor = Cursor(headers);
    while !cursor.0.is_empty() {
        let (name, value) = cursor.header()?;
        let slot = match name {
            b":message-type" => &mut named.message,
            b":event-type" => &mut named.event,
            b":exception-type" => &mut named.exception,
            b":error-code" => &mut named.code,
            b":error-message" => &mut named.text,
            _ => continue,
        };
        if let Some(value) = value {
            *slot = String::from_utf8_lossy(value).into_owned();
        }
    }
    let data = String::from_utf8_lossy(payload).into_owned();
    let (name, data) = match named.message.as_str() {
        "exception" => (format!("exception:{}", named.exception), data),
        "error" => {
            let data = json!({"message": named.text}).to_string();
            (format!("exception:{}", named.code), data)
        }
        // Some who imitate it leave the kind of a message out.
        _ if !named.exception.is_empty() => (format!("exception:{}", named.exception), data),
        _ if named.event.is_empty() => return Ok(None),
        _ => (named.event, data),
    };
    Ok(Some(Event {
        name: Some(name),
        id: None,
        data,
    }))
}

/// Bytes that are read from the front.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], &'static str> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or("a header of it is cut")?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u32, &'static str> {
        let bytes = self.take(4)?.iter();
        Ok(bytes.fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    fn length(&mut self) -> Result<usize, &'static str> {
        usize::try_from(self.number()?).map_err(|_| "a length of it is out of range")
    }

    fn byte(&mut self) -> Result<u8, &'static str> {
        Ok(self.take(1)?.first().copied().unwrap_or_default())
    }

    /// Bytes after their length in two bytes.
    fn counted(&mut self) -> Result<&'a [u8], &'static str> {
        let (high, low) = (self.byte()?, self.byte()?);
        self.take(usize::from(high) << 8 | usize::from(low))
    }

    /// A name, and the value where it is text or bytes.
    fn header(&mut self) -> Result<(&'a [u8], Option<&'a [u8]>), &'static str> {
        let length = self.byte()?;
        let name = self.take(usize::from(length))?;
        let value = match self.byte()? {
            // True and false.
            0 | 1 => None,
            // Integers of one, two, four and eight bytes.
            2 => Some(self.take(1)?),
            3 => Some(self.take(2)?),
            4 => Some(self.take(4)?),
            // And a time in milliseconds.
            5 | 8 => Some(self.take(8)?),
            // Bytes and text.
            6 | 7 => return Ok((name, Some(self.counted()?))),
            // A UUID.
            9 => Some(self.take(16)?),
            _ => return Err("a header of it is of an unknown type"),
        };
        Ok((name, value.and(None)))
    }
}
