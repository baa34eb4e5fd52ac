//! `generationConfig`: how words are chosen, what form they take, how much is thought before
//! (<https://ai.google.dev/api/generate-content#generationconfig>).

use serde_json::{Map, Value, json};

use crate::llm::chat::{ChatRequest, Format, Reasoning};
use crate::llm::dialect::gemini::names::{fields, merge, object};
use crate::llm::dialect::gemini::schema::json_schema;
use crate::llm::dialect::{Dialect, Dropped};
use crate::llm::fault::Fault;
use crate::llm::fields::{Fields, put};

/// What an answer is where nobody says it.
const PLAIN: &str = "text/plain";

/// Reads `generationConfig`; what is left of it is kept.
pub(crate) fn read(
    config: Value,
    request: &mut ChatRequest,
    rest: &mut Map<String, Value>,
) -> Result<(), Fault> {
    let mut config = fields(config, "generationConfig")?;
    let sampling = &mut request.sampling;
    sampling.max_output_tokens = config.count("maxOutputTokens")?;
    sampling.temperature = config.number("temperature")?;
    sampling.top_p = config.number("topP")?;
    sampling.top_k = config.count("topK")?;
    sampling.frequency_penalty = config.number("frequencyPenalty")?;
    sampling.presence_penalty = config.number("presencePenalty")?;
    sampling.seed = config.integer("seed")?;
    sampling.candidates = config.count("candidateCount")?;
    sampling.logprobs = config.flag("responseLogprobs")? == Some(true);
    sampling.top_logprobs = config.count("logprobs")?;
    for (index, value) in config.list("stopSequences")?.into_iter().enumerate() {
        match value {
            Value::String(text) => sampling.stop.push(text),
            other => {
                let place = format!("generationConfig.stopSequences[{index}]");
                return Err(crate::llm::fields::wrong(&place, "a string", &other));
            }
        }
    }
    let mut left = Map::new();
    request.format = read_format(&mut config, &mut left)?;
    if let Some(thinking) = object(&mut config, "thinkingConfig")? {
        let (reasoning, more) = read_thinking(thinking)?;
        request.reasoning = reasoning;
        if !more.is_empty() {
            left.insert("thinkingConfig".to_owned(), Value::Object(more));
        }
    }
    left.extend(config.rest());
    if !left.is_empty() {
        rest.insert("generationConfig".to_owned(), Value::Object(left));
    }
    Ok(())
}

/// JSON, with or without a schema. Other media types stay as they are, schema and all.
fn read_format(
    config: &mut Fields,
    left: &mut Map<String, Value>,
) -> Result<Option<Format>, Fault> {
    let media_type = config.text("responseMimeType")?;
    if let Some(other) = media_type
        .as_deref()
        .filter(|name| *name != "application/json")
    {
        left.insert("responseMimeType".to_owned(), other.into());
        return Ok(None);
    }
    let schema = config.take("responseSchema").map(json_schema);
    let schema = config.take("responseJsonSchema").or(schema);
    Ok(match (schema, media_type) {
        (Some(schema), _) => Some(Format::Schema {
            name: None,
            description: None,
            schema,
            strict: None,
        }),
        (None, Some(_)) => Some(Format::Json),
        (None, None) => None,
    })
}

/// Whether the answer may be one of another dialect's: text that is no JSON, or JSON.
pub(crate) fn answerable(request: &ChatRequest, target: Dialect) -> Result<(), Fault> {
    let own = request.rest.dialect == Some(Dialect::Gemini);
    let config = request.rest.fields.get("generationConfig");
    let Some(config) = config.filter(|_| own && target != Dialect::Gemini) else {
        return Ok(());
    };
    let media_type = config.get("responseMimeType").and_then(Value::as_str);
    if let Some(other) = media_type.filter(|name| *name != PLAIN) {
        let what = format!("an answer of the type `{other}`");
        return Err(target.cannot("generationConfig.responseMimeType", &what));
    }
    let kinds = config.get("responseModalities").and_then(Value::as_array);
    let is_text = |kind: &Value| {
        let kind = kind.as_str().unwrap_or_default();
        ["TEXT", "MODALITY_UNSPECIFIED"].contains(&kind.to_ascii_uppercase().as_str())
    };
    if kinds.is_some_and(|kinds| !kinds.iter().all(is_text)) {
        let what = "an answer of other kinds than text";
        return Err(target.cannot("generationConfig.responseModalities", what));
    }
    Ok(())
}

/// A budget of 0 is no thinking; one of -1 is the model's own choice, and stays where it is.
fn read_thinking(mut thinking: Fields) -> Result<(Option<Reasoning>, Map<String, Value>), Fault> {
    let mut reasoning = Reasoning {
        shown: thinking.flag("includeThoughts")?,
        ..Reasoning::default()
    };
    let budget = thinking.integer("thinkingBudget")?;
    let level = thinking.text("thinkingLevel")?;
    let mut left = thinking.rest();
    match budget.map(u64::try_from) {
        Some(Ok(budget)) => {
            reasoning.budget_tokens = Some(budget);
            reasoning.effort = (budget == 0).then(|| "none".to_owned());
        }
        Some(Err(_)) => put(&mut left, "thinkingBudget", budget),
        None => {}
    }
    match level.as_deref() {
        Some("THINKING_LEVEL_UNSPECIFIED") | None => {}
        Some(level) => reasoning.effort = Some(level.to_ascii_lowercase()),
    }
    let said = reasoning != Reasoning::default();
    Ok((said.then_some(reasoning), left))
}

/// Writes `generationConfig`; empty where there is nothing to say.
pub(crate) fn write(
    request: &ChatRequest,
    model: &str,
    dropped: &mut Vec<Dropped>,
) -> Result<Map<String, Value>, Fault> {
    let sampling = &request.sampling;
    if let Some(count) = sampling.candidates.filter(|count| *count > 1) {
        let message = format!("{count} candidates were asked for; ask for one at a time");
        return Err(Fault::invalid("sampling.candidates", message));
    }
    let mut config = Map::new();
    put(&mut config, "temperature", sampling.temperature);
    put(&mut config, "topP", sampling.top_p);
    put(&mut config, "topK", sampling.top_k);
    put(&mut config, "candidateCount", sampling.candidates);
    put(&mut config, "maxOutputTokens", sampling.max_output_tokens);
    let stop = (!sampling.stop.is_empty()).then(|| sampling.stop.clone());
    put(&mut config, "stopSequences", stop);
    put(&mut config, "presencePenalty", sampling.presence_penalty);
    put(&mut config, "frequencyPenalty", sampling.frequency_penalty);
    put(&mut config, "seed", sampling.seed);
    put(
        &mut config,
        "responseLogprobs",
        sampling.logprobs.then_some(true),
    );
    put(&mut config, "logprobs", sampling.top_logprobs);
    write_format(request, &mut config, dropped);
    if let Some(reasoning) = &request.reasoning {
        let own = request.rest.dialect == Some(Dialect::Gemini);
        let thinking = write_thinking(reasoning, own, model, dropped);
        if !thinking.is_empty() {
            config.insert("thinkingConfig".to_owned(), Value::Object(thinking));
        }
    }
    if request.rest.dialect == Some(Dialect::Gemini)
        && let Some(Value::Object(more)) = request.rest.fields.get("generationConfig")
    {
        merge(&mut config, more);
    }
    Ok(config)
}

fn write_format(
    request: &ChatRequest,
    config: &mut Map<String, Value>,
    dropped: &mut Vec<Dropped>,
) {
    let Some(format) = &request.format else {
        return;
    };
    config.insert("responseMimeType".to_owned(), json!("application/json"));
    let Format::Schema {
        name,
        description,
        schema,
        strict,
    } = format
    else {
        return;
    };
    config.insert("responseJsonSchema".to_owned(), schema.clone());
    // A schema is always kept to: nothing is lost where it has to be.
    let lost = [
        (name.is_some(), "name"),
        (description.is_some(), "description"),
        (*strict == Some(false), "strict"),
    ];
    for (_, field) in lost.iter().filter(|(there, _)| *there) {
        let reason = "Gemini's response schema has no such field";
        dropped.push(Dropped::new(format!("format.{field}"), reason));
    }
}

fn write_thinking(
    reasoning: &Reasoning,
    own: bool,
    model: &str,
    dropped: &mut Vec<Dropped>,
) -> Map<String, Value> {
    let mut thinking = Map::new();
    let model = Model::named(model);
    if model == Model::Unthinking && !own {
        let reason = "the model does not think";
        dropped.push(Dropped::new("reasoning", reason));
        return thinking;
    }
    // Most dialects show what is thought unless they are told otherwise; Gemini hides it.
    let is_off = reasoning.effort.as_deref() == Some("none") || reasoning.budget_tokens == Some(0);
    let shown = reasoning.shown.or((!own && !is_off).then_some(true));
    put(&mut thinking, "includeThoughts", shown);
    match (reasoning.budget_tokens, reasoning.effort.as_deref()) {
        (Some(budget), None | Some("none")) => {
            put(&mut thinking, "thinkingBudget", Some(budget));
        }
        (None, Some(effort)) if own => {
            put(
                &mut thinking,
                "thinkingLevel",
                Some(effort.to_ascii_uppercase()),
            );
        }
        (Some(budget), Some(effort)) if own => {
            put(&mut thinking, "thinkingBudget", Some(budget));
            put(
                &mut thinking,
                "thinkingLevel",
                Some(effort.to_ascii_uppercase()),
            );
        }
        (budget, Some(effort)) => model.put_effort(effort, budget, &mut thinking, dropped),
        (None, None) => {}
    }
    thinking
}

/// How a model is told to think (<https://ai.google.dev/gemini-api/docs/thinking>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Model {
    /// Up to 2.0: not at all.
    Unthinking,
    /// 2.5, and those whose name does not tell: by a number of tokens.
    Budget { pro: bool },
    /// From 3: by a level. Calls in what is sent back have to be signed.
    Level { pro: bool },
}

impl Model {
    /// What the name of a model tells: `gemini-3-pro-preview`, `publishers/google/models/gemini-2.5-flash`.
    pub(crate) fn named(name: &str) -> Self {
        let name = name.rsplit('/').next().unwrap_or(name);
        let pro = name.contains("pro");
        if name.starts_with("gemma") {
            return Self::Unthinking;
        }
        let Some(version) = name.strip_prefix("gemini-") else {
            return Self::Budget { pro };
        };
        if version.contains("latest") && !version.starts_with(|first: char| first.is_ascii_digit())
        {
            return Self::Level { pro };
        }
        let digits = version
            .split(|letter: char| !letter.is_ascii_digit())
            .next();
        let major: Option<u32> = digits.and_then(|digits| digits.parse().ok());
        match major {
            Some(0 | 1) => Self::Unthinking,
            Some(2) if version.starts_with("2.0") => Self::Unthinking,
            Some(2) | None => Self::Budget { pro },
            Some(_) => Self::Level { pro },
        }
    }

    pub(crate) fn wants_signatures(self) -> bool {
        matches!(self, Self::Level { .. })
    }

    /// Google's own table of efforts (<https://ai.google.dev/gemini-api/docs/openai#thinking>). What a model
    /// cannot do becomes the nearest it can: pro models always think.
    fn put_effort(
        self,
        effort: &str,
        budget: Option<u64>,
        thinking: &mut Map<String, Value>,
        dropped: &mut Vec<Dropped>,
    ) {
        if let Self::Level { pro } = self {
            let level = match effort {
                "none" | "minimal" if pro => "LOW",
                "none" | "minimal" => "MINIMAL",
                "low" => "LOW",
                "medium" => "MEDIUM",
                _ => "HIGH",
            };
            put(thinking, "thinkingLevel", Some(level));
            if budget.is_some() {
                let reason = "Gemini takes a level or a budget, not both";
                dropped.push(Dropped::new("reasoning.budget_tokens", reason));
            }
            return;
        }
        let pro = self == Self::Budget { pro: true };
        let tokens = budget.unwrap_or(match effort {
            "none" if pro => 128,
            "none" => 0,
            "minimal" | "low" => 1024,
            "medium" => 8192,
            _ => 24_576,
        });
        put(thinking, "thinkingBudget", Some(tokens));
    }
}
