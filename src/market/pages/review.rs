//! What whoever publishes looks at before a server is served: the report in brief, its tools with what
//! is changed of them, the API's credentials and address, who may call it and how often.

use askama::Template;

use crate::access::limit::{Limit, Scope, Unit, Window};
use crate::market::api::curations::Workbench;
use crate::market::language::Html;
use crate::market::pages::Frame;
use crate::market::pages::arguments::{Entered, entered};
use crate::market::pages::report::Report;
use crate::market::pages::server::ServerHead;
use crate::market::pages::settings::credential::CredentialRow;
use crate::mcp::curation::{Confirm, Curation};
use crate::mcp::server::Access;
use crate::mcp::tool::ToolDef;
use crate::openapi::OperationKey;
use crate::types::{NameError, ToolName};

/// Tools that are edited at once; the others stay as they are until they are searched for.
pub const TOOLS_MAX: usize = 200;

/// Whether somebody is asked before a call: as the form sends it, and its message.
pub const CONFIRMS: [(&str, &str); 3] = [
    ("never", "review-never"),
    ("client", "review-client-asks"),
    ("human", "review-human-asks"),
];

/// `GET /servers/{slug}/review?q=`, and again with what was entered when it was refused.
#[derive(Debug, Template)]
#[template(path = "review.html")]
pub struct ReviewPage {
    pub frame: Frame,
    pub head: ServerHead,
    pub error: Option<Html>,
    pub report: Report,
    pub tools: Vec<ReviewRow>,
    /// All of them, shown or not, and those that fit the search and are not shown.
    pub tool_count: usize,
    pub hidden: usize,
    pub query: String,
    pub credentials: Vec<CredentialRow>,
    pub choices: Choices,
    /// Where its calls go now; nowhere: the address has to be given.
    pub destinations: Vec<String>,
    /// It is answered inside this process and has no address.
    pub internal: bool,
}

/// What is chosen of the server itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choices {
    pub access: Access,
    pub upstream: String,
    /// `none`, the word of a preset, or `kept`.
    pub limits: String,
    /// It has limits that are none of the presets.
    pub has_others: bool,
}

/// A few plain limits of calls for each consumer: as the form sends it, how many, and in what window.
pub const PRESETS: [(&str, u64, Window); 3] = [
    ("60-minute", 60, Window::Minute),
    ("600-minute", 600, Window::Minute),
    ("1000-day", 1_000, Window::Day),
];

impl Choices {
    pub fn of(access: Access, upstream: Option<&str>, limits: &[Limit]) -> Self {
        let preset = PRESETS
            .iter()
            .find(|(word, ..)| preset(word).as_slice() == limits);
        let word = match preset {
            _ if limits.is_empty() => "none",
            Some((word, ..)) => word,
            None => "kept",
        };
        Self {
            access,
            upstream: upstream.unwrap_or_default().to_owned(),
            limits: word.to_owned(),
            has_others: word == "kept",
        }
    }

    /// As they were entered. What is not in the form is as it was.
    pub fn entered(form: &Entered, now: &Self) -> Self {
        let text = |name: &str| entered(form, name).map(|text| text.trim().to_owned());
        Self {
            access: match entered(form, "access") {
                Some("open") => Access::Open,
                Some("private") => Access::Private,
                Some(_) => Access::Key,
                None => now.access,
            },
            upstream: text("upstream").unwrap_or_else(|| now.upstream.clone()),
            limits: text("limits").unwrap_or_else(|| now.limits.clone()),
            has_others: now.has_others,
        }
    }

    /// The limits that were chosen; `None`: those there are.
    pub fn chosen_limits(&self) -> Option<Vec<Limit>> {
        (self.limits != "kept").then(|| preset(&self.limits))
    }
}

/// The limits of a preset; none where it is none.
fn preset(word: &str) -> Vec<Limit> {
    let found = PRESETS.iter().find(|(name, ..)| *name == word);
    let limit = found.map(|(_, amount, window)| Limit {
        unit: Unit::Requests,
        amount: *amount,
        window: Some(*window),
        scope: Scope::Consumer,
        burst: None,
        reset_day: None,
    });
    limit.into_iter().collect()
}

/// A tool, with what may be chosen of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewRow {
    /// Its key, and as its document writes it.
    pub operation: String,
    pub route: String,
    pub title: String,
    pub served: bool,
    pub name: String,
    /// `never`, `client` or `human`.
    pub confirm: String,
    pub description: String,
}

impl ReviewRow {
    /// A tool of the document as it is served now, or would be.
    pub(crate) fn of(bench: &Workbench, tool: &ToolDef) -> Self {
        let curation = bench.curations.get(&tool.operation);
        let mut served = bench.served.iter();
        let served = served.find(|other| other.operation == tool.operation);
        let own = curation.and_then(|curation| curation.description.clone());
        let description = match served {
            Some(served) => served.description.clone(),
            None => own.unwrap_or_else(|| tool.description.clone()),
        };
        let confirm = curation.and_then(|curation| curation.confirm);
        Self {
            operation: tool.operation.0.clone(),
            route: tool.route(),
            title: tool.title.clone().unwrap_or_default(),
            served: served.is_some(),
            name: served
                .map_or(bench.own_name(tool), |served| served.name.as_str())
                .to_owned(),
            confirm: word(confirm).to_owned(),
            description,
        }
    }

    /// Whether it is among what is searched for.
    pub fn fits(&self, query: &str) -> bool {
        let texts = [&self.name, &self.title, &self.route, &self.description];
        texts.iter().any(|text| text.to_lowercase().contains(query))
    }

    /// The rows of a form, as they were entered.
    pub fn entered(form: &Entered) -> Vec<Self> {
        let rows = (0..TOOLS_MAX).map_while(|at| {
            let text = |name: &str| entered(form, &format!("{name}-{at}"));
            let line = |name: &str| text(name).unwrap_or_default().trim().to_owned();
            Some(Self {
                operation: text("operation")?.to_owned(),
                route: String::new(),
                title: String::new(),
                served: text("serve").is_some(),
                name: line("name"),
                confirm: line("confirm"),
                description: line("words").replace("\r\n", "\n"),
            })
        });
        rows.collect()
    }

    /// The tool's curation with what was entered, where that is something else than what was shown.
    ///
    /// # Errors
    /// The name is none a tool may have.
    pub fn change(&self, shown: &Self, current: Curation) -> Result<Option<Curation>, NameError> {
        let mut changed = current.clone();
        changed.hidden = !self.served;
        if self.name != shown.name {
            let name = Some(&self.name).filter(|name| !name.is_empty());
            changed.name = name.map(|name| name.parse::<ToolName>()).transpose()?;
        }
        if self.confirm != shown.confirm {
            changed.confirm = match self.confirm.as_str() {
                "client" => Some(Confirm::Client),
                "human" => Some(Confirm::Human),
                _ => Some(Confirm::Never),
            };
        }
        if self.description != shown.description.trim().replace("\r\n", "\n") {
            let text = Some(self.description.clone());
            changed.description = text.filter(|text| !text.is_empty());
        }
        Ok((changed != current).then_some(changed))
    }

    pub fn key(&self) -> OperationKey {
        OperationKey(self.operation.clone())
    }
}

fn word(confirm: Option<Confirm>) -> &'static str {
    match confirm {
        None | Some(Confirm::Never) => "never",
        Some(Confirm::Client) => "client",
        Some(Confirm::Human) => "human",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> ReviewRow {
        ReviewRow {
            operation: "GET /a".to_owned(),
            route: "GET /a".to_owned(),
            title: String::new(),
            served: true,
            name: "a".to_owned(),
            confirm: "never".to_owned(),
            description: "One.\nTwo.".to_owned(),
        }
    }

    #[test]
    fn only_what_was_changed_is_a_curation() {
        let sent = |pairs: &[(&str, &str)]| {
            let form = pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            ReviewRow::entered(&form.collect()).remove(0)
        };
        let same = [
            ("operation-0", "GET /a"),
            ("serve-0", "on"),
            ("name-0", "a"),
            ("confirm-0", "never"),
            ("words-0", "One.\r\nTwo."),
        ];
        let kept = sent(&same).change(&row(), Curation::default());
        assert_eq!(kept, Ok(None), "a browser's line ends are no change");
        let mut other = same;
        other[1].0 = "elsewhere";
        other[2].1 = "b";
        other[3].1 = "human";
        other[4].1 = " ";
        let before = Curation {
            description: Some("One.\nTwo.".to_owned()),
            group: Some("kept".to_owned()),
            ..Curation::default()
        };
        let expected = Curation {
            hidden: true,
            name: Some("b".parse().unwrap()),
            confirm: Some(Confirm::Human),
            group: Some("kept".to_owned()),
            ..Curation::default()
        };
        assert_eq!(sent(&other).change(&row(), before), Ok(Some(expected)));
        other[2].1 = "no name";
        assert!(sent(&other).change(&row(), Curation::default()).is_err());
    }

    #[test]
    fn limits_are_a_preset_none_or_kept() {
        for (word, ..) in PRESETS {
            let choices = Choices::of(Access::Key, None, &preset(word));
            assert_eq!((choices.limits.as_str(), choices.has_others), (word, false));
            assert_eq!(choices.chosen_limits(), Some(preset(word)));
            assert_eq!(crate::access::limit::check(&preset(word)), Ok(()));
        }
        let none = Choices::of(Access::Key, None, &[]);
        assert_eq!(none.chosen_limits(), Some(Vec::new()));
        let mut other = preset("60-minute");
        other[0].amount = 61;
        let kept = Choices::of(Access::Key, None, &other);
        assert_eq!((kept.chosen_limits(), kept.has_others), (None, true));
    }
}
