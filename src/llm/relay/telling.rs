//! What a frame of a stream tells, as far as its bytes show: most are not read any further.

use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::de::IgnoredAny;

use crate::llm::price::ServiceTier;
use crate::llm::splice::Top;

/// Fields of frames that tell more than text, where they are not null.
static TELLING_FIELDS: LazyLock<[Finder<'static>; 5]> = LazyLock::new(|| {
    [
        "\"usage\"",
        "\"usageMetadata\"",
        "\"finish_reason\"",
        "\"finishReason\"",
        "\"stop_reason\"",
    ]
    .map(Finder::new)
});
/// The same of names of events, and of things that are paid for one by one.
static TELLING_NAMES: LazyLock<[Finder<'static>; 6]> = LazyLock::new(|| {
    [
        ".completed\"",
        ".incomplete\"",
        ".failed\"",
        "message_stop",
        "[DONE]",
        "\"web_search_call\"",
    ]
    .map(Finder::new)
});

/// Fields that tell of an error, where they are not null.
static ERROR_FIELDS: LazyLock<[Finder<'static>; 2]> =
    LazyLock::new(|| ["\"error\"", "\"base_resp\""].map(Finder::new));
/// What stands in the name of an event that is one.
pub(super) static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("error"));

/// Whether a frame tells more than text.
pub(super) fn tells(data: &[u8]) -> bool {
    let is_named = |name: &Finder<'_>| name.find(data).is_some();
    TELLING_FIELDS.iter().any(|field| says(data, field)) || TELLING_NAMES.iter().any(is_named)
}

/// Whether a frame tells of an error, by what its data says or by its own name.
pub(super) fn is_error(frame: &[u8], data: &Range<usize>) -> bool {
    let around = [&frame[..data.start], &frame[data.end..]];
    let said = &frame[data.clone()];
    around.iter().any(|lines| ERROR.find(lines).is_some())
        || ERROR_FIELDS.iter().any(|field| says(said, field))
}

/// Whether there is such a field that is not null.
fn says(data: &[u8], field: &Finder<'_>) -> bool {
    field.find_iter(data).any(|at| {
        let rest = data[at + field.needle().len()..].iter();
        let value = rest.copied().find(|byte| !matches!(byte, b' ' | b':'));
        value != Some(b'n')
    })
}

/// The tier that an event of OpenAI's tells, of the answer or of the response it is about.
pub(super) fn tier_of(data: &[u8]) -> Option<ServiceTier> {
    const TIER: &str = "service_tier";
    memchr::memmem::find(data, TIER.as_bytes())?;
    let top = Top::read(data).ok()?;
    let within = top.raw("response").map(str::as_bytes).map(Top::read);
    let within = within.and_then(Result::ok);
    let named: Option<&str> = within.as_ref().unwrap_or(&top).get(TIER);
    named.and_then(ServiceTier::named)
}

/// Whether data is no object, as far as its ends tell.
pub(super) fn is_cut(data: &[u8]) -> bool {
    let data = data.trim_ascii();
    let is_object = data.starts_with(b"{") && data.ends_with(b"}");
    !data.is_empty() && !is_object
}

/// Whether data is what dialects send: JSON, or the word that ends OpenAI's streams.
pub(super) fn is_readable(data: &[u8]) -> bool {
    let data = data.trim_ascii();
    data == b"[DONE]" || serde_json::from_slice::<IgnoredAny>(data).is_ok()
}

/// A chunk that carries nothing but usage.
pub(super) fn is_usage_only(data: &[u8]) -> bool {
    if memchr::memmem::find(data, b"\"usage\"").is_none() {
        return false;
    }
    let Ok(top) = Top::read(data) else {
        return false;
    };
    let is_empty = |raw: &str| raw.trim_start_matches('[').trim_start().starts_with(']');
    top.raw("usage").is_some_and(|usage| usage != "null")
        && top.raw("choices").is_some_and(is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_frames_that_tell_more_are_read() {
        for (data, expected) in [
            (
                r#"{"delta":"the \"usage\" of it","finish_reason": null,"usage" : null}"#,
                false,
            ),
            (r#"{"finish_reason":"stop"}"#, true),
            (r#"{"usage":{"a":1}}"#, true),
            (r#"{"type":"message_stop"}"#, true),
            (r#"{"base_resp":{"status_code":1027}}"#, true),
            (r#"{"item":{"type":"web_search_call"}}"#, true),
            (r#"{"type":"response.web_search_call.searching"}"#, false),
            (r#"{"error":null,"choices":[{"error": {"code":1}}]}"#, true),
            (r#"{"error":null,"choices":[{"error" :null}]}"#, false),
            (
                r#"{"type":"response.output_text.delta","delta":"x"}"#,
                false,
            ),
        ] {
            let is_read = tells(data.as_bytes()) || is_error(data.as_bytes(), &(0..data.len()));
            assert_eq!(is_read, expected, "{data}");
        }
    }
}
