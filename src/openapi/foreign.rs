//! What people have where there is no OpenAPI document: a Postman collection, a HAR recording, curl
//! commands, a Higress MCP server. Each is recognised by what it must have, and converted to an
//! OpenAPI 3.1 document that takes the normal path.
//!
//! Invariant: pure, bounded, and never a secret: names of credentials become security schemes, their
//! values stay behind. What is guessed or left out is a finding at its place in the uploaded file.

pub mod address;
pub mod curl;
pub mod har;
pub mod higress;
pub mod numbered;
pub mod outline;
pub mod postman;
pub mod sample;
pub mod secret;

use std::collections::HashMap;

use serde_json::Value;

use crate::openapi::finding::{Code, Findings};
use crate::openapi::foreign::outline::{Converted, Outline};
use crate::openapi::foreign::sample::Patience;
use crate::openapi::{Api, DocumentError, Finding};

/// A format that is converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Curl,
    Har,
    Higress,
    Postman,
}

impl Format {
    /// What a person calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Curl => "a list of curl commands",
            Self::Har => "a HAR recording",
            Self::Higress => "a Higress MCP server",
            Self::Postman => "a Postman collection",
        }
    }
}

/// What a conversion may use, and where it says what it did.
#[derive(Debug)]
pub struct Context<'a> {
    pub findings: &'a mut Findings,
    pub patience: Patience,
    pub operations_max: usize,
}

impl<'a> Context<'a> {
    fn new(operations_max: usize, findings: &'a mut Findings) -> Self {
        Self {
            findings,
            patience: Patience::default(),
            operations_max,
        }
    }

    /// # Errors
    /// There are more requests than a document may have operations.
    pub fn room(&self, outline: &Outline) -> Result<(), DocumentError> {
        if outline.drafts.len() < self.operations_max {
            return Ok(());
        }
        Err(DocumentError::Budget {
            what: "requests",
            limit: self.operations_max,
        })
    }
}

/// The format of a value that is no OpenAPI document.
pub fn recognise(root: &Value) -> Option<Format> {
    if root.get("openapi").is_some() || root.get("swagger").is_some() {
        return None;
    }
    if har::recognise(root) {
        Some(Format::Har)
    } else if postman::recognise(root) {
        Some(Format::Postman)
    } else if higress::recognise(root) {
        Some(Format::Higress)
    } else {
        None
    }
}

/// Whether a text that was fetched is worth reading as one of these formats.
pub fn looks_known(text: &str) -> bool {
    let start = text.trim_start();
    if start.starts_with('<') {
        return false;
    }
    let all = |words: &[&str]| words.iter().all(|word| text.contains(word));
    curl::recognise(text)
        || all(&["\"item\"", "postman"])
        || all(&["\"log\"", "\"entries\"", "startedDateTime"])
        || all(&["tools", "requestTemplate"])
}

/// A text that is no JSON or YAML as OpenAPI, if it is of a known format.
///
/// # Errors
/// It is of a known format and exceeds a limit.
pub fn convert_text(
    text: &str,
    operations_max: usize,
    findings: &mut Findings,
) -> Result<Option<Converted>, DocumentError> {
    if !curl::recognise(text) {
        return Ok(None);
    }
    let mut context = Context::new(operations_max, findings);
    let outline = curl::convert(text, &mut context)?;
    Ok(Some(finish(Format::Curl, outline, findings)))
}

/// A value as OpenAPI, if it is of a known format.
///
/// # Errors
/// It is of a known format and exceeds a limit.
pub fn convert(
    root: &Value,
    operations_max: usize,
    findings: &mut Findings,
) -> Result<Option<Converted>, DocumentError> {
    let Some(format) = recognise(root) else {
        return Ok(None);
    };
    let mut context = Context::new(operations_max, findings);
    let outline = match format {
        Format::Har => har::convert(root, &mut context)?,
        Format::Higress => higress::convert(root, &mut context)?,
        Format::Postman => postman::convert(root, &mut context)?,
        Format::Curl => return Ok(None),
    };
    Ok(Some(finish(format, outline, findings)))
}

fn finish(format: Format, outline: Outline, findings: &mut Findings) -> Converted {
    let message = format!(
        "{} was converted; requests that became operations: {}",
        format.name(),
        outline.drafts.len()
    );
    findings.add(Code::ForeignFormat, "", message);
    for draft in outline.drafts.iter().filter(|draft| draft.left_out > 0) {
        let message = format!(
            "parameters beyond the limit are left out: {}",
            draft.left_out
        );
        findings.add(Code::ForeignGuessed, draft.origin.clone(), message);
    }
    outline.finish()
}

/// Where the operations of a converted document come from.
#[derive(Debug)]
pub struct Origins {
    /// By the place of the operation in the converted document.
    places: HashMap<String, String>,
    /// So many findings were made by the conversion, and have places in the uploaded document.
    own: usize,
}

impl Origins {
    pub fn new(places: Vec<(String, String)>, own: usize) -> Self {
        Self {
            places: places.into_iter().collect(),
            own,
        }
    }

    /// Places in the converted document become places in the uploaded one.
    pub fn relocate(&self, api: &mut Api) {
        // What tells requests to one URL apart is ours, and nothing to correct.
        let ours = [Code::PathFragment.word(), Code::ServersMissing.word()];
        let mut at = 0;
        api.findings.retain(|finding: &Finding| {
            at += 1;
            at <= self.own || !ours.contains(&&*finding.code)
        });
        for finding in api.findings.iter_mut().skip(self.own) {
            finding.pointer = self.place(&finding.pointer);
        }
        for operation in &mut api.operations {
            operation.pointer = self.place(&operation.pointer);
            for parameter in &mut operation.parameters {
                parameter.pointer = self.place(&parameter.pointer);
            }
            if let Some(body) = &mut operation.body {
                body.pointer = self.place(&body.pointer);
            }
        }
    }

    /// The origin of the operation that a pointer leads into: `/paths/…/get`, or one level deeper for
    /// a method that has no member of its own.
    fn place(&self, pointer: &str) -> String {
        let ends = pointer.match_indices('/').map(|(at, _)| at).skip(3).take(2);
        let ends = ends.chain([pointer.len()]);
        let mut found = ends.filter_map(|end| self.places.get(&pointer[..end]));
        found.next().cloned().unwrap_or_default()
    }
}
