//! A call of a tool as callers and providers write it.

use serde_json::{Map, Value, json};

use crate::llm::answer::arguments_text;
use crate::llm::chat::{Signature, ToolCall};
use crate::llm::dialect::openai_chat::thought;

/// Arguments, which sloppy providers write as an object instead of a text.
pub(crate) fn text(arguments: Option<Value>) -> String {
    match arguments {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
    }
}

/// The signature in `extra_content` of a call.
pub(crate) fn signature(extra: Option<&Value>) -> Option<Signature> {
    let value = extra?.get("google")?.get("thought_signature")?.as_str()?;
    (!value.is_empty()).then(|| thought::unwrap(value))
}

/// `extra_content` of a call.
pub(crate) fn extra(signature: &Signature) -> Value {
    json!({"google": {"thought_signature": thought::wrap(signature)}})
}

/// A whole call.
pub(crate) fn encode(
    call: &ToolCall,
    id: &str,
    signature: Option<&Signature>,
) -> Map<String, Value> {
    let mut written = Map::new();
    written.insert("id".to_owned(), id.into());
    if call.custom {
        written.insert("type".to_owned(), "custom".into());
        let custom = json!({"name": call.name, "input": call.arguments});
        written.insert("custom".to_owned(), custom);
    } else {
        written.insert("type".to_owned(), "function".into());
        let arguments = arguments_text(&call.arguments);
        let function = json!({"name": call.name, "arguments": arguments});
        written.insert("function".to_owned(), function);
    }
    if let Some(signature) = signature {
        written.insert("extra_content".to_owned(), extra(signature));
    }
    written
}
