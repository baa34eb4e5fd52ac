//! How words are chosen: what the model refuses is left out and named.

use serde_json::{Map, Value};

use crate::llm::chat::{ChatRequest, Sampling};
use crate::llm::dialect::anthropic::effort::Plan;
use crate::llm::dialect::anthropic::generation::Generation;
use crate::llm::dialect::{Dialect, Dropped};
use crate::llm::fault::Fault;
use crate::llm::fields::put;

/// Writes `stop_sequences`, `temperature`, `top_p` and `top_k`.
pub(crate) fn encode(
    request: &ChatRequest,
    plan: &Plan,
    generation: Generation,
    (body, dropped): (&mut Map<String, Value>, &mut Vec<Dropped>),
) -> Result<(), Fault> {
    let sampling = &request.sampling;
    refuse(sampling)?;
    let own = request.rest.dialect == Some(Dialect::Anthropic);
    let mut drop = |field: &str, reason: &str| {
        dropped.push(Dropped::new(format!("sampling.{field}"), reason));
    };
    for (field, given) in [
        ("frequency_penalty", sampling.frequency_penalty.is_some()),
        ("presence_penalty", sampling.presence_penalty.is_some()),
        ("seed", sampling.seed.is_some()),
    ] {
        if given {
            drop(field, "Anthropic Messages has no such field");
        }
    }
    let stop = stops(sampling, own, &mut drop);
    if !stop.is_empty() {
        body.insert("stop_sequences".to_owned(), Value::from(stop));
    }
    if generation == Generation::Adaptive {
        for (field, given) in [
            ("temperature", sampling.temperature.is_some()),
            ("top_p", sampling.top_p.is_some()),
            ("top_k", sampling.top_k.is_some()),
        ] {
            if given {
                drop(field, "the model does not take it");
            }
        }
        return Ok(());
    }
    let bound = plan.thinks() && generation.is_claude();
    let temperature = temperature(sampling, own, bound, &mut drop);
    put(body, "temperature", temperature);
    let top_p = sampling.top_p.filter(|top_p| {
        if temperature.is_some() && generation.wants_one_of_two() {
            drop("top_p", "the model takes either `temperature` or `top_p`");
            return false;
        }
        if bound && *top_p < 0.95 {
            drop("top_p", "with thinking it is at least 0.95");
            return false;
        }
        true
    });
    put(body, "top_p", top_p);
    if bound && sampling.top_k.is_some() {
        drop("top_k", "it does not go with thinking");
    } else {
        put(body, "top_k", sampling.top_k);
    }
    Ok(())
}

/// What an answer cannot do without.
fn refuse(sampling: &Sampling) -> Result<(), Fault> {
    let cannot = |field: &str, what: &str| Err(Dialect::Anthropic.cannot(field, what));
    if sampling.candidates.is_some_and(|candidates| candidates > 1) {
        return cannot("sampling.candidates", "More than one answer");
    }
    if sampling.logprobs || sampling.top_logprobs.is_some_and(|top| top > 0) {
        return cannot("sampling.logprobs", "Log-probabilities of tokens");
    }
    Ok(())
}

/// Of other dialects, temperatures go up to 2.
fn temperature(
    sampling: &Sampling,
    own: bool,
    bound: bool,
    drop: &mut impl FnMut(&str, &str),
) -> Option<f64> {
    let temperature = sampling.temperature?;
    if bound && (temperature - 1.0).abs() > f64::EPSILON {
        drop("temperature", "with thinking it is 1");
        return None;
    }
    if !own && temperature > 1.0 {
        drop("temperature", "it goes up to 1 here, so it is 1");
        return Some(1.0);
    }
    Some(temperature)
}

/// A stop sequence of nothing but white space is refused.
fn stops(sampling: &Sampling, own: bool, drop: &mut impl FnMut(&str, &str)) -> Vec<String> {
    let (stops, blank): (Vec<_>, Vec<_>) = sampling
        .stop
        .iter()
        .cloned()
        .partition(|stop| own || !stop.trim().is_empty());
    if !blank.is_empty() {
        drop("stop", "a stop sequence cannot be only white space");
    }
    stops
}
