//! The message catalogs: every text a page asks for is there in every language, and says nothing a
//! page may not hold.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use regex::Regex;

/// Key to text, as the file has it.
fn catalog(name: &str) -> BTreeMap<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("locales")
        .join(name);
    let text = fs::read_to_string(path).unwrap();
    let parsed = fluent_bundle::FluentResource::try_new(text.clone());
    assert!(
        parsed.is_ok(),
        "{name}: {:?}",
        parsed.err().map(|(_, errors)| errors)
    );
    let start = Regex::new(r"^([a-z][a-z0-9-]*) = ?").unwrap();
    let mut messages: BTreeMap<String, String> = BTreeMap::new();
    let mut current = None;
    for line in text.lines() {
        if let Some(found) = start.captures(line) {
            let key = found[1].to_owned();
            let before = messages.insert(key.clone(), line[found[0].len()..].to_owned());
            assert_eq!(before, None, "{name}: {key} is there twice");
            current = Some(key);
        } else if line.starts_with([' ', '}']) {
            let key = current.clone().expect("a continued line follows a message");
            let message = messages.get_mut(&key).unwrap();
            message.push('\n');
            message.push_str(line);
        } else {
            assert!(line.is_empty() || line.starts_with('#'), "{name}: {line}");
        }
    }
    messages
}

/// Every text of the sources that may name a key.
fn sources(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path
            .extension()
            .is_some_and(|it| it == "rs" || it == "html")
        {
            into.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

fn variables(text: &str) -> BTreeSet<String> {
    let name = Regex::new(r"\$([a-zA-Z]+)").unwrap();
    name.captures_iter(text)
        .map(|it| it[1].to_owned())
        .collect()
}

#[test]
fn every_message_is_there_in_every_language_and_used() {
    let (english, chinese) = (catalog("en.ftl"), catalog("zh-CN.ftl"));
    let keys =
        |catalog: &BTreeMap<String, String>| catalog.keys().cloned().collect::<BTreeSet<_>>();
    let missing: Vec<_> = keys(&english)
        .symmetric_difference(&keys(&chinese))
        .cloned()
        .collect();
    assert!(missing.is_empty(), "in one language only: {missing:?}");
    for (key, text) in &english {
        assert_eq!(
            variables(text),
            variables(&chinese[key]),
            "arguments of {key}"
        );
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    sources(&root.join("src"), &mut text);
    sources(&root.join("templates"), &mut text);
    let asked = Regex::new(r#"\bsay\(\s*"([a-z0-9-]+)""#).unwrap();
    let unknown: BTreeSet<_> = asked
        .captures_iter(&text)
        .map(|it| it[1].to_owned())
        .filter(|key| !english.contains_key(key))
        .collect();
    assert!(unknown.is_empty(), "no such messages: {unknown:?}");
    let unused: Vec<_> = english
        .keys()
        .filter(|key| !text.contains(&format!("\"{key}\"")))
        .collect();
    assert!(unused.is_empty(), "nothing asks for {unused:?}");
}

#[test]
fn messages_hold_text_and_little_else() {
    let tag = Regex::new(r#"</?(code|b|em|kbd)>|<a href="\{ \$[a-z]+ \}">|</a>|<br>"#).unwrap();
    let placeable = Regex::new(r#"(?s)\{ \$[^{}]*?(\{[^{}]*\}[^{}]*?)*\}|\{ "" \}"#).unwrap();
    for name in ["en.ftl", "zh-CN.ftl"] {
        for (key, text) in catalog(name) {
            let text = tag.replace_all(&text, "").into_owned();
            let plain = placeable.replace_all(&text, "");
            assert!(
                !plain.contains(['<', '>', '"']),
                "{name}: {key} holds markup that a message may not, or a straight quote: {plain}"
            );
        }
    }
}

/// Names that are the same in every language, and examples of what is entered.
const NAMES: [&str; 9] = [
    "Causeway",
    "· Causeway",
    "Anthropic",
    "Gemini",
    "https://api.example.com",
    "https://api.example.com/v1",
    "openapi: 3.1.0",
    "sub",
    "10.0.0.5:8080",
];

#[test]
fn a_template_holds_no_sentence_and_no_address_of_its_own() {
    let said = Regex::new(r"(?s)\{\{.*?\}\}").unwrap();
    let flow = Regex::new(r"(?s)\{%.*?%\}|\{#.*?#\}").unwrap();
    let text = Regex::new(r">([^<]*)<").unwrap();
    let shown =
        Regex::new(r#"(?:title|placeholder|aria-label|alt|label|data-label|content)="([^"]*)""#)
            .unwrap();
    let own = Regex::new(r#"(?:href|action|src|hx-get)="(/[^"]*)""#).unwrap();
    let settings = Regex::new("<meta [^>]*>").unwrap();
    let letters = Regex::new(r"\p{L}{2}").unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let source = fs::read_to_string(&path).unwrap();
        let source = flow.replace_all(&source, "");
        // What is said in a page is not what its template says; it keeps its place all the same.
        let source = said.replace_all(&source, "…");
        let source = settings.replace_all(&source, "");
        let texts = text.captures_iter(&source).map(|it| it[1].to_owned());
        let attributes = shown.captures_iter(&source).map(|it| it[1].to_owned());
        let literal: Vec<String> = texts
            .chain(attributes)
            .map(|text| text.trim().to_owned())
            .filter(|text| {
                letters.is_match(text) && !NAMES.contains(&text.replace("… ", "").as_str())
            })
            .collect();
        assert!(literal.is_empty(), "{}: {literal:?}", path.display());
        let addresses: Vec<_> = own.find_iter(&source).map(|it| it.as_str()).collect();
        assert!(addresses.is_empty(), "{}: {addresses:?}", path.display());
    }
}

#[test]
fn a_reader_of_chinese_meets_no_english_sentence() {
    let served = crate::pages::serve();
    let cookie = format!("{}; causeway-language=zh-CN", served.sign_in());
    let sentences: Vec<String> = catalog("en.ftl")
        .into_values()
        .filter(|text| !text.contains(['{', '<', '\n']) && text.split(' ').count() >= 3)
        .collect();
    for path in [
        "/",
        "/?q=nothing-has-this",
        "/login",
        "/login?token=0",
        "/keys",
        "/publish",
        "/servers/petstore",
        "/servers/petstore/tools",
        "/servers/petstore/tools?q=nothing-has-this",
        "/servers/petstore/review",
        "/servers/petstore/connect",
        "/servers/petstore/connect/status",
        "/servers/petstore/health",
        "/servers/petstore/versions?compare=1",
        "/servers/petstore/report",
        "/servers/petstore/settings",
        "/admin/plans",
        "/admin/consumers",
        "/admin/providers",
        "/admin/provider-kinds",
        "/admin/provider-kinds/ollama",
        "/admin/models",
        "/servers/petstore/tools/listPets",
        "/servers/nothing",
    ] {
        let page = served.get(path, &cookie);
        assert!(page.contains("<html lang=\"zh-CN\">"), "{path}: {page}");
        for sentence in &sentences {
            assert!(!page.contains(sentence.as_str()), "{path}: {sentence}");
        }
    }
}
