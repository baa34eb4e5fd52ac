//! JSON-RPC 2.0 as MCP uses it: one parse per message, nothing inside it parsed that is only passed
//! on, and replies written as text.

use std::borrow::Cow;
use std::fmt::Write;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::mcp::endpoint::version::Version;

pub(super) const PARSE_ERROR: i64 = -32_700;
pub(super) const INVALID_REQUEST: i64 = -32_600;
pub(super) const METHOD_NOT_FOUND: i64 = -32_601;
pub(super) const INVALID_PARAMS: i64 = -32_602;
pub(super) const INTERNAL_ERROR: i64 = -32_603;
/// 2025-11-25 and before; -32602 since.
pub(super) const RESOURCE_NOT_FOUND: i64 = -32_002;
/// Ours: the server is there, and its owner serves it no more. It lies outside of what MCP 2026-07-28
/// keeps for itself (-32020 to -32099).
pub(super) const CLOSED: i64 = -32_010;
/// MCP 2026-07-28.
pub(super) const HEADER_MISMATCH: i64 = -32_020;
pub(super) const MISSING_CAPABILITY: i64 = -32_021;
pub(super) const UNSUPPORTED_VERSION: i64 = -32_022;
/// The user has to open a page first (2025-11-25, client/elicitation, "URL Elicitation Required Error").
pub(super) const URL_ELICITATION_REQUIRED: i64 = -32_042;

/// One message from a client, its parts still as they were written.
#[derive(Debug)]
pub(super) enum Message<'a> {
    Request {
        id: &'a RawValue,
        method: Cow<'a, str>,
        params: Params<'a>,
    },
    Notification {
        method: Cow<'a, str>,
        params: Params<'a>,
    },
    /// The answer to a request of ours.
    Response {
        id: &'a RawValue,
        result: Result<&'a RawValue, &'a RawValue>,
    },
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    jsonrpc: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

/// `null` is a value, not absence.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// The members of `params` that any method looks at.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Params<'a> {
    #[serde(rename = "_meta", borrow, default)]
    pub(super) meta: Option<Meta<'a>>,
    #[serde(borrow, default)]
    pub(super) name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) arguments: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) cursor: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) uri: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) protocol_version: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) capabilities: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub(super) client_info: Option<ClientInfo<'a>>,
    #[serde(borrow, default)]
    pub(super) level: Option<Cow<'a, str>>,
    #[serde(rename = "ref", borrow, default)]
    pub(super) reference: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) argument: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) notifications: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) input_responses: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) request_state: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) request_id: Option<&'a RawValue>,
}

/// Who a client says it is.
#[derive(Debug, Deserialize)]
pub(super) struct ClientInfo<'a> {
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) version: Option<&'a RawValue>,
}

/// Nothing where a client describes itself in another way: a request does not fail for that.
fn lenient<'de: 'a, 'a, D>(deserializer: D) -> Result<Option<ClientInfo<'a>>, D::Error>
where
    D: Deserializer<'de>,
{
    let raw = <&RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(raw.get()).ok())
}

/// `params._meta`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Meta<'a> {
    #[serde(rename = "io.modelcontextprotocol/protocolVersion", borrow, default)]
    pub(super) protocol_version: Option<Cow<'a, str>>,
    #[serde(rename = "io.modelcontextprotocol/clientCapabilities", borrow, default)]
    pub(super) client_capabilities: Option<&'a RawValue>,
    #[serde(
        rename = "io.modelcontextprotocol/clientInfo",
        borrow,
        default,
        deserialize_with = "lenient"
    )]
    pub(super) client_info: Option<ClientInfo<'a>>,
    #[serde(rename = "io.modelcontextprotocol/logLevel", borrow, default)]
    pub(super) log_level: Option<Cow<'a, str>>,
    #[serde(rename = "progressToken", borrow, default)]
    pub(super) progress_token: Option<&'a RawValue>,
}

/// A JSON-RPC error, and where it goes.
#[derive(Debug)]
pub(super) struct RpcError {
    pub(super) code: i64,
    pub(super) message: Cow<'static, str>,
    pub(super) data: Option<Value>,
}

impl RpcError {
    pub(super) fn new(code: i64, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }

    pub(super) fn invalid_params(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(INVALID_PARAMS, message)
    }

    pub(super) fn method_not_found(method: &str) -> Self {
        let method: String = method.chars().take(100).collect();
        Self::new(METHOD_NOT_FOUND, format!("method not found: {method}"))
    }

    /// The whole error message, for the request of that id (`null` where it is not known).
    pub(super) fn to_message(&self, id: Option<&str>) -> String {
        let mut error = json!({ "code": self.code, "message": self.message });
        if let Some(data) = &self.data {
            error["data"] = data.clone();
        }
        format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{},\"error\":{error}}}",
            id.unwrap_or("null")
        )
    }
}

/// Text that is no message, and the id to say so under, where there is one.
#[derive(Debug)]
pub(super) struct Malformed<'a> {
    id: Option<&'a RawValue>,
    error: RpcError,
}

impl From<RpcError> for Malformed<'_> {
    fn from(error: RpcError) -> Self {
        Self { id: None, error }
    }
}

impl Malformed<'_> {
    pub(super) fn to_message(&self) -> String {
        self.error.to_message(self.id.map(RawValue::get))
    }
}

impl<'a> Message<'a> {
    /// Reads one message. The error is ready to be sent.
    pub(super) fn parse(text: &'a str) -> Result<Self, Malformed<'a>> {
        if !text.trim_start().starts_with('{') {
            serde_json::from_str::<&RawValue>(text)
                .map_err(|error| RpcError::new(PARSE_ERROR, format!("not JSON: {error}")))?;
            return Err(RpcError::new(INVALID_REQUEST, "a message is a JSON object").into());
        }
        let envelope: Envelope = serde_json::from_str(text).map_err(|error| {
            if error.is_data() {
                RpcError::new(INVALID_REQUEST, format!("not a JSON-RPC message: {error}"))
            } else {
                RpcError::new(PARSE_ERROR, format!("not JSON: {error}"))
            }
        })?;
        let id = envelope.id.filter(|id| is_id(id));
        envelope.read().map_err(|error| Malformed { id, error })
    }
}

fn is_id(raw: &RawValue) -> bool {
    matches!(
        raw.get().as_bytes().first(),
        Some(b'"' | b'-' | b'0'..=b'9')
    )
}

impl<'a> Envelope<'a> {
    fn read(self) -> Result<Message<'a>, RpcError> {
        if self.jsonrpc.as_deref() != Some("2.0") {
            return Err(RpcError::new(
                INVALID_REQUEST,
                "`jsonrpc` has to be \"2.0\"",
            ));
        }
        if self.id.is_some_and(|id| !is_id(id)) {
            return Err(RpcError::new(
                INVALID_REQUEST,
                "`id` has to be a string or a number",
            ));
        }
        match (self.method, self.id) {
            (Some(method), id) => {
                let params = params(self.params)?;
                Ok(match id {
                    Some(id) => Message::Request { id, method, params },
                    None => Message::Notification { method, params },
                })
            }
            (None, Some(id)) => match (self.result, self.error) {
                (Some(result), _) => Ok(Message::Response {
                    id,
                    result: Ok(result),
                }),
                (None, Some(error)) => Ok(Message::Response {
                    id,
                    result: Err(error),
                }),
                (None, None) => Err(RpcError::new(INVALID_REQUEST, "`method` is missing")),
            },
            (None, None) => Err(RpcError::new(INVALID_REQUEST, "`method` is missing")),
        }
    }
}

fn params(raw: Option<&RawValue>) -> Result<Params<'_>, RpcError> {
    let Some(raw) = raw else {
        return Ok(Params::default());
    };
    if !raw.get().starts_with('{') {
        return Err(RpcError::invalid_params("`params` has to be an object"));
    }
    serde_json::from_str(raw.get())
        .map_err(|error| RpcError::invalid_params(format!("`params` is not valid: {error}")))
}

/// The members of a JSON array of messages, at most `max`.
pub(super) fn batch(text: &str, max: usize) -> Result<Vec<&RawValue>, RpcError> {
    let members: Vec<&RawValue> = serde_json::from_str(text)
        .map_err(|error| RpcError::new(PARSE_ERROR, format!("not JSON: {error}")))?;
    match members.len() {
        0 => Err(RpcError::new(INVALID_REQUEST, "an empty batch")),
        n if n > max => Err(RpcError::new(
            INVALID_REQUEST,
            format!("a batch has at most {max} messages"),
        )),
        _ => Ok(members),
    }
}

/// The messages of a text: the text itself, or the members of an array, at most `max`, where the
/// version that was settled has arrays (2025-03-26), or none was settled yet.
pub(super) fn messages(
    text: &str,
    settled: Option<Version>,
    max: usize,
) -> Result<Vec<&str>, RpcError> {
    if !text.trim_start().starts_with('[') {
        return Ok(vec![text]);
    }
    if settled.is_some_and(|version| version != Version::V2025_03_26) {
        return Err(no_batches());
    }
    let members = batch(text, max)?;
    Ok(members.into_iter().map(RawValue::get).collect())
}

pub(super) fn no_batches() -> RpcError {
    RpcError::new(
        INVALID_REQUEST,
        "this protocol version has no batches; send one message at a time",
    )
}

/// `initialize` settles the version, so that nothing may come with it (MCP 2025-03-26, lifecycle).
pub(super) fn initialize_in_batch() -> RpcError {
    RpcError::new(INVALID_REQUEST, "`initialize` is never in a batch")
}

/// A result message around prebuilt JSON.
pub(super) fn result_message(id: &str, result: &str) -> String {
    let mut text = String::with_capacity(result.len() + id.len() + 40);
    let _ = write!(
        text,
        "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}"
    );
    text
}

pub(super) fn notification(method: &str, params: &Value) -> String {
    json!({ "jsonrpc": "2.0", "method": method, "params": params }).to_string()
}

/// A message on one line, as every transport but a plain answer needs it. JSON has line breaks
/// between its tokens only, where a space means the same; what an API wrote may have some.
pub(super) fn on_one_line(json: &str) -> Cow<'_, str> {
    if json.contains('\n') || json.contains('\r') {
        Cow::Owned(json.replace(['\n', '\r'], " "))
    } else {
        Cow::Borrowed(json)
    }
}

/// A JSON string.
pub(super) fn quote(text: &str) -> String {
    serde_json::to_string(text).expect("a string always serializes")
}
