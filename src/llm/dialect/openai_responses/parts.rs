//! The pieces of a message's content, read: text with its citations, images, files.

use serde_json::{Map, Value};

use crate::llm::answer::TokenLogprob;
use crate::llm::chat::{Audio, CacheMark, Citation, Document, Image, Opaque, Part, Source, Text};
use crate::llm::dialect::Dialect;
use crate::llm::fault::Fault;
use crate::llm::fields::Fields;

const DIALECT: Dialect = Dialect::OpenaiResponses;
/// Before the type of a piece of content that only this dialect has, to tell it from an item.
pub(crate) const CONTENT: &str = "content.";

/// What reading finds beside the parts.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    /// Fields no part holds, by their place.
    pub rest: Map<String, Value>,
    pub logprobs: Vec<TokenLogprob>,
}

impl Beside {
    /// Keeps what nobody took of an object.
    pub(crate) fn keep(&mut self, fields: Fields) {
        let place = fields.place().to_owned();
        for (name, value) in fields.rest() {
            if !value.is_null() {
                self.rest.insert(format!("{place}.{name}"), value);
            }
        }
    }
}

/// One piece of `content` or of an `output`.
pub(crate) fn content(value: Value, place: &str, beside: &mut Beside) -> Result<Part, Fault> {
    if let Value::String(text) = value {
        return Ok(Part::text(text));
    }
    let mut fields = Fields::of(value.clone(), place)?;
    let kind = fields.need_text("type")?;
    let part = match kind.as_str() {
        "input_text" | "output_text" | "text" => Part::Text(text(&mut fields, beside)?),
        "refusal" => Part::Refusal(fields.text("refusal")?.unwrap_or_default()),
        "input_image" => Part::Image(image(&mut fields)?),
        "input_file" => Part::Document(document(&mut fields)?),
        "input_audio" => Part::Audio(audio(&mut fields)?),
        _ => {
            return Ok(Part::Opaque(Opaque {
                dialect: DIALECT,
                kind: format!("{CONTENT}{kind}"),
                value,
            }));
        }
    };
    beside.keep(fields);
    Ok(part)
}

fn text(fields: &mut Fields, beside: &mut Beside) -> Result<Text, Fault> {
    beside.logprobs.extend(logprobs(&fields.list("logprobs")?));
    let annotations = fields.list("annotations")?;
    Ok(Text {
        text: fields.text("text")?.unwrap_or_default(),
        citations: annotations.into_iter().map(citation).collect(),
        cache: cache(fields)?,
    })
}

/// An annotation. Its own form stays with it.
pub(crate) fn citation(value: Value) -> Citation {
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let count = |name: &str| value.get(name).and_then(Value::as_u64);
    Citation {
        url: text("url"),
        title: text("title").or_else(|| text("filename")),
        quote: None,
        span: count("start_index").zip(count("end_index")),
        whole: Some((DIALECT, value)),
    }
}

/// Log-probabilities of tokens; what is none is left out.
pub(crate) fn logprobs(list: &[Value]) -> Vec<TokenLogprob> {
    list.iter().filter_map(logprob).collect()
}

fn logprob(value: &Value) -> Option<TokenLogprob> {
    let bytes = value.get("bytes").and_then(Value::as_array).map(|bytes| {
        let bytes = bytes.iter().filter_map(Value::as_u64);
        bytes.filter_map(|byte| u8::try_from(byte).ok()).collect()
    });
    let top = value.get("top_logprobs").and_then(Value::as_array);
    Some(TokenLogprob {
        token: value.get("token")?.as_str()?.to_owned(),
        logprob: value.get("logprob")?.as_f64()?,
        bytes,
        top: top
            .map(|list| list.iter().filter_map(logprob).map(bare).collect())
            .unwrap_or_default(),
    })
}

fn bare(token: TokenLogprob) -> TokenLogprob {
    TokenLogprob {
        top: Vec::new(),
        ..token
    }
}

/// `prompt_cache_breakpoint`.
fn cache(fields: &mut Fields) -> Result<Option<CacheMark>, Fault> {
    let Some(mut mark) = fields.object("prompt_cache_breakpoint")? else {
        return Ok(None);
    };
    Ok(Some(match mark.text("ttl")?.as_deref() {
        Some("12h") => CacheMark::OneHour,
        _ => CacheMark::FiveMinutes,
    }))
}

fn image(fields: &mut Fields) -> Result<Image, Fault> {
    let source = match (fields.text("image_url")?, fields.text("file_id")?) {
        (Some(url), _) => located(url, &fields.at("image_url"))?,
        (None, Some(id)) => file(id),
        (None, None) => return Err(fields.missing("image_url")),
    };
    Ok(Image {
        source,
        detail: fields.text("detail")?,
        cache: cache(fields)?,
    })
}

fn document(fields: &mut Fields) -> Result<Document, Fault> {
    let name = fields.text("filename")?;
    let (data, url) = (fields.text("file_data")?, fields.text("file_url")?);
    let source = match (data, url, fields.text("file_id")?) {
        (Some(data), _, _) if data.starts_with("data:") => located(data, &fields.at("file_data"))?,
        (Some(data), _, _) => Source::Inline {
            media_type: "application/pdf".to_owned(),
            data,
        },
        (None, Some(url), _) => Source::Url {
            url,
            media_type: None,
        },
        (None, None, Some(id)) => file(id),
        (None, None, None) => return Err(fields.missing("file_data")),
    };
    Ok(Document {
        source,
        name,
        context: None,
        citations: false,
        cache: cache(fields)?,
    })
}

fn audio(fields: &mut Fields) -> Result<Audio, Fault> {
    let Some(mut audio) = fields.object("input_audio")? else {
        return Err(fields.missing("input_audio"));
    };
    let format = audio.text("format")?.unwrap_or_else(|| "wav".to_owned());
    let media_type = match format.as_str() {
        "mp3" => "audio/mpeg".to_owned(),
        other => format!("audio/{other}"),
    };
    Ok(Audio {
        source: Source::Inline {
            media_type,
            data: audio.need_text("data")?,
        },
    })
}

fn file(id: String) -> Source {
    Source::File {
        dialect: DIALECT,
        id,
    }
}

/// An address, or the bytes themselves in a `data:` address, whose media type stays without parameters.
fn located(url: String, place: &str) -> Result<Source, Fault> {
    let Some(inline) = url.strip_prefix("data:") else {
        if !url.contains("://") {
            let message = format!("`{place}` is no address: it begins with no `https:` or `data:`");
            return Err(Fault::invalid(place, message));
        }
        return Ok(Source::Url {
            url,
            media_type: None,
        });
    };
    let (head, data) = inline.split_once(";base64,").ok_or_else(|| {
        let message = format!("`{place}` is a `data:` address without `;base64,`");
        Fault::invalid(place, message)
    })?;
    let media_type = head.split(';').next().unwrap_or_default();
    Ok(Source::Inline {
        media_type: media_type.to_owned(),
        data: data.to_owned(),
    })
}
