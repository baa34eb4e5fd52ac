//! A provider's whole answer: read as a stream of one piece, so that both ways give the same.

use serde_json::{Map, Value};

use crate::llm::answer::{Answer, Collector};
use crate::llm::dialect::openai_chat::StreamDecoder;
use crate::llm::dialect::openai_chat::error::{BASE_RESP, of_base_resp};
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::fields::{Fields, wrong};

pub(crate) fn decode(body: Value) -> Result<Answer, Fault> {
    let body = match body {
        Value::Object(body) => body,
        other => return Err(not_the_callers(wrong("", "an object", &other))),
    };
    let failed = body.get(BASE_RESP).and_then(of_base_resp).is_some();
    if !body.contains_key("error") && !failed {
        check(&body).map_err(not_the_callers)?;
    }
    let mut collector = Collector::default();
    for event in StreamDecoder::default().whole_answer(&body) {
        collector.push(event)?;
    }
    Ok(collector.finish())
}

/// Names what is of a wrong kind, which a stream passes over.
fn check(body: &Map<String, Value>) -> Result<(), Fault> {
    let mut body = Fields::of(body.clone().into(), "")?;
    let choices = body.list("choices")?;
    let Some(choice) = choices.into_iter().next() else {
        return Err(Fault::invalid("choices", "`choices` holds no answer"));
    };
    let mut choice = Fields::of(choice, "choices[0]")?;
    let Some(mut message) = choice.object("message")? else {
        return Err(choice.missing("message"));
    };
    match message.take("content") {
        None | Some(Value::String(_) | Value::Array(_)) => {}
        Some(other) => {
            return Err(wrong(
                &message.at("content"),
                "a string or a list of parts",
                &other,
            ));
        }
    }
    message.text("refusal")?;
    for (at, call) in message.list("tool_calls")?.into_iter().enumerate() {
        let mut call = Fields::of(call, format!("choices[0].message.tool_calls[{at}]"))?;
        call.object("function")?;
    }
    choice.text("finish_reason")?;
    Ok(())
}

/// The caller cannot change what a provider got wrong.
fn not_the_callers(fault: Fault) -> Fault {
    let message = format!(
        "the provider's answer cannot be understood: {}",
        fault.message
    );
    Fault::new(FaultClass::Upstream, message)
}
