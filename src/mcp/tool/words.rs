//! Descriptions within a budget, trimmed by what a sentence is worth and not where it stands.
//!
//! The first sentence stays whatever happens. Then come sentences that say what has to be, what may
//! be and in which unit; then the rest; examples last. Markup, links to documentation, phrases every
//! description has and what was said already are left out even where there is room.

use std::collections::HashSet;

use crate::mcp::tool::markup::{Line, LineKind, lines};
use crate::mcp::tool::text::{clean, shorten};

/// Words of a sentence a model needs to fill in an argument rightly.
const NEEDED: [&str; 46] = [
    "must",
    "require",
    "only",
    "cannot",
    "can't",
    "may not",
    "at least",
    "at most",
    "maximum",
    "minimum",
    "default",
    "unit",
    "format",
    "iso",
    "utc",
    "rfc",
    "one of",
    "comma",
    "separated",
    "limit",
    "between",
    "either",
    "optional",
    "allowed",
    "valid",
    "either",
    "seconds",
    "millisecond",
    "minutes",
    "bytes",
    "percent",
    "cents",
    "timezone",
    "timestamp",
    "epoch",
    "unix",
    "characters",
    "wildcard",
    "case-sensitive",
    "ascending",
    "descending",
    "irreversible",
    "permanent",
    "必须",
    "必填",
    "默认",
];

/// How a sentence begins that leads elsewhere.
const ELSEWHERE: [&str; 17] = [
    "see ",
    "see also",
    "for more",
    "for additional",
    "for further",
    "for details",
    "learn more",
    "read more",
    "more information",
    "more details",
    "refer to",
    "please refer",
    "please see",
    "click ",
    "visit ",
    "check out",
    "documentation:",
];

const EXAMPLES: [&str; 6] = [
    "for example",
    "e.g.",
    "example:",
    "for instance",
    "such as",
    "例如",
];

/// Less room than this holds nothing worth reading.
const USEFUL_BYTES_MIN: usize = 24;

struct Sentence {
    text: String,
    worth: u8,
    /// Which line it stands on.
    line: usize,
}

/// What of `text` is worth telling within `bytes_max`. `told` is what the reader knows already.
pub fn digest(text: &str, told: &[&str], bytes_max: usize) -> String {
    if bytes_max < USEFUL_BYTES_MIN {
        return String::new();
    }
    let mut seen: HashSet<String> = told.iter().map(|text| key(text)).collect();
    let opens = told.iter().all(|text| text.is_empty());
    let mut sentences = Vec::new();
    for (at, line) in lines(&clean(text)).iter().enumerate() {
        for sentence in split(&line.text) {
            let worth = worth(sentence, line, opens && sentences.is_empty());
            if worth > 0 && seen.insert(key(sentence)) {
                sentences.push(Sentence {
                    text: sentence.split_whitespace().collect::<Vec<_>>().join(" "),
                    worth,
                    line: at,
                });
            }
        }
    }
    write(&sentences, bytes_max)
}

/// The first sentence of a text.
pub fn first_sentence(text: &str) -> &str {
    let line = text.lines().next().unwrap_or_default();
    split(line).into_iter().next().unwrap_or_default()
}

/// Sentences compared by their letters and digits.
fn key(text: &str) -> String {
    let letters = text.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

/// Whether a description says more than the name it describes.
pub fn adds_to(text: &str, name: &str) -> bool {
    const FILLERS: [&str; 14] = [
        "the", "a", "an", "of", "for", "to", "this", "that", "is", "in", "on", "s", "your", "value",
    ];
    let name = key(name);
    text.split(|c: char| !c.is_alphanumeric())
        .map(key)
        .filter(|word| !word.is_empty())
        .any(|word| !FILLERS.contains(&word.as_str()) && !name.contains(&word))
}

fn worth(sentence: &str, line: &Line, first: bool) -> u8 {
    let lower = sentence.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let letters = sentence.chars().filter(|c| c.is_alphanumeric()).count();
    let is_link = lower.starts_with("http") && !lower.contains(' ');
    let leads = ELSEWHERE.iter().any(|phrase| lower.starts_with(phrase));
    if letters == 0 || is_link || line.kind == LineKind::Heading && !first {
        return 0;
    }
    if leads && !first && sentence.len() <= 200 {
        return 0;
    }
    match line.kind {
        _ if first => 4,
        LineKind::Literal => 1,
        _ if says(&NEEDED) => 3,
        _ if says(&EXAMPLES) => 1,
        _ => 2,
    }
}

/// Cut after `.`, `!` or `?` before a space and something that begins a sentence, and after the full
/// stops of Chinese and Japanese.
fn split(line: &str) -> Vec<&str> {
    let mut sentences = Vec::new();
    let mut start = 0;
    for (at, character) in line.char_indices() {
        let end = at + character.len_utf8();
        let rest = &line[end..];
        let stops = match character {
            '。' | '！' | '？' => true,
            '.' | '!' | '?' => {
                let begins = rest.trim_start().chars().next();
                let word = line[start..at].rsplit(' ').next().unwrap_or_default();
                rest.starts_with(' ')
                    && begins.is_some_and(|c| !c.is_lowercase() && !c.is_ascii_punctuation())
                    && !matches!(word, "e.g" | "i.e" | "etc" | "vs" | "No" | "no")
            }
            _ => false,
        };
        if stops {
            sentences.push(line[start..end].trim());
            start = end;
        }
    }
    sentences.push(line[start..].trim());
    sentences.retain(|sentence| !sentence.is_empty());
    sentences
}

/// The sentences worth most that fit, in the order they were written.
fn write(sentences: &[Sentence], bytes_max: usize) -> String {
    let mut chosen = vec![false; sentences.len()];
    let mut left = bytes_max;
    for worth in (1..=4).rev() {
        for (at, sentence) in sentences.iter().enumerate() {
            if sentence.worth == worth && sentence.text.len() < left {
                chosen[at] = true;
                left -= sentence.text.len() + 1;
            }
        }
    }
    let mut out = String::new();
    let mut line = None;
    for (sentence, _) in sentences.iter().zip(&chosen).filter(|(_, chosen)| **chosen) {
        if let Some(line) = line {
            out.push(if line == sentence.line { ' ' } else { '\n' });
        }
        out.push_str(&sentence.text);
        line = Some(sentence.line);
    }
    match sentences.first() {
        // The first sentence alone is too long.
        Some(first) if !chosen[0] => shorten(&first.text, bytes_max),
        _ => out,
    }
}

#[cfg(test)]
mod tests {
    use crate::mcp::tool::words::{adds_to, digest, first_sentence};

    #[test]
    fn what_a_model_needs_outlives_what_it_does_not() {
        let text = "Creates an order. This is a wonderful thing that many of our customers like. \
                    For example, order a book. The amount must be in cents. See the guide for more.";
        assert_eq!(
            digest(text, &[], 60),
            "Creates an order. The amount must be in cents."
        );
        let all = digest(text, &[], 1_000);
        assert!(all.contains("wonderful") && all.contains("For example") && !all.contains("See"));
    }

    #[test]
    fn what_was_said_is_not_said_again() {
        let text = "List all books\n\nList all books.\n# Notes\nhttps://x.example/docs\nSorted.";
        assert_eq!(digest(text, &[], 500), "List all books\nSorted.");
        assert_eq!(digest(text, &["List all books."], 500), "Sorted.");
        assert!(!adds_to("The ID of the pet.", "petId"));
        assert!(adds_to("The ID of the pet, at most 20.", "petId"));
    }

    #[test]
    fn sentences_end_where_they_end() {
        assert_eq!(
            first_sentence("Use v1.2 e.g. Now. Then."),
            "Use v1.2 e.g. Now."
        );
        assert_eq!(first_sentence("查询图书。返回列表。"), "查询图书。");
        assert!(digest(&"word ".repeat(100), &[], 30).len() <= 30);
    }
}
