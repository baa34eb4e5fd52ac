//! YAML under the limits of a document: aliases, anchors and nesting are bounded before anything is
//! built, so that a few bytes cannot ask for much memory.

use serde::de::DeserializeSeed;
use serde_json::Value;
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{Error, Options};

use crate::openapi::document::KEYS_TOO_LONG;
use crate::openapi::tree::{Breach, Counts, Tree};
use crate::openapi::{DocumentError, DocumentLimits};

/// Anchors and aliases of one document.
const ALIASES_MAX: usize = 100_000;

/// Values within anchors, and values put in place of aliases.
const REPEATED_MAX: usize = 500_000;

/// Reads one YAML document.
///
/// # Errors
/// Syntax errors, and the limits by name.
pub fn parse(text: &str, limits: &DocumentLimits, counts: &Counts) -> Result<Value, DocumentError> {
    let read = serde_saphyr::with_deserializer_from_str_with_options(
        text,
        options(limits),
        |deserializer| Tree(counts).deserialize(deserializer),
    );
    read.map_err(|error| refusal(&error, limits, counts))
}

fn options(limits: &DocumentLimits) -> Options {
    let nodes_max = limits.nodes_max;
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: nodes_max,
            max_events: nodes_max.saturating_mul(3),
            max_depth: limits.depth_max,
            flow_nesting_limit: limits.depth_max,
            max_aliases: ALIASES_MAX,
            max_anchors: ALIASES_MAX,
            max_documents: 1,
            max_total_scalar_bytes: limits.document_bytes_max,
            max_recorded_anchor_events: REPEATED_MAX,
            max_recorded_anchor_bytes: limits.document_bytes_max,
            enforce_alias_anchor_ratio: false,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: REPEATED_MAX,
        },
        // Repeated keys reach `Tree`, which keeps the last and says so.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        // YAML 1.2: `no` is Norway, `0123` a postcode, `1_000` a name.
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
    }
}

fn refusal(error: &Error, limits: &DocumentLimits, counts: &Counts) -> DocumentError {
    let nodes = DocumentError::Budget {
        what: "values",
        limit: limits.nodes_max,
    };
    let depth = DocumentError::Budget {
        what: "levels of nesting",
        limit: limits.depth_max,
    };
    match counts.breach() {
        Some(Breach::Nodes) => return nodes,
        Some(Breach::Depth) => return depth,
        Some(Breach::Keys) => return KEYS_TOO_LONG,
        None => {}
    }
    let repeated = DocumentError::Budget {
        what: "values repeated by YAML aliases",
        limit: REPEATED_MAX,
    };
    match error.without_snippet() {
        Error::Budget { breach, .. } => match breach {
            BudgetBreach::Depth { .. } => depth,
            BudgetBreach::Aliases { .. } | BudgetBreach::Anchors { .. } => DocumentError::Budget {
                what: "YAML aliases",
                limit: ALIASES_MAX,
            },
            BudgetBreach::Documents { .. } => {
                DocumentError::Syntax("more than one YAML document in one file".to_owned())
            }
            _ => nodes,
        },
        Error::AliasReplayLimitExceeded { .. } | Error::AliasReplayStackDepthExceeded { .. } => {
            repeated
        }
        other => {
            let message = other.to_string();
            if message.contains("RecordedAnchor") || message.contains("alias replay") {
                return repeated;
            }
            if message.contains("recursion limit") || message.contains("nesting") {
                return depth;
            }
            DocumentError::Syntax(message.lines().next().unwrap_or_default().to_owned())
        }
    }
}
