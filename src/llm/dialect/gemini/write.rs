//! Writes what is asked of Gemini (<https://ai.google.dev/api/generate-content#request-body>).

use serde_json::{Map, Value, json};

use crate::llm::answer::arguments_value;
use crate::llm::chat::{
    CacheMark, ChatRequest, Document, Image, Opaque, Part, Role, Thought, ToolCall, ToolResult,
    Turn,
};
use crate::llm::dialect::gemini::calls::given;
use crate::llm::dialect::gemini::config::Model;
use crate::llm::dialect::gemini::names::merge;
use crate::llm::dialect::gemini::part::{resolution, write_media};
use crate::llm::dialect::gemini::signature::{self, NONE_NEEDED};
use crate::llm::dialect::gemini::{config, request::path, tools};
use crate::llm::dialect::{Dialect, Dropped, Encoded, TargetModel, dropped_rest};
use crate::llm::fault::Fault;
use crate::llm::fields::put;

/// The body for a model. Its name and whether to stream go into the URL; streams are asked with `alt=sse`.
///
/// # Errors
/// What Gemini cannot be asked.
pub fn encode_request(request: &ChatRequest, model: &TargetModel) -> Result<Encoded, Fault> {
    let mut writer = Writer {
        request,
        own: request.rest.dialect == Some(Dialect::Gemini),
        model: Model::named(&model.name),
        dropped: dropped_rest(request, Dialect::Gemini),
    };
    refuse_sound(request)?;
    let (system, contents) = writer.said()?;
    let mut body = Map::new();
    if !system.is_empty() {
        body.insert("systemInstruction".to_owned(), json!({"parts": system}));
    }
    body.insert("contents".to_owned(), Value::Array(contents));
    let tools = tools::write(request, &mut writer.dropped)?;
    put(&mut body, "tools", (!tools.is_empty()).then_some(tools));
    put(&mut body, "toolConfig", tools::write_choice(request));
    let config = config::write(request, &model.name, &mut writer.dropped)?;
    put(
        &mut body,
        "generationConfig",
        (!config.is_empty()).then_some(config),
    );
    writer.hints();
    if writer.own {
        for (name, value) in &request.rest.fields {
            let placed =
                name.contains('[') || ["toolConfig", "generationConfig"].contains(&name.as_str());
            if !placed {
                body.insert(name.clone(), value.clone());
            }
        }
    }
    Ok(Encoded {
        body: Value::Object(body),
        dropped: writer.dropped,
    })
}

/// Sound in an answer, as OpenAI's callers ask for it: an answer without it is not what they want.
fn refuse_sound(request: &ChatRequest) -> Result<(), Fault> {
    let fields = &request.rest.fields;
    let modalities = fields.get("modalities").and_then(Value::as_array);
    let asked = modalities.is_some_and(|list| list.iter().any(|kind| kind == "audio"));
    if asked && request.rest.dialect != Some(Dialect::Gemini) {
        return Err(Dialect::Gemini.cannot("modalities", "an answer in sound"));
    }
    Ok(())
}

struct Writer<'a> {
    request: &'a ChatRequest,
    /// The caller speaks this dialect too.
    own: bool,
    model: Model,
    dropped: Vec<Dropped>,
}

impl Writer<'_> {
    /// Instructions, and contents. Instructions that follow the first turn are said where they stand, as the user's.
    fn said(&mut self) -> Result<(Vec<Value>, Vec<Value>), Fault> {
        let request = self.request;
        let mut system = Vec::new();
        for (index, part) in request.system.iter().enumerate() {
            system.extend(self.instruction(part, &format!("system[{index}]"))?);
        }
        let mut contents: Vec<(&str, Vec<Value>)> = Vec::new();
        for (index, turn) in request.turns.iter().enumerate() {
            if turn.role == Role::System && contents.is_empty() {
                for (part, at) in turn.parts.iter().zip(0..) {
                    let place = format!("turns[{index}].parts[{at}]");
                    system.extend(self.instruction(part, &place)?);
                }
                continue;
            }
            let parts = self.turn(index, turn)?;
            let role = if turn.role == Role::Assistant {
                "model"
            } else {
                "user"
            };
            match contents.last_mut() {
                _ if parts.is_empty() => {}
                Some((last, earlier)) if *last == role => earlier.extend(parts),
                _ => contents.push((role, parts)),
            }
        }
        if contents.is_empty() && !system.is_empty() {
            let reason = "said as the user's: Gemini wants something to answer";
            self.dropped.push(Dropped::new("system", reason));
            contents.push(("user", std::mem::take(&mut system)));
        }
        let contents = contents.into_iter().map(|(role, mut parts)| {
            if role == "model" && self.model.wants_signatures() {
                sign_first_call(&mut parts);
            }
            json!({"role": role, "parts": parts})
        });
        Ok((system, contents.collect()))
    }

    fn instruction(&mut self, part: &Part, place: &str) -> Result<Option<Value>, Fault> {
        match part {
            Part::Text(text) => {
                self.cache(text.cache, place);
                Ok((!text.text.is_empty()).then(|| json!({"text": text.text})))
            }
            Part::Opaque(opaque) if opaque.dialect == Dialect::Gemini => {
                Ok(Some(opaque.value.clone()))
            }
            _ => Err(Dialect::Gemini.cannot(place, "an instruction that is no text")),
        }
    }

    fn turn(&mut self, index: usize, turn: &Turn) -> Result<Vec<Value>, Fault> {
        if let Some(name) = &turn.name {
            let reason = format!("Gemini's contents have no name; this is `{name}`'s");
            self.dropped
                .push(Dropped::new(format!("turns[{index}].name"), reason));
        }
        if turn.role == Role::System {
            let reason = "said as the user's: Gemini has instructions before the first turn only";
            self.dropped
                .push(Dropped::new(format!("turns[{index}].role"), reason));
        }
        let mut written = Vec::new();
        let mut marker: Option<&str> = None;
        for (at, part) in turn.parts.iter().enumerate() {
            let marked = match part {
                Part::Thought(thought) if self.own => signature::of_marker(thought),
                Part::Thought(thought) => signature::of_empty(thought),
                _ => None,
            };
            if let Some(value) = marked {
                written.extend(marker.replace(value).map(alone));
                continue;
            }
            let place = format!("turns[{index}].parts[{at}]");
            let first = written.len();
            // What another dialect carried as a thought before a call was the call's.
            let bare_call = matches!(part, Part::ToolCall(call) if call.signature.is_none());
            let belongs = signature::takes_marker(part) || (bare_call && !self.own);
            if !belongs {
                written.extend(marker.take().map(alone));
            }
            match part {
                Part::Text(text) if text.text.is_empty() && marker.is_none() => {}
                part => self.part(part, &place, &mut written)?,
            }
            let Some(Value::Object(new)) = written.get_mut(first) else {
                continue;
            };
            if let Some(value) = marker.take() {
                new.insert("thoughtSignature".to_owned(), value.into());
            }
            let extra = self.request.rest.fields.get(&path(index, at));
            if let (true, Some(Value::Object(extra))) = (self.own, extra) {
                merge(new, extra);
            }
        }
        written.extend(marker.map(alone));
        Ok(written)
    }

    fn part(&mut self, part: &Part, place: &str, out: &mut Vec<Value>) -> Result<(), Fault> {
        match part {
            Part::Text(text) => {
                self.cache(text.cache, place);
                out.push(json!({"text": text.text}));
            }
            Part::Refusal(text) if text.is_empty() => {}
            Part::Refusal(text) => out.push(json!({"text": text})),
            Part::Image(image) => out.push(self.image(image, place)?),
            Part::Audio(audio) => out.push(media(&audio.source, "audio/mpeg", place)?),
            Part::Document(document) => self.document(document, place, out)?,
            Part::Thought(thought) => out.extend(self.thought(thought, place)),
            Part::ToolCall(call) => out.push(self.call(call, place)),
            Part::ToolResult(result) => self.result(result, place, out)?,
            Part::Opaque(opaque) => out.extend(self.opaque(opaque, place)?),
        }
        Ok(())
    }

    fn image(&mut self, image: &Image, place: &str) -> Result<Value, Fault> {
        self.cache(image.cache, place);
        let mut value = media(&image.source, "image/jpeg", place)?;
        match (&image.detail, &mut value) {
            (Some(detail), Value::Object(map)) if self.own => {
                map.insert("mediaResolution".to_owned(), resolution(detail));
            }
            (Some(detail), _) if detail != "auto" => {
                let reason = "not every model of Gemini's lets an image's resolution be chosen";
                self.dropped
                    .push(Dropped::new(format!("{place}.detail"), reason));
            }
            _ => {}
        }
        Ok(value)
    }

    fn document(
        &mut self,
        document: &Document,
        place: &str,
        out: &mut Vec<Value>,
    ) -> Result<(), Fault> {
        self.cache(document.cache, place);
        let mut value = media(&document.source, "application/pdf", place)?;
        if let (Some(name), true) = (&document.name, self.own) {
            for kind in ["inlineData", "fileData"] {
                if let Some(data) = value.get_mut(kind) {
                    data["displayName"] = name.as_str().into();
                }
            }
        }
        for (there, field, reason) in [
            (
                document.name.is_some() && !self.own,
                "name",
                "Gemini takes no names of documents",
            ),
            (
                document.citations,
                "citations",
                "Gemini cites what it searched only",
            ),
        ] {
            if there {
                self.dropped
                    .push(Dropped::new(format!("{place}.{field}"), reason));
            }
        }
        out.push(value);
        if let Some(context) = &document.context {
            out.push(json!({"text": context}));
        }
        Ok(())
    }

    /// Thoughts go back to who thought them.
    fn thought(&mut self, thought: &Thought, place: &str) -> Option<Value> {
        let own = signature::own(thought.signature.as_ref());
        let bare = thought.signature.is_none() && thought.sealed.is_none();
        if own.is_none() && !(self.own && bare) {
            let reason = "only thoughts that Gemini signed go back to it";
            self.dropped.push(Dropped::new(place, reason));
            return None;
        }
        let mut part = json!({"text": thought.text, "thought": true});
        if let Some(value) = own {
            part["thoughtSignature"] = value.into();
        }
        Some(part)
    }

    fn call(&mut self, call: &ToolCall, place: &str) -> Value {
        self.cache(call.cache, place);
        let args = if call.custom {
            json!({"input": call.arguments})
        } else {
            arguments_value(&call.arguments).unwrap_or_else(|_| {
                let reason = "they are no JSON object, and are passed as the text of one";
                let place = format!("{place}.arguments");
                self.dropped.push(Dropped::new(place, reason));
                json!({"arguments": call.arguments})
            })
        };
        let mut function = Map::new();
        put(&mut function, "id", self.id(&call.id));
        function.insert("name".to_owned(), call.name.clone().into());
        function.insert("args".to_owned(), args);
        let mut part = json!({"functionCall": function});
        if let Some(value) = signature::own(call.signature.as_ref()) {
            part["thoughtSignature"] = value.into();
        }
        part
    }

    /// Ids that we made up for this very caller stay with us.
    fn id<'id>(&self, id: &'id str) -> Option<&'id str> {
        if self.own { given(id) } else { Some(id) }
    }

    /// Media of a result stand within it where the model reads them there (from Gemini 3), else after it.
    fn result(
        &mut self,
        result: &ToolResult,
        place: &str,
        out: &mut Vec<Value>,
    ) -> Result<(), Fault> {
        self.cache(result.cache, place);
        let name = result
            .name
            .as_deref()
            .or_else(|| self.request.called(&result.id));
        let Some(name) = name else {
            let place = format!("{place}.id");
            let message = format!("no tool was called with the id `{}`", result.id);
            return Err(Fault::invalid(place, message));
        };
        let mut texts = Vec::new();
        let mut media = Vec::new();
        for (at, part) in result.parts.iter().enumerate() {
            match part {
                Part::Text(text) => {
                    self.cache(text.cache, place);
                    texts.push(text.text.as_str());
                }
                part => self.part(part, &format!("{place}.parts[{at}]"), &mut media)?,
            }
        }
        let response = tools::result_object(&texts.join("\n"), result.is_error);
        let mut function = Map::new();
        put(&mut function, "id", self.id(&result.id));
        function.insert("name".to_owned(), name.into());
        function.insert("response".to_owned(), Value::Object(response));
        let within = self.own || self.model.wants_signatures();
        if within && !media.is_empty() {
            let parts = std::mem::take(&mut media);
            function.insert("parts".to_owned(), Value::Array(parts));
        }
        out.push(json!({"functionResponse": function}));
        out.append(&mut media);
        Ok(())
    }

    /// What only another dialect has: a question may depend on it, what was answered does not.
    fn opaque(&mut self, opaque: &Opaque, place: &str) -> Result<Option<Value>, Fault> {
        if opaque.dialect == Dialect::Gemini {
            let about = opaque.kind == crate::llm::dialect::gemini::ABOUT;
            return Ok((!about).then(|| opaque.value.clone()));
        }
        let what = format!("`{}` of {}", opaque.kind, opaque.dialect.name());
        let turn = place
            .strip_prefix("turns[")
            .and_then(|rest| rest.split(']').next());
        let turn = turn.and_then(|index| index.parse::<usize>().ok());
        let turn = turn.and_then(|index| self.request.turns.get(index));
        if turn.is_some_and(|turn| turn.role == Role::Assistant) {
            let reason = format!("{what} means nothing to Gemini");
            self.dropped.push(Dropped::new(place, reason));
            return Ok(None);
        }
        Err(Dialect::Gemini.cannot(place, &what))
    }

    fn cache(&mut self, mark: Option<CacheMark>, place: &str) {
        if mark.is_some() {
            let reason = "Gemini caches by itself";
            self.dropped
                .push(Dropped::new(format!("{place}.cache"), reason));
        }
    }

    /// What a request can do without.
    fn hints(&mut self) {
        let request = self.request;
        for (there, field, reason) in [
            (
                request.user.is_some(),
                "user",
                "Gemini does not ask for whom",
            ),
            (
                request.cache_key.is_some(),
                "cache_key",
                "Gemini caches by itself",
            ),
            (
                request.asks_for_one_call(),
                "parallel_tool_calls",
                "Gemini may always call several tools",
            ),
        ] {
            if there {
                self.dropped.push(Dropped::new(field, reason));
            }
        }
    }
}

/// A signature on a text of no text.
fn alone(signature: &str) -> Value {
    json!({"text": "", "thoughtSignature": signature})
}

/// The first call of a step has to be signed; one that Gemini did not make is excused by what Google documents for
/// that (<https://ai.google.dev/gemini-api/docs/thought-signatures#faqs>).
fn sign_first_call(parts: &mut [Value]) {
    let first = parts
        .iter_mut()
        .find(|part| part.get("functionCall").is_some());
    if let Some(Value::Object(call)) = first
        && !call.contains_key("thoughtSignature")
    {
        call.insert("thoughtSignature".to_owned(), NONE_NEEDED.into());
    }
}

fn media(source: &crate::llm::chat::Source, fallback: &str, place: &str) -> Result<Value, Fault> {
    write_media(source, fallback).map_err(|what| Dialect::Gemini.cannot(place, what))
}
