//! A caller's request, read (<https://docs.anthropic.com/en/api/messages>).

use serde_json::Value;

use crate::llm::chat::{ChatRequest, Format, Part, Rest, Role, Sampling, Turn};
use crate::llm::dialect::Dialect;
use crate::llm::dialect::anthropic::block::Reader;
use crate::llm::dialect::anthropic::{effort, tools};
use crate::llm::fault::Fault;
use crate::llm::fields::{Fields, wrong};

/// Reads the body of `POST /v1/messages`.
///
/// # Errors
/// What is wrong or missing, and where.
pub fn decode_request(body: Value) -> Result<ChatRequest, Fault> {
    let request = decode(body)?;
    if request.sampling.max_output_tokens.is_none() {
        return Err(Fault::invalid("max_tokens", "`max_tokens` is missing"));
    }
    Ok(request)
}

/// Reads a request that need not say how long the answer may be.
pub(crate) fn decode(body: Value) -> Result<ChatRequest, Fault> {
    let mut fields = Fields::of(body, "")?;
    let mut reader = Reader::new(true);
    let mut request = ChatRequest {
        model: fields.need_text("model")?,
        stream_usage: true,
        ..ChatRequest::default()
    };
    let system = fields.take("system").unwrap_or_default();
    request.system = reader.parts(system, "system")?;
    if !fields.has("messages") {
        return Err(fields.missing("messages"));
    }
    for (index, message) in fields.list("messages")?.into_iter().enumerate() {
        request.turns.push(turn(message, index, &mut reader)?);
    }
    request.sampling = sampling(&mut fields)?;
    request.stream = fields.flag("stream")?.unwrap_or(false);
    let tools = fields.list("tools")?;
    request.tools = tools::decode(tools, &mut reader)?;
    if let Some(choice) = fields.object("tool_choice")? {
        tools::decode_choice(choice, &mut request)?;
    }
    if let Some(mut metadata) = fields.object("metadata")? {
        request.user = metadata.text("user_id")?;
        reader.keep("metadata", metadata.rest());
    }
    output(&mut fields, &mut reader, &mut request)?;
    let mut rest = fields.rest();
    rest.extend(std::mem::take(&mut reader.kept));
    request.rest = Rest {
        dialect: Some(Dialect::Anthropic),
        fields: rest,
        ..Rest::default()
    };
    Ok(request)
}

fn turn(message: Value, index: usize, reader: &mut Reader) -> Result<Turn, Fault> {
    let place = format!("messages[{index}]");
    let mut fields = Fields::of(message, &place)?;
    let role = match fields.need_text("role")?.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        other => {
            return Err(Fault::invalid(
                fields.at("role"),
                format!("`{place}.role` is `{other}`; it has to be user, assistant or system"),
            ));
        }
    };
    let content = fields.take("content");
    let content = content.ok_or_else(|| fields.missing("content"))?;
    let parts = reader.parts(content, &fields.at("content"))?;
    reader.keep(&place, fields.rest());
    if role == Role::System && parts.iter().any(|part| !matches!(part, Part::Text(_))) {
        let message = "instructions are text only";
        return Err(Fault::invalid(format!("{place}.content"), message));
    }
    Ok(Turn::new(role, parts))
}

fn sampling(fields: &mut Fields) -> Result<Sampling, Fault> {
    let mut stop = Vec::new();
    for (index, text) in fields.list("stop_sequences")?.into_iter().enumerate() {
        match text {
            Value::String(text) => stop.push(text),
            other => {
                return Err(wrong(
                    &format!("stop_sequences[{index}]"),
                    "a string",
                    &other,
                ));
            }
        }
    }
    Ok(Sampling {
        max_output_tokens: fields.count("max_tokens")?,
        temperature: fields.number("temperature")?,
        top_p: fields.number("top_p")?,
        top_k: fields.count("top_k")?,
        stop,
        ..Sampling::default()
    })
}

/// `output_config`, `output_format` (its elder), and `thinking`.
fn output(
    fields: &mut Fields,
    reader: &mut Reader,
    request: &mut ChatRequest,
) -> Result<(), Fault> {
    let mut effort = None;
    if let Some(mut config) = fields.object("output_config")? {
        effort = config.text("effort")?;
        request.format = format(&mut config, "format")?;
        reader.keep("output_config", config.rest());
    }
    if request.format.is_none() {
        request.format = format(fields, "output_format")?;
    }
    let thinking = fields.take("thinking");
    request.reasoning = effort::decode(thinking, effort, &mut reader.kept)?;
    Ok(())
}

fn format(fields: &mut Fields, name: &str) -> Result<Option<Format>, Fault> {
    let Some(mut format) = fields.object(name)? else {
        return Ok(None);
    };
    let kind = format.need_text("type")?;
    if kind != "json_schema" {
        let message = format!("`{kind}` is not a format; it has to be json_schema");
        return Err(Fault::invalid(format.at("type"), message));
    }
    let schema = format.take("schema");
    Ok(Some(Format::Schema {
        name: None,
        description: None,
        schema: schema.ok_or_else(|| format.missing("schema"))?,
        strict: None,
    }))
}
