//! What an owner says to change of a tool, put over what was changed before.

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::cli::tools::{Argument, Tool};
use crate::mcp::curation::{AnnotationChoice, ArgumentCuration, Confirm, Curation};
use crate::types::ToolName;

#[derive(Args)]
#[group(required = true, multiple = true)]
pub(super) struct Changes {
    /// What agents call it
    #[arg(long)]
    name: Option<ToolName>,
    /// What people see
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// What it does, for the model
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// The heading it stands under
    #[arg(long, value_name = "TEXT")]
    group: Option<String>,
    /// Neither list it nor let it be called
    #[arg(long, conflicts_with = "show")]
    hide: bool,
    /// Serve it again
    #[arg(long)]
    show: bool,
    /// Send this value in every call; the model neither sees nor gives the argument. VALUE is JSON, or
    /// a text as it is. May be repeated
    #[arg(long, value_name = "ARGUMENT=VALUE")]
    pin: Vec<String>,
    /// Let the model give the argument again; may be repeated
    #[arg(long, value_name = "ARGUMENT")]
    unpin: Vec<String>,
    /// What the model is told of an argument; may be repeated
    #[arg(long, value_name = "ARGUMENT=TEXT")]
    describe: Vec<String>,
    /// Who has to agree before a call is sent: the user of the client, or a person in the inbox of
    /// approvals
    #[arg(long, value_name = "WHO", value_parser = ["client", "human", "never"])]
    confirm: Option<String>,
    /// Say a hint yourself: read-only, destructive, idempotent or open-world; may be repeated
    #[arg(long, value_name = "HINT=yes|no")]
    hint: Vec<String>,
    /// Which security scheme it is called with, where the API offers several; repeated for those that
    /// go together, and `none` for none
    #[arg(long, value_name = "SCHEME")]
    security: Vec<String>,
    /// Which of the operation's servers it is sent to, by the URL as the document writes it
    #[arg(long, value_name = "URL")]
    document_server: Option<String>,
    /// Mend what its grade complains about, by the rule's name, or `all` that can be; may be repeated
    #[arg(long, value_name = "RULE")]
    fix: Vec<String>,
    /// Take back what was changed; may be repeated
    #[arg(long, value_name = "WHAT", value_enum)]
    reset: Vec<Part>,
}

/// A part of what can be changed.
#[derive(Clone, Copy, ValueEnum)]
enum Part {
    All,
    Name,
    Title,
    Description,
    Group,
    Arguments,
    Confirm,
    Hints,
    Security,
    DocumentServer,
}

/// What is changed of the tool from now on.
pub(super) fn curation(tool: &Tool, changes: &Changes) -> anyhow::Result<Curation> {
    let mut curation = tool.curation.clone();
    for part in &changes.reset {
        reset(&mut curation, *part);
    }
    for name in &changes.unpin {
        let key = &argument(tool, name)?.key;
        if let Some(own) = curation.arguments.get_mut(key) {
            own.fixed = None;
        }
    }
    for fix in fixes(tool, &changes.fix)? {
        curation = curation.with(fix);
    }
    words(&mut curation, changes);
    arguments(&mut curation, tool, changes)?;
    for text in &changes.hint {
        hint(&mut curation.annotations, text)?;
    }
    if !changes.security.is_empty() {
        let named = changes.security.iter().filter(|name| *name != "none");
        curation.security = Some(named.cloned().collect());
    }
    let nothing = ArgumentCuration::default();
    curation.arguments.retain(|_, own| *own != nothing);
    Ok(curation)
}

fn reset(curation: &mut Curation, part: Part) {
    match part {
        Part::All => *curation = Curation::default(),
        Part::Name => curation.name = None,
        Part::Title => curation.title = None,
        Part::Description => curation.description = None,
        Part::Group => curation.group = None,
        Part::Arguments => curation.arguments.clear(),
        Part::Confirm => curation.confirm = None,
        Part::Hints => curation.annotations = AnnotationChoice::default(),
        Part::Security => curation.security = None,
        Part::DocumentServer => curation.server = None,
    }
}

/// What mends the rules that were named.
fn fixes(tool: &Tool, rules: &[String]) -> anyhow::Result<Vec<Curation>> {
    let issues = tool.review.iter().flat_map(|review| &review.issues);
    let mendable: Vec<(&str, &Curation)> = issues
        .filter_map(|issue| Some((issue.rule.as_str(), issue.fix.as_ref()?)))
        .collect();
    let known: Vec<&str> = mendable.iter().map(|(rule, _)| *rule).collect();
    for rule in rules {
        let has_any = !known.is_empty();
        if !(known.contains(&rule.as_str()) || rule == "all" && has_any) {
            let known = if has_any {
                known.join(", ")
            } else {
                "nothing".to_owned()
            };
            bail!(
                "--fix {rule}: what can be mended of {} is {known}",
                tool.name
            );
        }
    }
    let is_meant = |rule: &str| rules.iter().any(|meant| meant == rule || meant == "all");
    let meant = mendable.into_iter().filter(|(rule, _)| is_meant(rule));
    Ok(meant.map(|(_, fix)| fix.clone()).collect())
}

fn words(curation: &mut Curation, changes: &Changes) {
    let set = |own: &mut Option<String>, given: &Option<String>| {
        if given.is_some() {
            own.clone_from(given);
        }
    };
    if changes.name.is_some() {
        curation.name.clone_from(&changes.name);
    }
    set(&mut curation.title, &changes.title);
    set(&mut curation.description, &changes.description);
    set(&mut curation.group, &changes.group);
    set(&mut curation.server, &changes.document_server);
    curation.hidden = changes.hide || curation.hidden && !changes.show;
    if let Some(who) = &changes.confirm {
        curation.confirm = Some(match who.as_str() {
            "client" => Confirm::Client,
            "human" => Confirm::Human,
            _ => Confirm::Never,
        });
    }
}

fn arguments(curation: &mut Curation, tool: &Tool, changes: &Changes) -> anyhow::Result<()> {
    for text in &changes.pin {
        let (name, value) = pair("--pin", "ARGUMENT=VALUE", text)?;
        let argument = argument(tool, name)?;
        let own = curation.arguments.entry(argument.key.clone()).or_default();
        own.fixed = Some(value_for(&argument.schema, value));
    }
    for text in &changes.describe {
        let (name, words) = pair("--describe", "ARGUMENT=TEXT", text)?;
        let key = argument(tool, name)?.key.clone();
        let own = curation.arguments.entry(key).or_default();
        own.description = Some(words.to_owned());
    }
    Ok(())
}

fn argument<'t>(tool: &'t Tool, name: &str) -> anyhow::Result<&'t Argument> {
    let mut arguments = tool.arguments.iter();
    let found = arguments.find(|argument| argument.argument == name || argument.key == name);
    found.with_context(|| {
        let known = tool.arguments.iter().map(|known| known.argument.as_str());
        let known: Vec<&str> = known.collect();
        format!(
            "{} has no argument {name}; it has {}",
            tool.name,
            known.join(", ")
        )
    })
}

/// JSON, unless the argument is a text and that is none: `5` is a text where only a text fits.
fn value_for(schema: &Value, text: &str) -> Value {
    let as_text = || Value::String(text.to_owned());
    let Ok(value) = serde_json::from_str::<Value>(text) else {
        return as_text();
    };
    let kinds = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(kind)) => vec![kind.as_str()],
        _ => return value,
    };
    let kind = match &value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let fits = kinds.contains(&kind) || kind == "integer" && kinds.contains(&"number");
    if !fits && kinds.contains(&"string") {
        return as_text();
    }
    value
}

fn hint(annotations: &mut AnnotationChoice, text: &str) -> anyhow::Result<()> {
    let (name, value) = pair("--hint", "HINT=yes|no", text)?;
    let value = match value {
        "yes" | "true" => true,
        "no" | "false" => false,
        _ => bail!("--hint {name} is yes or no"),
    };
    let hint = match name {
        "read-only" => &mut annotations.read_only_hint,
        "destructive" => &mut annotations.destructive_hint,
        "idempotent" => &mut annotations.idempotent_hint,
        "open-world" => &mut annotations.open_world_hint,
        _ => bail!("--hint {name}: the hints are read-only, destructive, idempotent, open-world"),
    };
    *hint = Some(value);
    Ok(())
}

fn pair<'t>(flag: &str, form: &str, text: &'t str) -> anyhow::Result<(&'t str, &'t str)> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    pair.with_context(|| format!("{flag} is written {form}, which `{text}` is not"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_is_json_where_that_fits_the_argument() {
        let rows = [
            (json!({ "type": "string" }), "5", json!("5")),
            (json!({ "type": "string" }), "berlin", json!("berlin")),
            (json!({ "type": "string" }), "\"5\"", json!("5")),
            (json!({ "type": ["string", "null"] }), "null", json!(null)),
            (json!({ "type": ["string", "null"] }), "true", json!("true")),
            (json!({ "type": "integer" }), "5", json!(5)),
            (json!({ "type": "number" }), "5", json!(5)),
            (json!({ "type": ["number", "string"] }), "1.5", json!(1.5)),
            // The server says what is wrong with these.
            (json!({ "type": "integer" }), "five", json!("five")),
            (json!({ "type": "array" }), "5", json!(5)),
            (json!({ "enum": [5] }), "5", json!(5)),
            (json!(null), "[1]", json!([1])),
        ];
        for (schema, text, value) in rows {
            assert_eq!(value_for(&schema, text), value, "{schema} {text}");
        }
    }
}
