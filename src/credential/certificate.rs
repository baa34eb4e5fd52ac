//! What an X.509 certificate says of the time in which it is good (RFC 5280 section 4.1.2.5). Reads
//! no more of it than that: whether it may be trusted is for the TLS library.

use chrono::{DateTime, NaiveDateTime, Utc};

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
/// `[0]`, the version.
const VERSION: u8 = 0xa0;

/// The first and the last moment at which a certificate in DER is good.
pub(crate) fn validity(certificate: &[u8]) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let mut outer = certificate;
    let mut certificate = take(&mut outer, SEQUENCE)?;
    let mut signed = take(&mut certificate, SEQUENCE)?;
    if signed.first() == Some(&VERSION) {
        take(&mut signed, VERSION)?;
    }
    take(&mut signed, INTEGER)?;
    // The algorithm of the signature, and who signed.
    take(&mut signed, SEQUENCE)?;
    take(&mut signed, SEQUENCE)?;
    let mut validity = take(&mut signed, SEQUENCE)?;
    Some((time(&mut validity)?, time(&mut validity)?))
}

fn time(input: &mut &[u8]) -> Option<DateTime<Utc>> {
    let tag = *input.first()?;
    let text = std::str::from_utf8(take(input, tag)?).ok()?;
    let full = match tag {
        GENERALIZED_TIME => text.to_owned(),
        UTC_TIME => {
            let year: u8 = text.get(..2)?.parse().ok()?;
            let century = if year >= 50 { "19" } else { "20" };
            format!("{century}{text}")
        }
        _ => return None,
    };
    let read = NaiveDateTime::parse_from_str(&full, "%Y%m%d%H%M%SZ").ok()?;
    Some(read.and_utc())
}

/// The content of the element that comes next, if it has that tag; the input goes on behind it.
fn take<'a>(input: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    let (&found, rest) = input.split_first()?;
    let (&short, rest) = rest.split_first()?;
    let (length, rest) = if short < 0x80 {
        (usize::from(short), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
        if bytes.is_empty() || bytes.len() > 4 {
            return None;
        }
        let length = bytes
            .iter()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        (length, rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    *input = rest;
    (found == tag).then_some(content)
}
