//! Documents of several files: what each reference leads to, where findings say a thing stands, and
//! that nothing leads out.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use causeway::openapi::bundle::shown::in_bundle;
use causeway::openapi::bundle::{Assembly, MEMBER, SpecFiles, choose};
use causeway::openapi::{DocumentError, DocumentLimits, Understood, read, understand};
use serde_json::Value;

use crate::openapi::{repository, summary};

fn limits() -> DocumentLimits {
    DocumentLimits::default()
}

/// Every file below a folder, by its name from there.
fn folder(path: &Path) -> BTreeMap<String, Bytes> {
    let mut files = BTreeMap::new();
    let mut left = vec![path.to_owned()];
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let at = entry.unwrap().path();
            if at.is_dir() {
                left.push(at);
                continue;
            }
            let name = at
                .strip_prefix(path)
                .unwrap()
                .to_string_lossy()
                .into_owned();
            files.insert(name, Bytes::from(fs::read(at).unwrap()));
        }
    }
    files
}

fn folders(of: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(of).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

fn files(texts: &[(&str, &str)]) -> BTreeMap<String, Bytes> {
    let texts = texts.iter();
    texts
        .map(|(name, text)| ((*name).to_owned(), Bytes::copy_from_slice(text.as_bytes())))
        .collect()
}

fn understood(files: BTreeMap<String, Bytes>, root: Option<&str>) -> Understood {
    let chosen = choose::one(files, root, &limits()).unwrap();
    let assembly = Assembly::start(chosen, &limits()).unwrap();
    understand(assembly, &[], &limits()).unwrap()
}

/// Every place a document's findings and operations name leads somewhere in the bundle.
fn places_lead(understood: &Understood, root: &str) {
    let bundle: Value = serde_json::from_slice(understood.made.as_ref().unwrap()).unwrap();
    let leads = |shown: &str, what: &str| {
        let pointer = in_bundle(shown, root).unwrap_or_else(|| unreachable!("{what} at {shown}"));
        assert!(bundle.pointer(&pointer).is_some(), "{what} at {shown}");
    };
    for finding in &understood.api.findings {
        leads(&finding.pointer, &finding.message);
        assert!(!finding.message.contains(MEMBER), "{}", finding.message);
    }
    for operation in &understood.api.operations {
        leads(&operation.pointer, &operation.key.0);
        for parameter in &operation.parameters {
            leads(&parameter.pointer, &parameter.name);
        }
        if let Some(body) = &operation.body {
            leads(&body.pointer, "a body");
        }
    }
}

#[test]
fn folders_of_examples_are_read_as_their_golden_files_say() {
    let folders = folders(&repository().join("specs-examples"));
    assert!(!folders.is_empty());
    for path in folders {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let once = understood(folder(&path), None);
        let again = understood(folder(&path), None);
        assert_eq!(once.made, again.made, "{name} gives two bundles");
        places_lead(&once, "openapi.yaml");
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(name, summary::summary(&once.api));
        });
    }
}

/// What is stored is one document that says the same when it is read again.
#[test]
fn a_bundle_is_a_document() {
    let path = repository().join("specs-examples/split-harbour");
    let once = understood(folder(&path), None);
    let again = read(once.made.as_ref().unwrap(), &limits()).unwrap();
    let told = |api: &causeway::openapi::Api| {
        let mut api = api.clone();
        api.findings.clear();
        summary::summary(&api)
    };
    assert_eq!(told(&once.api), told(&again));
}

#[test]
fn real_documents_of_several_files_are_whole() {
    let shared = repository().join("../shared/specs/multi");
    if !shared.is_dir() {
        return;
    }
    for (name, root, operations) in [
        ("redocly-petstore-split", "openapi.yaml", 21),
        ("swagger-parser-31-deref-full", "root.json", 5),
    ] {
        let read = understood(folder(&shared.join(name)), Some(root));
        assert_eq!(read.api.operations.len(), operations, "{name}");
        places_lead(&read, root);
        // One address of the second is a template of the program it is a test of.
        let lost = read.api.findings.iter().filter(|finding| {
            finding.code.starts_with("ref-") && !finding.message.contains("${dynamicPort}")
        });
        let lost: Vec<_> = lost.collect();
        assert!(lost.is_empty(), "{name}: {lost:#?}");
    }
}

#[test]
fn files_that_refer_to_each_other_end() {
    let circle = files(&[
        (
            "a.yaml",
            "openapi: 3.1.0\ninfo: {title: T}\npaths: {/a: {$ref: b.yaml}, /c: {get: {parameters: [{name: n, in: query, schema: {$ref: 'b.yaml#/x-s'}}]}}}",
        ),
        (
            "b.yaml",
            "$ref: a.yaml#/paths/~1a\nx-s: {$ref: 'c.yaml#/x'}",
        ),
        ("c.yaml", "x: {$ref: 'b.yaml#/x-s'}"),
    ]);
    let read = understood(circle, None);
    assert_eq!(read.api.operations.len(), 1);
    let codes: Vec<_> = read
        .api
        .findings
        .iter()
        .map(|finding| &*finding.code)
        .collect();
    assert!(codes.contains(&"path-item-ref-unresolved"), "{codes:?}");
    assert!(codes.contains(&"ref-cycle"), "{codes:?}");
}

#[test]
fn limits_hold_for_all_files_together() {
    let part = format!("x: [{}]", vec!["1"; 600].join(","));
    let files = files(&[
        (
            "a.yaml",
            "openapi: 3.1.0\npaths: {/a: {$ref: b.yaml}, /b: {$ref: c.yaml}}",
        ),
        ("b.yaml", &part),
        ("c.yaml", &part),
    ]);
    let start = |limits: DocumentLimits| {
        let chosen = choose::one(files.clone(), Some("a.yaml"), &limits).unwrap();
        Assembly::start(chosen, &limits).map(drop)
    };
    assert!(start(limits()).is_ok());
    let few = DocumentLimits {
        nodes_max: 1_000,
        ..limits()
    };
    assert!(matches!(
        start(few),
        Err(DocumentError::Budget { what: "values", .. })
    ));
    let small = DocumentLimits {
        document_bytes_max: 2_000,
        ..limits()
    };
    assert!(matches!(start(small), Err(DocumentError::Budget { .. })));
}

/// `$self` of 3.2 is what relative references are relative to, whatever the file is called.
#[test]
fn a_document_says_where_it_is() {
    let files = files(&[
        (
            "entry.yaml",
            "openapi: 3.2.0\n$self: https://h.example/apis/main\ninfo: {title: T}\npaths: {/a: {get: {parameters: [{$ref: 'parts/p#/P'}, {$ref: 'https://h.example/apis/main#/components/parameters/Q'}]}}}\ncomponents: {parameters: {Q: {name: q, in: query, schema: {type: integer}}}}",
        ),
        (
            "other.yaml",
            "openapi: 3.2.0\n$self: https://h.example/apis/parts/p\nP: {name: p, in: query, schema: {$ref: '../main#/components/parameters/Q/schema'}}",
        ),
    ]);
    let chosen = SpecFiles {
        root: "entry.yaml".to_owned(),
        files,
        url: None,
    };
    // Only the other file itself says what it is called.
    let assembly = Assembly::start(chosen, &limits()).unwrap();
    let read = understand(assembly, &[], &limits()).unwrap();
    let names: Vec<_> = read.api.operations[0]
        .parameters
        .iter()
        .map(|p| &*p.name)
        .collect();
    assert_eq!(names, ["p", "q"], "{:#?}", read.api.findings);
}
