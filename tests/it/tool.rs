//! Tools made from documents: golden files for our own examples, invariants for real documents.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use causeway::mcp::tool::shrink::TOOL_TOKENS_MAX;
use causeway::mcp::tool::{Defined, Tool, ToolDef, define, name};
use causeway::openapi::{self, Api, DocumentLimits, PathPiece, Severity};
use serde_json::Value;

fn documents(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|e| e == "yaml" || e == "json" || e == "yml")
        })
        .collect();
    files.sort();
    files
}

fn read(path: &Path) -> Option<(Api, Defined)> {
    let bytes = std::fs::read(path).unwrap();
    let api = openapi::read(&bytes, &DocumentLimits::default()).ok()?;
    let defined = define(&api);
    Some((api, defined))
}

#[test]
fn examples_become_these_tools() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("specs-examples");
    for path in documents(&folder) {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let Some((_, defined)) = read(&path) else {
            continue;
        };
        let again = read(&path).unwrap().1;
        assert_eq!(
            serde_json::to_string(&defined.tools).unwrap(),
            serde_json::to_string(&again.tools).unwrap(),
            "{name}: two runs differ"
        );
        insta::with_settings!({ snapshot_path => "snapshots/tools", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_json_snapshot!(name, serde_json::json!({
                "tools": defined.tools,
                "findings": defined.findings,
            }));
        });
    }
}

#[test]
fn tools_of_real_documents_are_valid_everywhere() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/specs");
    if !folder.is_dir() {
        // The real documents lie beside the checkout and are not part of it.
        assert!(
            std::env::var_os("CI").is_none(),
            "{} is missing",
            folder.display()
        );
        return;
    }
    let mut lines = Vec::new();
    for path in documents(&folder) {
        let Some((_, defined)) = read(&path) else {
            continue;
        };
        let document = path.file_name().unwrap().to_string_lossy().into_owned();
        let lost = defined
            .findings
            .iter()
            .filter(|f| f.severity == Severity::Lost)
            .count();
        lines.push(format!(
            "# {document}: {} tools, {lost} lost",
            defined.tools.len()
        ));
        let mut names = HashSet::new();
        for tool in defined.tools {
            assert!(
                names.insert(tool.name.clone()),
                "{document}: {} twice",
                tool.name
            );
            lines.push(line(&tool));
            check(&document, tool);
        }
    }
    insta::with_settings!({ snapshot_path => "snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("real_documents", lines.join("\n"));
    });
}

/// How large the entries of the tools of some documents are.
struct Sizes {
    tools: usize,
    bytes: usize,
    largest: (usize, String),
    tokens: usize,
}

fn sizes(folder: &Path) -> Sizes {
    let mut sizes = Sizes {
        tools: 0,
        bytes: 0,
        largest: (0, String::new()),
        tokens: 0,
    };
    for path in documents(folder) {
        let Some((_, defined)) = read(&path) else {
            continue;
        };
        for def in defined.tools {
            let name = format!("{}: {}", path.display(), def.name);
            let (tool, _) = Tool::compile(def);
            let entry = tool.fragments.usual().json.get();
            sizes.tools += 1;
            sizes.bytes += entry.len();
            sizes.tokens += tool.fragments.tokens();
            sizes.largest = sizes.largest.max((entry.len(), name));
            let tokens = tool.fragments.tokens();
            assert!(
                tokens <= TOOL_TOKENS_MAX * 6 / 5,
                "{tokens} tokens: {:?}",
                sizes.largest
            );
            let listed: Value = serde_json::from_str(entry).unwrap();
            references_are_local(&listed["inputSchema"], &listed["inputSchema"], "listed");
            if let Some(output) = listed.get("outputSchema") {
                references_are_local(output, output, "listed");
            }
        }
    }
    sizes
}

#[test]
fn entries_in_a_list_are_small() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["specs-examples", "../shared/specs"] {
        // The real documents lie beside the checkout and are not part of it.
        if !root.join(folder).is_dir() {
            continue;
        }
        let sizes = sizes(&root.join(folder));
        let mean = sizes.bytes / sizes.tools;
        println!(
            "{folder}: {} tools, {mean} bytes and {} tokens each, the largest {:?}",
            sizes.tools,
            sizes.tokens / sizes.tools,
            sizes.largest
        );
        assert!(mean <= 1_200, "{folder}: {mean} bytes a tool");
        assert!(sizes.largest.0 <= 16 << 10, "{:?}", sizes.largest);
    }
}

/// Name, arguments, size and hash: enough to see that a tool changed.
#[test]
fn a_method_of_hyphens_at_the_root_has_a_name() {
    let document = r#"{"openapi": "3.2.0", "info": {"title": "t", "version": "1"}, "paths": {"/": {
        "additionalOperations": {"-": {"responses": {}}, "--": {"responses": {}}}}}}"#;
    let api = openapi::read(document.as_bytes(), &DocumentLimits::default()).unwrap();
    let names = define(&api)
        .tools
        .into_iter()
        .map(|tool| tool.name.to_string());
    let names: Vec<String> = names.collect();
    assert_eq!(names[0], "operation");
    assert!(names[1].starts_with("operation_"), "{names:?}");
}

fn line(tool: &ToolDef) -> String {
    let arguments: Vec<&str> = tool.input_schema["properties"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let text = serde_json::to_string(tool).unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    format!(
        "{} ({}) {} {}",
        tool.name,
        arguments.join(", "),
        text.len(),
        &hex::encode(digest.as_ref())[..8]
    )
}

fn check(document: &str, def: ToolDef) {
    let what = format!("{document}: {}", def.name);
    assert!(
        def.name.as_str().len() <= 40 && !def.name.as_str().contains("__"),
        "{what}"
    );
    for schema in [Some(&def.input_schema), def.output_schema.as_ref()]
        .into_iter()
        .flatten()
    {
        assert_eq!(schema["type"], "object", "{what}");
        for key in ["oneOf", "anyOf", "allOf", "not"] {
            assert!(schema.get(key).is_none(), "{what}: {key} at the root");
        }
        references_are_local(schema, schema, &what);
    }
    for key in def.input_schema["properties"].as_object().unwrap().keys() {
        assert!(name::is_argument(key), "{what}: {key}");
    }
    assert!(
        def.input_schema.to_string().len() <= 32 << 10,
        "{what}: too large"
    );
    let bound: HashSet<&str> = def
        .binding
        .parameters
        .iter()
        .map(|p| p.name.as_str())
        .collect();
    for piece in &def.binding.path.pieces {
        if let PathPiece::Variable(variable) = piece {
            assert!(
                bound.contains(variable.as_str()),
                "{what}: {variable} is not bound"
            );
        }
    }
    let (tool, findings) = Tool::compile(def);
    assert!(tool.input.is_some(), "{what}: {findings:?}");
    assert!(
        tool.output.is_some() || tool.def.output_schema.is_none(),
        "{what}: {findings:?}"
    );
}

fn references_are_local(root: &Value, schema: &Value, what: &str) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::String(target)) = object.get("$ref") {
                let found = target
                    .strip_prefix('#')
                    .and_then(|pointer| root.pointer(pointer));
                assert!(found.is_some(), "{what}: {target} leads nowhere");
            }
            object
                .values()
                .for_each(|value| references_are_local(root, value, what));
        }
        Value::Array(members) => members
            .iter()
            .for_each(|m| references_are_local(root, m, what)),
        _ => {}
    }
}
