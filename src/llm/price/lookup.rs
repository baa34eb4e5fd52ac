//! The names under which a model's price may be written.

/// From the exact name to ever shorter ones, without repetition.
///
/// 1. As it is; then without what stands before it (`models/`, `openai/`, all before the last slash of an ARN).
/// 2. Each of these without a date or `-latest` at its end.
/// 3. For Bedrock, each without the region before it: a region has a price of its own where it differs.
///
/// All of 1 come before 2, for a dated model may cost otherwise than its family. A fine-tuned model
/// (`ft:gpt-4o-2024-08-06:org::id`) loses what its owner added, but is never taken for the model it was made of.
pub(super) fn names(provider: &str, model: &str) -> Vec<String> {
    let whole = bare(provider, model);
    let mut names = vec![model.to_owned(), whole.clone(), whole.to_lowercase()];
    if let Some(tuned) = whole.strip_prefix("ft:") {
        let base = tuned.split(':').next().unwrap_or_default();
        names.push(format!("ft:{base}"));
    }
    if provider == "bedrock" {
        extend(&mut names, without_region);
    }
    extend(&mut names, without_date);
    names
}

/// Adds what `change` makes of each name.
fn extend(names: &mut Vec<String>, change: impl Fn(&str) -> Option<&str>) {
    let more: Vec<String> = names
        .iter()
        .filter_map(|name| change(name))
        .map(str::to_owned)
        .collect();
    names.extend(more);
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
}

/// Without what providers and callers write before a name.
fn bare(provider: &str, model: &str) -> String {
    let mut name = model.trim();
    if name.starts_with("arn:") {
        name = name.rsplit('/').next().unwrap_or(name);
    }
    if let Some(rest) = name.strip_prefix(provider) {
        name = rest.strip_prefix('/').unwrap_or(name);
    }
    // https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference
    if let Some((publisher, rest)) = name
        .strip_prefix("publishers/")
        .and_then(|rest| rest.split_once("/models/"))
    {
        name = rest;
        if !matches!(publisher, "google" | "anthropic") {
            return format!("{publisher}/{rest}");
        }
    }
    for prefix in ["models/", "accounts/fireworks/models/"] {
        name = name.strip_prefix(prefix).unwrap_or(name);
    }
    name.to_owned()
}

/// Cross-region inference profiles of Bedrock: `us.anthropic.claude-sonnet-4-6`.
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html>
fn without_region(name: &str) -> Option<&str> {
    let (region, rest) = name.split_once('.')?;
    let known = [
        "us", "eu", "apac", "jp", "au", "ca", "us-gov", "global", "in",
    ];
    (known.contains(&region) && rest.contains('.')).then_some(rest)
}

/// `-2025-08-07`, `-20250807`, `@20250807`, `-250807`, `-latest`, `@latest` or `@default` at the end.
fn without_date(name: &str) -> Option<&str> {
    for label in ["-latest", "@latest", "@default"] {
        if let Some(stem) = name.strip_suffix(label) {
            return Some(stem).filter(|stem| !stem.is_empty());
        }
    }
    ["####-##-##", "########", "######"]
        .iter()
        .find_map(|shape| without_shape(name, shape))
}

/// Cuts a date of one shape off, where it is one of this century.
fn without_shape<'a>(name: &'a str, shape: &str) -> Option<&'a str> {
    let at = name.len().checked_sub(shape.len() + 1)?;
    let date = name.get(at + 1..)?;
    let fits = shape
        .bytes()
        .zip(date.bytes())
        .all(|(shape, byte)| match shape {
            b'#' => byte.is_ascii_digit(),
            other => byte == other,
        });
    let digits: String = date.chars().filter(char::is_ascii_digit).collect();
    let (year, rest) = digits.split_at_checked(digits.len().checked_sub(4)?)?;
    let (month, day) = rest.split_at_checked(2)?;
    let century = matches!(year.len(), 2) && year >= "20" || year.starts_with("20");
    let dated = century && ("01"..="12").contains(&month) && ("01"..="31").contains(&day);
    let joined = matches!(name.as_bytes().get(at), Some(b'-' | b'@'));
    (fits && dated && joined && at > 0).then(|| &name[..at])
}
