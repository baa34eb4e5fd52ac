//! Text becomes words that can be compared: lower case, names split into what they are made of,
//! English reduced to stems, Chinese and Japanese in pairs of characters.

use std::collections::HashSet;
use std::sync::LazyLock;

/// A piece of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// A word of an alphabet, lower case.
    Letters(String),
    /// A run of characters that is not divided by spaces.
    East(String),
}

/// Words of questions and descriptions that say nothing of the matter.
const STOPS: &str = "a about am an and any are as at be been being but by can could did do does \
    doing done each etc every for from had has have he her here hers him his how i if in into is it \
    its just let like may me might must my need no not of off on onto or our out over own per please \
    shall she should so some such than that the their them then there these they this those thus to \
    too up us use used using via want was we were what when where which while who whom why will with \
    would yes yet you your s t ll re ve m d";

static STOP: LazyLock<HashSet<&str>> = LazyLock::new(|| STOPS.split_whitespace().collect());

/// Whether a word is only grammar.
pub fn is_stop(word: &str) -> bool {
    STOP.contains(word)
}

/// The words of `text`, in order.
pub fn words(text: &str) -> Vec<Word> {
    let mut found = Vec::new();
    let mut word = String::new();
    let mut east = String::new();
    let characters: Vec<char> = text.chars().collect();
    for (at, &character) in characters.iter().enumerate() {
        if is_east(character) {
            flush(&mut word, &mut found, Word::Letters);
            east.push(character);
            continue;
        }
        flush(&mut east, &mut found, Word::East);
        if !character.is_alphanumeric() {
            flush(&mut word, &mut found, Word::Letters);
            continue;
        }
        let before = at.checked_sub(1).map(|at| characters[at]);
        if starts_word(before, character, characters.get(at + 1).copied()) {
            flush(&mut word, &mut found, Word::Letters);
        }
        word.extend(character.to_lowercase());
    }
    flush(&mut word, &mut found, Word::Letters);
    flush(&mut east, &mut found, Word::East);
    found
}

fn flush(text: &mut String, found: &mut Vec<Word>, make: fn(String) -> Word) {
    if !text.is_empty() {
        found.push(make(std::mem::take(text)));
    }
}

/// `petId`, `HTTPServer`, `v2beta`: a word begins at a capital after a small letter, at a capital
/// before a small letter within capitals, and at a letter after digits.
fn starts_word(before: Option<char>, character: char, after: Option<char>) -> bool {
    let Some(before) = before.filter(|c| c.is_alphanumeric()) else {
        return false;
    };
    let small_follows = after.is_some_and(char::is_lowercase);
    character.is_uppercase() && (before.is_lowercase() || before.is_uppercase() && small_follows)
        || before.is_ascii_digit() && character.is_alphabetic() && !small_follows
}

fn is_east(character: char) -> bool {
    matches!(character,
        '\u{3005}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{2fa1f}')
}

/// Each two neighbours of a run; the run itself where it is one character.
pub fn pairs(run: &str) -> Vec<String> {
    let characters: Vec<char> = run.chars().collect();
    if characters.len() < 2 {
        return vec![run.to_owned()];
    }
    characters.windows(2).map(String::from_iter).collect()
}

/// What English endings leave of a word. Other words mostly stay as they are.
pub fn stem(word: &str) -> String {
    let mut stem = word.to_owned();
    if !word.is_ascii() || word.len() < 4 || word.bytes().any(|b| b.is_ascii_digit()) {
        return stem;
    }
    if let Some(head) = stem.strip_suffix("ies") {
        stem = format!("{head}y");
    } else if ["sses", "ches", "shes", "xes", "zes"]
        .iter()
        .any(|end| stem.ends_with(end))
    {
        stem.truncate(stem.len() - 2);
    } else if stem.ends_with('s') && !["ss", "us", "is"].iter().any(|end| stem.ends_with(end)) {
        stem.pop();
    }
    for (end, left_min) in [("ing", 3), ("ed", 3), ("ment", 3), ("ly", 4), ("ion", 4)] {
        let head = stem.strip_suffix(end).filter(|head| head.len() >= left_min);
        let Some(head) = head.filter(|head| end != "ion" || head.ends_with(['t', 's'])) else {
            continue;
        };
        let left = undoubled(head).len();
        stem.truncate(left);
        break;
    }
    if stem.len() > 5 && stem.ends_with("ll") {
        stem.pop();
    }
    match stem.strip_suffix('e') {
        Some(head) if head.len() >= 3 => head.to_owned(),
        _ => stem,
    }
}

/// `runn` of `running` is `run`, `call` of `calling` stays.
fn undoubled(head: &str) -> &str {
    let bytes = head.as_bytes();
    let doubled = bytes.len() > 3 && bytes[bytes.len() - 1] == bytes[bytes.len() - 2];
    if doubled && !head.ends_with(['l', 's', 'z']) {
        &head[..head.len() - 1]
    } else {
        head
    }
}

#[cfg(test)]
mod tests {
    use crate::search::words::{Word, pairs, stem, words};

    #[test]
    fn names_are_made_of_words() {
        let letters = |text: &str| -> Vec<String> {
            let words = words(text).into_iter();
            words
                .map(|word| match word {
                    Word::Letters(word) | Word::East(word) => word,
                })
                .collect()
        };
        assert_eq!(letters("getPetById"), ["get", "pet", "by", "id"]);
        assert_eq!(
            letters("HTTPServer_list-all"),
            ["http", "server", "list", "all"]
        );
        assert_eq!(
            letters("查询图书list图书 Größe"),
            ["查询图书", "list", "图书", "größe"]
        );
        assert_eq!(pairs("查询图书"), ["查询", "询图", "图书"]);
    }

    #[test]
    fn forms_of_a_word_share_their_stem() {
        for forms in [
            ["create", "creates", "created", "creating"],
            ["deploy", "deployed", "deployment", "deploys"],
            ["query", "queries", "query", "query"],
            ["cancel", "cancels", "canceling", "canceled"],
            ["stop", "stopping", "stopped", "stops"],
        ] {
            let stems: Vec<String> = forms.iter().map(|form| stem(form)).collect();
            assert!(stems.iter().all(|s| *s == stems[0]), "{stems:?}");
        }
        for word in ["status", "class", "api", "this"] {
            assert_eq!(stem(word), word);
        }
    }
}
