//! How LiteLLM gets from a name to a deployment: weights, fallbacks, retries, times and aliases, for all models at
//! once, become settings of each model.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::cli::adopt::draft::{Draft, target};
use crate::cli::adopt::litellm::Reading;
use crate::cli::adopt::litellm::deployment::{Deployment, milliseconds};
use crate::cli::adopt::litellm::fallback::Fallbacks;
use crate::cli::adopt::litellm::vendor::shown;
use crate::cli::adopt::names;
use crate::cli::adopt::section::{Section, number, rounded, text, whole, yes};
use crate::llm::route::REST;

pub(super) const RETRIES_MAX: u64 = 5;
const WEIGHT_MAX: u64 = 1_000;
const TIER_MAX: u64 = 15;
const TARGETS_MAX: usize = 32;
/// All of `fallbackOn`, which is without the provider's policy where it is left out.
const EVERY_FAULT: [&str; 7] = [
    "rate_limit",
    "server_error",
    "timeout",
    "stall",
    "context_length",
    "content_policy",
    "credential",
];
const LIMIT_AMOUNT_MAX: u64 = 1_000_000_000;

type Groups = IndexMap<String, Vec<Deployment>>;

/// What holds for all models.
#[derive(Debug, Default)]
pub(super) struct Routing {
    retries: Option<(String, u64)>,
    timeout_ms: Option<u64>,
    fallbacks: Fallbacks,
    strategy: Option<&'static str>,
    aliases: Vec<(String, String, String)>,
    refuses_loss: bool,
}

impl Routing {
    /// Takes `router_settings` and `litellm_settings`; what is in both counts as the router has it.
    pub(super) fn read(reading: &mut Reading<'_>, top: &mut Section) -> Self {
        let mut router = top.section("router_settings");
        let mut module = top.section("litellm_settings");
        let mut routing = Self::default();
        let drops = module.take("drop_params").and_then(|(_, it)| yes(&it));
        routing.refuses_loss = drops == Some(false);
        let report = &mut reading.draft.report;
        for section in [&mut router, &mut module] {
            if let Some((path, value)) = section.take("num_retries")
                && let Some(count) = whole(&value)
            {
                routing.retries.get_or_insert((path, count));
            }
            for name in ["timeout", "request_timeout"] {
                let seconds = section.take(name).and_then(|(_, value)| number(&value));
                let time = seconds.and_then(milliseconds);
                routing.timeout_ms = routing.timeout_ms.or(time);
            }
            routing.fallbacks.take(section);
            let strategy = section.take_as("routing_strategy", strategy);
            routing.strategy = routing.strategy.or(strategy);
            for (path, alias, value) in members(section, "model_group_alias") {
                let plain = text(&value).or_else(|| text(&value["model"]));
                if value["hidden"] == true {
                    let why = "lists show every model";
                    report.changed((&path, &value), why, "nothing, unless you relied on it");
                }
                routing.aliases.extend(plain.map(|it| (path, alias, it)));
            }
        }
        router.rest("router_settings", report);
        module.rest("litellm_settings", report);
        routing
    }

    /// Writes the models.
    pub(super) fn models(&self, reading: &mut Reading<'_>, groups: &Groups) {
        for (name, deployments) in groups {
            let model = self.model((name, deployments), groups, &mut reading.draft);
            // `provider/model` is there for every provider, where no pattern comes before it.
            let others = groups.keys().map(String::as_str);
            if !is_provider(name, &model) || names::is_covered(name, others) {
                reading.draft.models.insert(name.clone(), model);
            }
        }
        let draft = &mut reading.draft;
        if let Some((path, count)) = self.retries.as_ref().filter(|it| it.1 > RETRIES_MAX) {
            let why = format!("a target is asked again {RETRIES_MAX} times at most");
            draft.report.changed(
                (path, &json!(count)),
                &why,
                "nothing, unless you relied on it",
            );
        }
        for (path, alias, name) in &self.aliases {
            let place = (path.as_str(), &Value::from(name.as_str()));
            match draft.models.get(name).cloned() {
                Some(model) => {
                    if model.contains_key("limits") {
                        let why = "an alias is a model of its own, whose limits count apart";
                        draft.report.changed(
                            place,
                            why,
                            "remove the limits of one, or let callers use one name",
                        );
                    }
                    draft.models.insert(alias.clone(), model);
                }
                None => {
                    let why = format!("there is no model `{}` to lead to", shown(name));
                    draft
                        .report
                        .left(place, &why, "add it with `causeway models put`");
                }
            }
        }
        names::settle(&mut draft.models);
    }

    fn model(
        &self,
        (name, deployments): (&str, &[Deployment]),
        groups: &Groups,
        draft: &mut Draft,
    ) -> Map<String, Value> {
        let (mut targets, tiers) = targets(deployments);
        let on_policy = self.add_fallbacks((name, &mut targets, tiers), groups, draft);
        if targets.len() > TARGETS_MAX {
            let why = format!("a model has {TARGETS_MAX} targets at most");
            let place = (
                deployments.first().map_or("", |it| it.path.as_str()),
                &json!([]),
            );
            draft.report.left(place, &why, "make several models of it");
            targets.truncate(TARGETS_MAX);
        }
        let mut model = Map::from_iter([("targets".to_owned(), Value::Array(targets))]);
        if on_policy {
            model.insert("fallbackOn".to_owned(), json!(EVERY_FAULT));
        }
        let own = deployments.iter().filter_map(|it| it.retries).max();
        if let Some(retries) = own.or(self.retries.as_ref().map(|it| it.1)) {
            model.insert("retries".to_owned(), retries.min(RETRIES_MAX).into());
        }
        if let Some(strategy) = self.strategy.filter(|_| deployments.len() > 1) {
            model.insert("strategy".to_owned(), strategy.into());
        }
        let own = deployments.iter().filter_map(|it| it.timeout_ms).max();
        if let Some(time) = own.or(self.timeout_ms) {
            let times = json!({ "firstByteMs": time, "totalMs": time });
            model.insert("times".to_owned(), times);
        }
        if self.refuses_loss || deployments.iter().any(|it| it.refuses_loss) {
            model.insert("onLoss".to_owned(), "refuse".into());
        }
        let limits = limits(deployments, draft);
        if !limits.is_empty() {
            model.insert("limits".to_owned(), limits.into());
        }
        model
    }

    /// Adds the targets of the models that take over, a tier each; whether those for any fault are for refused content, too.
    fn add_fallbacks(
        &self,
        (name, targets, tiers): (&str, &mut Vec<Value>, u64),
        groups: &Groups,
        draft: &mut Draft,
    ) -> bool {
        let mut tier = tiers;
        let alias = |to| self.aliased(to);
        let chain = self.fallbacks.chain(name, &alias, &mut draft.report);
        for hop in &chain.hops {
            let place = (hop.path.as_str(), &json!({}));
            if tier > TIER_MAX {
                let why = format!("a model has {} tiers at most", TIER_MAX + 1);
                draft
                    .report
                    .left(place, &why, "lead to fewer models one after the other");
                break;
            }
            let Some(mut more) = at_tier(&hop.to, tier, (groups, draft)) else {
                let why = format!("there is no model `{}` to lead to", shown(&hop.to));
                draft
                    .report
                    .left(place, &why, "add a target with `causeway models put`");
                continue;
            };
            if let Some(only) = hop.on.only() {
                for one in &mut more {
                    one["onlyOn"] = only.clone();
                }
            }
            let covers = |known: &Value, one: &Value| {
                let is_same = |member: &str| known[member] == one[member];
                let is_asked = known["onlyOn"].is_null() || is_same("onlyOn");
                is_same("provider") && is_same("model") && is_asked
            };
            more.retain(|one| !targets.iter().any(|known| covers(known, one)));
            if !more.is_empty() {
                targets.extend(more);
                tier += 1;
            }
        }
        chain.on_policy
    }

    /// The name that a name stands for.
    fn aliased<'a>(&'a self, name: &'a str) -> &'a str {
        let mut aliases = self.aliases.iter();
        let found = aliases.find(|(_, alias, _)| alias == name);
        found.map_or(name, |(_, _, plain)| plain)
    }
}

/// The strategy that a strategy of LiteLLM's is here.
fn strategy(theirs: &str) -> Option<&'static str> {
    match theirs {
        "least-busy" => Some("least-busy"),
        "latency-based-routing" => Some("latency"),
        _ => None,
    }
}

/// A wildcard that is nothing but a provider by its name.
fn is_provider(name: &str, model: &Map<String, Value>) -> bool {
    let provider = name.strip_suffix("/*").unwrap_or_default();
    let targets = json!([target(provider, Some(REST), 1, 0)]);
    model.len() == 1 && model.get("targets") == Some(&targets)
}

fn members(section: &mut Section, name: &str) -> Vec<(String, String, Value)> {
    let mut inner = section.section(name);
    let names: Vec<String> = inner.names().map(str::to_owned).collect();
    let taken = names.into_iter().filter_map(|name| {
        let (path, value) = inner.take(&name)?;
        Some((path, name, value))
    });
    taken.collect()
}

/// The targets of a group, and how many tiers they have. Weights are those LiteLLM shuffles by: `weight`, or else
/// `rpm`, or else `tpm`.
fn targets(deployments: &[Deployment]) -> (Vec<Value>, u64) {
    let mut orders: Vec<u64> = deployments.iter().map(|it| it.order).collect();
    orders.sort_unstable();
    orders.dedup();
    let mut targets = Vec::new();
    for (tier, order) in orders.iter().enumerate() {
        let tier = (tier as u64).min(TIER_MAX);
        let mut of_it: Vec<&Deployment> = Vec::new();
        for it in deployments.iter().filter(|it| it.order == *order) {
            // Wildcards of one provider, which has the keys of all.
            let is_known =
                |known: &&Deployment| known.provider == it.provider && known.model == it.model;
            if it.model.as_deref() != Some(REST) || !of_it.iter().any(is_known) {
                of_it.push(it);
            }
        }
        let weigh = |of: fn(&Deployment) -> Option<u64>| {
            let weights: Vec<Option<u64>> = of_it.iter().map(|it| of(it)).collect();
            weights.iter().any(Option::is_some).then_some(weights)
        };
        let own: Vec<Option<f64>> = of_it.iter().map(|it| it.weight).collect();
        let own = own.iter().any(Option::is_some).then(|| integral(&own));
        let weights = own
            .or_else(|| weigh(|it| it.requests_per_minute))
            .or_else(|| weigh(|it| it.tokens_per_minute))
            .map_or_else(|| vec![1; of_it.len()], |weights| scaled(&weights));
        for (it, weight) in of_it.iter().zip(weights) {
            let mut target = target(&it.provider, it.model.as_deref(), weight, tier);
            if let Some(most) = it.max_output_tokens {
                target["maxOutputTokens"] = most.into();
            }
            targets.push(target);
        }
    }
    (targets, orders.len() as u64)
}

/// The same proportions in whole numbers; none but 0 becomes 0.
fn integral(weights: &[Option<f64>]) -> Vec<Option<u64>> {
    let most = weights.iter().flatten().copied().fold(0.0, f64::max);
    let is_whole = |factor: &f64| {
        let mut scaled = weights.iter().flatten().map(|it| it * factor);
        most * factor < 1e15 && scaled.all(|it| (it - it.round()).abs() <= it * 1e-9)
    };
    let factor = [1.0, 10.0, 100.0, 1_000.0].into_iter().find(is_whole);
    let factor = factor.unwrap_or(1e6 / most);
    let scaled = |weight: f64| match rounded(weight * factor) {
        Some(0) if weight > 0.0 => 1,
        number => number.unwrap_or_default(),
    };
    weights.iter().map(|it| it.map(scaled)).collect()
}

/// The same proportions in numbers up to [`WEIGHT_MAX`]; what has none gets nothing, as in LiteLLM.
fn scaled(weights: &[Option<u64>]) -> Vec<u64> {
    let weights: Vec<u64> = weights.iter().map(|it| it.unwrap_or_default()).collect();
    let divisor = weights.iter().copied().fold(0, divisor).max(1);
    let weights: Vec<u64> = weights.iter().map(|it| it / divisor).collect();
    let most = weights.iter().copied().max().unwrap_or_default();
    if most <= WEIGHT_MAX {
        return weights;
    }
    let small = |it: &u64| match it * WEIGHT_MAX / most {
        0 if *it > 0 => 1,
        small => small,
    };
    weights.iter().map(small).collect()
}

fn divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { divisor(b, a % b) }
}

/// The targets of another model, or of `provider/model`, at a tier.
fn at_tier(name: &str, tier: u64, (groups, draft): (&Groups, &Draft)) -> Option<Vec<Value>> {
    let Some(deployments) = groups.get(name) else {
        let (provider, model) = name.split_once('/')?;
        let known = draft.has_provider(provider);
        return known.then(|| vec![target(provider, Some(model), 1, tier)]);
    };
    let (mut targets, _) = targets(deployments);
    for one in &mut targets {
        one["tier"] = tier.into();
    }
    Some(targets)
}

/// What all deployments together may take, and a budget where there is one deployment only.
fn limits(deployments: &[Deployment], draft: &mut Draft) -> Vec<Value> {
    let mut limits = Vec::new();
    for (name, unit, of) in [
        (
            "rpm",
            "requests",
            (|it| it.requests_per_minute) as fn(&Deployment) -> Option<u64>,
        ),
        ("tpm", "tokens", |it| it.tokens_per_minute),
    ] {
        let all: Option<Vec<u64>> = deployments.iter().map(of).collect();
        let some = deployments.iter().find(|it| of(it).is_some());
        let Some(some) = some else { continue };
        let place = format!("{}.litellm_params.{name}", some.path);
        let place = (place.as_str(), &json!(of(some)));
        let Some(all) = all else {
            let why = "a limit is the model's, and not all of its deployments have one";
            draft.report.left(place, why, "set `limits` of the model");
            continue;
        };
        let amount = all.iter().sum::<u64>().min(LIMIT_AMOUNT_MAX);
        limits
            .push(json!({ "unit": unit, "amount": amount, "window": "minute", "scope": "server" }));
        let why = "a limit is the model's, not a target's: the sum of all its deployments, above which requests are refused";
        draft.report.changed(
            place,
            why,
            "see that it is meant; take `limits` of the model away if not",
        );
    }
    for deployment in deployments {
        let Some(budget) = &deployment.budget else {
            continue;
        };
        let path = format!("{}.litellm_params.max_budget", deployment.path);
        if deployments.len() == 1 {
            if deployment.is_unpriced {
                let why = "nobody knows what its model costs, and a limit of money does not count what has no price";
                let todo = "give it a price of its own (docs/prices.md), or limit its tokens";
                draft.report.changed((&path, &json!(0)), why, todo);
            }
            limits.push(budget.clone());
            continue;
        }
        let why = "a budget is the model's, not a target's";
        draft
            .report
            .left((&path, &json!(0)), why, "set `limits` of the model");
    }
    limits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_keep_their_proportions() {
        for (weights, expected) in [
            (&[Some(0.7), Some(0.3)][..], &[7, 3][..]),
            (&[Some(9.0), Some(1.0)], &[9, 1]),
            (&[Some(1.5), Some(0.5), None], &[3, 1, 0]),
            (&[Some(0.0), Some(0.25)], &[0, 1]),
            (&[Some(1.0), Some(1e-9)], &[1_000, 1]),
            (&[Some(1.0 / 3.0), Some(2.0 / 3.0)], &[1, 2]),
            (&[Some(60_000.0), Some(60.0), Some(30.0)], &[1_000, 1, 1]),
            (&[Some(1e14), Some(0.5)], &[1_000, 1]),
        ] {
            assert_eq!(scaled(&integral(weights)), expected, "{weights:?}");
        }
    }
}
