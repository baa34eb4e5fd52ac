//! How good a tool is for a model, and what would make it better: a grade, the reasons for it, and
//! for most of them a curation that mends it.

mod instructions;

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;

use crate::mcp::curation::{AnnotationChoice, Curation};
use crate::mcp::tool::ToolDef;
use crate::mcp::tool::name::words;
use crate::openapi::OperationKey;

/// More arguments than this are seldom filled right.
const ARGUMENTS_MAX: usize = 20;
/// A description shorter than this says nothing a name does not say.
const DESCRIPTION_CHARS_MIN: usize = 20;

/// What a linter thinks of one tool.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Review {
    pub operation: OperationKey,
    pub name: String,
    /// 0 to 100.
    pub score: u8,
    pub grade: Grade,
    pub issues: Vec<Issue>,
}

/// A (90 and more), B (75), C (60), D (40), F.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Grade {
    A,
    B,
    C,
    D,
    F,
}

impl Grade {
    /// The grade of a score, or of the mean of several.
    pub fn of(score: u8) -> Self {
        match score {
            90.. => Self::A,
            75.. => Self::B,
            60.. => Self::C,
            40.. => Self::D,
            _ => Self::F,
        }
    }
}

/// One thing that could be better.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Issue {
    pub rule: Rule,
    pub message: String,
    /// A curation that mends it, to be laid over the one there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<Curation>,
}

macro_rules! rules {
    ($($name:ident $word:literal $weight:literal $meaning:literal;)*) => {
        /// What is looked at.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
        pub enum Rule {
            $(#[doc = $meaning] #[serde(rename = $word)] $name,)*
        }

        impl Rule {
            /// Every rule, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The stable word.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }

            /// What breaking it costs, of 100.
            pub fn weight(self) -> u8 {
                match self {
                    $(Self::$name => $weight,)*
                }
            }

            /// What it says, for people.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => $meaning,)*
                }
            }
        }
    };
}

rules! {
    InstructionLike "instruction-like" 60 "A text speaks to the model: it gives orders, names other tools to call, or asks to keep something secret.";
    DescriptionMissing "description-missing" 35 "The tool has no description but its method and path.";
    DescriptionShort "description-short" 20 "The description says no more than the name.";
    DestructiveUnmarked "destructive-unmarked" 25 "By its words the tool removes or undoes something, and no hint says so.";
    NameGeneric "name-generic" 15 "The name could be that of any tool.";
    NameAmbiguous "name-ambiguous" 15 "Another tool of the server has nearly the same name.";
    ArgumentsMany "arguments-many" 15 "There are more than 20 arguments.";
    ArgumentsUndescribed "arguments-undescribed" 15 "More than a third of the arguments have no description.";
    Deprecated "deprecated" 10 "The API says that the operation is deprecated.";
    OutputUndescribed "output-undescribed" 5 "Nothing says what comes back.";
}

/// Looks at every tool of a server.
pub fn lint(tools: &[ToolDef]) -> Vec<Review> {
    let names: Vec<Vec<String>> = tools.iter().map(sorted_words).collect();
    let mut alike: HashMap<&[String], Vec<usize>> = HashMap::new();
    for (at, name) in names.iter().enumerate() {
        alike.entry(name).or_default().push(at);
    }
    let look = |(at, tool): (usize, &ToolDef)| {
        let twin = alike[names[at].as_slice()]
            .iter()
            .find(|other| **other != at);
        review(tool, twin.map(|other| &tools[*other]))
    };
    tools.iter().enumerate().map(look).collect()
}

/// Looks at what is told of a server itself: how it introduces itself to the model.
pub fn lint_server(title: &str, description: Option<&str>) -> Vec<Issue> {
    let mut issues = Vec::new();
    instructions::look_at_server(title, description, &mut issues);
    issues
}

/// 100, less what the issues cost.
pub fn score(issues: &[Issue]) -> u8 {
    let costs = issues.iter().map(|issue| issue.rule.weight());
    costs.fold(100, u8::saturating_sub)
}

/// Looks at one tool of a server, beside the names of the others.
pub fn lint_one(tools: &[ToolDef], at: usize) -> Option<Review> {
    let tool = tools.get(at)?;
    let name = sorted_words(tool);
    let mut others = tools.iter().enumerate();
    let twin = others.find(|(other, tool)| *other != at && sorted_words(tool) == name);
    Some(review(tool, twin.map(|(_, tool)| tool)))
}

/// The words of a name in order of the alphabet, the articles between them left out.
fn sorted_words(tool: &ToolDef) -> Vec<String> {
    let mut found: Vec<String> = words(tool.name.as_str())
        .filter(|word| {
            !matches!(
                word.as_str(),
                "a" | "an" | "the" | "of" | "by" | "for" | "to"
            )
        })
        .map(|word| word.trim_end_matches('s').to_owned())
        .collect();
    found.sort_unstable();
    found
}

fn review(tool: &ToolDef, twin: Option<&ToolDef>) -> Review {
    let mut issues = Vec::new();
    instructions::look(tool, &mut issues);
    description(tool, &mut issues);
    destructive(tool, &mut issues);
    name(tool, twin, &mut issues);
    arguments(tool, &mut issues);
    if tool.description.starts_with("Deprecated.") {
        let message = "the operation is deprecated; hide it unless agents need it";
        let fix = Curation {
            hidden: true,
            ..Curation::default()
        };
        issues.push(issue(Rule::Deprecated, message, Some(fix)));
    }
    if tool.output_schema.is_none() && tool.binding.method != "DELETE" {
        let message = "describe the success answer in the document: its schema, or 204";
        issues.push(issue(Rule::OutputUndescribed, message, None));
    }
    let score = score(&issues);
    Review {
        operation: tool.operation.clone(),
        name: tool.name.to_string(),
        score,
        grade: Grade::of(score),
        issues,
    }
}

fn issue(rule: Rule, message: impl Into<String>, fix: Option<Curation>) -> Issue {
    Issue {
        rule,
        message: message.into(),
        fix,
    }
}

fn described(text: String) -> Curation {
    Curation {
        description: Some(text),
        ..Curation::default()
    }
}

fn description(tool: &ToolDef, issues: &mut Vec<Issue>) {
    let text = tool.description.trim_start_matches("Deprecated.").trim();
    let from_path = format!("{} {}", tool.binding.method, tool.binding.path.raw);
    let suggestion = || Some(described(format!("{} ({from_path}).", sentence(tool))));
    if text == from_path {
        let message = "say in one sentence what it does";
        issues.push(issue(Rule::DescriptionMissing, message, suggestion()));
        return;
    }
    let said: Vec<String> = words(text).collect();
    let in_name: Vec<String> = words(tool.name.as_str()).collect();
    let repeats = !said.is_empty() && said.iter().all(|word| in_name.contains(word));
    if text.chars().count() < DESCRIPTION_CHARS_MIN || repeats {
        let message = "say when it is used, what it needs and what comes back";
        issues.push(issue(Rule::DescriptionShort, message, suggestion()));
    }
}

/// The name as a sentence: `List pets by owner`.
fn sentence(tool: &ToolDef) -> String {
    let text = words(tool.name.as_str()).collect::<Vec<_>>().join(" ");
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

/// Words of operations that cannot be taken back.
const DESTRUCTIVE: [&str; 24] = [
    "delete",
    "remove",
    "destroy",
    "purge",
    "drop",
    "erase",
    "wipe",
    "revoke",
    "cancel",
    "terminate",
    "kill",
    "reset",
    "refund",
    "charge",
    "pay",
    "transfer",
    "send",
    "publish",
    "archive",
    "close",
    "disable",
    "deactivate",
    "unsubscribe",
    "merge",
];

fn destructive(tool: &ToolDef, issues: &mut Vec<Issue>) {
    if tool.annotations.destructive_hint {
        return;
    }
    let title = tool.title.as_deref().unwrap_or_default();
    let first = words(tool.name.as_str()).chain(words(title).take(2));
    let found = first
        .take(6)
        .find(|word| DESTRUCTIVE.contains(&word.as_str()));
    let Some(word) =
        found.filter(|_| tool.binding.method != "GET" && tool.binding.method != "HEAD")
    else {
        return;
    };
    let message =
        format!("it says \"{word}\", and clients are not told that it may destroy something");
    let fix = Curation {
        annotations: AnnotationChoice {
            read_only_hint: Some(false),
            destructive_hint: Some(true),
            ..AnnotationChoice::default()
        },
        ..Curation::default()
    };
    issues.push(issue(Rule::DestructiveUnmarked, message, Some(fix)));
}

/// Words that name no thing.
const GENERIC: [&str; 22] = [
    "get",
    "list",
    "create",
    "update",
    "delete",
    "post",
    "put",
    "patch",
    "find",
    "search",
    "query",
    "run",
    "execute",
    "data",
    "info",
    "item",
    "items",
    "api",
    "handler",
    "operation",
    "call",
    "index",
];

fn name(tool: &ToolDef, twin: Option<&ToolDef>, issues: &mut Vec<Issue>) {
    let generic = words(tool.name.as_str())
        .all(|word| GENERIC.contains(&word.as_str()) || word.bytes().all(|b| b.is_ascii_digit()));
    if generic {
        let message = "name what it works on";
        issues.push(issue(Rule::NameGeneric, message, None));
    }
    if let Some(twin) = twin {
        let message = format!(
            "{} has the same words; say in the names what differs",
            twin.name
        );
        issues.push(issue(Rule::NameAmbiguous, message, None));
    }
}

fn arguments(tool: &ToolDef, issues: &mut Vec<Issue>) {
    let properties = tool
        .input_schema
        .get("properties")
        .and_then(Value::as_object);
    let Some(properties) = properties.filter(|properties| !properties.is_empty()) else {
        return;
    };
    let count = properties.len();
    if count > ARGUMENTS_MAX {
        let message = format!("there are {count}; fix those that are always the same");
        issues.push(issue(Rule::ArgumentsMany, message, None));
    }
    let silent: Vec<&str> = properties
        .iter()
        .filter(|(_, schema)| schema.get("description").is_none() && schema.get("enum").is_none())
        .map(|(name, _)| name.as_str())
        .collect();
    if silent.len() * 3 > count {
        let listed = silent
            .iter()
            .take(8)
            .copied()
            .collect::<Vec<_>>()
            .join(", ");
        let message = format!("{} of {count} have none: {listed}", silent.len());
        issues.push(issue(Rule::ArgumentsUndescribed, message, None));
    }
}
