//! Reads what a caller asks of Gemini (<https://ai.google.dev/api/generate-content#request-body>).

use serde_json::{Map, Value};

use crate::llm::chat::{ChatRequest, Part, Rest, Role, Thought, ToolCall, ToolResult, Turn};
use crate::llm::dialect::Dialect;
use crate::llm::dialect::gemini::calls::Calls;
use crate::llm::dialect::gemini::names::{fields, list};
use crate::llm::dialect::gemini::part::{self, Kind, Response, WirePart};
use crate::llm::dialect::gemini::signature::{Held, marker, of_marker, takes_marker};
use crate::llm::dialect::gemini::{config, tools};
use crate::llm::fault::Fault;

/// A body of `generateContent` or `streamGenerateContent`. The model and whether to stream are in the URL: the
/// caller of this sets them. A `model` in the body only repeats it.
///
/// # Errors
/// A field of the wrong type, by its name.
pub fn decode_request(body: Value) -> Result<ChatRequest, Fault> {
    let mut body = fields(body, "")?;
    body.take("model");
    let mut request = ChatRequest {
        stream_usage: true,
        ..ChatRequest::default()
    };
    let mut rest = Map::new();
    if let Some(system) = body.take("systemInstruction") {
        request.system = read_system(system)?;
    }
    let mut reader = Reader::default();
    for (index, content) in list(&mut body, "contents")?.into_iter().enumerate() {
        reader.content(content, &format!("contents[{index}]"))?;
    }
    request.turns = reader.turns;
    rest.append(&mut reader.extra);
    for (index, tool) in list(&mut body, "tools")?.into_iter().enumerate() {
        tools::read(
            tool,
            &format!("tools[{index}]"),
            &mut request.tools,
            &mut rest,
        )?;
    }
    if let Some(choice) = body.take("toolConfig") {
        tools::read_choice(choice, &mut request, &mut rest)?;
    }
    if let Some(config) = body.take("generationConfig") {
        config::read(config, &mut request, &mut rest)?;
    }
    rest.extend(body.rest());
    request.rest = Rest {
        dialect: Some(Dialect::Gemini),
        fields: rest,
        ..Rest::default()
    };
    Ok(request)
}

fn read_system(content: Value) -> Result<Vec<Part>, Fault> {
    if let Value::String(text) = content {
        return Ok(vec![Part::text(text)]);
    }
    let mut content = fields(content, "systemInstruction")?;
    let mut parts = Vec::new();
    for (index, value) in list(&mut content, "parts")?.into_iter().enumerate() {
        match part::read(value, &format!("systemInstruction.parts[{index}]"))?.kind {
            Kind::Text(text) | Kind::Thought(text) => parts.push(Part::text(text)),
            Kind::Whole(part) => parts.push(part),
            Kind::Call(_) | Kind::Response(_) => {
                let place = format!("systemInstruction.parts[{index}]");
                return Err(Fault::invalid(place, "instructions cannot call a tool"));
            }
        }
    }
    Ok(parts)
}

/// Puts contents together as turns. Neighbours of one role are one turn: SDKs send a streamed answer back in as many
/// contents as it came in.
#[derive(Default)]
struct Reader {
    turns: Vec<Turn>,
    calls: Calls,
    extra: Map<String, Value>,
}

impl Reader {
    fn content(&mut self, content: Value, place: &str) -> Result<(), Fault> {
        let mut content = fields(content, place)?;
        let role = match content.text("role")?.as_deref() {
            None | Some("" | "user" | "function" | "tool") => Role::User,
            Some("model" | "assistant") => Role::Assistant,
            Some("system") => Role::System,
            Some(other) => {
                let message =
                    format!("`{place}.role` is `{other}`; it has to be `user` or `model`");
                return Err(Fault::invalid(content.at("role"), message));
            }
        };
        if self.turns.last().is_none_or(|turn| turn.role != role) {
            self.turns.push(Turn::new(role, Vec::new()));
            if role == Role::Assistant {
                self.calls.turn();
            }
        }
        for (index, value) in list(&mut content, "parts")?.into_iter().enumerate() {
            let read = part::read(value, &format!("{place}.parts[{index}]"))?;
            self.part(read);
        }
        Ok(())
    }

    fn part(&mut self, read: WirePart) {
        let WirePart { kind, held, extra } = read;
        let made = match kind {
            Kind::Text(text) => {
                if text.is_empty() && held.is_none() {
                    return;
                }
                let signed = self.mark(held);
                // The marker is all there is of a text of no text.
                if text.is_empty() {
                    self.keep(extra, signed);
                    return;
                }
                Part::text(text)
            }
            Kind::Thought(text) => self.thought(text, held.unwrap_or_default()),
            Kind::Call(call) => {
                let held = held.unwrap_or_default();
                self.thought_before(held.before);
                Part::ToolCall(ToolCall {
                    id: self.calls.called(call.id, &call.name),
                    name: call.name,
                    arguments: call.arguments,
                    signature: held.signature,
                    custom: false,
                    cache: None,
                })
            }
            Kind::Response(response) => {
                self.mark(held);
                Part::ToolResult(self.result(response))
            }
            Kind::Whole(part) => {
                self.mark(held);
                part
            }
        };
        self.push(made);
        self.keep(extra, true);
    }

    /// What was thought before a call, and since the call before it, unless the caller sends the thoughts themselves.
    fn thought_before(&mut self, thoughts: Vec<Thought>) {
        let Some(turn) = self.turns.last_mut() else {
            return;
        };
        let called = |part: &Part| matches!(part, Part::ToolCall(_));
        let since = turn.parts.iter().rposition(called).map_or(0, |at| at + 1);
        let told =
            |part: &Part| matches!(part, Part::Thought(thought) if of_marker(thought).is_none());
        if !turn.parts.iter().skip(since).any(told) {
            let thoughts = thoughts.into_iter().map(Part::Thought);
            turn.parts.splice(since..since, thoughts);
        }
    }

    /// The signature of a part that has no place for one goes before it.
    fn mark(&mut self, held: Option<Held>) -> bool {
        let signature = held.and_then(|held| held.signature);
        let signed = signature.is_some();
        if let Some(signature) = signature {
            self.push(marker(signature));
        } else if self.after_marker() {
            // The marker before belongs to a text of no text, not to what comes now.
            self.push(Part::text(""));
        }
        signed
    }

    fn after_marker(&self) -> bool {
        let last = self.turns.last().and_then(|turn| turn.parts.last());
        matches!(last, Some(Part::Thought(thought)) if of_marker(thought).is_some())
    }

    /// A thought of another dialect was streamed in pieces, and what proves it came last: it is one again.
    fn thought(&mut self, mut text: String, held: Held) -> Part {
        let foreign = held.is_foreign() && (held.signature.is_some() || held.sealed.is_some());
        if foreign
            && text.is_empty()
            && let Some(turn) = self.turns.last_mut()
        {
            let pieces = turn
                .parts
                .iter()
                .rev()
                .take_while(|part| is_open(part))
                .count();
            for piece in turn.parts.split_off(turn.parts.len() - pieces) {
                if let Part::Thought(thought) = piece {
                    text.push_str(&thought.text);
                }
            }
        }
        Part::Thought(Thought {
            text,
            summary: !foreign || held.summary,
            signature: held.signature,
            sealed: held.sealed,
            id: held.id,
        })
    }

    fn result(&mut self, response: Response) -> ToolResult {
        let Response {
            id,
            name,
            response,
            parts: media,
        } = response;
        let (text, is_error) = tools::result_text(response);
        let mut parts = vec![Part::text(text)];
        parts.extend(media);
        ToolResult {
            id: self.calls.answered(id, &name),
            name: Some(name),
            parts,
            is_error,
            cache: None,
        }
    }

    fn push(&mut self, part: Part) {
        if let Some(turn) = self.turns.last_mut() {
            turn.parts.push(part);
        }
    }

    /// Fields that nobody knows, under the path of the part that was just pushed.
    fn keep(&mut self, extra: Map<String, Value>, pushed: bool) {
        let turn = self.turns.len().saturating_sub(1);
        let parts = self.turns.last().map_or(0, |turn| turn.parts.len());
        if pushed && !extra.is_empty() && parts > 0 {
            self.extra
                .insert(path(turn, parts - 1), Value::Object(extra));
        }
    }
}

/// Where fields of a part are kept in `rest`.
pub(crate) fn path(turn: usize, part: usize) -> String {
    format!("contents[{turn}].parts[{part}]")
}

fn is_open(part: &Part) -> bool {
    !takes_marker(part)
        && matches!(part, Part::Thought(thought)
            if thought.signature.is_none() && thought.sealed.is_none() && thought.id.is_none())
}
