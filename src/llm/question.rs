//! A caller's request, looked at as far as it has to be, and written for whichever target it goes to.

use std::ops::Range;
use std::sync::OnceLock;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::llm::chat::ChatRequest;
use crate::llm::count;
use crate::llm::dialect::{Dialect, Dropped, TargetModel};
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::price::ServiceTier;
use crate::llm::provider::{Capability, Provider, Quirk};
use crate::llm::splice::{Edit, Top, edited_at};

/// A prompt of fewer tokens by its letters is not looked at for pictures and sounds.
const MEDIA_TOKENS_MIN: u64 = 1_024;
/// One of these stands beside each.
const MEDIA_WORDS: [&str; 4] = ["base64", "inlineData", "inline_data", "input_audio"];
/// How a text begins that says in the words of one dialect what another one sealed: as it is, with a plus that some
/// escape, and as base64 (Gemini).
const SEALS: [&str; 6] = [
    "\"causeway:",
    "\"causeway+",
    "\"causeway\\u002B",
    "\"causeway\\u002b",
    "\"causeway-call:",
    "\"Y2F1c2V3YXk6",
];

/// A request for an answer.
pub struct Question {
    pub dialect: Dialect,
    /// As the caller names it.
    pub model: String,
    /// `None`: the answer is to come whole.
    pub stream: Option<Streaming>,
    /// The caller wants to be told what a stream used.
    pub wants_usage: bool,
    /// How soon it is to be answered, where that has a price of its own.
    pub tier: ServiceTier,
    body: Bytes,
    found: Found,
    neutral: OnceLock<Result<ChatRequest, Fault>>,
}

/// What the one look at a body found: a long one is not read again for each target.
#[derive(Clone, Debug)]
struct Found {
    is_empty: bool,
    /// Where the values of these fields stand.
    model: Option<Range<usize>>,
    stream_options: Option<Range<usize>>,
    /// The most tokens of an answer, where the caller says it, and how many answers.
    tokens: Option<u64>,
    answers: Option<u64>,
}

/// How an answer is to come piece by piece.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Streaming {
    /// As one JSON array in place of events (Gemini without `alt=sse`).
    pub array: bool,
}

/// What an address says in place of the body (Gemini).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addressed {
    pub model: Option<String>,
    pub stream: Option<Streaming>,
}

/// A request as it goes to a provider.
#[derive(Debug)]
pub struct Written {
    pub dialect: Dialect,
    pub capability: Capability,
    pub body: Bytes,
    /// What the provider cannot be told.
    pub dropped: Vec<Dropped>,
    /// The stream tells of usage, which the caller did not ask for.
    pub hides_usage: bool,
}

impl Question {
    /// Looks at a body.
    ///
    /// # Errors
    /// Where it is no JSON object, or names no model.
    pub fn read(dialect: Dialect, body: Bytes, addressed: Addressed) -> Result<Self, Fault> {
        let top = Top::read(&body)?;
        let model = match addressed.model {
            Some(model) => model,
            None => top
                .text("model")?
                .filter(|model| !model.is_empty())
                .ok_or_else(|| {
                    Fault::invalid("model", "`model` is missing: say which one you want")
                })?,
        };
        let streams = match top.raw("stream") {
            None | Some("false" | "null") => false,
            Some("true") => true,
            Some(_) => return Err(Fault::invalid("stream", "`stream` has to be true or false")),
        };
        let stream = match dialect {
            Dialect::Gemini => addressed.stream,
            _ => streams.then(Streaming::default),
        };
        let options = top.raw("stream_options").map(str::as_bytes);
        let wants_usage = match dialect {
            Dialect::OpenaiChat => options
                .and_then(|options| Top::read(options).ok()?.get("include_usage"))
                .unwrap_or(false),
            _ => true,
        };
        Ok(Self {
            dialect,
            model,
            stream,
            wants_usage,
            tier: tier(dialect, &top),
            found: Found::of(dialect, &top),
            body,
            neutral: OnceLock::new(),
        })
    }

    /// The same once more, of the same bytes.
    pub(crate) fn again(&self) -> Self {
        Self {
            model: self.model.clone(),
            body: self.body.clone(),
            found: self.found.clone(),
            neutral: OnceLock::new(),
            ..*self
        }
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.body.len()
    }

    /// As it came.
    pub(crate) fn body(&self) -> &Bytes {
        &self.body
    }

    pub fn is_empty(&self) -> bool {
        self.body.is_empty()
    }

    /// What the answer is to follow, in the order providers keep it: tools, instructions, what was said.
    pub fn prompt_parts(&self) -> Vec<&[u8]> {
        const FIELDS: [&str; 9] = [
            "tools",
            "system",
            "instructions",
            "systemInstruction",
            "system_instruction",
            "messages",
            "input",
            "contents",
            "prompt",
        ];
        let Ok(top) = Top::read(&self.body) else {
            return Vec::new();
        };
        let places = FIELDS.iter().filter_map(|field| top.place(field));
        places.map(|place| &self.body[place]).collect()
    }

    /// The most tokens of the prompt and of the answers, where a picture has at most so many, and an answer whose
    /// length nobody says.
    pub fn bound(&self, picture: u64, otherwise: u64) -> (u64, u64) {
        (self.prompt_bound(picture), self.output_bound(otherwise))
    }

    /// More tokens than the prompt has: those of all that the request says ([`count::bound`]), but for pictures and sounds
    /// that stand in it, of which a picture has at most so many. What a request only refers to is counted when the answer
    /// is there: pictures and documents by their address, an earlier answer by its id.
    pub fn prompt_bound(&self, picture: u64) -> u64 {
        let all = count::bound(&self.body);
        let has = |word: &str| memchr::memmem::find(&self.body, word.as_bytes()).is_some();
        if all <= MEDIA_TOKENS_MIN || !MEDIA_WORDS.iter().any(|word| has(word)) {
            return all;
        }
        // Letters that no reader takes for a picture's count as what they are.
        let media = self.neutral().map(|request| count::media(request, picture));
        let (letters, tokens) = media.unwrap_or_default();
        all.saturating_sub(letters) + tokens
    }

    /// The most tokens that the answers may have which the caller asks for; `otherwise` where it does not say.
    pub fn output_bound(&self, otherwise: u64) -> u64 {
        let most = self.found.tokens.unwrap_or(otherwise);
        most.saturating_mul(self.found.answers.unwrap_or(1).max(1))
    }

    /// The request in the neutral form, read once.
    ///
    /// # Errors
    /// Where it is not what its dialect says.
    pub fn neutral(&self) -> Result<&ChatRequest, Fault> {
        let read = self.neutral.get_or_init(|| {
            let body: Value = serde_json::from_slice(&self.body)
                .map_err(|error| Fault::new(FaultClass::Invalid, error.to_string()))?;
            let mut request = self.dialect.decode_request(body)?;
            request.model.clone_from(&self.model);
            request.stream = self.stream.is_some();
            request.stream_usage = true;
            Ok(request)
        });
        read.as_ref().map_err(Clone::clone)
    }

    /// The request for a model of a provider: its own bytes where the provider speaks the caller's dialect, and nothing in
    /// them is another provider's.
    ///
    /// # Errors
    /// Where the provider's dialect cannot say what the answer depends on.
    pub fn written(&self, provider: &Provider, model: &TargetModel) -> Result<Written, Fault> {
        match provider.speaks(self.dialect, &model.name) {
            Some(capability) if self.carries_seals() => {
                self.translated(provider, model, (self.dialect, capability))
            }
            Some(capability) => self.passed(provider, model, capability),
            None => {
                let way = provider.way(self.neutral()?, &model.name);
                self.translated(provider, model, way)
            }
        }
    }

    /// Whether what other providers sealed may be among what the caller brings back: its own provider would take that for a
    /// forgery of its own.
    fn carries_seals(&self) -> bool {
        let begins = |text: &str| {
            let mut found = memchr::memmem::find_iter(&self.body, text.as_bytes());
            // A quote that is escaped begins no text.
            found.any(|place| place == 0 || self.body[place - 1] != b'\\')
        };
        SEALS.iter().any(|mark| begins(mark)) && self.neutral().is_ok()
    }

    fn translated(
        &self,
        provider: &Provider,
        model: &TargetModel,
        (dialect, capability): (Dialect, Capability),
    ) -> Result<Written, Fault> {
        let request = self.neutral()?;
        let encoded = dialect.encode_request(request, model)?;
        let mut dropped = encoded.dropped;
        let Value::Object(mut body) = encoded.body else {
            return Err(Fault::new(FaultClass::Internal, "a request is an object"));
        };
        if capability == Capability::Chat {
            dropped.extend(provider.prepare(&mut body)?);
        }
        Ok(Written {
            dialect,
            capability,
            body: Value::Object(body).to_string().into(),
            dropped,
            hides_usage: dialect == self.dialect && !self.wants_usage,
        })
    }

    /// The stream options that ask for usage, whatever else they say.
    fn usage_asked(&self) -> Result<Edit<'static>, Fault> {
        let options = self.found.stream_options.clone();
        let options = options.map(|place| String::from_utf8_lossy(&self.body[place]));
        Ok(Edit {
            field: "stream_options",
            value: with_usage(options.as_deref())?,
            add: true,
        })
    }

    fn passed(
        &self,
        provider: &Provider,
        model: &TargetModel,
        capability: Capability,
    ) -> Result<Written, Fault> {
        let renames = self.dialect != Dialect::Gemini && model.name != self.model;
        let asks_usage = self.dialect == Dialect::OpenaiChat
            && self.stream.is_some()
            && !self.wants_usage
            && !provider.quirks.contains(&Quirk::NoStreamOptions);
        let model = renames.then(|| Edit::text("model", &model.name));
        let usage = asks_usage.then(|| self.usage_asked()).transpose()?;
        let places = [&self.found.model, &self.found.stream_options];
        let edits = [&model, &usage].into_iter().zip(places);
        let edits = edits.filter_map(|(edit, place)| Some((edit.as_ref()?, place.clone())));
        let body = if renames || asks_usage {
            Bytes::from(edited_at(&self.body, self.found.is_empty, edits))
        } else {
            self.body.clone()
        };
        let is_own = capability == Capability::Chat;
        let (body, dropped) = if is_own && !provider.quirks.is_empty() {
            prepared(provider, body)?
        } else {
            (body, Vec::new())
        };
        Ok(Written {
            dialect: self.dialect,
            capability,
            body,
            dropped,
            hides_usage: !self.wants_usage,
        })
    }
}

impl Found {
    fn of(dialect: Dialect, top: &Top<'_>) -> Self {
        let first = |top: &Top<'_>, names: &[&str]| -> Option<u64> {
            names.iter().find_map(|name| top.get(name))
        };
        // Providers differ in which of the two they keep to.
        let greatest = |top: &Top<'_>, names: &[&str]| -> Option<u64> {
            names.iter().filter_map(|name| top.get(name)).max()
        };
        let (tokens, answers) = match dialect {
            Dialect::Gemini => {
                let config = ["generationConfig", "generation_config"];
                let config = config.iter().find_map(|name| top.raw(name));
                let config = config.and_then(|raw| Top::read(raw.as_bytes()).ok());
                let of = |names: &[&str]| first(config.as_ref()?, names);
                (
                    of(&["maxOutputTokens", "max_output_tokens"]),
                    of(&["candidateCount", "candidate_count"]),
                )
            }
            Dialect::OpenaiResponses => (first(top, &["max_output_tokens"]), None),
            Dialect::OpenaiChat => (
                greatest(top, &["max_completion_tokens", "max_tokens"]),
                first(top, &["n"]),
            ),
            _ => (first(top, &["max_tokens"]), None),
        };
        Self {
            is_empty: top.is_empty(),
            model: top.place("model"),
            stream_options: top.place("stream_options"),
            tokens,
            answers,
        }
    }
}

fn tier(dialect: Dialect, top: &Top<'_>) -> ServiceTier {
    let named = match dialect {
        Dialect::OpenaiChat | Dialect::OpenaiResponses => top.get::<&str>("service_tier"),
        _ => None,
    };
    named.and_then(ServiceTier::named).unwrap_or_default()
}

/// A body with what a provider is particular about; the same bytes where that is nothing in it.
fn prepared(provider: &Provider, body: Bytes) -> Result<(Bytes, Vec<Dropped>), Fault> {
    let before: Map<String, Value> = serde_json::from_slice(&body)
        .map_err(|error| Fault::new(FaultClass::Invalid, error.to_string()))?;
    let mut after = before.clone();
    let dropped = provider.prepare(&mut after)?;
    if after == before {
        return Ok((body, dropped));
    }
    Ok((Value::Object(after).to_string().into(), dropped))
}

/// Stream options that ask for usage, whatever else they say.
fn with_usage(options: Option<&str>) -> Result<String, Fault> {
    let options = options.filter(|options| *options != "null").unwrap_or("{}");
    let edited = Top::read(options.as_bytes())?.edited(&[Edit {
        field: "include_usage",
        value: "true".to_owned(),
        add: true,
    }]);
    String::from_utf8(edited).map_err(|error| Fault::new(FaultClass::Internal, error.to_string()))
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use serde_json::json;

    use super::*;

    #[test]
    #[expect(clippy::too_many_lines, reason = "one table of cases")]
    fn what_another_provider_sealed_is_no_providers_of_the_callers_dialect() {
        use Dialect::{Anthropic, Gemini, OpenaiChat, OpenaiResponses};
        let target = TargetModel {
            name: "m".to_owned(),
            max_output_tokens: None,
        };
        let gemini = base64::engine::general_purpose::STANDARD
            .encode(r#"causeway:{"signature":["anthropic","S"]}"#);
        for (kind, dialect, mut body, sealed, kept) in [
            (
                "anthropic",
                Anthropic,
                json!({ "max_tokens": 9, "messages": [
                    { "role": "user", "content": "q" },
                    { "role": "assistant", "content": [
                        { "type": "thinking", "thinking": "t", "signature": "SEAL" },
                        { "type": "text", "text": "a" },
                    ] },
                    { "role": "user", "content": "r" },
                ] }),
                "causeway:gemini:S",
                "EuYBCkQYAiJA",
            ),
            (
                "openai",
                OpenaiResponses,
                json!({ "include": ["reasoning.encrypted_content"], "input": [
                    { "role": "user", "content": "q" },
                    { "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "SEAL" },
                    { "role": "assistant", "content": [{ "type": "output_text", "text": "a" }] },
                    { "role": "user", "content": "r" },
                ] }),
                "causeway:anthropic:signature:S",
                "gAAAAABo",
            ),
            (
                "gemini",
                Gemini,
                json!({ "contents": [
                    { "role": "user", "parts": [{ "text": "q" }] },
                    { "role": "model", "parts": [
                        { "functionCall": { "name": "f", "args": {} }, "thoughtSignature": "SEAL" },
                    ] },
                    { "role": "user", "parts": [
                        { "functionResponse": { "name": "f", "response": { "result": "r" } } },
                    ] },
                ] }),
                &gemini,
                "RWhZQg==",
            ),
            (
                "openrouter",
                OpenaiChat,
                json!({ "messages": [
                    { "role": "user", "content": "q" },
                    { "role": "assistant", "content": "a", "reasoning_details": [
                        { "type": "reasoning.text", "text": "t", "signature": "SEAL", "index": 0 },
                    ] },
                    { "role": "user", "content": "r" },
                ] }),
                "causeway:anthropic:S",
                "sig_abc",
            ),
        ] {
            body["model"] = "m".into();
            let provider = crate::llm::provider::find(kind).unwrap();
            let written = |seal: &str| {
                let body = body.to_string().replace("SEAL", seal);
                let addressed = Addressed {
                    model: Some("m".to_owned()),
                    stream: None,
                };
                let question = Question::read(dialect, body.clone().into(), addressed).unwrap();
                (body, question.written(provider, &target).unwrap())
            };
            let (before, own) = written(kept);
            assert_eq!(own.body, before, "{kind}");
            let (before, prose) =
                written("what is \\\"causeway: serve\\\"? \\\"causeway-call:\\\"");
            assert_eq!(prose.body, before, "{kind}");
            let (_, foreign) = written(sealed);
            assert_eq!(foreign.dialect, dialect, "{kind}");
            let said = String::from_utf8(foreign.body.to_vec()).unwrap();
            assert!(!said.contains(sealed), "{kind}: {said}");
            let asked: Value = serde_json::from_str(&said).unwrap();
            let all = asked.get("messages").or(asked.get("input"));
            let all = all.or(asked.get("contents")).unwrap();
            assert!(all.as_array().unwrap().len() >= 3, "{kind}: {said}");
            assert!(said.contains("\"r\""), "{kind}: {said}");
        }
    }

    #[test]
    fn how_much_an_answer_may_have_is_read_in_each_dialect() {
        use Dialect::{Anthropic, Gemini, OpenaiChat, OpenaiResponses};
        for (dialect, body, most) in [
            (OpenaiChat, r#"{"model":"m"}"#, 4_096),
            (OpenaiChat, r#"{"model":"m","max_tokens":7}"#, 7),
            (
                OpenaiChat,
                r#"{"model":"m","max_tokens":7,"max_completion_tokens":9,"n":3}"#,
                27,
            ),
            (
                OpenaiChat,
                r#"{"model":"m","max_tokens":9,"max_completion_tokens":7}"#,
                9,
            ),
            (
                OpenaiChat,
                r#"{"model":"m","max_tokens":null,"n":2}"#,
                8_192,
            ),
            (
                OpenaiResponses,
                r#"{"model":"m","max_output_tokens":11,"max_tokens":5}"#,
                11,
            ),
            (Anthropic, r#"{"model":"m","max_tokens":13,"n":4}"#, 13),
            (
                Gemini,
                r#"{"model":"m","generationConfig":{"maxOutputTokens":17,"candidateCount":2}}"#,
                34,
            ),
            (
                Gemini,
                r#"{"model":"m","generation_config":{"max_output_tokens":19}}"#,
                19,
            ),
            (Gemini, r#"{"model":"m","contents":[]}"#, 4_096),
        ] {
            let read = Question::read(dialect, body.into(), Addressed::default()).unwrap();
            assert_eq!(read.output_bound(4_096), most, "{body}");
            assert_eq!(read.prompt_bound(9), count::bound(body.as_bytes()));
        }
        let asked = r#"{"model":"m","service_tier":"flex"}"#;
        let tier = |dialect| Question::read(dialect, asked.into(), Addressed::default());
        assert_eq!(tier(OpenaiChat).unwrap().tier, ServiceTier::Flex);
        assert_eq!(tier(Anthropic).unwrap().tier, ServiceTier::Standard);
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "one table of cases")]
    fn pictures_and_sounds_count_as_what_a_model_makes_of_them_in_each_dialect() {
        use Dialect::{Anthropic, Gemini, OpenaiChat, OpenaiResponses};
        let data = "QUJD".repeat(250_000);
        let chat = |part: String| {
            format!(
                r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":[{part}]}}]}}"#
            )
        };
        let picture = format!(
            r#"{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{data}"}}}}"#
        );
        let sound =
            format!(r#"{{"type":"input_audio","input_audio":{{"data":"{data}","format":"wav"}}}}"#);
        let own = format!(
            r#"{{"type":"image","source":{{"type":"base64","media_type":"image/png","data":"{data}"}}}}"#
        );
        let result = format!(
            r#"{{"type":"tool_use","id":"t","name":"f","input":{{}}}}]}},{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"t","content":[{own}]}}"#
        );
        let gemini = |name: &str| {
            format!(
                r#"{{"contents":[{{"role":"user","parts":[{{"{name}":{{"mimeType":"image/png","data":"{data}"}}}}]}}]}}"#
            )
        };
        let input = format!(
            r#"{{"model":"m","input":[{{"role":"user","content":[{{"type":"input_image","image_url":"data:image/png;base64,{data}"}}]}}]}}"#
        );
        let bound = |dialect, body: &str, most| {
            let addressed = Addressed {
                model: Some("m".to_owned()),
                stream: None,
            };
            let read = Question::read(dialect, body.to_owned().into(), addressed).unwrap();
            let bound = read.prompt_bound(9_000);
            assert!((most..most + 300).contains(&bound), "{bound} of {most}");
        };
        for (dialect, body, most) in [
            (OpenaiChat, chat(picture.clone()), 9_000),
            (OpenaiChat, chat(format!("{picture},{picture}")), 18_000),
            (OpenaiChat, chat(sound), 62_500),
            (OpenaiResponses, input, 9_000),
            (Anthropic, chat(own), 9_000),
            (Anthropic, chat(result), 9_000),
            (Gemini, gemini("inlineData"), 9_000),
            (Gemini, gemini("inline_data"), 9_000),
            // What only looks like one is read by the model, letter by letter.
            (
                OpenaiChat,
                chat(format!(
                    r#"{{"type":"text","text":"data:image/png;base64,{data}"}}"#
                )),
                1_000_000,
            ),
            (
                OpenaiChat,
                chat(picture.replace("image/png", "application/pdf")),
                1_000_000,
            ),
            (
                Anthropic,
                chat(format!(
                    r#"{{"type":"tool_use","id":"t","name":"f","input":{{"type":"base64","media_type":"image/png","data":"{data}"}}}}"#
                )),
                1_000_000,
            ),
            (
                OpenaiChat,
                format!(r#"{{"model":"m","nothing":"base64 {data}"}}"#),
                1_000_000,
            ),
        ] {
            bound(dialect, &body, most);
        }
        // One that is smaller than a picture may be counts by its letters.
        let small = chat(picture.replace(&data, &data[..4_000]));
        bound(OpenaiChat, &small, 4_000);
    }
}
