//! The kinds of findings are documented, advised upon and used.

use std::collections::BTreeSet;
use std::fs;

use causeway::openapi::finding::Code;
use causeway::openapi::{DocumentError, DocumentLimits};

use crate::openapi::{examples, repository};

#[test]
fn every_code_is_documented() {
    let page = fs::read_to_string(repository().join("docs/openapi.md")).unwrap();
    let documented: Vec<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| line.split_once("` | "))
        .map(|(code, rest)| format!("{code} {}", rest.split(' ').next().unwrap()))
        .collect();
    let known: Vec<String> = Code::ALL
        .iter()
        .map(|code| {
            let severity = serde_json::to_value(code.severity()).unwrap();
            format!("{} {}", code.word(), severity.as_str().unwrap())
        })
        .collect();
    assert_eq!(documented, known);
}

#[test]
fn codes_are_distinct_and_in_kebab_case() {
    let mut seen = BTreeSet::new();
    for code in Code::ALL {
        let word = code.word();
        let kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(word.chars().all(kebab), "{word}");
        assert!(seen.insert(word), "{word} is there twice");
        assert!(code.fix().ends_with('.'), "{word} advises in a sentence");
    }
}

/// A kind of finding that no document of ours can cause would be a kind nobody has seen work.
#[test]
fn the_examples_cause_almost_every_kind() {
    // Tried in `rules` and `hostile`, those of tools in `reported`, those of curations in
    // `curation`, and that of templates in `foreign`.
    const ELSEWHERE: [Code; 26] = [
        Code::ItemSchemaIgnored,
        Code::EncodingIgnored,
        Code::TagParentInvalid,
        Code::OverlayUnmatched,
        Code::JsonReadAsYaml,
        Code::FindingsTruncated,
        Code::TitleMissing,
        Code::PathsMissing,
        Code::MethodInvalid,
        Code::BodyDuplicate,
        Code::RefChainLong,
        Code::NullableIn31,
        Code::ParameterContent,
        Code::ServersMissing,
        Code::SchemeGuessed,
        Code::Strict30Truncated,
        Code::BodyMediaType,
        Code::BodyLeftOut,
        Code::SchemaNotChecked,
        Code::InputSchemaCut,
        Code::ServerUnresolvable,
        Code::TemplateInvalid,
        Code::CurationGone,
        Code::CurationArgumentGone,
        Code::CurationNameTaken,
        Code::CurationChoiceGone,
    ];
    let mut caused: BTreeSet<String> = ELSEWHERE.iter().map(|c| c.word().to_owned()).collect();
    let foreign = fs::read_dir(crate::openapi::repository().join("tests/data/foreign")).unwrap();
    let foreign = foreign.map(|entry| entry.unwrap().path());
    for path in examples().into_iter().chain(foreign) {
        let bytes = fs::read(&path).unwrap();
        let found = match causeway::openapi::read(&bytes, &DocumentLimits::default()) {
            Ok(api) => api.findings,
            Err(DocumentError::NoOperations { findings, .. }) => findings,
            Err(error) => unreachable!("{}: {error}", path.display()),
        };
        caused.extend(found.iter().map(|finding| finding.code.to_string()));
    }
    let missing: Vec<&str> = Code::ALL
        .iter()
        .map(|code| code.word())
        .filter(|word| !caused.contains(*word))
        .collect();
    assert_eq!(missing, [""; 0]);
}
