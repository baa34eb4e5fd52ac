//! How many tokens a request has, about, where no provider counts them.

use crate::llm::chat::{ChatRequest, Part, Tool};
use crate::tokens;

/// What surrounds a turn or a tool in a model's own notation.
const AROUND: usize = 4;
/// A picture, a sound or a document whose size nobody knows.
const MEDIA: usize = 1_000;

/// The tokens of everything a model is told.
pub fn estimate(request: &ChatRequest) -> u64 {
    let system: usize = request.system.iter().map(part).sum();
    let turns = request.turns.iter().map(|turn| {
        let parts: usize = turn.parts.iter().map(part).sum();
        parts + AROUND
    });
    let tools = request.tools.iter().map(|tool| match tool {
        Tool::Function(function) => {
            let description = function.description.as_deref().unwrap_or_default();
            let schema = function.parameters.as_ref().map(ToString::to_string);
            let texts = [
                function.name.as_str(),
                description,
                schema.as_deref().unwrap_or_default(),
            ];
            texts.into_iter().map(tokens::estimate).sum::<usize>() + AROUND
        }
        Tool::Opaque(opaque) => tokens::estimate(&opaque.value.to_string()),
    });
    (system + turns.sum::<usize>() + tools.sum::<usize>()) as u64
}

fn part(part: &Part) -> usize {
    match part {
        Part::Text(text) => tokens::estimate(&text.text),
        Part::Refusal(text) => tokens::estimate(text),
        Part::Thought(thought) => tokens::estimate(&thought.text),
        Part::ToolCall(call) => {
            tokens::estimate(&call.name) + tokens::estimate(&call.arguments) + AROUND
        }
        Part::ToolResult(result) => result.parts.iter().map(self::part).sum::<usize>() + AROUND,
        Part::Image(_) | Part::Audio(_) | Part::Document(_) => MEDIA,
        Part::Opaque(opaque) => tokens::estimate(&opaque.value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::llm::dialect::Dialect;

    use super::*;

    #[test]
    fn everything_a_model_is_told_counts() {
        let count = |body| estimate(&Dialect::OpenaiChat.decode_request(body).unwrap());
        let short = json!({ "model": "m", "messages": [{ "role": "user", "content": "hello" }] });
        let base = count(short.clone());
        let with = |field: &str, value| {
            let mut body = short.clone();
            body[field] = value;
            count(body)
        };
        let said = "a longer text with rather more words in it";
        let two =
            json!([{ "role": "system", "content": said }, { "role": "user", "content": "hello" }]);
        assert!(with("messages", two) >= base + 8);
        let tool = json!([{ "type": "function", "function": { "name": "f", "description": said, "parameters": {} } }]);
        assert!(with("tools", tool) >= base + 8);
    }
}
