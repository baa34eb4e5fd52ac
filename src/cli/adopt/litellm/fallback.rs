//! LiteLLM's fallbacks: which models take over from one, for which faults, followed from model to model.

use serde_json::{Value, json};

use crate::cli::adopt::report::Report;
use crate::cli::adopt::section::{Section, text};

/// Which fault sends a request to a fallback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum On {
    Any,
    ContextLength,
    ContentPolicy,
}

/// One entry of a list of fallbacks.
#[derive(Clone, Debug)]
struct Fallback {
    path: String,
    /// Absent: all names.
    of: Option<String>,
    to: Vec<String>,
    on: On,
}

/// All lists of fallbacks there are.
#[derive(Debug, Default)]
pub(super) struct Fallbacks(Vec<Fallback>);

/// A model that takes over, and who says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hop {
    pub(super) path: String,
    pub(super) to: String,
    pub(super) on: On,
}

/// The models that take over from one, in the order in which they do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) hops: Vec<Hop>,
    /// Those for any fault are for what a provider's policy is against, too.
    pub(super) on_policy: bool,
}

impl On {
    /// `onlyOn` of the targets that are for it.
    pub(super) fn only(self) -> Option<Value> {
        match self {
            Self::Any => None,
            Self::ContextLength => Some(json!(["context_length"])),
            Self::ContentPolicy => Some(json!(["content_policy"])),
        }
    }
}

impl Fallbacks {
    /// Takes them from a section of settings.
    pub(super) fn take(&mut self, section: &mut Section) {
        for (name, on) in [
            ("fallbacks", On::Any),
            ("context_window_fallbacks", On::ContextLength),
            ("content_policy_fallbacks", On::ContentPolicy),
        ] {
            for (path, entry) in section.list(name) {
                self.0.extend(fallbacks((&path, &entry), on));
            }
        }
        let defaults = section.list("default_fallbacks");
        let names: Vec<String> = defaults.iter().filter_map(|(_, it)| text(it)).collect();
        if !names.is_empty() {
            self.0.push(Fallback {
                path: section.at("default_fallbacks"),
                of: None,
                to: names,
                on: On::Any,
            });
        }
    }

    /// The models that take over from one, as LiteLLM gets to them: what takes over from a model that took over comes right
    /// after it. Those that are for one fault come before those that are for all, which take such requests as well, so that
    /// what would be asked next anyway is not there twice. `alias` leads from a name to the one it stands for.
    pub(super) fn chain<'a>(
        &'a self,
        name: &'a str,
        alias: &dyn Fn(&'a str) -> &'a str,
        report: &mut Report,
    ) -> Chain {
        let mut found = Vec::new();
        self.follow((name, On::Any), (name, alias), (&mut found, report));
        let of =
            |on: On| -> Vec<Hop> { found.iter().filter(|hop| hop.on == on).cloned().collect() };
        let any = of(On::Any);
        let policy = of(On::ContentPolicy);
        let mut hops: Vec<Hop> = found
            .iter()
            .filter(|hop| hop.on != On::Any)
            .cloned()
            .collect();
        for on in [On::ContextLength, On::ContentPolicy] {
            let own = of(on);
            let last = &own[own.len() - repeated(&own, &any)..];
            hops.retain(|hop| !last.contains(hop));
        }
        let has_own = hops.iter().any(|hop| hop.on == On::ContentPolicy);
        hops.extend(any);
        Chain {
            hops,
            on_policy: !policy.is_empty() && !has_own,
        }
    }

    fn follow<'a>(
        &'a self,
        (name, on): (&'a str, On),
        (first, alias): (&'a str, &dyn Fn(&'a str) -> &'a str),
        (found, report): (&mut Vec<Hop>, &mut Report),
    ) {
        for (fallback, to) in self.of(name) {
            let on = match (on, fallback.on) {
                (On::Any, on) => on,
                (same, on) if same == on => on,
                // All names fall back on the defaults, also the first; and what is asked for any fault was followed for all.
                _ if fallback.of.is_none() || found.iter().any(|hop| hop.is(name, On::Any)) => {
                    continue;
                }
                _ => {
                    let why = "the model it falls back from takes over for one kind of fault only, and what takes over from it \
                               for others is not followed";
                    let todo =
                        "add a target with `onlyOn` to the models that lead there, if it is needed";
                    report.left((&fallback.path, &json!({})), why, todo);
                    continue;
                }
            };
            let to = alias(to);
            if to == first || found.iter().any(|hop| hop.is(to, on)) {
                continue;
            }
            found.push(Hop {
                path: fallback.path.clone(),
                to: to.to_owned(),
                on,
            });
            self.follow((to, on), (first, alias), (&mut *found, &mut *report));
        }
    }

    /// What takes over from one model, by what is said of it; where nothing is said of faults of any kind, the defaults.
    fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a Fallback, &'a str)> {
        let own = self
            .0
            .iter()
            .filter(move |it| it.of.as_deref() == Some(name));
        let has_own = own.clone().any(|it| it.on == On::Any);
        let defaults = self
            .0
            .iter()
            .filter(move |it| it.of.is_none() && (it.on != On::Any || !has_own));
        own.chain(defaults)
            .flat_map(|it| it.to.iter().map(move |to| (it, to.as_str())))
    }
}

impl Hop {
    fn is(&self, to: &str, on: On) -> bool {
        self.to == to && self.on == on
    }
}

/// How many of the last hops for one fault are the first ones for any.
fn repeated(own: &[Hop], any: &[Hop]) -> usize {
    let is_repeated = |count: &usize| {
        let last = &own[own.len() - count..];
        last.iter()
            .map(|hop| &hop.to)
            .eq(any[..*count].iter().map(|hop| &hop.to))
    };
    let most = own.len().min(any.len());
    (1..=most).rev().find(is_repeated).unwrap_or_default()
}

/// `{"model": ["other", …]}`; `*` is every model.
fn fallbacks((path, entry): (&str, &Value), on: On) -> Vec<Fallback> {
    let mut entry = Section::of(path, entry);
    let names: Vec<String> = entry.names().map(str::to_owned).collect();
    let mut found = Vec::new();
    for name in names {
        let path = entry.at(&name);
        let to = entry.list(&name);
        let to = to
            .iter()
            .filter_map(|(_, it)| text(it).or_else(|| text(&it["model"])));
        found.push(Fallback {
            path,
            to: to.collect(),
            of: (name != "*").then_some(name),
            on,
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `model/fault` of each hop, and where something was left out.
    fn chain(settings: &Value, name: &str) -> (Vec<String>, Vec<String>) {
        let (mut fallbacks, mut report) = (Fallbacks::default(), Report::default());
        fallbacks.take(&mut Section::of("s", settings));
        let alias = |name| if name == "nickname" { "b" } else { name };
        let found = fallbacks.chain(name, &alias, &mut report);
        let mut hops: Vec<String> = Vec::new();
        hops.extend(found.on_policy.then(|| "policy too".to_owned()));
        hops.extend(found.hops.iter().map(|hop| match hop.on {
            On::Any => hop.to.clone(),
            On::ContextLength => format!("{}/long", hop.to),
            On::ContentPolicy => format!("{}/policy", hop.to),
        }));
        let left = report.findings.iter().map(|it| it.path.clone());
        (hops, left.collect())
    }

    #[test]
    fn fallbacks_are_followed_from_model_to_model() {
        let nested =
            json!({ "fallbacks": [{ "a": ["b", "d"] }, { "b": ["c"] }, { "c": ["a", "b", "e"] }] });
        assert_eq!(chain(&nested, "a").0, ["b", "c", "e", "d"]);
        assert_eq!(chain(&nested, "b").0, ["c", "a", "d", "e"]);
        assert_eq!(chain(&nested, "d").0, [""; 0]);
        let named = json!({ "fallbacks": [{ "a": ["nickname"] }, { "b": [{ "model": "c" }] }] });
        assert_eq!(chain(&named, "a").0, ["b", "c"]);
    }

    #[test]
    fn defaults_are_for_those_of_which_nothing_is_said() {
        let settings = json!({
            "fallbacks": [{ "a": ["b"] }], "default_fallbacks": ["z"],
            "context_window_fallbacks": [{ "*": ["long"] }, { "c": ["longer"] }],
        });
        assert_eq!(chain(&settings, "a").0, ["long/long", "b", "z"]);
        assert_eq!(chain(&settings, "c").0, ["longer/long", "long/long", "z"]);
        assert_eq!(chain(&settings, "z").0, ["long/long"]);
    }

    #[test]
    fn what_is_for_one_fault_and_for_any_is_asked_for_both() {
        for (any, policy, expected) in [
            (json!(["b"]), json!(["b"]), &["policy too", "b"][..]),
            (json!(["b", "c"]), json!(["b"]), &["policy too", "b", "c"]),
            (json!(["c", "b"]), json!(["b"]), &["b/policy", "c", "b"]),
            (json!(["b"]), json!(["c", "b"]), &["c/policy", "b"]),
            (
                json!(["b"]),
                json!(["b", "c"]),
                &["b/policy", "c/policy", "b"],
            ),
            (json!(["b"]), json!([]), &["b"]),
        ] {
            let settings = json!({
                "fallbacks": [{ "a": any }], "content_policy_fallbacks": [{ "a": policy }],
            });
            assert_eq!(chain(&settings, "a").0, expected, "{settings}");
        }
        let long = json!({
            "fallbacks": [{ "a": ["c", "b"] }], "context_window_fallbacks": [{ "a": ["b"] }],
        });
        assert_eq!(chain(&long, "a").0, ["b/long", "c", "b"]);
    }

    #[test]
    fn what_is_for_one_fault_leads_on_for_that_one_only() {
        let settings = json!({
            "fallbacks": [{ "a": ["b"] }, { "long": ["other"] }],
            "context_window_fallbacks": [{ "a": ["long"] }, { "long": ["longer"] }, { "b": ["b-long"] }],
            "content_policy_fallbacks": [{ "a": ["free"] }],
        });
        let (hops, left) = chain(&settings, "a");
        assert_eq!(
            hops,
            [
                "b-long/long",
                "long/long",
                "longer/long",
                "free/policy",
                "b"
            ]
        );
        assert_eq!(left, ["s.fallbacks[1].long"]);
        // It is itself followed where requests for it come first.
        assert_eq!(
            chain(&settings, "long"),
            (vec!["longer/long".to_owned(), "other".to_owned()], vec![])
        );
    }
}
