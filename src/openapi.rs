//! How an OpenAPI document is understood: bytes in, [`Api`] out.
//!
//! Invariant: never does IO, never panics on a document, never rejects a document for one bad
//! operation. What is lost, guessed or changed is a [`Finding`].
//!
//! Every version (2.0, 3.0, 3.1, 3.2) is up-converted in `Value` space to one shape: OpenAPI 3.1
//! with JSON Schema 2020-12. Schemas in an `Api` are self-contained: each `$ref` in them is
//! `#/$defs/<name>` and points into [`Api::definitions`].

pub mod api;
pub mod archive;
pub mod budget;
pub mod bundle;
pub mod conjunction;
pub mod definition;
pub mod document;
pub mod encoding;
pub mod finding;
pub mod foreign;
pub mod keyword;
pub mod media;
pub mod merge;
pub mod model;
pub mod operation;
pub mod overlay;
pub mod parameter;
pub mod path;
pub mod pointer;
pub mod query;
pub mod reference;
pub mod schema;
pub mod security;
pub mod server;
pub mod strict;
pub mod tag;
pub mod tree;
pub mod upconvert_2_0;
pub mod upconvert_3_0;
pub mod upload;
pub mod yaml;

use std::collections::HashMap;

use crate::openapi::bundle::shown::Shown;
use crate::openapi::bundle::{Assembly, Bundle, Refusal};
use crate::openapi::finding::Code;
pub use crate::openapi::model::{
    Api, Finding, Location, MediaType, Operation, OperationKey, Parameter, ParameterEncoding,
    PartEncoding, PartHeader, PartPositions, PathPiece, PathTemplate, RequestBody, Response,
    SecurityRequirement, SecurityScheme, ServerTemplate, ServerVariable, Severity, SpecVersion,
    Style, Tag,
};
use crate::openapi::overlay::{OVERLAYS_MAX, Overlay, OverlayError};
use crate::openapi::pointer::Located;
use crate::openapi::schema::Reading;

/// The limits a document is read under. Exceeding one refuses the document, with the limit named.
#[derive(Clone, Debug)]
pub struct DocumentLimits {
    pub document_bytes_max: usize,
    pub operations_max: usize,
    pub nodes_max: usize,
    pub depth_max: usize,
    /// `$ref` expansions while normalizing, over the whole document.
    pub expansions_max: usize,
}

impl Default for DocumentLimits {
    fn default() -> Self {
        Self {
            document_bytes_max: 64 << 20,
            operations_max: 30_000,
            nodes_max: 5_000_000,
            depth_max: 128,
            expansions_max: 1_000_000,
        }
    }
}

/// Reads a document that is one file: JSON or YAML, Swagger 2.0 or OpenAPI 3.0, 3.1 or 3.2, or a
/// format that [`foreign`] converts.
///
/// Pure and deterministic: the same bytes give the same `Api`. What was lost, guessed or changed is
/// in [`Api::findings`].
///
/// # Errors
/// Only when the bytes are no document at all, exceed a limit, or hold no usable operation.
pub fn read(bytes: &[u8], limits: &DocumentLimits) -> Result<Api, DocumentError> {
    deep(|| read_bundle(Assembly::single(bytes, limits)?.finish(), limits))
}

/// Runs what recurses over a document on a stack of known size, so that the depth limit is what
/// bounds a document, not the stack of whoever called.
pub fn deep<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let slot = parking_lot::Mutex::new(Some(work));
    let take = || slot.lock().take().expect("it is taken once");
    std::thread::scope(|scope| {
        let reader = std::thread::Builder::new().stack_size(STACK_BYTES);
        match reader.spawn_scoped(scope, || take()()) {
            Ok(reader) => reader
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(_) => take()(),
        }
    })
}

/// Reads a bundle. Call it within [`deep`].
///
/// # Errors
/// A limit is exceeded, or there is no usable operation.
pub fn read_bundle(bundle: Bundle, limits: &DocumentLimits) -> Result<Api, DocumentError> {
    let Bundle {
        document,
        findings,
        refusals,
        ..
    } = bundle;
    let root = Located::root(&document.root);
    operation::count(&root, limits.operations_max)?;
    let mut reading = Reading::new(&document, limits, findings);
    let mut api = reading.api(&root, limits)?;
    reading.finish(&mut api, limits)?;
    if api.version == SpecVersion::V3_0 {
        strict::check(&root, &mut reading.findings);
    }
    let lost = reading.findings.lost();
    api.findings = reading.findings.finish();
    if let Some(origins) = &document.origins {
        origins.relocate(&mut api);
    }
    explain(&mut api.findings, &refusals);
    show_places(&mut api, &Shown::of(&document.root));
    if api.operations.is_empty() {
        let findings = api.findings;
        return Err(DocumentError::NoOperations { lost, findings });
    }
    Ok(api)
}

/// A document as it is kept, and what it describes.
#[derive(Debug)]
pub struct Understood {
    pub api: Api,
    /// What is kept in place of what was uploaded: all files in one document, or the document that
    /// another format became, which has none of its secrets. `None`: what was uploaded is the document.
    pub made: Option<Vec<u8>>,
}

/// Puts the files together, applies the overlays and reads the result. Call it within [`deep`].
///
/// # Errors
/// A limit is exceeded, an overlay is none, or there is no usable operation.
pub fn understand(
    assembly: Assembly,
    overlays: &[String],
    limits: &DocumentLimits,
) -> Result<Understood, DocumentError> {
    let mut made = assembly.finish();
    let is_made = !made.is_single || made.document.origins.is_some();
    let bytes = is_made.then(|| made.bytes(limits)).transpose()?;
    let refuse = |number: usize, source| DocumentError::Overlay { number, source };
    if overlays.len() > OVERLAYS_MAX {
        return Err(DocumentError::Budget {
            what: "overlays",
            limit: OVERLAYS_MAX,
        });
    }
    for (index, text) in overlays.iter().enumerate() {
        let number = index + 1;
        let overlay = Overlay::parse(text.as_bytes()).map_err(|error| refuse(number, error))?;
        let onto = (limits, &mut made.findings);
        overlay
            .apply(&format!("overlay {number}"), &mut made.document.root, onto)
            .map_err(|error| refuse(number, error))?;
    }
    let api = read_bundle(made, limits)?;
    Ok(Understood { api, made: bytes })
}

/// Says of each reference that leads out why it was not followed.
fn explain(findings: &mut [Finding], refusals: &HashMap<String, Refusal>) {
    for finding in findings {
        let external = finding.code == Code::RefExternal.word();
        let Some(refusal) = refusals.get(&finding.pointer).filter(|_| external) else {
            continue;
        };
        finding.message.clone_from(&refusal.message);
        if refusal.fix.is_some() {
            finding.fix.clone_from(&refusal.fix);
        }
    }
}

/// Places in a bundle become places in the files it was made of.
fn show_places(api: &mut Api, shown: &Shown) {
    for finding in &mut api.findings {
        shown.pointer(&mut finding.pointer);
        shown.message(&mut finding.message);
    }
    for operation in &mut api.operations {
        shown.pointer(&mut operation.pointer);
        for parameter in &mut operation.parameters {
            shown.pointer(&mut parameter.pointer);
        }
        if let Some(body) = &mut operation.body {
            shown.pointer(&mut body.pointer);
        }
    }
}

/// Parsers recurse once for each level of nesting.
const STACK_BYTES: usize = 32 << 20;

/// Why bytes are not a document at all. Anything less is a [`Finding`].
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    #[error("the document is {actual} bytes; at most {limit} are read")]
    TooLarge { actual: usize, limit: usize },
    #[error("the document is empty")]
    Empty,
    #[error("not JSON or YAML: {0}")]
    Syntax(String),
    #[error("the document exceeds the limit of {limit} {what}")]
    Budget { what: &'static str, limit: usize },
    #[error(
        "not an OpenAPI document: it has neither `openapi` nor `swagger` at its root, and is no \
         Postman collection, HAR recording, curl command or Higress MCP server either"
    )]
    NotOpenApi,
    #[error("version \"{0}\" is not supported; use Swagger 2.0 or OpenAPI 3.0, 3.1 or 3.2")]
    Version(String),
    #[error("overlay {number}: {source}")]
    Overlay { number: usize, source: OverlayError },
    #[error("the document has no usable operation; {lost} were lost (see the findings)")]
    NoOperations { lost: usize, findings: Vec<Finding> },
}
