//! What has no counterpart in Causeway: one table, `without.toml`, with a section for each place settings stand.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

static TABLE: LazyLock<HashMap<String, Section>> =
    LazyLock::new(|| toml::from_str(include_str!("without.toml")).expect("a test reads the table"));

const UNKNOWN: Reason = (
    "it is not known here",
    "see what it does in the gateway's own documentation, and whether you need it",
);

/// Why a setting does not come along, and what to do.
pub(crate) type Reason = (&'static str, &'static str);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    /// Nothing has to be said of these.
    needless: Vec<String>,
    /// Names, why, what to do.
    rows: Vec<(Vec<String>, String, String)>,
}

/// What is to be said of a setting that nobody took. `None`: nothing.
pub(crate) fn said(section: &str, name: &str, value: &Value) -> Option<Reason> {
    let valued = match value {
        Value::String(text) => format!("{name}={text}"),
        other => format!("{name}={other}"),
    };
    let section = TABLE.get(section)?;
    for name in [&valued, name] {
        if section.needless.iter().any(|known| fits(known, name)) {
            return None;
        }
        let mut rows = section.rows.iter();
        let row = rows.find(|(names, ..)| names.iter().any(|known| fits(known, name)));
        if let Some((_, why, todo)) = row {
            return Some((why, todo));
        }
    }
    Some(UNKNOWN)
}

fn fits(known: &str, name: &str) -> bool {
    match known.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => known == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_row_for_a_value_comes_before_one_for_the_setting() {
        let strategy = "targets of a tier are chosen by their weights, the requests they have, how soon they answer or what they know of the prompt";
        for (section, name, value, why) in [
            (
                "router_settings",
                "routing_strategy",
                json!("simple-shuffle"),
                None,
            ),
            (
                "router_settings",
                "routing_strategy",
                json!("usage-based-routing-v2"),
                Some(strategy),
            ),
            (
                "router_settings",
                "routing_strategy",
                json!("my-own"),
                Some(strategy),
            ),
            ("litellm_params", "caching", json!(false), None),
            ("litellm_params", "caching", json!(true), Some(UNKNOWN.0)),
            ("litellm_params", "colour", json!(1), Some(UNKNOWN.0)),
        ] {
            let found = said(section, name, &value).map(|(why, _)| why);
            assert_eq!(found, why, "{name}");
        }
    }

    #[test]
    fn every_row_says_why_and_what_to_do() {
        for (section, table) in TABLE.iter() {
            for (names, why, todo) in &table.rows {
                let is_said = !names.is_empty() && !why.is_empty() && !todo.is_empty();
                assert!(is_said, "{section}: {names:?}");
            }
        }
    }
}
