//! Texts that speak to the model instead of describing the tool: the marks of tool poisoning, found by
//! their words. A finding is a reason to look, not a proof.

use std::sync::LazyLock;

use regex::{Regex, RegexSet};
use serde_json::Value;

use crate::mcp::curation::{ArgumentCuration, Curation, Curations, argument_keys, curate};
use crate::mcp::lint::{Issue, Rule, issue};
use crate::mcp::tool::ToolDef;

/// What no description of a tool has to say. Matched without regard to case.
const PATTERNS: [&str; 14] = [
    r"\b(ignore|disregard|forget|override)\b.{0,30}\b(previous|prior|above|earlier|all|any|other)\b.{0,30}\b(instructions?|prompts?|rules?|messages?)",
    r"\bsystem\s+(prompt|message|instructions?)\b",
    r"<\s*/?\s*(important|system|secret|instructions?|assistant|admin)\s*>",
    r"\b(do\s+not|don'?t|never|without)\b.{0,20}\b(tell|mention|inform|reveal|show|notify|telling|mentioning|informing|notifying)\b.{0,30}\b(user|human|anyone|them)\b",
    r"\b(before|after|instead\s+of|when)\b.{0,20}\b(using|calling|invoking|use|call)\b.{0,40}\b(you\s+must|always|first)\b",
    r"\byou\s+(must|have\s+to|are\s+required\s+to)\b.{0,40}\b(read|send|include|pass|call|use|fetch|upload)\b.{0,60}\b(passwords?|secrets?|credentials?|private\s+keys?|conversation|chat\s+history|environment\s+variables?)",
    r"\b(read|open|cat|send|upload|exfiltrate)\b.{0,30}(~/\.|/etc/|\.ssh|\.env\b|id_rsa|credentials\.json)",
    r"\b(include|put|paste|append|send|copy|attach|pass)\b.{0,30}\b(entire|whole|full|previous|complete)\s+(conversation|chat|history|context|prompt)\b",
    r"\bas\s+an?\s+(ai|assistant|language\s+model|agent)\b",
    r"\b(act|behave|respond|pretend)\s+as\s+(if|though|an?)\b",
    r"忽略.{0,10}(之前|以上|先前|所有).{0,10}(指令|提示|说明|规则)",
    r"(不要|切勿|请勿).{0,10}(告诉|告知|通知|提及).{0,6}(用户|任何人)",
    r"(系统提示词?|系统指令)",
    r"[A-Za-z0-9+/]{200,}={0,2}",
];

static MARKS: LazyLock<RegexSet> = LazyLock::new(|| {
    let patterns = PATTERNS.map(|pattern| format!("(?is){pattern}"));
    RegexSet::new(patterns).expect("the patterns are constants, and tested")
});

/// Where a sentence ends.
static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:[.!?]\s+|</\w+>\s*|[。！？]|\n+)").expect("a constant, and tested")
});

/// Whether a text has one of the marks.
pub(super) fn is_marked(text: &str) -> bool {
    MARKS.is_match(text)
}

/// Looks at every text of a tool that a model reads. What is offered mends all of it.
pub(super) fn look(tool: &ToolDef, issues: &mut Vec<Issue>) {
    let (places, fix) = marked(tool);
    if places.is_empty() {
        return;
    }
    let curations = Curations::from([(tool.operation.clone(), fix)]);
    let mended = curate(vec![tool.clone()], &curations).tools;
    let is_mended = mended.iter().all(|tool| marked(tool).0.is_empty());
    let fix = curations.into_values().next().filter(|_| is_mended);
    let advice = match fix {
        Some(_) => "read it before you serve it",
        None => "change the document with an overlay, or hide the tool",
    };
    let message = format!("{} speaks to the model; {advice}", places.join(", "));
    issues.push(issue(Rule::InstructionLike, message, fix));
}

/// Looks at what is told of a server itself. No curation changes that.
pub(super) fn look_at_server(title: &str, description: Option<&str>, issues: &mut Vec<Issue>) {
    for (place, text) in [("title", Some(title)), ("description", description)] {
        if text.is_some_and(is_marked) {
            let message = format!(
                "the {place} of the server speaks to the model; change the document with an overlay"
            );
            issues.push(issue(Rule::InstructionLike, message, None));
        }
    }
}

/// The places where a tool speaks to the model, and its own words without that.
fn marked(tool: &ToolDef) -> (Vec<String>, Curation) {
    let mut fix = Curation::default();
    let mut places = Vec::new();
    let page = tool.details.description.as_deref();
    if is_marked(&tool.description) || page.is_some_and(is_marked) {
        places.push("the description".to_owned());
        let text = Some(without_marks(&tool.description)).filter(|text| !text.is_empty());
        let binding = &tool.binding;
        let instead = || format!("{} {}", binding.method, binding.path.raw);
        fix.description = Some(text.unwrap_or_else(instead));
    }
    if let Some(title) = tool.title.as_deref().filter(|title| is_marked(title)) {
        places.push("the title".to_owned());
        let text = Some(without_marks(title)).filter(|text| !text.is_empty());
        fix.title = Some(text.unwrap_or_else(|| tool.name.to_string()));
    }
    arguments(tool, &mut places, &mut fix);
    let mut answers = tool.details.answers.iter();
    let results = tool.output_schema.as_ref();
    if results.is_some_and(|schema| any_text(schema, &is_marked))
        || answers.any(|(_, meaning)| is_marked(meaning))
    {
        places.push("what is said of results".to_owned());
        fix.plain_results = true;
    }
    (places, fix)
}

fn arguments(tool: &ToolDef, places: &mut Vec<String>, fix: &mut Curation) {
    let properties = tool
        .input_schema
        .get("properties")
        .and_then(Value::as_object);
    for (key, argument) in argument_keys(&tool.binding) {
        let Some(schema) = properties.and_then(|properties| properties.get(&argument)) else {
            continue;
        };
        let page = tool.details.arguments.get(&argument);
        let page = page.is_some_and(|text| is_marked(text));
        if !page && !any_text(schema, &is_marked) {
            continue;
        }
        places.push(format!("the argument `{argument}`"));
        let own = schema.get("description").and_then(Value::as_str);
        let own = own.unwrap_or_default();
        if page || is_marked(own) {
            let curation = ArgumentCuration {
                description: Some(without_marks(own)),
                fixed: None,
            };
            fix.arguments.insert(key, curation);
        }
    }
    // What arguments share is none of one argument.
    let shared = tool.input_schema.get("$defs");
    if shared.is_some_and(|schemas| any_text(schemas, &is_marked)) {
        places.push("a schema of its arguments".to_owned());
    }
}

/// The text without the sentences that have a mark; nothing at all where the marks span sentences.
fn without_marks(text: &str) -> String {
    let mut kept = String::new();
    let mut start = 0;
    let ends = SENTENCE.find_iter(text).map(|end| end.end());
    for end in ends.chain([text.len()]) {
        let sentence = &text[start..end];
        if !is_marked(sentence) {
            kept.push_str(sentence);
        }
        start = end;
    }
    let kept = kept.trim();
    if is_marked(kept) {
        String::new()
    } else {
        kept.to_owned()
    }
}

fn any_text(schema: &Value, holds: &impl Fn(&str) -> bool) -> bool {
    match schema {
        Value::String(text) => holds(text),
        Value::Array(members) => members.iter().any(|member| any_text(member, holds)),
        Value::Object(members) => members
            .iter()
            .any(|(key, member)| holds(key) || any_text(member, holds)),
        _ => false,
    }
}
