//! Whether a provider answers with the key it has: it is asked something that costs nothing, or nearly. No call of
//! anybody is accounted for it, and no breaker hears of it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::egress::{Egress, EgressError, Patience};
use crate::llm::dialect::{Dialect, TargetModel};
use crate::llm::exchange::request_to;
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::live::LiveProvider;
use crate::llm::provider::{Capability, Probe};
use crate::llm::question::{Addressed, Question};
use crate::llm::settings::origin;
use crate::llm::signed::{Signed, masked};
use crate::types::{Clock, UpstreamRequest, UpstreamResponse};

/// How long a provider has to answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// How much of its answer is read.
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// Of a list, so many models are told, each cut at so many characters.
const MODELS_MAX: usize = 500;
const MODEL_CHARS_MAX: usize = 200;
/// Of what a provider says of a fault.
const MESSAGE_CHARS_MAX: usize = 500;
/// What a model is let say: some refuse to think within less.
const TOKENS: u32 = 16;

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Probed {
    pub ok: bool,
    /// Absent where nothing answered.
    pub status: Option<u16>,
    pub took: Duration,
    /// For people; without any of the key.
    pub message: String,
    /// The models it lists, by its own names.
    pub models: Option<Vec<String>>,
    /// Why nothing answered, where that is one of these.
    pub cause: Option<Cause>,
}

/// Why a provider was not reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Its address is none that is reached unless somebody says so: with this rule, if with any.
    Refused(Option<String>),
    /// Its host has no address.
    Unresolved,
    /// Nothing listens there.
    Unreachable,
    /// It took too long.
    TimedOut,
}

impl Cause {
    fn of(error: &EgressError) -> Option<Self> {
        Some(match error {
            EgressError::Refused(refusal) => Self::Refused(refusal.rule()),
            EgressError::Unresolved { .. } => Self::Unresolved,
            EgressError::Unreachable { .. } => Self::Unreachable,
            EgressError::TimedOut { .. } => Self::TimedOut,
            _ => return None,
        })
    }

    /// As the API writes it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::Unresolved => "unresolved",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timeout",
        }
    }
}

/// What a provider is asked.
enum Asked {
    Models,
    Chat(Dialect),
}

/// Asks a provider with a key of that name, or the first of its keys: a model of it for a few words, or else for the list of its models.
///
/// # Errors
/// [`FaultClass::Invalid`] where it lists none, so that a model has to be named, or where there is no such key.
pub async fn probe(
    (egress, clock): (&Egress, &Clock),
    provider: &LiveProvider,
    (model, key): (Option<&str>, Option<&str>),
) -> Result<Probed, Fault> {
    let mut keys = provider.keys.iter();
    let key = match key {
        None => keys.next(),
        Some(name) => Some(keys.find(|key| key.name == name).ok_or_else(|| {
            let text = format!("`key`: {} has no such key", provider.name);
            Fault::invalid("key", text)
        })?),
    };
    let (asked, request) = match model {
        Some(model) => chat(provider, model)?,
        None => (Asked::Models, listing(provider)?),
    };
    let key = key.map(AsRef::as_ref);
    let began = Instant::now();
    let signed = provider.signed(request, key, (egress, clock)).await;
    let Signed { request, pass } = match signed {
        Ok(signed) => signed,
        Err(fault) => return Ok(failed(None, began.elapsed(), fault.message)),
    };
    let never = CancellationToken::new();
    let patience = Patience {
        deadline: began + PATIENCE,
        cancel: &never,
    };
    let answer = egress.send_short(&provider.upstream, request, patience, ANSWER_BYTES_MAX);
    let mut probed = judged(&asked, answer.await, began.elapsed());
    probed.message = shortened(&masked((key, &pass), &probed.message), MESSAGE_CHARS_MAX);
    Ok(probed)
}

fn failed(status: Option<u16>, took: Duration, message: String) -> Probed {
    Probed {
        ok: false,
        status,
        took,
        message,
        models: None,
        cause: None,
    }
}

/// The list of models, at the address keys are for.
fn listing(provider: &LiveProvider) -> Result<UpstreamRequest, Fault> {
    let needs_model = || {
        let text = format!(
            "`model`: {} has no list of models to ask for; name one, and it is asked for a few words",
            provider.name
        );
        Fault::invalid("model", text)
    };
    let (data, parameters) = (&provider.provider, &provider.parameters);
    if data.probe == Probe::Chat || !data.can(Capability::Models) {
        return Err(needs_model());
    }
    let url = data
        .url(parameters, Capability::Models, "", false)
        .map_err(internal)?;
    // What is listed elsewhere is listed where no key may go.
    if origin(data, parameters).map_err(internal)? != url.origin().ascii_serialization() {
        return Err(needs_model());
    }
    Ok(request_to(
        data,
        (Method::GET, url),
        "application/json",
        Bytes::new(),
    ))
}

fn chat(provider: &LiveProvider, model: &str) -> Result<(Asked, UpstreamRequest), Fault> {
    let data = &provider.provider;
    let body = json!({
        "model": model,
        "max_completion_tokens": TOKENS,
        "messages": [{ "role": "user", "content": "Say hello." }],
    });
    let body = Bytes::from(body.to_string());
    let question = Question::read(Dialect::OpenaiChat, body, Addressed::default())?;
    let target = TargetModel {
        name: data.model_name(model).into_owned(),
        max_output_tokens: None,
    };
    let written = question.written(data, &target)?;
    let url = data
        .url(
            &provider.parameters,
            written.capability,
            &target.name,
            false,
        )
        .map_err(internal)?;
    let request = request_to(data, (Method::POST, url), "application/json", written.body);
    Ok((Asked::Chat(written.dialect), request))
}

fn internal(error: impl std::fmt::Display) -> Fault {
    Fault::new(FaultClass::Internal, error.to_string())
}

/// What an answer says.
fn judged(asked: &Asked, answer: Result<UpstreamResponse, EgressError>, took: Duration) -> Probed {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            return Probed {
                cause: Cause::of(&error),
                ..failed(None, took, error.to_string())
            };
        }
    };
    let status = answer.status.as_u16();
    if !answer.status.is_success() {
        let dialect = match asked {
            Asked::Chat(dialect) => *dialect,
            Asked::Models => Dialect::OpenaiChat,
        };
        let said = dialect.decode_error(status, &answer.body).message;
        return failed(Some(status), took, said);
    }
    let value: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let well = |message: String, models| Probed {
        ok: true,
        status: Some(status),
        took,
        message,
        models,
        cause: None,
    };
    match (asked, value) {
        (_, None) if answer.truncated => well("it answers, at great length".to_owned(), None),
        (_, None) => failed(Some(status), took, "what it answers is not JSON".to_owned()),
        (Asked::Models, Some(value)) => match models(&value) {
            Some(models) => well(format!("it lists {} models", models.len()), Some(models)),
            None => failed(
                Some(status),
                took,
                "what it answers is no list of models".to_owned(),
            ),
        },
        (Asked::Chat(dialect), Some(value)) => match dialect.decode_answer(value) {
            Ok(_) => well("the model answers".to_owned(), None),
            Err(fault) => failed(Some(status), took, fault.message),
        },
    }
}

/// The names of a list, in whichever of the usual shapes.
fn models(list: &Value) -> Option<Vec<String>> {
    let rows = match list {
        Value::Array(rows) => rows,
        list => ["data", "models", "result"]
            .iter()
            .find_map(|name| list[*name].as_array())?,
    };
    let names = rows.iter().filter_map(|row| {
        let named = ["id", "name", "model"]
            .iter()
            .find_map(|key| row[*key].as_str());
        let name = row.as_str().or(named)?;
        let name = name.strip_prefix("models/").unwrap_or(name);
        Some(shortened(name, MODEL_CHARS_MAX))
    });
    Some(names.take(MODELS_MAX).collect())
}

fn shortened(text: &str, chars_max: usize) -> String {
    text.chars().take(chars_max).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_every_shape_are_read_and_bounded() {
        let many: Vec<Value> = (0..600).map(|n| json!({ "id": format!("m{n}") })).collect();
        for (list, expected) in [
            (
                json!({ "data": [{ "id": "gpt-4o" }] }),
                Some(vec!["gpt-4o"]),
            ),
            (
                json!({ "models": [{ "name": "models/gemini-2.5-pro" }, { "odd": 1 }] }),
                Some(vec!["gemini-2.5-pro"]),
            ),
            (json!([{ "id": "a" }, "b"]), Some(vec!["a", "b"])),
            (json!({ "error": "no" }), None),
        ] {
            let expected = expected.map(|names| names.into_iter().map(str::to_owned).collect());
            assert_eq!(models(&list), expected, "{list}");
        }
        assert_eq!(models(&json!({ "data": many })).unwrap().len(), MODELS_MAX);
    }
}
