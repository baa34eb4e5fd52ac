//! Bytes into one `Value` and its version, or the reason why they are no document.

use encoding_rs::{UTF_8, UTF_16BE, UTF_16LE};
use serde::de::DeserializeSeed;
use serde_json::{Map, Value};

use crate::openapi::finding::{Code, Findings, quoted};
use crate::openapi::foreign::Origins;
use crate::openapi::pointer::text;
use crate::openapi::tree::{Breach, Counts, KEYS_BYTES_MAX, Tree};
use crate::openapi::{DocumentError, DocumentLimits, SpecVersion, foreign, yaml};

/// serde_json's own bound, which protects the stack.
const JSON_DEPTH_MAX: usize = 127;

/// Keys of this length are no names.
pub const KEYS_TOO_LONG: DocumentError = DocumentError::Budget {
    what: "bytes in the keys on the way to one value",
    limit: KEYS_BYTES_MAX,
};

/// A document as it was uploaded.
#[derive(Debug)]
pub struct Document {
    /// An object.
    pub root: Value,
    pub version: SpecVersion,
    /// The document was converted: where its operations come from, by [`foreign`].
    pub origins: Option<Origins>,
}

/// Reads the text, as JSON or else as YAML, and finds out the version.
///
/// # Errors
/// Whatever makes the whole document unusable.
pub fn parse(
    bytes: &[u8],
    limits: &DocumentLimits,
    findings: &mut Findings,
) -> Result<Document, DocumentError> {
    let text = written(bytes, limits)?;
    let mut converted = foreign::convert_text(&text, limits.operations_max, findings)?;
    let mut root = Value::Null;
    if converted.is_none() {
        root = value(&text, limits, findings)?;
        converted = foreign::convert(&root, limits.operations_max, findings)?;
    }
    if let Some(converted) = converted {
        return Ok(Document {
            root: converted.root,
            version: SpecVersion::V3_1,
            origins: Some(Origins::new(converted.origins, findings.len())),
        });
    }
    let version = version(root.as_object().ok_or(DocumentError::NotOpenApi)?)?;
    Ok(Document {
        root,
        version,
        origins: None,
    })
}

/// Reads the text of any file, a whole document or a part of one.
///
/// # Errors
/// It is no JSON or YAML, or exceeds a limit.
pub fn part(
    bytes: &[u8],
    limits: &DocumentLimits,
    findings: &mut Findings,
) -> Result<Value, DocumentError> {
    value(&written(bytes, limits)?, limits, findings)
}

fn written<'b>(
    bytes: &'b [u8],
    limits: &DocumentLimits,
) -> Result<std::borrow::Cow<'b, str>, DocumentError> {
    if bytes.len() > limits.document_bytes_max {
        return Err(DocumentError::TooLarge {
            actual: bytes.len(),
            limit: limits.document_bytes_max,
        });
    }
    let text = decode(bytes)?;
    if text.trim().is_empty() {
        return Err(DocumentError::Empty);
    }
    Ok(text)
}

/// UTF-8, or UTF-16 if a byte order mark or the zero beside the first character says so.
///
/// # Errors
/// It is neither.
pub fn decode(bytes: &[u8]) -> Result<std::borrow::Cow<'_, str>, DocumentError> {
    let (encoding, bytes) = match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => (UTF_8, rest),
        [0xFF, 0xFE, rest @ ..] => (UTF_16LE, rest),
        [0xFE, 0xFF, rest @ ..] => (UTF_16BE, rest),
        [first, 0, _, 0, ..] if *first != 0 => (UTF_16LE, bytes),
        [0, second, 0, _, ..] if *second != 0 => (UTF_16BE, bytes),
        _ => (UTF_8, bytes),
    };
    if encoding == UTF_8 {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let at = error.valid_up_to();
            DocumentError::Syntax(format!("not UTF-8 from byte {at} on; save it as UTF-8"))
        })?;
        return Ok(text.into());
    }
    encoding
        .decode_without_bom_handling_and_without_replacement(bytes)
        .ok_or_else(|| DocumentError::Syntax(format!("not valid {}", encoding.name())))
}

fn value(
    text: &str,
    limits: &DocumentLimits,
    findings: &mut Findings,
) -> Result<Value, DocumentError> {
    let looks_like_json = text.trim_start().starts_with(['{', '[', '"']);
    if !looks_like_json {
        return yaml_value(text, limits, findings);
    }
    let counts = Counts::new(limits.nodes_max, limits.depth_max.min(JSON_DEPTH_MAX));
    let mut json = serde_json::Deserializer::from_str(text);
    let read = Tree(&counts)
        .deserialize(&mut json)
        .and_then(|root| json.end().map(|()| root));
    match (read, counts.breach()) {
        (Ok(root), _) => {
            note_duplicates(counts, findings);
            Ok(root)
        }
        (Err(_), Some(breach)) => Err(exceeded(breach, limits)),
        (Err(error), None) if error.to_string().starts_with("recursion limit") => {
            Err(exceeded(Breach::Depth, limits))
        }
        (Err(error), None) => {
            // Trailing commas, comments and the like: flow-style YAML allows most of them.
            let root = yaml_value(text, limits, findings)
                .map_err(|_| DocumentError::Syntax(error.to_string()))?;
            findings.add(
                Code::JsonReadAsYaml,
                "",
                format!("not strict JSON: {error}"),
            );
            Ok(root)
        }
    }
}

fn yaml_value(
    text: &str,
    limits: &DocumentLimits,
    findings: &mut Findings,
) -> Result<Value, DocumentError> {
    let counts = Counts::new(limits.nodes_max, limits.depth_max);
    let root = yaml::parse(text, limits, &counts)?;
    note_duplicates(counts, findings);
    Ok(root)
}

fn exceeded(breach: Breach, limits: &DocumentLimits) -> DocumentError {
    match breach {
        Breach::Nodes => DocumentError::Budget {
            what: "values",
            limit: limits.nodes_max,
        },
        Breach::Depth => DocumentError::Budget {
            what: "levels of nesting",
            limit: limits.depth_max.min(JSON_DEPTH_MAX),
        },
        Breach::Keys => KEYS_TOO_LONG,
    }
}

fn note_duplicates(counts: Counts, findings: &mut Findings) {
    for pointer in counts.into_duplicates() {
        findings.add(
            Code::DuplicateKey,
            pointer,
            "the key occurs more than once; the last value is used",
        );
    }
}

fn version(root: &Map<String, Value>) -> Result<SpecVersion, DocumentError> {
    let (declared, families): (_, &[(&str, SpecVersion)]) =
        match (root.get("openapi"), root.get("swagger")) {
            (Some(declared), _) => (
                declared,
                &[
                    ("3.0", SpecVersion::V3_0),
                    ("3.1", SpecVersion::V3_1),
                    ("3.2", SpecVersion::V3_2),
                ],
            ),
            (None, Some(declared)) => (declared, &[("2.0", SpecVersion::V2_0)]),
            (None, None) => return Err(DocumentError::NotOpenApi),
        };
    let declared = text(declared).unwrap_or_default();
    let declared = declared.trim().trim_start_matches('v');
    families
        .iter()
        .find(|(family, _)| {
            declared
                .strip_prefix(family)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
        })
        .map(|(_, version)| *version)
        .ok_or_else(|| {
            let shown = quoted(declared);
            DocumentError::Version(shown.trim_matches('`').to_owned())
        })
}
