//! The kinds of findings, and where they are collected.
//!
//! Every kind has one stable word, one severity and one piece of advice; `docs/openapi.md` explains
//! them all, and a test compares that list with this one. Nothing else in the reader may write a
//! code by hand.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::openapi::{Finding, OperationKey, Severity};

/// Findings kept beside the lost operations, which are always kept.
const FINDINGS_MAX: usize = 10_000;

macro_rules! codes {
    ($($name:ident $word:literal $severity:ident $fix:literal;)*) => {
        /// A kind of finding.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $word] $name,)*
        }

        impl Code {
            /// Every kind, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The kind that a word names.
            pub fn of(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.word() == word)
            }

            /// The stable word.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }

            /// How bad it is, always the same for one kind.
            pub fn severity(self) -> Severity {
                match self {
                    $(Self::$name => Severity::$severity,)*
                }
            }

            /// What the owner can do about it.
            pub fn fix(self) -> &'static str {
                match self {
                    $(Self::$name => $fix,)*
                }
            }
        }
    };
}

codes! {
    // The document as a text.
    DuplicateKey "duplicate-key" Warning "Remove one of the two; the last one is used.";
    JsonReadAsYaml "json-read-as-yaml" Note "Correct the JSON; strict JSON parsers refuse it.";
    FindingsTruncated "findings-truncated" Note "Correct what is listed and read the document again.";
    TitleMissing "title-missing" Note "Give `info.title`; it names the server.";
    PathsMissing "paths-missing" Warning "Describe the operations under `paths`.";
    OverlayUnmatched "overlay-unmatched" Warning "Correct the overlay's target; the document may have changed.";
    TagParentInvalid "tag-parent-invalid" Note "Declare the parent under `tags`, without a circle.";
    WebhooksIgnored "webhooks-ignored" Note "Nothing to do: webhooks are calls the API makes, not calls a model can make.";
    CallbacksIgnored "callbacks-ignored" Note "Nothing to do: callbacks are calls the API makes, not calls a model can make.";
    // Operations.
    OperationNotAnObject "operation-not-an-object" Lost "Write the operation as an object; `{}` is enough.";
    OperationRefUnresolved "operation-ref-unresolved" Lost "Put the operation itself into this document.";
    DuplicateOperation "duplicate-operation" Lost "Two operations have one method and one path; parameter names do not tell paths apart. Remove or rename one.";
    PathMalformed "path-malformed" Lost "Write each parameter of the path as `{name}`.";
    MethodInvalid "method-invalid" Lost "Use an HTTP method (RFC 9110 section 5.6.2, token).";
    PathItemInvalid "path-item-invalid" Warning "Write the path item as an object.";
    PathItemRefUnresolved "path-item-ref-unresolved" Warning "Put the path item into this document, under `components/pathItems`.";
    PathItemKeyUnknown "path-item-key-unknown" Note "Check the spelling; it is no HTTP method OpenAPI knows.";
    PathWithoutSlash "path-without-slash" Warning "Start the path with `/`.";
    PathQuery "path-query" Warning "Describe what follows `?` as query parameters.";
    PathFragment "path-fragment" Note "What follows `#` is never sent; it only tells operations apart.";
    MethodCase "method-case" Note "Write the method in lower case.";
    // Parameters.
    ParameterInvalid "parameter-invalid" Warning "A parameter needs a `name` and an `in` of path, query, header, cookie (or querystring).";
    ParameterRefUnresolved "parameter-ref-unresolved" Warning "Put the parameter into this document, under `components/parameters`.";
    ParametersNotAList "parameters-not-a-list" Warning "Write `parameters` as a list.";
    ParameterWithoutSchema "parameter-without-schema" Warning "Put `type` and what belongs to it under `schema`.";
    ParameterDuplicate "parameter-duplicate" Warning "Remove one of the two; the last one is used.";
    PathParameterMissing "path-parameter-missing" Warning "Declare the parameter with `in: path`; it is taken as a string.";
    PathParameterUnused "path-parameter-unused" Warning "Put `{name}` into the path, or remove the parameter.";
    PathParameterCase "path-parameter-case" Note "Spell the parameter as the path does.";
    HeaderParameterIgnored "header-parameter-ignored" Note "Nothing to do: such headers follow from the media types, the security schemes and the connection.";
    StyleUnsupported "style-unsupported" Warning "Use a style that OpenAPI defines for this location.";
    ParameterContent "parameter-content" Warning "Give `content` exactly one media type.";
    // Bodies and responses.
    BodyInvalid "body-invalid" Warning "Give the request body a `content` object.";
    BodyRefUnresolved "body-ref-unresolved" Warning "Put the request body into this document; until then any JSON is accepted.";
    BodyDuplicate "body-duplicate" Warning "Swagger 2.0 allows one body parameter, and none beside formData.";
    ResponsesNotAnObject "responses-not-an-object" Warning "Write `responses` as an object, status by status.";
    ResponseInvalid "response-invalid" Note "Give each status a Response Object.";
    ResponseRefUnresolved "response-ref-unresolved" Note "Put the response into this document, under `components/responses`.";
    MediaTypeInvalid "media-type-invalid" Warning "Give each media type an object.";
    ItemSchemaIgnored "item-schema-ignored" Warning "Describe the whole body with `schema`, or offer it as JSON lines, a JSON text sequence, server-sent events or multipart.";
    EncodingIgnored "encoding-ignored" Warning "Use `encoding` for parts with names, and `prefixEncoding` and `itemEncoding` for the parts of a multipart body that is an array.";
    BodyMediaType "body-media-type" Lost "Offer the body as JSON, a form, multipart/form-data, text, XML or bytes too, or describe its parts as an array.";
    BodyLeftOut "body-left-out" Warning "Offer the body as JSON, a form, multipart/form-data, text, XML or bytes too, or describe its parts as an array.";
    // Schemas and references.
    RefExternal "ref-external" Warning "Upload the file with the document, in a zip archive or beside it.";
    RefUnresolved "ref-unresolved" Warning "Correct the reference; until then any value is accepted.";
    RefCycle "ref-cycle" Warning "Break the circle; until then any value is accepted.";
    RefChainLong "ref-chain-long" Warning "Let fewer schemas refer to one another for the same value.";
    RefGuessed "ref-guessed" Warning "Write the reference as a JSON pointer, `#/components/schemas/<name>`.";
    SchemaInvalid "schema-invalid" Warning "Write the schema as an object; until then any value is accepted.";
    SchemaKeywordInvalid "schema-keyword-invalid" Warning "Correct the keyword; it is left out.";
    SchemaTypeUnknown "schema-type-unknown" Warning "Use string, number, integer, boolean, array, object or null.";
    NullableIn31 "nullable-in-3-1" Note "Write `type: [.., 'null']`; 3.1 has no `nullable`.";
    AllOfKept "allof-kept" Note "Nothing to do; the tool's schema says `allOf`.";
    AllOfClosed "allof-closed" Warning "A part of `allOf` forbids what another part adds; use `unevaluatedProperties: false` on the whole instead.";
    SchemaNotChecked "schema-not-checked" Warning "Write patterns without look-around and back-references, and schemas that are valid JSON Schema; what is not checked reaches the API as it is.";
    InputSchemaCut "input-schema-cut" Warning "Describe the inner levels in fewer words, or in the operation's description.";
    // Security and servers.
    SecurityInvalid "security-invalid" Warning "Write `security` as a list of objects.";
    SecuritySchemeUndefined "security-scheme-undefined" Warning "Define the scheme; until then calls that need it are refused.";
    SecuritySchemeInvalid "security-scheme-invalid" Warning "Correct the scheme; until then calls that need it are refused.";
    ServersMissing "servers-missing" Note "Give `servers`, or set the upstream URL when publishing.";
    ServersNotAList "servers-not-a-list" Warning "Write `servers` as a list.";
    ServerInvalid "server-invalid" Warning "Give each server a `url`.";
    ServerVariableUndeclared "server-variable-undeclared" Warning "Declare the variable with a default.";
    ServerUnresolvable "server-unresolvable" Warning "Give `servers` an absolute http or https URL, or set the upstream: --upstream, or `upstream` of a published server.";
    SchemeGuessed "scheme-guessed" Note "Give `schemes`; https is used.";
    // What an owner changed, put over another document.
    CurationGone "curation-gone" Warning "Remove the change, or bring the operation back.";
    CurationArgumentGone "curation-argument-gone" Warning "Remove the change, or set it for another argument.";
    CurationNameTaken "curation-name-taken" Warning "Give one of the two tools another name.";
    CurationChoiceGone "curation-choice-gone" Warning "Choose again among what the document offers.";
    // Formats that are converted.
    ForeignFormat "foreign-format" Note "Nothing to do; correct what was guessed where it matters, or describe the API in OpenAPI.";
    TemplateInvalid "template-invalid" Lost "Correct the template; docs/foreign.md says what is understood.";
    ForeignLost "foreign-lost" Lost "Change the request as the message says, or describe it in OpenAPI.";
    ForeignSkipped "foreign-skipped" Note "Nothing to do where that is no part of the API.";
    ForeignGuessed "foreign-guessed" Note "Write it out in the source where the guess is wrong.";
    ForeignAddress "foreign-address" Warning "Give the address a value, or set `upstream` to the API's base URL.";
    ForeignSecret "foreign-secret" Note "Nothing to do: give the credential to Causeway, where it is kept encrypted.";
    ForeignScript "foreign-script" Warning "What the script computes has to come from an argument or a credential.";
    // The strict check of 3.0 documents.
    Strict30 "strict-3-0" Note "Correct it for tools that read strictly; nothing is lost here.";
    Strict30Truncated "strict-3-0-truncated" Note "Correct what is listed and read the document again.";
}

impl Finding {
    /// One of a kind, about the document as a whole.
    pub fn new(code: Code, pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            severity: code.severity(),
            code: Cow::Borrowed(code.word()),
            message: message.into(),
            fix: Some(code.fix().to_owned()),
            operation: None,
        }
    }
}

/// The findings of one document, each kind at most once per place.
#[derive(Debug, Default)]
pub struct Findings {
    list: Vec<Finding>,
    seen: HashSet<(Code, String)>,
    dropped: usize,
    lost: usize,
    /// The operation being read.
    pub operation: Option<OperationKey>,
}

impl Findings {
    /// Notes one; the second of the same kind at the same place is dropped.
    pub fn add(&mut self, code: Code, pointer: impl Into<String>, message: impl Into<String>) {
        let pointer = pointer.into();
        let lost = code.severity() == Severity::Lost;
        if !lost && self.list.len() - self.lost >= FINDINGS_MAX {
            self.dropped += 1;
            return;
        }
        if !self.seen.insert((code, pointer.clone())) {
            return;
        }
        self.lost += usize::from(lost);
        self.list.push(Finding {
            operation: self.operation.clone(),
            ..Finding::new(code, pointer, message)
        });
    }

    /// How many findings there are so far.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many operations were lost so far.
    pub fn lost(&self) -> usize {
        self.lost
    }

    /// All of them, in the order they were found.
    pub fn finish(mut self) -> Vec<Finding> {
        if self.dropped > 0 {
            let message = format!("{} more findings are not listed", self.dropped);
            self.list
                .push(Finding::new(Code::FindingsTruncated, "", message));
        }
        self.list
    }
}

/// A text of the document, cut to a length that is safe to repeat in a message.
pub fn quoted(text: &str) -> String {
    const SHOWN_MAX: usize = 120;
    let mut shown: String = text
        .chars()
        .take(SHOWN_MAX)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(SHOWN_MAX).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}
