//! What a tool's templates write into a request: values of parameters, and the body.

use bytes::Bytes;
use http::HeaderValue;
use serde_json::Value;

use crate::mcp::plan::raw::Raw;
use crate::mcp::plan::{Given, PlanError};
use crate::mcp::template::Moment;
use crate::mcp::template::binding::Templates;
use crate::mcp::template::data::Data;
use crate::mcp::template::place::Place;

/// Adds the defaults and the values that templates write to what was given, and writes the body.
pub(super) fn fill(
    templates: &Templates,
    given: &mut Given<'_>,
    moment: &Moment,
) -> Result<Option<(HeaderValue, Bytes)>, PlanError> {
    // A hidden argument is no argument, whatever validation said.
    given.retain(|name, _| !name.starts_with('='));
    for (argument, value) in &templates.defaults {
        if !given.contains_key(argument) {
            given.insert(argument.clone(), Raw::owned(value.to_string()));
        }
    }
    let data = Data::parse(&data(templates, given)).map_err(PlanError::Template)?;
    for (argument, template) in &templates.parameters {
        let text = template
            .render(&data, Place::Plain, moment)
            .map_err(PlanError::Template)?;
        if !text.is_empty() {
            let text = Value::from(text.trim()).to_string();
            given.insert(argument.clone(), Raw::owned(text));
        }
    }
    let Some(body) = &templates.body else {
        return Ok(None);
    };
    let place = Place::of_media(&body.media_type);
    let text = body
        .template
        .render(&data, place, moment)
        .map_err(PlanError::Template)?;
    let bytes = match place {
        Place::Form => Bytes::from(text.trim().to_owned()),
        _ => Bytes::from(text),
    };
    let media_type = HeaderValue::from_str(&body.media_type)
        .map_err(|_| PlanError::value("body", "its media type is not valid"))?;
    Ok(Some((media_type, bytes)))
}

/// `{"args": …, "config": …}`, with every argument as the client wrote it.
fn data(templates: &Templates, given: &Given<'_>) -> String {
    let arguments = templates.names.iter().filter_map(|(name, argument)| {
        let raw = given.get(argument)?;
        Some((name.as_str(), raw.text()))
    });
    let arguments = Raw::object(arguments);
    let config = Value::from(templates.config.clone()).to_string();
    let parts = [("args", arguments.text()), ("config", config.as_str())];
    Raw::object(parts.into_iter()).text().to_owned()
}
