//! Calls that answer with questions (MCP 2026-07-28, multi round-trip requests).

use aws_lc_rs::hmac;
use causeway::mcp::provider::{
    CallContext, CallError, CallOutcome, Client, InputRequired, Provision, Resumption, ToolCall,
};
use serde_json::{Value, json};

use crate::native::text;

pub(crate) const TOOLS: [&str; 9] = [
    "test_streaming_elicitation",
    "test_input_required_result_elicitation",
    "test_input_required_result_sampling",
    "test_input_required_result_list_roots",
    "test_input_required_result_request_state",
    "test_input_required_result_tampered_state",
    "test_input_required_result_multiple_inputs",
    "test_input_required_result_multi_round",
    "test_input_required_result_capabilities",
];

/// One round. `None` for a tool that asks nothing.
pub(crate) fn call(call: &ToolCall, cx: &CallContext) -> Option<Result<CallOutcome, CallError>> {
    TOOLS.contains(&call.name.as_str()).then(|| round(call, cx))
}

fn round(call: &ToolCall, cx: &CallContext) -> Result<CallOutcome, CallError> {
    let resumption = call.resumption.as_ref();
    let state = match resumption.and_then(|resumption| resumption.state.as_deref()) {
        Some(sealed) => Some(open(sealed)?),
        None => None,
    };
    let answer = |key: &str| answer(resumption, key);
    match call.name.trim_start_matches("test_input_required_result_") {
        "elicitation" => Ok(match answer("user_name") {
            Some(answer) => text(&format!("Hello, {}!", shown(&answer["content"]["name"]))),
            None => ask(json!({ "user_name": name() }), None),
        }),
        "sampling" => Ok(match answer("capital_question") {
            Some(answer) => text(&shown(&answer["content"]["text"])),
            None => {
                let question = sampling("What is the capital of France?");
                ask(json!({ "capital_question": question }), None)
            }
        }),
        "list_roots" => Ok(match answer("client_roots") {
            Some(answer) => text(&shown(&answer["roots"])),
            None => ask(json!({ "client_roots": roots() }), None),
        }),
        "request_state" | "tampered_state" => Ok(match state {
            Some(_) => text("state-ok"),
            None => {
                let question = elicitation("Please confirm", "ok", "boolean");
                ask(json!({ "confirm": question }), Some("confirm"))
            }
        }),
        "multiple_inputs" => {
            let keys = ["user_name", "greeting", "client_roots"];
            let done = state.is_some() && keys.iter().all(|key| answer(key).is_some());
            Ok(if done {
                text("Everything was answered.")
            } else {
                let greeting = sampling("Generate a greeting");
                let questions =
                    json!({ "user_name": name(), "greeting": greeting, "client_roots": roots() });
                ask(questions, Some("gather"))
            })
        }
        "multi_round" => Ok(match state.as_deref() {
            None => ask(json!({ "step1": name() }), Some("second")),
            Some("second") => {
                let question = elicitation("What is your favorite color?", "color", "string");
                ask(json!({ "step2": question }), Some("last"))
            }
            Some(_) => text("Two rounds are done."),
        }),
        "capabilities" if resumption.is_some() => Ok(text("Answered.")),
        "capabilities" => {
            let capabilities = cx.client.as_deref().map(Client::capabilities);
            let offered = [
                ("elicitation", "user_name", name()),
                ("sampling", "greeting", sampling("Generate a greeting")),
                ("roots", "client_roots", roots()),
            ];
            let may = |capability: &str| capabilities.is_some_and(|c| c.get(capability).is_some());
            let asked = offered
                .into_iter()
                .filter(|(capability, ..)| may(capability));
            Ok(ask(
                asked.map(|(_, key, question)| (key, question)).collect(),
                None,
            ))
        }
        _ => Ok(ask(json!({ "value": name() }), None)),
    }
}

/// `prompts/get` of a prompt that needs to know something first.
pub(crate) fn prompt(resumption: Option<&Resumption>) -> Provision {
    let Some(answer) = answer(resumption, "user_context") else {
        let question = elicitation("What context should the prompt use?", "context", "string");
        return Provision::InputRequired(InputRequired {
            requests: json!({ "user_context": question }),
            state: None,
        });
    };
    let text = format!("Use this context: {}", shown(&answer["content"]["context"]));
    let content = json!({ "type": "text", "text": text });
    Provision::Result(json!({ "messages": [{ "role": "user", "content": content }] }))
}

/// An answer counts if it is an object; anything else is asked for again.
fn answer<'a>(resumption: Option<&'a Resumption>, key: &str) -> Option<&'a Value> {
    let answer = resumption?.responses.get(key)?;
    answer.is_object().then_some(answer)
}

fn ask(requests: Value, state: Option<&str>) -> CallOutcome {
    CallOutcome::InputRequired(InputRequired {
        requests,
        state: state.map(seal),
    })
}

fn name() -> Value {
    elicitation("What is your name?", "name", "string")
}

fn elicitation(message: &str, property: &str, kind: &str) -> Value {
    let schema = json!({
        "type": "object",
        "properties": { property: { "type": kind } },
        "required": [property],
    });
    let params = json!({ "mode": "form", "message": message, "requestedSchema": schema });
    json!({ "method": "elicitation/create", "params": params })
}

fn sampling(text: &str) -> Value {
    let message = json!({ "role": "user", "content": { "type": "text", "text": text } });
    let params = json!({ "messages": [message], "maxTokens": 100 });
    json!({ "method": "sampling/createMessage", "params": params })
}

fn roots() -> Value {
    json!({ "method": "roots/list", "params": {} })
}

fn shown(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// A fixture's key guards nothing.
fn key() -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, b"the conformance fixture's state")
}

/// State the client carries for us, and cannot change unseen.
fn seal(state: &str) -> String {
    let tag = hmac::sign(&key(), state.as_bytes());
    format!("{state}.{}", hex::encode(tag))
}

fn open(sealed: &str) -> Result<String, CallError> {
    let tampered = || CallError::InvalidParams("requestState is not what was given out".to_owned());
    let (state, tag) = sealed.split_once('.').ok_or_else(tampered)?;
    let tag = hex::decode(tag).map_err(|_| tampered())?;
    hmac::verify(&key(), state.as_bytes(), &tag).map_err(|_| tampered())?;
    Ok(state.to_owned())
}
