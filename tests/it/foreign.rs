//! Formats that are converted: golden files of the tools they become, what never leaves them, and
//! the corpora of their fuzz targets.

mod flow;

use std::fs;
use std::path::{Path, PathBuf};

use causeway::mcp::tool::define;
use causeway::openapi::bundle::Assembly;
use causeway::openapi::{DocumentError, DocumentLimits, deep, read, understand};
use serde_json::json;

/// Values that stand in the fixtures as credentials, or where nobody may see them.
const NEVER: &[&str] = &[
    "leaked",
    "correct horse",
    "hunter2",
    "staff-9f86d081884c7d65",
    "9f86d081884c7d659a2feaa0c55ad015",
    "wJalrXUtnFEMI",
    "/home/anna",
    "9999",
];

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/foreign");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "the fixtures were not found");
    paths
}

#[test]
fn fixtures_become_these_tools() {
    for path in fixtures() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = fs::read(&path).unwrap();
        let api = read(&bytes, &DocumentLimits::default()).unwrap();
        let defined = define(&api);
        let findings = [api.findings, defined.findings].concat();
        let told = json!({
            "title": api.title,
            "schemes": api.security_schemes,
            "tools": defined.tools,
            "findings": findings,
        });
        let text = told.to_string();
        for secret in NEVER {
            assert!(!text.contains(secret), "{name} lets {secret} through");
        }
        insta::with_settings!({ snapshot_path => "snapshots/foreign", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_json_snapshot!(name, told);
        });
    }
}

#[test]
fn what_is_kept_has_no_secret_and_gives_the_same_tools() {
    let limits = DocumentLimits::default();
    for path in fixtures() {
        let bytes = fs::read(&path).unwrap();
        let understood = deep(|| {
            let assembly = Assembly::single(&bytes, &limits).unwrap();
            understand(assembly, &[], &limits).unwrap()
        });
        let kept = understood.made.unwrap();
        let text = String::from_utf8(kept.clone()).unwrap();
        for secret in NEVER {
            assert!(!text.contains(secret), "{path:?}: {secret} is kept");
        }
        let tools = |api| {
            let tools = define(&api).tools.into_iter();
            let shown = tools.map(|tool| (tool.name.to_string(), tool.input_schema));
            shown.collect::<Vec<_>>()
        };
        let again = read(&kept, &limits).unwrap();
        assert_eq!(tools(understood.api), tools(again), "{path:?}");
    }
}

#[test]
fn every_prefix_of_a_fixture_is_read_or_refused() {
    for path in fixtures() {
        let bytes = fs::read(&path).unwrap();
        let step = bytes.len() / 60 + 1;
        for end in (0..bytes.len()).step_by(step) {
            let limits = DocumentLimits {
                operations_max: 50,
                ..DocumentLimits::default()
            };
            match read(&bytes[..end], &limits) {
                Ok(api) => assert!(!api.operations.is_empty()),
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        }
    }
}

#[test]
fn more_requests_than_operations_are_allowed_are_refused() {
    let limits = DocumentLimits {
        operations_max: 2,
        ..DocumentLimits::default()
    };
    for path in fixtures() {
        let refused = read(&fs::read(&path).unwrap(), &limits).unwrap_err();
        assert!(
            matches!(refused, DocumentError::Budget { limit: 2, .. }),
            "{path:?}: {refused}"
        );
    }
}

#[test]
fn the_fuzz_corpora_are_read_or_refused() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut seeds = 0;
    for folder in ["postman", "har", "curl", "higress"] {
        for entry in fs::read_dir(corpus.join(folder)).unwrap() {
            let bytes = fs::read(entry.unwrap().path()).unwrap();
            if let Ok(api) = read(&bytes, &DocumentLimits::default()) {
                assert!(!api.operations.is_empty());
                define(&api);
            }
            seeds += 1;
        }
    }
    assert!(seeds >= 12, "the corpora were not found");
}
