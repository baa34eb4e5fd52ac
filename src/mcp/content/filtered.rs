//! What an owner's filter is given of an answer: the JSON it would be shown as, whatever its media type.

use crate::mcp::content::charset::{decode, looks_binary};
use crate::mcp::content::{BEGINNING, Kind, essence, json, kind, media_type, streamed};
use crate::mcp::tool::Tool;
use crate::types::UpstreamResponse;

/// JSON for a filter.
#[derive(Debug, PartialEq, Eq)]
pub struct Input {
    pub text: String,
    /// Where it is only the beginning of the answer: how to say so.
    pub remark: Option<String>,
}

/// An answer that no filter can be applied to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the API answered with {0}, which is not JSON")]
pub struct NotJson(String);

/// The JSON of a success; `None` where it has no content.
///
/// # Errors
/// It is anything but JSON.
pub fn input(tool: &Tool, response: &UpstreamResponse) -> Result<Option<Input>, NotJson> {
    let media_type = media_type(&response.headers);
    let kind = kind(&media_type);
    if kind == Kind::Events {
        let collected = streamed::collected(tool, response);
        return Ok(Some(Input {
            text: collected.list,
            remark: collected.remark,
        }));
    }
    if response.body.is_empty() {
        return Ok(None);
    }
    let not_json = || NotJson(essence(&media_type).chars().take(100).collect());
    if !matches!(kind, Kind::Json | Kind::Text) || looks_binary(&response.body, &media_type) {
        return Err(not_json());
    }
    let body = decode(&response.body, &media_type);
    let mended = response.truncated.then(|| json::mended(&body)).flatten();
    let text = mended.as_deref().unwrap_or(&body);
    let text = json::checked(text).ok_or_else(not_json)?;
    Ok(Some(Input {
        text: text.to_owned(),
        remark: response.truncated.then(|| BEGINNING.to_owned()),
    }))
}
