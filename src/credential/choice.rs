//! Which of the alternatives an API offers a tool's calls use, and why: for whoever has to say what
//! is missing.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use serde::Serialize;

use crate::credential::pass::{PassThrough, header_of};
use crate::credential::{Credentials, Kind};
use crate::openapi::{SecurityRequirement, SecurityScheme};

/// The alternatives of a tool's security, and the one its calls use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Choice {
    /// In the document's order. None: no credential is needed.
    pub alternatives: Vec<Alternative>,
    /// Which of them a call uses now, counted from 0.
    pub used: Option<usize>,
    pub reason: Reason,
    /// The schemes that the alternative in question lacks: the chosen one, or the one that lacks
    /// least. Empty where one is used.
    pub missing: Vec<String>,
}

/// Schemes that are needed at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Alternative {
    pub schemes: Vec<Needed>,
    /// Whether nothing is missing.
    pub complete: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Needed {
    pub scheme: String,
    /// In words.
    pub kind: String,
    pub scopes: Vec<String>,
    pub state: State,
}

/// Where a scheme's credential comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// It is stored.
    Stored,
    /// It is stored, and cannot be decrypted.
    Unreadable,
    /// Each user connects an account of their own.
    EachUser,
    /// A header of the caller's request takes its place, where the caller sends it.
    PassedThrough,
    Missing,
    /// The document does not define the scheme.
    Undefined,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// The operation asks for nothing.
    NoneNeeded,
    /// The owner chose it.
    Chosen,
    /// It is the only one there is.
    Only,
    /// It is the first that lacks nothing.
    FirstComplete,
    /// Every one lacks something, or the chosen one does: calls are refused.
    Incomplete,
    /// The owner chose one that the document does not have any more: calls are refused.
    ChosenGone,
}

/// What there is to choose with.
#[derive(Clone, Copy)]
pub struct Holdings<'a> {
    pub schemes: &'a IndexMap<String, SecurityScheme>,
    pub credentials: &'a Credentials,
    pub pass_through: &'a [PassThrough],
}

/// What calls do about these alternatives. `chosen`: the schemes of the one the owner chose.
pub fn choose(
    security: &[SecurityRequirement],
    chosen: Option<&BTreeSet<String>>,
    holdings: Holdings<'_>,
) -> Choice {
    let alternatives: Vec<Alternative> = security
        .iter()
        .map(|one| alternative(one, holdings))
        .collect();
    let is_chosen = |one: &SecurityRequirement| {
        chosen.is_none_or(|chosen| one.0.keys().collect::<BTreeSet<_>>() == chosen.iter().collect())
    };
    let open: Vec<usize> = (0..security.len())
        .filter(|at| is_chosen(&security[*at]))
        .collect();
    let complete = open.iter().find(|at| alternatives[**at].complete).copied();
    let nothing = security.is_empty() && chosen.is_none_or(BTreeSet::is_empty);
    let reason = match (complete, chosen) {
        _ if nothing => Reason::NoneNeeded,
        (None, Some(_)) if open.is_empty() => Reason::ChosenGone,
        (None, _) => Reason::Incomplete,
        (Some(_), Some(_)) => Reason::Chosen,
        (Some(_), None) if security.len() == 1 => Reason::Only,
        (Some(_), None) => Reason::FirstComplete,
    };
    let missing = match (complete, reason) {
        (None, Reason::ChosenGone) => chosen.into_iter().flatten().cloned().collect(),
        (None, _) => open
            .iter()
            .map(|at| alternatives[*at].lacks())
            .min_by_key(Vec::len)
            .unwrap_or_default(),
        (Some(_), _) => Vec::new(),
    };
    Choice {
        alternatives,
        used: complete,
        reason,
        missing,
    }
}

impl Choice {
    /// Whether calls are refused.
    pub fn is_refused(&self) -> bool {
        self.used.is_none() && self.reason != Reason::NoneNeeded
    }
}

impl Alternative {
    fn lacks(&self) -> Vec<String> {
        let lacking = self.schemes.iter().filter(|needed| !needed.state.is_held());
        lacking.map(|needed| needed.scheme.clone()).collect()
    }
}

impl State {
    fn is_held(self) -> bool {
        matches!(self, Self::Stored | Self::EachUser | Self::PassedThrough)
    }
}

fn alternative(one: &SecurityRequirement, holdings: Holdings<'_>) -> Alternative {
    let schemes: Vec<Needed> = one
        .0
        .iter()
        .map(|(name, scopes)| Needed {
            scheme: name.clone(),
            kind: match holdings.schemes.get(name) {
                Some(scheme) => Kind(scheme).to_string(),
                None => "which the document does not define".to_owned(),
            },
            scopes: scopes.clone(),
            state: state(name, holdings),
        })
        .collect();
    let complete = schemes.iter().all(|needed| needed.state.is_held());
    Alternative { schemes, complete }
}

fn state(name: &str, holdings: Holdings<'_>) -> State {
    let Some(scheme) = holdings.schemes.get(name) else {
        return State::Undefined;
    };
    if holdings.credentials.is_each_users(name) {
        return State::EachUser;
    }
    if holdings.credentials.get(name).is_some() {
        return State::Stored;
    }
    let header = header_of(scheme);
    let passes = |mapping: &PassThrough| {
        let header = header.as_ref();
        header.is_some_and(|header| mapping.to.eq_ignore_ascii_case(header.as_str()))
    };
    if holdings.pass_through.iter().any(passes) {
        State::PassedThrough
    } else if holdings.credentials.is_unreadable(name) {
        State::Unreadable
    } else {
        State::Missing
    }
}

/// The same alternatives, each of which needs this scheme too.
#[must_use]
pub fn with_scheme(
    mut security: Vec<SecurityRequirement>,
    scheme: &str,
) -> Vec<SecurityRequirement> {
    if security.is_empty() {
        security.push(SecurityRequirement::default());
    }
    for alternative in &mut security {
        alternative.0.entry(scheme.to_owned()).or_default();
    }
    security
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::credential::{Credential, Secret};

    fn told(security: Value, chosen: Option<&[&str]>, stored: &[&str], passed: &str) -> Value {
        let schemes = json!({
            "key": {"type": "apiKey", "name": "X-Key", "location": "header"},
            "bearer": {"type": "bearer"},
            "mtls": {"type": "mutualTls"},
        });
        let held = stored.iter().map(|name| {
            let credential = Credential {
                secret: Secret::Token("a secret".into()),
                origins: BTreeSet::new(),
            };
            ((*name).to_owned(), credential)
        });
        let pass_through = [PassThrough {
            from: "X-Token".to_owned(),
            to: passed.to_owned(),
            origins: BTreeSet::new(),
            required: false,
        }];
        let security: Vec<SecurityRequirement> = serde_json::from_value(security).unwrap();
        let chosen: Option<BTreeSet<String>> =
            chosen.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        let choice = choose(
            &security,
            chosen.as_ref(),
            Holdings {
                schemes: &serde_json::from_value(schemes).unwrap(),
                credentials: &Credentials::new(held.collect()),
                pass_through: &pass_through,
            },
        );
        json!([choice.used, choice.reason, choice.missing])
    }

    fn two() -> Value {
        json!([{"key": [], "mtls": []}, {"bearer": []}])
    }

    #[test]
    fn the_alternative_that_is_used_is_told_with_the_reason() {
        let nothing = Value::Null;
        let only = |name: &str| json!([{ name: [] }]);
        for (security, stored, passed, expected) in [
            (json!([]), &[][..], "X", json!([nothing, "noneNeeded", []])),
            (json!([{}]), &[], "X", json!([0, "only", []])),
            (two(), &[], "X", json!([nothing, "incomplete", ["bearer"]])),
            (
                two(),
                &["mtls", "key"],
                "X",
                json!([0, "firstComplete", []]),
            ),
            (
                two(),
                &["key", "bearer"],
                "X",
                json!([1, "firstComplete", []]),
            ),
            (two(), &[], "authorization", json!([1, "firstComplete", []])),
            (two(), &["mtls"], "x-key", json!([0, "firstComplete", []])),
            (
                only("unknown"),
                &["unknown"],
                "X",
                json!([nothing, "incomplete", ["unknown"]]),
            ),
        ] {
            let said = told(security.clone(), None, stored, passed);
            assert_eq!(said, expected, "{security} {stored:?} {passed}");
        }
    }

    #[test]
    fn what_the_owner_chose_is_used_or_nothing() {
        let nothing = Value::Null;
        for (chosen, stored, expected) in [
            (
                &["mtls", "key"][..],
                &["bearer", "key"][..],
                json!([nothing, "incomplete", ["mtls"]]),
            ),
            (&["bearer"], &["bearer"], json!([1, "chosen", []])),
            (
                &["gone"],
                &["bearer"],
                json!([nothing, "chosenGone", ["gone"]]),
            ),
        ] {
            let said = told(two(), Some(chosen), stored, "X");
            assert_eq!(said, expected, "{chosen:?} {stored:?}");
        }
    }

    #[test]
    fn a_scheme_that_is_always_needed_is_needed_in_every_alternative() {
        let with = |security: Value| {
            let security = serde_json::from_value(security).unwrap();
            json!(with_scheme(security, "mtls"))
        };
        assert_eq!(with(json!([])), json!([{"mtls": []}]));
        assert_eq!(
            with(json!([{}, {"key": ["a"]}, {"mtls": []}])),
            json!([{"mtls": []}, {"key": ["a"], "mtls": []}, {"mtls": []}])
        );
    }
}
