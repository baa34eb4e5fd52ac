//! `usage`: `input_tokens` leaves out what a cache was involved with, and each later report replaces the earlier
//! (<https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching#tracking-cache-performance>).

use serde_json::{Map, Value, json};

use crate::llm::usage::Usage;

/// The provider's own numbers so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    input: u64,
    read: u64,
    written: u64,
    /// Of `written`: for an hour.
    hour: u64,
    output: u64,
    thinking: u64,
    searches: u64,
    fast: bool,
    in_us: bool,
}

impl Counters {
    /// Takes a report in: what it says replaces, what it leaves out stays.
    pub(crate) fn take(&mut self, usage: &Value) {
        let number = |pointer: &str| usage.pointer(pointer).and_then(Value::as_u64);
        // Providers that only speak the dialect give the prompt at one end of a stream, and zero at the other.
        if let Some(input) = number("/input_tokens").filter(|input| *input > 0) {
            self.input = input;
        }
        let five = number("/cache_creation/ephemeral_5m_input_tokens");
        let hour = number("/cache_creation/ephemeral_1h_input_tokens");
        let split = five.or(hour).is_some();
        for (place, value) in [
            (&mut self.read, number("/cache_read_input_tokens")),
            (&mut self.written, number("/cache_creation_input_tokens")),
            (&mut self.output, number("/output_tokens")),
            (
                &mut self.thinking,
                number("/output_tokens_details/thinking_tokens"),
            ),
            (
                &mut self.searches,
                number("/server_tool_use/web_search_requests"),
            ),
            (&mut self.hour, hour),
        ] {
            *place = value.unwrap_or(*place);
        }
        let says = |pointer: &str, word: &str| Some(usage.pointer(pointer)?.as_str()? == word);
        self.fast = says("/speed", "fast").unwrap_or(self.fast);
        self.in_us = says("/inference_geo", "us").unwrap_or(self.in_us);
        if split {
            let sum = five.unwrap_or(0).saturating_add(self.hour);
            self.written = self.written.max(sum);
        }
    }

    pub(crate) fn usage(&self) -> Usage {
        let hour = self.hour.min(self.written);
        Usage {
            input: self
                .input
                .saturating_add(self.read)
                .saturating_add(self.written),
            cached: self.read,
            cache_write: self.written - hour,
            cache_write_hour: hour,
            output: self.output,
            reasoning: self.thinking,
            searches: self.searches,
            fast: self.fast,
            in_us: self.in_us,
            ..Usage::default()
        }
    }
}

/// `usage` of a message; of the `message_delta` of a stream, without what only messages have.
pub(crate) fn encode(usage: &Usage, in_delta: bool) -> Value {
    let mut map = Map::new();
    let written = usage.cache_write.saturating_add(usage.cache_write_hour);
    map.insert("input_tokens".to_owned(), json!(usage.uncached()));
    map.insert("cache_creation_input_tokens".to_owned(), json!(written));
    map.insert("cache_read_input_tokens".to_owned(), json!(usage.cached));
    if written > 0 && !in_delta {
        let split = json!({
            "ephemeral_5m_input_tokens": usage.cache_write,
            "ephemeral_1h_input_tokens": usage.cache_write_hour,
        });
        map.insert("cache_creation".to_owned(), split);
    }
    map.insert("output_tokens".to_owned(), json!(usage.output));
    if usage.reasoning > 0 {
        let details = json!({ "thinking_tokens": usage.reasoning });
        map.insert("output_tokens_details".to_owned(), details);
    }
    if usage.searches > 0 {
        let searches = json!({ "web_search_requests": usage.searches, "web_fetch_requests": 0 });
        map.insert("server_tool_use".to_owned(), searches);
    }
    Value::Object(map)
}
