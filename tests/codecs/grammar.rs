//! The grammar of Anthropic's streams (<https://docs.anthropic.com/en/docs/build-with-claude/streaming>).

use causeway::events::Event;
use serde_json::{Value, json};

use crate::parted;

/// What deltas a block may have.
fn deltas(kind: &str) -> &'static [&'static str] {
    match kind {
        "text" => &["text_delta", "citations_delta"],
        "thinking" => &["thinking_delta", "signature_delta"],
        "tool_use" | "server_tool_use" | "mcp_tool_use" => &["input_json_delta"],
        _ => &[],
    }
}

/// A block while it is open.
struct Block {
    kind: String,
    input: String,
    is_signed: bool,
}

/// What there was of a stream.
#[derive(Default)]
struct Seen {
    started: bool,
    blocks: u64,
    open: Option<Block>,
    /// Arguments that are no JSON object, as those of a call that was cut.
    cut: bool,
    reason: Option<Value>,
    over: bool,
}

impl Seen {
    #[expect(clippy::too_many_lines, reason = "one rule for each event")]
    fn event(&mut self, event: &Event) -> Result<(), String> {
        let data: Value = serde_json::from_str(&event.data).map_err(|error| error.to_string())?;
        let kind = data["type"].as_str().unwrap_or_default();
        let holds = |is: bool, what: &str| is.then_some(()).ok_or(format!("{what}: {data}"));
        holds(event.name.as_deref() == Some(kind), "another name")?;
        holds(!self.over, "after the end")?;
        holds(
            self.started || matches!(kind, "message_start" | "ping" | "error"),
            "before the start",
        )?;
        let is_place = |place: u64| holds(data["index"] == place, "another index");
        match kind {
            "ping" => {}
            "error" => {
                holds(data["error"]["type"].is_string(), "no type")?;
                holds(data["error"]["message"].is_string(), "no message")?;
                self.over = true;
            }
            "message_start" => {
                holds(!std::mem::replace(&mut self.started, true), "a second one")?;
                let message = &data["message"];
                holds(message["content"] == json!([]), "with content")?;
                holds(message["stop_reason"].is_null(), "ended")?;
                holds(message["usage"]["input_tokens"].is_u64(), "without usage")?;
            }
            "content_block_start" => {
                holds(
                    self.open.is_none() && self.reason.is_none(),
                    "too early or late",
                )?;
                is_place(self.blocks)?;
                let block = &data["content_block"];
                let begun = [("text", "text"), ("thinking", "thinking")];
                let is_begun = begun
                    .iter()
                    .all(|(kind, field)| block["type"] != *kind || block[*field] == "");
                holds(is_begun, "begun with something in it")?;
                self.open = Some(Block {
                    kind: block["type"].as_str().ok_or("no type")?.to_owned(),
                    input: String::new(),
                    is_signed: false,
                });
            }
            "content_block_delta" => {
                is_place(self.blocks)?;
                let block = self.open.as_mut().ok_or(format!("no block: {data}"))?;
                let delta = &data["delta"];
                let kind = delta["type"].as_str().unwrap_or_default();
                holds(deltas(&block.kind).contains(&kind), "of another block")?;
                holds(!block.is_signed, "after the signature")?;
                block.is_signed = kind == "signature_delta";
                let more = delta["partial_json"].as_str();
                block.input.push_str(more.unwrap_or_default());
            }
            "content_block_stop" => {
                is_place(self.blocks)?;
                let block = self.open.take().ok_or(format!("no block: {data}"))?;
                self.blocks += 1;
                let is_object = |text| matches!(serde_json::from_str(text), Ok(Value::Object(_)));
                self.cut |= !block.input.is_empty() && !is_object(&block.input);
            }
            "message_delta" => {
                holds(self.open.is_none(), "in a block")?;
                holds(data["usage"]["output_tokens"].is_u64(), "without usage")?;
                self.reason = Some(data["delta"]["stop_reason"].clone());
            }
            "message_stop" => {
                let reason = self.reason.as_ref().and_then(Value::as_str);
                let reason = reason.ok_or("it does not say why")?;
                holds(
                    !self.cut || reason != "tool_use",
                    "after a call that was cut",
                )?;
                self.over = true;
            }
            _ => return Err(format!("no event: {data}")),
        }
        Ok(())
    }
}

/// Whether a stream is as clients of Anthropic's expect it.
pub(crate) fn check(stream: &str) -> Result<(), String> {
    let mut seen = Seen::default();
    for event in parted(stream, 0) {
        seen.event(&event)?;
    }
    let is_over = seen.over.then_some(());
    is_over.ok_or("it does not end".to_owned())
}

#[test]
fn a_stream_that_is_not_as_it_should_be_is_found() {
    let start = json!({"type": "message_start", "message": {"content": [], "stop_reason": null, "usage": {"input_tokens": 1}}});
    let block = |index: u64, kind: &str| json!({"type": "content_block_start", "index": index, "content_block": {"type": kind, kind: ""}});
    let delta = |index: u64, kind: &str| json!({"type": "content_block_delta", "index": index, "delta": {"type": kind}});
    let stop = |index: u64| json!({"type": "content_block_stop", "index": index});
    let end = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}});
    let over = json!({"type": "message_stop"});
    let error = json!({"type": "error", "error": {"type": "api_error", "message": "Oh"}});
    let written = |events: &[&Value]| -> String {
        let event = |data: &&Value| {
            format!(
                "event: {}\ndata: {data}\n\n",
                data["type"].as_str().unwrap_or("")
            )
        };
        events.iter().map(event).collect()
    };
    let (first, said, done) = (block(0, "text"), delta(0, "text_delta"), stop(0));
    let ping = json!({"type": "ping"});
    let (second, later) = (block(1, "thinking"), stop(1));
    let (thinks, signs) = (delta(1, "thinking_delta"), delta(1, "signature_delta"));
    for good in [
        &[&start, &end, &over] as &[&Value],
        &[
            &start, &ping, &first, &said, &ping, &done, &second, &thinks, &signs, &later, &end,
            &over,
        ],
        &[&start, &first, &error],
        &[&error],
    ] {
        assert_eq!(check(&written(good)), Ok(()));
    }
    for bad in [
        &[] as &[&Value],
        &[&start],
        &[&start, &end],
        &[&start, &over],
        &[&start, &start, &end, &over],
        &[&first, &start, &done, &end, &over],
        &[&start, &first, &end, &over],
        &[&start, &first, &said, &second, &done, &later, &end, &over],
        &[&start, &second, &later, &end, &over],
        &[&start, &first, &done, &said, &end, &over],
        &[&start, &first, &thinks, &done, &end, &over],
        &[
            &start, &first, &done, &second, &signs, &thinks, &later, &end, &over,
        ],
        &[&start, &end, &first, &done, &over],
        &[&start, &end, &over, &ping],
        &[&start, &error, &over],
    ] {
        assert!(check(&written(bad)).is_err(), "{bad:?}");
    }
}
