//! What calls of models add up to, as JSON, and as a file.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::model_usage::{By, Of, Report, Tally};
use crate::access::person::Person;
use crate::access::usage::read;
use crate::market::api::Market;
use crate::market::api::csv::Columns;
use crate::market::api::ledger::consumer_id;
use crate::market::api::usage::{Asks, Names, Shown, StepAsked, Telling, names, window};
use crate::problem::Problem;
use crate::store::model_usage::{ModelUsageRow, ModelsUsed};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    pub(crate) from: Option<DateTime<Utc>>,
    pub(crate) to: Option<DateTime<Utc>>,
    #[serde(default)]
    pub(crate) step: StepAsked,
    #[serde(default)]
    pub(crate) by: ByAsked,
    /// As callers name it.
    pub(crate) model: Option<String>,
    pub(crate) provider: Option<String>,
    /// `provider/model`.
    pub(crate) target: Option<String>,
    /// A name or an id.
    pub(crate) consumer: Option<String>,
    /// Of a model with a canary or a shadow.
    pub(crate) arm: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ByAsked {
    Model,
    Provider,
    Target,
    Consumer,
    Arm,
    #[default]
    None,
}

impl ByAsked {
    fn by(self) -> Option<By> {
        match self {
            Self::Model => Some(By::Model),
            Self::Provider => Some(By::Provider),
            Self::Target => Some(By::Target),
            Self::Consumer => Some(By::Consumer),
            Self::Arm => Some(By::Arm),
            Self::None => None,
        }
    }
}

/// Reads what is asked for, told apart by each of `by`.
pub(crate) async fn report(
    market: &Market,
    person: &Person,
    asked: &Asked,
    by: &[By],
) -> Result<Report, Problem> {
    let parts = &market.0.parts.publisher;
    let window = window((asked.from, asked.to), asked.step, parts.clock.now())?;
    let used = ModelsUsed {
        model: asked.model.clone(),
        provider: asked.provider.clone(),
        target: asked.target.clone(),
        consumer: match &asked.consumer {
            None => None,
            Some(consumer) => Some(consumer_id(market, person, consumer).await?),
        },
        arm: asked.arm.clone(),
    };
    let of = (person.organization(), &used);
    Ok(read(&parts.store, of, window, by).await?)
}

impl Asks for Asked {
    type Row = ModelUsageRow;

    async fn telling(
        &self,
        market: &Market,
        person: &Person,
    ) -> Result<Telling<ModelUsageRow>, Problem> {
        let by = self.by.by();
        let report = report(market, person, self, by.as_slice()).await?;
        let names = names(market, person, None).await?;
        Ok(Telling { report, names, by })
    }
}

impl Shown for ModelUsageRow {
    const FILE: &str = "model-usage";
    const COLUMNS: &Columns = &[
        ("at", "/at"),
        ("partial", "/partial"),
        ("model", "/of/model"),
        ("provider", "/of/provider"),
        ("target", "/of/target"),
        ("consumer", "/of/consumer"),
        ("consumer_id", "/of/consumerId"),
        ("arm", "/of/arm"),
        ("calls", "/calls"),
        ("errors", "/errors"),
        ("cancelled", "/cancelled"),
        ("estimated", "/estimated"),
        ("tokens_input", "/tokensInput"),
        ("tokens_cached", "/tokensCached"),
        ("tokens_cache_write", "/tokensCacheWrite"),
        ("tokens_output", "/tokensOutput"),
        ("tokens_reasoning", "/tokensReasoning"),
        ("cost_nanos", "/costNanos"),
        ("unknown_costs", "/unknownCosts"),
        ("p50_us", "/p50Micros"),
        ("p95_us", "/p95Micros"),
        ("p99_us", "/p99Micros"),
        ("first_token_p50_us", "/firstTokenP50Micros"),
        ("first_token_p95_us", "/firstTokenP95Micros"),
    ];

    /// Times are null where there was no call, and so is a cost that nobody knows: 0 would be a lie.
    fn view(tally: &Tally) -> Value {
        json!({
            "calls": tally.calls,
            "errors": tally.errors,
            "cancelled": tally.cancelled,
            "estimated": tally.estimated,
            "tokensInput": tally.tokens_input,
            "tokensCached": tally.tokens_cached,
            "tokensCacheWrite": tally.tokens_cache_write,
            "tokensOutput": tally.tokens_output,
            "tokensReasoning": tally.tokens_reasoning,
            "costNanos": tally.known_cost(),
            "unknownCosts": tally.unknown_costs,
            "p50Micros": tally.latency.percentile(50),
            "p95Micros": tally.latency.percentile(95),
            "p99Micros": tally.latency.percentile(99),
            "firstTokenP50Micros": tally.first_token.percentile(50),
            "firstTokenP95Micros": tally.first_token.percentile(95),
        })
    }

    fn of_view(of: &Of, names: &Names) -> Value {
        let known = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        json!({
            "model": known(&of.model),
            "provider": known(&of.provider),
            "target": known(&of.target),
            "consumer": names.consumers.get(&of.consumer),
            "consumerId": (!of.consumer.is_nil()).then_some(of.consumer),
            "arm": known(&of.arm),
        })
    }
}
