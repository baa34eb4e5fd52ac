//! What the commands send to a running server: JSON, or a form with a file as it is, which no JSON
//! text could carry and none has to repeat.

use bytes::Bytes;
use http::HeaderValue;

/// A body, and what it is.
pub(super) struct Sent {
    pub(super) kind: HeaderValue,
    pub(super) bytes: Bytes,
}

impl Sent {
    pub(super) fn json(text: String) -> Self {
        Self {
            kind: HeaderValue::from_static("application/json"),
            bytes: text.into(),
        }
    }

    /// A form with a file, as RFC 7578 writes it.
    pub(super) fn form(fields: &[(String, String)], (name, file): (&str, &[u8])) -> Self {
        let boundary = format!("causeway-{}", uuid::Uuid::now_v7().simple());
        let mut bytes = Vec::with_capacity(file.len() + 1024);
        let begin = |name: &str, more: &str| {
            format!("--{boundary}\r\ncontent-disposition: form-data; name=\"{name}\"{more}\r\n\r\n")
        };
        for (name, value) in fields {
            bytes.extend_from_slice(begin(name, "").as_bytes());
            bytes.extend_from_slice(value.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        let name = name.replace(['"', '\r', '\n'], "_");
        let more = format!("; filename=\"{name}\"");
        bytes.extend_from_slice(begin("file", &more).as_bytes());
        bytes.extend_from_slice(file);
        bytes.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        let kind = HeaderValue::from_str(&format!("multipart/form-data; boundary={boundary}"));
        Self {
            kind: kind.expect("hexadecimal digits are visible"),
            bytes: bytes.into(),
        }
    }
}
