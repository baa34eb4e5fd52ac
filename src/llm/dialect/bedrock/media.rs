//! Images, sound, films and documents: Bedrock takes their bytes, or a place in S3.

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use deunicode::deunicode;
use serde_json::{Map, Value, json};

use crate::llm::chat::{Audio, Document, Image, Source};
use crate::llm::dialect::bedrock::OWN;
use crate::llm::fault::Fault;
use crate::llm::fields::put;

const NAME_CHARS_MAX: usize = 200;

/// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ImageBlock.html>
pub(crate) fn image(image: &Image, place: &str) -> Result<Value, Fault> {
    let (source, media_type) = source(&image.source, place, "an image")?;
    let format = match media_type.as_str() {
        "image/png" => "png",
        "image/jpeg" | "image/jpg" => "jpeg",
        "image/gif" => "gif",
        "image/webp" => "webp",
        other => return Err(OWN.cannot(place, &format!("an image of type `{other}`"))),
    };
    Ok(json!({"image": {"format": format, "source": source}}))
}

/// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_AudioBlock.html>
pub(crate) fn audio(audio: &Audio, place: &str) -> Result<Value, Fault> {
    let (source, media_type) = source(&audio.source, place, "sound")?;
    let kind = media_type.strip_prefix("audio/").unwrap_or(&media_type);
    let format = match kind {
        "mpeg" | "mp3" => "mp3",
        "wav" | "x-wav" | "wave" => "wav",
        "m4a" | "x-m4a" => "m4a",
        "pcm" | "pcm16" | "l16" => "pcm",
        "opus" | "aac" | "flac" | "mp4" | "ogg" | "webm" | "mka" => kind,
        other => return Err(OWN.cannot(place, &format!("sound of type `{other}`"))),
    };
    Ok(json!({"audio": {"format": format, "source": source}}))
}

/// A document, or a film where that is what it is. `names` are those of the documents before it: Bedrock wants each
/// to be different
/// (<https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html>).
pub(crate) fn document(
    document: &Document,
    names: &mut HashSet<String>,
    place: &str,
) -> Result<Value, Fault> {
    let (source, media_type) = source(&document.source, place, "a document")?;
    if let Some(format) = film(&media_type) {
        return Ok(json!({"video": {"format": format, "source": source}}));
    }
    let said = document.name.as_deref().unwrap_or_default();
    let known = format(&media_type).or_else(|| format(by_ending(said)));
    let Some(format) = known else {
        return Err(OWN.cannot(place, &format!("a document of type `{media_type}`")));
    };
    let mut block = Map::new();
    block.insert("format".to_owned(), format.into());
    block.insert("name".to_owned(), name(said, names).into());
    block.insert("source".to_owned(), source);
    put(&mut block, "context", document.context.clone());
    let citations = document.citations.then(|| json!({"enabled": true}));
    put(&mut block, "citations", citations);
    Ok(json!({"document": block}))
}

/// The source as Bedrock writes it, and the media type.
fn source(source: &Source, place: &str, what: &str) -> Result<(Value, String), Fault> {
    let (value, media_type) = match source {
        Source::Inline { media_type, data } => (json!({"bytes": data}), media_type.as_str()),
        Source::Plain(text) => (json!({"bytes": STANDARD.encode(text)}), "text/plain"),
        Source::Url { url, media_type } if url.starts_with("s3://") => {
            let media_type = media_type.as_deref().unwrap_or_else(|| by_ending(url));
            (json!({"s3Location": {"uri": url}}), media_type)
        }
        Source::Url { .. } => {
            let what = format!("{what} by its address (other than in S3)");
            return Err(OWN.cannot(place, &what));
        }
        Source::File { .. } => {
            let what = format!("{what} that was uploaded to a provider");
            return Err(OWN.cannot(place, &what));
        }
    };
    let media_type = media_type.split(';').next().unwrap_or_default();
    Ok((value, media_type.trim().to_ascii_lowercase()))
}

/// The media type that a file's name tells.
fn by_ending(name: &str) -> &'static str {
    let (_, ending) = name.rsplit_once('.').unwrap_or_default();
    match ending.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "pdf" => "application/pdf",
        "csv" => "text/csv",
        "doc" => "application/msword",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xls" => "application/vnd.ms-excel",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "htm" | "html" => "text/html",
        "md" => "text/markdown",
        "txt" => "text/plain",
        "mp4" => "video/mp4",
        "mov" => "video/quicktime",
        "mkv" => "video/x-matroska",
        "webm" => "video/webm",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        _ => "application/octet-stream",
    }
}

fn format(media_type: &str) -> Option<&'static str> {
    Some(match media_type {
        "application/pdf" => "pdf",
        "text/csv" => "csv",
        "application/msword" => "doc",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => "docx",
        "application/vnd.ms-excel" => "xls",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => "xlsx",
        "text/html" => "html",
        "text/markdown" => "md",
        "application/json" | "application/xml" | "application/yaml" => "txt",
        other if other.starts_with("text/") => "txt",
        _ => return None,
    })
}

fn film(media_type: &str) -> Option<&str> {
    let kind = media_type.strip_prefix("video/")?;
    Some(match kind {
        "quicktime" => "mov",
        "x-matroska" => "mkv",
        "x-flv" => "flv",
        "x-ms-wmv" => "wmv",
        "3gpp" => "three_gp",
        other => other,
    })
}

/// Letters, digits, single spaces, hyphens, underscores and brackets, without the ending, and not twice.
fn name(said: &str, names: &mut HashSet<String>) -> String {
    let stem = match said.rsplit_once('.') {
        Some((stem, ending)) if ending.len() <= 5 => stem,
        _ => said,
    };
    let allowed = |sign: char| sign.is_ascii_alphanumeric() || "-_()[]".contains(sign);
    let spaced: String = deunicode(stem)
        .chars()
        .map(|sign| if allowed(sign) { sign } else { ' ' })
        .collect();
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let name: String = words.join(" ").chars().take(NAME_CHARS_MAX - 8).collect();
    let name = if name.is_empty() {
        "document"
    } else {
        name.trim()
    };
    let mut unique = name.to_owned();
    let mut count = 2_u32;
    while !names.insert(unique.clone()) {
        unique = format!("{name} ({count})");
        count += 1;
    }
    unique
}
