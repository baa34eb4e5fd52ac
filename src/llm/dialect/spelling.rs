//! The names that a caller knows: what of a request is wrong, or left out, is told by the field that the caller sent.

use crate::llm::chat::{ChatRequest, Part};
use crate::llm::dialect::openai_responses::CONTENT;
use crate::llm::dialect::{Dialect, Dropped};
use crate::llm::fault::Fault;

/// How encoders call the turns of a conversation, and the parts of one.
const TURNS: [&str; 3] = ["turns[", "messages[", "contents["];
const PARTS: [&str; 2] = [".parts[", ".content["];

/// A refusal of a request in the words of OpenAI's callers; others are told as the encoder does.
pub(crate) fn told(request: &ChatRequest, fault: Fault) -> Fault {
    let Some(field) = fault.field.as_deref() else {
        return fault;
    };
    let known = match request.rest.dialect {
        Some(Dialect::OpenaiChat) => Some(known(request, field, true)),
        Some(Dialect::OpenaiResponses) => Some(known(request, field, false)),
        _ => None,
    };
    match known {
        Some(known) if known != field => Fault {
            message: fault
                .message
                .replace(&format!("`{field}`"), &format!("`{known}`")),
            field: Some(known),
            ..fault
        },
        _ => fault,
    }
}

/// What of a request was left out, in the words of OpenAI's callers. Fields that only their dialect has are in them.
pub(crate) fn left_out(request: &ChatRequest, dropped: &mut [Dropped]) {
    let chat = match request.rest.dialect {
        Some(Dialect::OpenaiChat) => true,
        Some(Dialect::OpenaiResponses) => false,
        _ => return,
    };
    for one in dropped {
        let is_own = request.rest.fields.contains_key(&one.field);
        if !is_own {
            one.field = known(request, &one.field, chat);
        } else if chat {
            one.field = sent(request, &one.field);
        }
    }
}

/// A field of a chat's message, which is kept by the number that the message has once instructions are put together.
fn sent(request: &ChatRequest, field: &str) -> String {
    if let Some(rest) = field.strip_prefix("instructions[") {
        return format!("messages[{rest}");
    }
    let leading = request.rest.places.of(0, None).unwrap_or_default();
    let merged = leading.saturating_sub(1);
    let numbered = field.strip_prefix("messages[");
    let numbered = numbered.and_then(|rest| {
        let (number, rest) = rest.split_once(']')?;
        let number: usize = number.parse().ok()?;
        Some(format!("messages[{}]{rest}", number + merged))
    });
    numbered.unwrap_or_else(|| field.to_owned())
}

fn known(request: &ChatRequest, field: &str, chat: bool) -> String {
    let Some(marked) = field.strip_suffix(".cache") else {
        return place(request, field, chat);
    };
    let mark = if chat {
        "cache_control"
    } else {
        "prompt_cache_breakpoint"
    };
    format!("{}.{mark}", place(request, marked, chat))
}

fn place(request: &ChatRequest, field: &str, chat: bool) -> String {
    if let Some(place) = turn(request, field, chat) {
        return place;
    }
    if let Some(name) = field.strip_prefix("sampling.") {
        let name = match name {
            "max_output_tokens" if chat => "max_completion_tokens",
            "candidates" => "n",
            "logprobs" if !chat => "top_logprobs",
            name => name,
        };
        return name.to_owned();
    }
    if field == "format" || field.starts_with("format.") {
        let whole = match (chat, field == "format") {
            (true, true) => "response_format",
            (true, false) => "response_format.json_schema",
            (false, _) => "text.format",
        };
        return field.replacen("format", whole, 1);
    }
    if field.starts_with("tools[") && chat {
        let inner = field.replacen("].name", "].function.name", 1);
        return inner.replacen("].strict", "].function.strict", 1);
    }
    let name = match field {
        "cache_key" => "prompt_cache_key",
        "reasoning" | "reasoning.effort" if chat => "reasoning_effort",
        "reasoning.budget_tokens" if chat => "reasoning.max_tokens",
        "reasoning.shown" if chat => "reasoning.exclude",
        "reasoning.shown" => "reasoning.summary",
        system if system.starts_with("system") => {
            if chat {
                "messages"
            } else {
                "instructions"
            }
        }
        other => other,
    };
    name.to_owned()
}

/// The place of a turn, or of something in it, in the list that the caller sent.
fn turn(request: &ChatRequest, field: &str, chat: bool) -> Option<String> {
    let (turn, part, rest) = within(field)?;
    let list = if chat { "messages" } else { "input" };
    let places = &request.rest.places;
    let Some(item) = places.of(turn, part) else {
        return Some(list.to_owned());
    };
    let (inner, nested) = if chat {
        ("tool_calls", ".content[")
    } else {
        ("", ".output[")
    };
    let Some(part) = part else {
        return Some(format!("{list}[{item}]{rest}"));
    };
    let parts = &request.turns.get(turn)?.parts;
    let holder = |part: &Part| match part {
        Part::ToolCall(_) => inner,
        Part::ToolResult(_) | Part::Thought(_) => "",
        Part::Opaque(part) if !chat && !part.kind.starts_with(CONTENT) => "",
        _ => "content",
    };
    let own = holder(parts.get(part)?);
    if own.is_empty() {
        let rest = PARTS
            .iter()
            .fold(rest.to_owned(), |rest, parts| rest.replace(*parts, nested));
        return Some(format!("{list}[{item}]{rest}"));
    }
    let before = parts
        .iter()
        .take(part)
        .enumerate()
        .filter(|&(at, other)| holder(other) == own && places.of(turn, Some(at)) == Some(item));
    let at = before.count();
    Some(format!("{list}[{item}].{own}[{at}]{rest}"))
}

/// The numbers of a turn and of a part of it, and what follows, in a place as encoders say it.
fn within(field: &str) -> Option<(usize, Option<usize>, &str)> {
    let mut lists = TURNS.iter();
    let turn = lists.find_map(|list| field.strip_prefix(*list))?;
    let (turn, rest) = turn.split_once(']')?;
    let turn = turn.parse().ok()?;
    let mut parts = PARTS.iter();
    let part = parts.find_map(|list| rest.strip_prefix(*list));
    let Some((part, rest)) = part.and_then(|part| part.split_once(']')) else {
        return Some((turn, None, rest));
    };
    Some((turn, Some(part.parse().ok()?), rest))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told_of(dialect: Dialect, body: Value, field: &str) -> String {
        let request = dialect.decode_request(body).expect("a request");
        let fault = Fault::invalid(field, format!("`{field}` is wrong"));
        let told = told(&request, fault);
        let field = told.field.expect("a field");
        assert_eq!(told.message, format!("`{field}` is wrong"));
        field
    }

    #[test]
    fn chats_are_told_of_their_messages() {
        let body = json!({"model": "m", "messages": [
            {"role": "system", "content": "A"},
            {"role": "developer", "content": "B"},
            {"role": "user", "name": "ann", "content": [{"type": "text", "text": "C"}, {"type": "text", "text": "D"}]},
            {"role": "assistant", "reasoning_content": "Hm", "content": "E", "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
            ]},
            {"role": "tool", "tool_call_id": "1", "content": "F"},
            {"role": "tool", "tool_call_id": "2", "content": [{"type": "text", "text": "G"}]},
            {"role": "user", "content": "H"},
        ]});
        for (field, known) in [
            ("turns[0].name", "messages[2].name"),
            ("turns[0].parts[1]", "messages[2].content[1]"),
            ("messages[0].content[1]", "messages[2].content[1]"),
            ("turns[1].parts[0]", "messages[3]"),
            (
                "turns[1].parts[1].cache",
                "messages[3].content[0].cache_control",
            ),
            ("tools[1].strict", "tools[1].function.strict"),
            ("turns[1].parts[3].name", "messages[3].tool_calls[1].name"),
            ("turns[2].parts[1].parts[0]", "messages[5].content[0]"),
            ("turns[3]", "messages[6]"),
            ("turns[9].parts[0]", "messages"),
            ("system[1]", "messages"),
            ("sampling.stop", "stop"),
            ("sampling.candidates", "n"),
            ("sampling.max_output_tokens", "max_completion_tokens"),
            ("format.name", "response_format.json_schema.name"),
            ("cache_key", "prompt_cache_key"),
            ("tools[1].name", "tools[1].function.name"),
            ("modalities", "modalities"),
        ] {
            let told = told_of(Dialect::OpenaiChat, body.clone(), field);
            assert_eq!(told, known, "{field}");
        }
    }

    #[test]
    fn responses_are_told_of_their_items() {
        let body = json!({"model": "m", "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "A"}, {"type": "input_text", "text": "B"}]},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}]},
            {"role": "assistant", "content": [{"type": "output_text", "text": "C"}]},
            {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "1", "output": [{"type": "input_text", "text": "D"}]},
        ]});
        for (field, known) in [
            ("turns[0].parts[1]", "input[0].content[1]"),
            ("turns[1].parts[0]", "input[1]"),
            ("messages[1].content[1]", "input[2].content[0]"),
            ("turns[1].parts[2].arguments", "input[3].arguments"),
            ("turns[2].parts[0].parts[0]", "input[4].output[0]"),
            ("turns[2]", "input[4]"),
            ("sampling.logprobs", "top_logprobs"),
            ("format", "text.format"),
            ("system[0]", "instructions"),
            ("reasoning.effort", "reasoning.effort"),
            ("tools[0].name", "tools[0].name"),
        ] {
            let told = told_of(Dialect::OpenaiResponses, body.clone(), field);
            assert_eq!(told, known, "{field}");
        }
        let text = json!({"model": "m", "input": "Hi"});
        let told = told_of(Dialect::OpenaiResponses, text, "turns[0].parts[0]");
        assert_eq!(told, "input");
    }

    #[test]
    fn what_is_left_out_of_a_chat_is_told_by_its_own_numbers() {
        let body = json!({"model": "m", "messages": [
            {"role": "system", "content": "A", "x": 1},
            {"role": "developer", "content": "B", "y": 1},
            {"role": "user", "name": "ann", "content": "C", "z": 1},
        ]});
        let request = Dialect::OpenaiChat.decode_request(body).expect("a request");
        let names = ["instructions[0].x", "instructions[1].y", "messages[1].z"];
        let mut dropped: Vec<Dropped> = names
            .into_iter()
            .chain(["messages[0].name", "sampling.top_k"])
            .map(|name| Dropped::new(name, "it is one"))
            .collect();
        for name in names {
            assert!(request.rest.fields.contains_key(name), "{name}");
        }
        left_out(&request, &mut dropped);
        let fields: Vec<&str> = dropped.iter().map(|one| one.field.as_str()).collect();
        let expected = [
            "messages[0].x",
            "messages[1].y",
            "messages[2].z",
            "messages[2].name",
            "top_k",
        ];
        assert_eq!(fields, expected);
    }
}
