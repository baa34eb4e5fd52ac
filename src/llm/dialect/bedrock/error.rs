//! Errors (<https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html>), before an
//! answer and within a stream.

use serde_json::{Map, Value};

use crate::llm::fault::{Fault, FaultClass};

/// How much of a body that is no JSON is shown.
const SHOWN_CHARS_MAX: usize = 300;

/// A refusal to answer; `body` may be anything.
pub fn decode_error(status: u16, body: &[u8]) -> Fault {
    match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(said)) => fault(status, None, &said),
        _ => {
            let text = String::from_utf8_lossy(body);
            let text = text.trim();
            let class = FaultClass::of_status(status);
            if text.is_empty() || text.starts_with('<') {
                let text = format!("the provider answered with status {status}");
                return Fault::new(class, text);
            }
            let shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
            Fault::new(by_message(&shown).unwrap_or(class), shown)
        }
    }
}

/// An exception in a stream, by its name.
pub(crate) fn in_stream(name: &str, data: &str) -> Fault {
    let said = serde_json::from_str::<Map<String, Value>>(data).unwrap_or_default();
    fault(500, Some(name), &said)
}

fn fault(status: u16, name: Option<&str>, said: &Map<String, Value>) -> Fault {
    let text = |name: &str| said.get(name).and_then(Value::as_str);
    let name = name.or_else(|| text("__type")).or_else(|| text("code"));
    let code = name.map(|name| name.rsplit('#').next().unwrap_or(name));
    let code = code.map(|name| name.split(':').next().unwrap_or(name));
    let code = code.filter(|code| !code.is_empty());
    let message = ["message", "Message", "originalMessage"]
        .into_iter()
        .find_map(text)
        .filter(|message| !message.is_empty());
    let class = message
        .and_then(by_message)
        .or_else(|| code.and_then(by_code))
        .unwrap_or(by_status(status));
    let message = match (message, code) {
        (Some(message), _) => message.to_owned(),
        (None, Some(code)) => format!("the provider said {code}"),
        (None, None) => format!("the provider answered with status {status}"),
    };
    Fault {
        code: code.map(str::to_owned),
        ..Fault::new(class, message)
    }
}

/// 424 is a model that failed.
fn by_status(status: u16) -> FaultClass {
    match status {
        424 => FaultClass::Upstream,
        status => FaultClass::of_status(status),
    }
}

/// Streams begin the same names with a small letter.
fn by_code(code: &str) -> Option<FaultClass> {
    Some(match code.to_ascii_lowercase().as_str() {
        "validationexception" | "malformedinputexception" => FaultClass::Invalid,
        "accessdeniedexception" | "accessdenied" | "optinrequired" => FaultClass::Forbidden,
        "unrecognizedclientexception"
        | "invalidsignatureexception"
        | "incompletesignature"
        | "incompletesignatureexception"
        | "missingauthenticationtoken"
        | "missingauthenticationtokenexception"
        | "invalidclienttokenid"
        | "expiredtokenexception"
        | "expiredtoken"
        | "requestexpired" => FaultClass::Unauthenticated,
        "resourcenotfoundexception" => FaultClass::NotFound,
        "throttlingexception" | "throttling" | "toomanyrequestsexception" => {
            FaultClass::RateLimited
        }
        "servicequotaexceededexception" => FaultClass::Exhausted,
        "modelnotreadyexception" | "serviceunavailableexception" | "serviceunavailable" => {
            FaultClass::Overloaded
        }
        "modeltimeoutexception" => FaultClass::Timeout,
        "modelerrorexception"
        | "modelstreamerrorexception"
        | "internalserverexception"
        | "internalfailure"
        | "internalservererror" => FaultClass::Upstream,
        _ => return None,
    })
}

/// What one name is used for is told apart by words.
fn by_message(message: &str) -> Option<FaultClass> {
    const PHRASES: [(&str, FaultClass); 16] = [
        ("input is too long", FaultClass::ContextLength),
        ("prompt is too long", FaultClass::ContextLength),
        ("too many input tokens", FaultClass::ContextLength),
        ("input tokens exceeded", FaultClass::ContextLength),
        ("maximum context length", FaultClass::ContextLength),
        (
            "exceeds the maximum number of tokens",
            FaultClass::ContextLength,
        ),
        ("exceed context limit", FaultClass::ContextLength),
        ("blocked by our content filter", FaultClass::ContentPolicy),
        ("content filtering policy", FaultClass::ContentPolicy),
        ("model identifier is invalid", FaultClass::NotFound),
        ("too many tokens per day", FaultClass::Exhausted),
        (
            "security token included in the request",
            FaultClass::Unauthenticated,
        ),
        (
            "signature we calculated does not match",
            FaultClass::Unauthenticated,
        ),
        ("signature expired", FaultClass::Unauthenticated),
        ("authentication failed", FaultClass::Unauthenticated),
        ("bearer token has expired", FaultClass::Unauthenticated),
    ];
    let message = message.to_lowercase();
    let found = PHRASES.iter().find(|(phrase, _)| message.contains(phrase));
    found.map(|(_, class)| *class)
}
