//! House rules as a test: layers, sizes, names. The table is the one ARCHITECTURE.md describes.
//! And what went wrong with others: each of it has a test that says so.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Module path prefix, rank. The longest matching prefix wins. A module may use its own rank and
/// lower ones.
const RANKS: &[(&str, u8)] = &[
    ("types", 0),
    ("events", 1),
    ("openapi", 1),
    ("search", 1),
    ("tokens", 1),
    ("llm", 1),
    ("llm::answer", 1),
    ("llm::arm", 1),
    ("llm::canary", 1),
    ("llm::chat", 1),
    ("llm::codec", 1),
    ("llm::count", 1),
    ("llm::dialect", 1),
    ("llm::fault", 1),
    ("llm::fields", 1),
    ("llm::frame", 1),
    ("llm::load", 1),
    ("llm::multipart", 1),
    ("llm::names", 1),
    ("llm::prefix", 1),
    ("llm::price", 1),
    ("llm::provider", 1),
    ("llm::question", 1),
    ("llm::relay", 1),
    ("llm::route", 1),
    ("llm::sign", 1),
    ("llm::splice", 1),
    ("llm::standing", 1),
    ("llm::strategy", 1),
    ("llm::usage", 1),
    ("llm::access_token", 3),
    ("llm::veil", 1),
    ("llm::vocabulary", 1),
    ("llm::settings", 3),
    ("llm::live", 3),
    ("llm::meter", 3),
    ("llm::account", 4),
    ("llm::bodies", 4),
    ("llm::choice", 4),
    ("llm::elsewhere", 4),
    ("llm::exact", 4),
    ("llm::exchange", 4),
    ("llm::forward", 4),
    ("llm::health", 4),
    ("llm::kept", 4),
    ("llm::pieces", 4),
    ("llm::probe", 4),
    ("llm::proxy", 4),
    ("llm::reserve", 4),
    ("llm::rollback", 4),
    ("llm::shadow", 4),
    ("llm::signed", 4),
    ("llm::stream", 4),
    ("llm::through", 4),
    ("llm::watch", 4),
    ("llm::endpoint", 6),
    ("mcp::tool", 1),
    ("mcp::plan", 1),
    ("mcp::content", 1),
    ("mcp::confirm", 1),
    ("mcp::curation", 1),
    ("mcp::diff", 1),
    ("mcp::lint", 1),
    ("mcp::fragment", 1),
    ("mcp::paging", 1),
    ("mcp::template", 1),
    ("mcp::provider", 1),
    ("credential", 1),
    ("policy", 3),
    ("config", 2),
    ("egress", 2),
    ("jq", 2),
    ("store", 2),
    ("telemetry", 3),
    ("mcp::server", 3),
    ("mcp::watch", 3),
    ("access", 3),
    ("answers", 3),
    ("live", 3),
    ("mcp::publish", 4),
    ("mcp::sync", 4),
    ("mcp::probes", 4),
    ("mcp::versions", 4),
    ("mcp::call", 4),
    ("market::catalog", 4),
    ("extract", 6),
    ("problem", 5),
    ("mcp::endpoint", 6),
    ("market", 6),
    ("demo", 6),
    ("app", 7),
    ("router", 7),
    ("cli", 7),
    ("lib", 8),
    ("main", 8),
];

/// Words a module's code must not contain, below and at a rank: (highest rank, words).
const FORBIDDEN: &[(u8, &[&str])] = &[
    (
        1,
        &[
            "tokio::",
            "sqlx::",
            "reqwest::",
            "std::env",
            "axum::",
            "rmcp::",
        ],
    ),
    (4, &["axum::", "rmcp::", "askama::"]),
];

/// Words only some modules may contain: (word, module prefixes).
const ONLY_IN: &[(&str, &[&str])] = &[
    ("sqlx::", &["store"]),
    ("reqwest::", &["egress", "cli"]),
    ("hyper_util::client", &["egress"]),
    ("TcpStream::connect", &["egress", "cli"]),
    ("lookup_host", &["egress"]),
    // A peer in tests only.
    ("rmcp::", &[]),
];

const CODE_LINES_MAX: usize = 500;

/// Files that may be longer, with the reason. This list only shrinks.
const LONG_FILES: &[(&str, &str)] = &[];

/// What went wrong with others: a thread, two spaces, and what it was.
const KNOWN_BUGS: &str = include_str!("../data/known-bugs.txt");

const BANNED_FILE_NAMES: &[&str] = &["utils", "util", "helpers", "common", "misc", "mod"];

#[test]
fn modules_follow_the_layers() {
    let mut faults = Vec::new();
    for (path, text) in sources() {
        let module = module_of(&path);
        let rank = rank_of(&module);
        for (number, line) in code_lines(&text) {
            let fault = |rule: &str| format!("{}:{number}: {rule}", path.display());
            for used in crate_paths(line) {
                if rank_of(&used) > rank {
                    faults.push(fault(&format!("{module} (rank {rank}) uses crate::{used}")));
                }
            }
            for (highest, words) in FORBIDDEN {
                for word in words
                    .iter()
                    .filter(|w| rank <= *highest && line.contains(**w))
                {
                    faults.push(fault(&format!("{module} (rank {rank}) mentions {word}")));
                }
            }
            for (word, modules) in ONLY_IN {
                if line.contains(word) && !modules.iter().any(|m| module.starts_with(m)) {
                    faults.push(fault(&format!("only {modules:?} may mention {word}")));
                }
            }
            if line.contains("super::") {
                faults.push(fault("say crate::, not super::"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn files_are_short_and_say_why_they_exist() {
    let allowed: BTreeMap<_, _> = LONG_FILES.iter().copied().collect();
    let mut faults = Vec::new();
    for (path, text) in sources() {
        let name = path.to_string_lossy().replace('\\', "/");
        let lines = code_lines(&text).count();
        match allowed.get(name.as_str()) {
            None if lines > CODE_LINES_MAX => {
                faults.push(format!(
                    "{name}: {lines} code lines, at most {CODE_LINES_MAX}"
                ));
            }
            Some(_) if lines <= CODE_LINES_MAX => {
                faults.push(format!("{name} is short now: take it off LONG_FILES"));
            }
            _ => {}
        }
        if !text.starts_with("//!") {
            faults.push(format!("{name}: the first line is not a `//!` comment"));
        }
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        if BANNED_FILE_NAMES.contains(&stem.as_str()) {
            faults.push(format!("{name}: a file is named after what it holds"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_module_has_a_rank() {
    for (path, _) in sources() {
        let module = module_of(&path);
        assert!(
            RANKS
                .iter()
                .any(|(prefix, _)| matches_prefix(&module, prefix))
                || matches!(module.as_str(), "mcp"),
            "{module} is not in the layer table"
        );
    }
}

#[test]
fn every_known_bug_of_others_is_named_by_a_test() {
    let mut texts = texts("tests", &["rs", "py", "mjs"]);
    texts.extend(sources());
    let mut faults = Vec::new();
    for line in KNOWN_BUGS.lines().filter(|line| !line.starts_with('#')) {
        let (thread, what) = line.split_once("  ").unwrap_or((line, ""));
        if what.is_empty() {
            faults.push(format!("{line}: it does not say what went wrong"));
        }
        if !texts.iter().any(|(_, text)| names(text, thread)) {
            faults.push(format!("{thread}: no test names it"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Whether a text names this thread, and not one whose number only begins alike.
fn names(text: &str, thread: &str) -> bool {
    text.split(thread)
        .skip(1)
        .any(|rest| !rest.starts_with(|next: char| next.is_ascii_digit()))
}

fn sources() -> Vec<(PathBuf, String)> {
    let mut found = texts("src", &["rs"]);
    found.sort();
    assert!(found.len() > 20, "the source tree was not found");
    found
}

/// The files below a folder whose names end so. What is installed there is not ours.
fn texts(folder: &str, endings: &[&str]) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let own = path.extension().and_then(|ending| ending.to_str());
            if path.is_dir() {
                if !path.ends_with("node_modules") {
                    folders.push(path);
                }
            } else if own.is_some_and(|own| endings.contains(&own)) {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root).unwrap().to_owned(), text));
            }
        }
    }
    found
}

/// Lines before the tests, without comments; numbered from 1.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line))
        .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

fn module_of(path: &Path) -> String {
    let text = path
        .with_extension("")
        .to_string_lossy()
        .replace(['/', '\\'], "::");
    text.trim_start_matches("src::").to_owned()
}

fn crate_paths(line: &str) -> impl Iterator<Item = String> {
    line.match_indices("crate::").map(|(at, _)| {
        line[at + "crate::".len()..]
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_' || *c == ':')
            .collect::<String>()
    })
}

fn matches_prefix(module: &str, prefix: &str) -> bool {
    module
        .strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn rank_of(module: &str) -> u8 {
    RANKS
        .iter()
        .filter(|(prefix, _)| matches_prefix(module, prefix))
        .max_by_key(|(prefix, _)| prefix.len())
        .map_or(0, |(_, rank)| *rank)
}
