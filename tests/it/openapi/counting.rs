//! Nothing disappears silently: an independent count of operations equals those read plus those
//! reported lost, for our examples and for the real documents that may lie beside the checkout.
//!
//! The count is a walk over method and path that resolves nothing; it shares no code with the
//! reader. A path item that is only a `$ref` is counted where the reference leads, if it is within
//! the document.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use causeway::openapi::{DocumentError, DocumentLimits, Finding, Severity};
use serde_json::Value;

use crate::openapi::{documents, examples, name_of, repository};

#[test]
fn examples_lose_nothing_silently() {
    for path in examples() {
        let (read, lost) = outcome(&path);
        assert_eq!(
            read + lost.len(),
            counted(&path),
            "{path:?}: {read} read, {} lost",
            lost.len()
        );
    }
}

#[test]
fn real_documents_lose_at_most_one_operation_in_two_hundred() {
    let Some(folder) = real_documents() else {
        return;
    };
    let listed = fs::read_to_string(repository().join("tests/data/lost.txt")).unwrap();
    let listed: BTreeSet<&str> = listed
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .map(|line| line.split_once("  ").expect("`key  reason`").0)
        .collect();
    let (mut total, mut unlisted, mut lost_total) = (0, Vec::new(), 0);
    for path in documents(&folder) {
        let (read, lost) = outcome(&path);
        let counted = counted(&path);
        assert_eq!(read + lost.len(), counted, "{path:?}: {lost:?}");
        total += counted;
        lost_total += lost.len();
        for finding in lost {
            let operation = finding.operation.expect("a lost operation is named");
            let line = format!("{} {operation}", name_of(&path));
            if !listed.contains(line.as_str()) {
                unlisted.push(format!("{line}  {}", finding.message));
            }
        }
    }
    assert!(total > 1_000, "only {total} operations were found");
    assert!(
        lost_total * 200 <= total,
        "{lost_total} of {total} are lost"
    );
    assert!(
        unlisted.is_empty(),
        "not in lost.txt:\n{}",
        unlisted.join("\n")
    );
}

/// Up-conversion, references and merging must not lose where a thing came from.
#[test]
fn every_pointer_leads_into_the_uploaded_document() {
    let real = real_documents().map(|folder| documents(&folder));
    for path in examples().into_iter().chain(real.into_iter().flatten()) {
        let root = value(&path);
        let leads = |pointer: &str, what: &str| {
            let found = root.pointer(pointer).is_some();
            assert!(found, "{}: {what} at {pointer:?}", path.display());
        };
        let bytes = fs::read(&path).unwrap();
        let api = causeway::openapi::read(&bytes, &DocumentLimits::default());
        let Ok(api) = api else {
            continue;
        };
        for finding in &api.findings {
            leads(&finding.pointer, &finding.code);
        }
        for operation in &api.operations {
            leads(&operation.pointer, &operation.key.0);
            for parameter in &operation.parameters {
                leads(&parameter.pointer, &parameter.name);
            }
            if let Some(body) = &operation.body {
                leads(&body.pointer, "a body");
            }
        }
    }
}

/// Beside the checkout, or where CAUSEWAY_TEST_SPECS says.
#[expect(
    clippy::disallowed_methods,
    reason = "a test may be told where its data lie"
)]
fn real_documents() -> Option<PathBuf> {
    let told = std::env::var("CAUSEWAY_TEST_SPECS").ok().map(PathBuf::from);
    let folder = told.unwrap_or_else(|| repository().join("../shared/specs"));
    // They are not part of the checkout, but in CI they must be there.
    let missing = !folder.is_dir();
    assert!(
        !missing || std::env::var_os("CI").is_none(),
        "{} is missing",
        folder.display()
    );
    (!missing).then_some(folder)
}

fn outcome(path: &Path) -> (usize, Vec<Finding>) {
    let bytes = fs::read(path).unwrap();
    let (read, findings) = match causeway::openapi::read(&bytes, &DocumentLimits::default()) {
        Ok(api) => (api.operations.len(), api.findings),
        Err(DocumentError::NoOperations { findings, .. }) => (0, findings),
        Err(error) => unreachable!("{}: {error}", path.display()),
    };
    let lost = findings.into_iter();
    let lost = lost.filter(|finding| finding.severity == Severity::Lost);
    (read, lost.collect())
}

fn value(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|_| {
        let options = serde_saphyr::options! {
            duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::LastWins,
        };
        serde_saphyr::from_str_with_options(&text, options).unwrap()
    })
}

fn counted(path: &Path) -> usize {
    let root = value(path);
    let Some(paths) = root["paths"].as_object() else {
        return 0;
    };
    let items = paths.iter().filter(|(path, _)| !path.starts_with("x-"));
    items.map(|(_, item)| methods(item, &root)).sum()
}

fn methods(item: &Value, root: &Value) -> usize {
    const METHODS: [&str; 9] = [
        "GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE", "QUERY",
    ];
    let Some(members) = item.as_object() else {
        return 0;
    };
    let target = item["$ref"]
        .as_str()
        .and_then(|reference| reference.strip_prefix('#'))
        .and_then(|pointer| root.pointer(pointer));
    let own = members
        .keys()
        .filter(|key| METHODS.contains(&key.to_uppercase().as_str()));
    let additional = item["additionalOperations"].as_object();
    own.count()
        + additional.map_or(0, serde_json::Map::len)
        + target.map_or(0, |target| methods(target, root))
}
