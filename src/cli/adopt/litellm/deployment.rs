//! One entry of `model_list`: a provider that is asked, a name callers use, and what LiteLLM keeps beside them.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::cli::adopt::litellm::Reading;
use crate::cli::adopt::litellm::routing::RETRIES_MAX;
use crate::cli::adopt::litellm::vendor::{self, Placed, shown, sorted};
use crate::cli::adopt::names;
use crate::cli::adopt::report::Report;
use crate::cli::adopt::section::{Section, number, rounded, text, whole};
use crate::llm::price::{PriceBook, ServiceTier};
use crate::llm::route::REST;

/// A target of a model, as LiteLLM describes it.
#[derive(Clone, Debug, Default)]
pub(super) struct Deployment {
    pub(super) path: String,
    pub(super) provider: String,
    /// Absent: whatever the caller asked for; [`REST`]: what follows its first slash.
    pub(super) model: Option<String>,
    pub(super) weight: Option<f64>,
    pub(super) requests_per_minute: Option<u64>,
    pub(super) tokens_per_minute: Option<u64>,
    pub(super) order: u64,
    pub(super) retries: Option<u64>,
    pub(super) timeout_ms: Option<u64>,
    pub(super) max_output_tokens: Option<u64>,
    pub(super) budget: Option<Value>,
    /// Nobody knows what it costs, here or there.
    pub(super) is_unpriced: bool,
    pub(super) refuses_loss: bool,
}

/// LiteLLM's names of prices, in dollars a token, and ours, in picodollars.
const RATES: &[(&str, &str)] = &[
    ("input_cost_per_token", "input"),
    ("output_cost_per_token", "output"),
    ("cache_read_input_token_cost", "cached"),
    ("cache_creation_input_token_cost", "cache_write"),
    (
        "cache_creation_input_token_cost_above_1hr",
        "cache_write_hour",
    ),
    ("output_cost_per_reasoning_token", "reasoning"),
    ("input_cost_per_audio_token", "input_audio"),
    ("output_cost_per_audio_token", "output_audio"),
];
const PICOS: f64 = 1e12;

/// How callers' names lead to a provider's.
enum Naming {
    /// To this one.
    To(String),
    /// To the same.
    Same,
    /// To what follows their first slash. Of `PROVIDER/*`, what the provider has to be called.
    Rest(Option<String>),
}

/// Whether an entry is `PROVIDER/*`, so that callers say what the provider is called.
pub(super) fn is_provider(entry: &Value) -> bool {
    let name = entry["model_name"].as_str().unwrap_or_default();
    let model = entry["litellm_params"]["model"].as_str();
    let model = model.and_then(|model| model.strip_suffix("/*"));
    name.ends_with("/*") && model.is_some_and(|model| !model.contains('*'))
}

/// Reads an entry: what callers call it, and what it is. `None`: it was left out, and that is reported.
pub(super) fn read(
    reading: &mut Reading<'_>,
    path: &str,
    entry: &Value,
    credentials: &IndexMap<String, Section>,
) -> Option<(String, Deployment)> {
    let mut entry = Section::of(path, entry);
    let name = entry.take("model_name").and_then(|(_, name)| text(&name));
    let mut params = entry.section("litellm_params");
    let mut info = entry.section("model_info");
    if let Some((at, credential)) = params.take("litellm_credential_name") {
        match text(&credential).and_then(|name| credentials.get(&name)) {
            Some(values) => params.fill(values),
            None => reading.draft.report.left(
                (&at, &credential),
                "`credential_list` has no such entry",
                "enter the key of the provider (`causeway providers key`)",
            ),
        }
    }
    let model = params.take("model").and_then(|(_, model)| text(&model));
    let (Some(name), Some(model)) = (name, model) else {
        let why = "it has no `model_name`, or no `litellm_params.model`";
        let place = (path, &json!({}));
        reading
            .draft
            .report
            .left(place, why, "mend it, and read it again");
        return None;
    };
    let placed = place(reading, &mut params, (path, &name, &model));
    let (provider, model) = match placed {
        Ok(placed) => placed,
        Err((why, todo)) => {
            let place = (path, &json!({}));
            reading.draft.report.left(place, &why, &todo);
            return None;
        }
    };
    let mut deployment = Deployment {
        path: path.to_owned(),
        provider,
        model,
        ..Deployment::default()
    };
    deployment.settings(
        (&mut entry, &mut params, &mut info),
        &mut reading.draft.report,
    );
    prices(reading, &deployment, (&mut params, &mut info));
    deployment.is_unpriced = is_unpriced(reading, &deployment);
    let report = &mut reading.draft.report;
    params.rest("litellm_params", report);
    info.rest("model_info", report);
    entry.rest("model_list", report);
    Some((name, deployment))
}

/// The provider of an entry, and what it is asked for.
fn place(
    reading: &mut Reading<'_>,
    params: &mut Section,
    (path, name, model): (&str, &str, &str),
) -> Result<(String, Option<String>), (String, String)> {
    let Placed { mut wanted, model } = vendor::place(reading, params, model)?;
    let naming = naming(name, &model)?;
    if let Naming::Rest(Some(provider)) = &naming {
        wanted.name.clone_from(provider);
        wanted.fixed = true;
    }
    sorted(&mut wanted.parameters);
    let at = format!("{path}.litellm_params.api_base");
    let provider = reading.draft.provider(wanted, &at).map_err(|why| {
        let todo = "add the provider by hand (`causeway providers put`)";
        (why, todo.to_owned())
    })?;
    if names::is_inner(name) {
        let why = format!(
            "it is the regular expression `{}` here, which all of a name has to match",
            shown(&names::expression(name))
        );
        let todo = "nothing, unless callers put more after it";
        let at = format!("{path}.model_name");
        let place = (at.as_str(), &Value::from(name));
        reading.draft.report.changed(place, &why, todo);
    }
    let model = match naming {
        Naming::To(model) => Some(model),
        Naming::Same => None,
        Naming::Rest(_) => Some(REST.to_owned()),
    };
    Ok((provider, model))
}

fn naming(name: &str, model: &str) -> Result<Naming, (String, String)> {
    if name.contains(char::is_whitespace) || model.contains(char::is_whitespace) {
        let why = "names of models have no spaces".to_owned();
        return Err((why, "give it another name".to_owned()));
    }
    if names::is_inner(name) && !names::is_name(&names::expression(name)) {
        let why = "the name is too long for a regular expression, which it would be".to_owned();
        let todo = "name the models that callers ask for, one by one";
        return Err((why, todo.to_owned()));
    }
    if !model.contains('*') {
        return Ok(Naming::To(model.to_owned()));
    }
    if name == model {
        return Ok(Naming::Same);
    }
    match name.split_once('/') {
        Some((first, rest)) if rest == model => {
            let provider = (rest == REST).then(|| first.to_owned());
            Ok(Naming::Rest(provider))
        }
        _ => {
            let why = format!(
                "it turns `{}` into `{}`; here what a `*` stands for stays the whole name, or what follows its first slash",
                shown(name),
                shown(model)
            );
            let todo =
                "add the models callers ask for one by one, or let them ask for `PROVIDER/MODEL`";
            Err((why, todo.to_owned()))
        }
    }
}

impl Deployment {
    /// What there is beside its place.
    fn settings(
        &mut self,
        (entry, params, info): (&mut Section, &mut Section, &mut Section),
        report: &mut Report,
    ) {
        let mut given = |name: &str| {
            let taken = [params.take(name), entry.take(name)];
            taken
                .into_iter()
                .flatten()
                .find_map(|(_, value)| number(&value))
        };
        self.weight = given("weight").filter(|it| (0.0..1e15).contains(it));
        let mut numbers = |name: &str| given(name).and_then(rounded);
        self.requests_per_minute = numbers("rpm").filter(|it| *it > 0);
        self.tokens_per_minute = numbers("tpm").filter(|it| *it > 0);
        self.order = numbers("order").unwrap_or_default();
        self.retries = numbers("num_retries").or_else(|| numbers("max_retries"));
        if let Some(count) = self.retries.filter(|it| *it > RETRIES_MAX) {
            let why = format!("a target is asked again {RETRIES_MAX} times at most");
            let place = format!("{}.litellm_params.num_retries", self.path);
            report.changed(
                (&place, &json!(count)),
                &why,
                "nothing, unless you relied on it",
            );
        }
        let timeout = params.take("timeout").and_then(|(_, value)| number(&value));
        self.timeout_ms = timeout.and_then(milliseconds);
        let written = info.take("max_output_tokens");
        self.max_output_tokens = written
            .and_then(|(_, value)| whole(&value))
            .filter(|it| *it > 0);
        if let Some((_, drops)) = params.take("drop_params") {
            self.refuses_loss = drops == json!(false);
        }
        let budget = (params.take("max_budget"), params.take("budget_duration"));
        if let (Some((path, amount)), duration) = budget {
            self.budget = self::budget((&path, &amount), duration.map(|it| it.1), report);
        }
    }
}

/// Seconds as what times are set in.
pub(super) fn milliseconds(seconds: f64) -> Option<u64> {
    let ms = whole(&json!(seconds * 1_000.0))?;
    (ms > 0).then(|| ms.clamp(100, 3_600_000))
}

/// A budget as a limit of money: a day, or a month of the calendar.
fn budget(
    (path, amount): (&str, &Value),
    duration: Option<Value>,
    report: &mut Report,
) -> Option<Value> {
    let micros = whole(&json!(number(amount)? * 1e6)).filter(|it| *it > 0)?;
    let duration = duration.and_then(|it| text(&it)).unwrap_or_default();
    let window = match duration.as_str() {
        "1d" | "24h" => "day",
        "30d" | "31d" | "1mo" => {
            let why = "money is counted by months of the calendar";
            report.changed((path, amount), why, "set `resetDay` for another first day");
            "month"
        }
        _ => {
            let why = "money is counted by days and months";
            let todo = "set one of these for the model (`limits`, unit `money`)";
            report.left((path, amount), why, todo);
            return None;
        }
    };
    Some(json!({ "unit": "money", "amount": micros, "window": window, "scope": "server" }))
}

/// Whether no price is known of it; of names that callers say, nothing is told.
fn is_unpriced(reading: &Reading<'_>, deployment: &Deployment) -> bool {
    let list = reading.draft.price_list(&deployment.provider);
    let model = deployment.model.as_ref().filter(|model| *model != REST);
    let (Some(list), Some(model)) = (list, model) else {
        return false;
    };
    let own = reading.prices.get(list);
    let is_own = own.is_some_and(|models| models.contains_key(model));
    let known = PriceBook::default().price(list, model, ServiceTier::Standard);
    !is_own && known.is_none()
}

/// Prices of its own, which stand in `litellm_params` or `model_info`.
fn prices(
    reading: &mut Reading<'_>,
    deployment: &Deployment,
    (params, info): (&mut Section, &mut Section),
) {
    let mut step = Map::new();
    let mut from = None;
    for (name, ours) in RATES {
        let taken = [params.take(name), info.take(name)]
            .into_iter()
            .flatten()
            .next();
        let Some((path, value)) = taken else { continue };
        if let Some(picos) = number(&value).and_then(|it| whole(&json!(it * PICOS))) {
            step.insert((*ours).to_owned(), picos.into());
            from.get_or_insert((path, value));
        }
    }
    let Some((path, value)) = from else { return };
    let list = reading.draft.price_list(&deployment.provider);
    let model = deployment.model.as_ref().filter(|model| *model != REST);
    let (Some(list), Some(model), true) = (list, model, step.contains_key("input")) else {
        let why = "a price is for one model, and has one for its prompt";
        let todo = "write a row of its own (docs/prices.md)";
        reading.draft.report.left((&path, &value), why, todo);
        return;
    };
    let price = json!({ "standard": [step] });
    let models = reading.prices.entry(list).or_default();
    let same = models.get(model).is_none_or(|known| *known == price);
    models.entry(model.clone()).or_insert(price);
    if !same {
        let why = format!("{list} has another price for `{}` already", shown(model));
        let todo = "prices go by the kind of provider and the model; see which one is right";
        reading.draft.report.changed((&path, &value), &why, todo);
    }
}
