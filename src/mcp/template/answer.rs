//! Answers by template: the text of a result, made of the API's JSON. What a template cannot say
//! anything about, such as a picture, stays as it is.

use indexmap::IndexMap;

use crate::mcp::provider::{Content, ToolOutcome};
use crate::mcp::template::binding::Answer;
use crate::mcp::template::data::Data;
use crate::mcp::template::place::Place;
use crate::mcp::template::{Moment, Template};
use crate::mcp::tool::Tool;
use crate::mcp::tool::text::clean;
use crate::types::UpstreamResponse;

/// An answer longer than this is shown as it is.
const BODY_BYTES_MAX: usize = 4 << 20;

/// Gives an outcome the text that the tool's templates want, if it fits into so many bytes; whether it
/// did.
pub fn shape(
    tool: &Tool,
    response: &UpstreamResponse,
    (outcome, bytes_max): (&mut ToolOutcome, usize),
    moment: &Moment,
) -> bool {
    let Some(templates) = &tool.def.binding.templates else {
        return false;
    };
    if response.truncated || response.body.len() > BODY_BYTES_MAX {
        return false;
    }
    if !response.status.is_success() {
        let text = templates
            .error
            .as_ref()
            .and_then(|t| error(t, response, moment));
        let text = text.filter(|text| text.len() <= bytes_max);
        return text.is_some_and(|text| {
            outcome.content = vec![Content::Text(text)];
            true
        });
    }
    let is_text = outcome
        .content
        .iter()
        .all(|c| matches!(c, Content::Text(_)));
    if outcome.is_error || !is_text {
        return false;
    }
    match &templates.answer {
        None => false,
        Some(Answer::Around { prepend, append }) => {
            around(outcome, prepend, append);
            false
        }
        Some(Answer::Template { template }) => {
            let text = success(template, response, moment);
            text.filter(|text| text.len() <= bytes_max)
                .is_some_and(|text| {
                    outcome.content = vec![Content::Text(text)];
                    if tool.def.output_schema.is_none() {
                        outcome.structured = None;
                    }
                    true
                })
        }
    }
}

fn around(outcome: &mut ToolOutcome, prepend: &str, append: &str) {
    if let Some(Content::Text(text)) = outcome.content.first_mut() {
        *text = format!("{}{text}{}", clean(prepend), clean(append));
    }
}

fn success(template: &Template, response: &UpstreamResponse, moment: &Moment) -> Option<String> {
    let body = String::from_utf8_lossy(&response.body);
    let data = if body.trim().is_empty() {
        Data::Missing
    } else {
        Data::parse(&body).ok()?
    };
    let text = template.render(&data, Place::Shown, moment).ok()?;
    // What an empty text would say is that nothing happened.
    Some(if text.is_empty() {
        "success".to_owned()
    } else {
        text
    })
}

fn error(template: &Template, response: &UpstreamResponse, moment: &Moment) -> Option<String> {
    let body = String::from_utf8_lossy(&response.body);
    let mut members = match Data::parse(&body) {
        Ok(Data::Map(members)) => (*members).clone(),
        _ => IndexMap::new(),
    };
    let mut headers = IndexMap::new();
    headers.insert(":status".to_owned(), Data::text(response.status.as_str()));
    for (name, value) in &response.headers {
        if let Ok(value) = value.to_str() {
            headers.insert(name.as_str().to_owned(), Data::text(value));
        }
    }
    members.insert("_headers".to_owned(), Data::Map(headers.into()));
    let data = Data::Map(members.into());
    let text = template.render(&data, Place::Shown, moment).ok()?;
    Some(text).filter(|text| !text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A terminal escape, a mark that turns text around, a tag character.
    const UNSEEN: &str = "\u{1b}[31m\u{202e}\u{e0041}";

    #[test]
    fn what_a_document_adds_to_an_answer_is_what_is_seen() {
        let mut outcome = ToolOutcome {
            content: vec![Content::Text("é\u{202e}".to_owned())],
            ..ToolOutcome::default()
        };
        around(&mut outcome, &format!("a{UNSEEN}"), &format!("{UNSEEN}b"));
        assert!(matches!(&outcome.content[..], [Content::Text(text)] if text == "aé\u{202e}b"));
        // What the API said stays as it said it.
        let source = format!("a{UNSEEN}{{{{ \"b\\u202e\" }}}}{{{{ .x }}}}");
        let template: Template = source.parse().unwrap();
        let data = Data::parse("{\"x\": \"c\u{202e}\"}").unwrap();
        let moment = Moment::default();
        let shown = template.render(&data, Place::Shown, &moment).unwrap();
        assert_eq!(shown, "abc\u{202e}");
    }
}
