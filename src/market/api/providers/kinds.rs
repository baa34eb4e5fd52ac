//! The kinds of providers that are compiled in.

use serde_json::{Value, json};

use crate::llm::provider::{Auth, Provider, built_in};
use crate::market::api::page::{Asked, Listed, Spot};

pub(in crate::market::api) async fn kinds(asked: Asked<Spot>) -> Listed {
    let mut kinds: Vec<&Provider> = built_in().iter().collect();
    kinds.sort_by(|a, b| a.id.cmp(&b.id));
    let page = asked.of_sorted(kinds, |kind| kind.id.as_str());
    page.answer("kinds", |kind| kind_view(kind))
}

fn kind_view(kind: &Provider) -> Value {
    json!({
        "id": kind.id,
        "name": kind.name,
        "dialect": kind.dialect,
        "baseUrl": kind.base_url,
        "parameters": kind.parameters,
        "key": key_needed(kind),
        "docs": kind.docs,
        "env": kind.env,
        "verified": kind.verified,
        "note": kind.note,
    })
}

fn key_needed(kind: &Provider) -> &'static str {
    match kind.auth {
        Auth::None => "none",
        _ if kind.other_auth.contains(&Auth::None) => "optional",
        _ => "needed",
    }
}
