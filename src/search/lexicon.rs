//! What people say and what APIs call it, in English and Chinese: the ideas behind words.
//!
//! The words are data, in `lexicon.txt`. An idea is a line of it; words of one line find each other.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::search::words::{Word, is_stop, pairs, stem, words};

static BUILT_IN: LazyLock<Lexicon> = LazyLock::new(|| Lexicon::read(include_str!("lexicon.txt")));

/// Words and phrases by the ideas they stand for.
pub struct Lexicon {
    /// Stems joined by a space, or a run of Chinese, to the numbers of their lines.
    ideas: HashMap<String, Vec<u16>>,
    /// The first English words of each line.
    english: Vec<Vec<String>>,
}

/// One word of a text with everything it may mean: any of these terms stands for it.
#[derive(Clone, Debug)]
pub struct Meaning {
    /// Term and weight, the word itself first.
    pub terms: Vec<(String, f32)>,
    /// How it is said in English: the words as they are written, or those of the ideas that a run of
    /// Chinese stands for.
    pub said: Vec<String>,
}

/// Phrases have at most this many words, and this many characters in Chinese.
const PHRASE_WORDS_MAX: usize = 4;
const RUN_CHARACTERS_MAX: usize = 6;
/// How many phrases of a line, and how many lines, say in English what Chinese means.
const ENGLISH_PHRASES: usize = 4;
const ENGLISH_IDEAS: usize = 3;

/// How much an idea counts beside the word itself: more, because other words may say the same.
const IDEA: f32 = 1.2;
const PAIR: f32 = 0.6;

impl Lexicon {
    /// The words every server is searched with.
    pub fn built_in() -> &'static Self {
        &BUILT_IN
    }

    fn read(text: &str) -> Self {
        let mut ideas: HashMap<String, Vec<u16>> = HashMap::new();
        let mut english = Vec::new();
        let lines = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty());
        for (number, line) in lines.enumerate() {
            let number = u16::try_from(number).unwrap_or(u16::MAX);
            let phrases = line.split(',').take(ENGLISH_PHRASES);
            english.push(phrases.flat_map(plain).collect());
            for phrase in line.split(',') {
                let lines = ideas.entry(key(phrase)).or_default();
                if lines.last() != Some(&number) {
                    lines.push(number);
                }
            }
        }
        ideas.remove("");
        Self { ideas, english }
    }

    /// What the words of `text` mean, in order.
    pub fn meanings(&self, text: &str) -> Vec<Meaning> {
        let words = words(text);
        let stems: Vec<Option<String>> = words.iter().map(stem_of).collect();
        let mut found = Vec::new();
        let mut at = 0;
        while at < words.len() {
            match &words[at] {
                Word::East(run) => {
                    found.extend(self.run(run));
                    at += 1;
                }
                Word::Letters(word) => {
                    let (length, ideas) = self.phrase(&stems[at..]);
                    if length > 1 {
                        let said = words[at..at + length].iter().filter_map(letters);
                        found.push(meaning(None, ideas, said.collect()));
                    }
                    if length <= 1 && !(is_stop(word) && ideas.is_empty()) {
                        let own = stems[at].clone().filter(|_| !is_stop(word));
                        found.push(meaning(own, ideas, vec![word.clone()]));
                    }
                    at += length.max(1);
                }
            }
        }
        found
    }

    /// The longest phrase that words of these stems begin with, and its ideas.
    fn phrase(&self, stems: &[Option<String>]) -> (usize, &[u16]) {
        let mut phrase = String::new();
        let mut longest: (usize, &[u16]) = (0, &[]);
        for (at, stem) in stems.iter().take(PHRASE_WORDS_MAX).enumerate() {
            let Some(stem) = stem else { break };
            if at > 0 {
                phrase.push(' ');
            }
            phrase.push_str(stem);
            if let Some(ideas) = self.ideas.get(&phrase) {
                longest = (at + 1, ideas);
            }
        }
        longest
    }

    /// Chinese is not divided into words: at each place the longest known one is taken. What is not
    /// known is compared in pairs.
    fn run(&self, run: &str) -> Vec<Meaning> {
        let characters: Vec<char> = run.chars().collect();
        let mut found = Vec::new();
        let mut at = 0;
        let mut unknown = String::new();
        while at < characters.len() {
            let longest = RUN_CHARACTERS_MAX.min(characters.len() - at);
            let known = (1..=longest).rev().find_map(|length| {
                let text = String::from_iter(&characters[at..at + length]);
                let ideas = self.ideas.get(&text)?;
                Some((length, text, ideas))
            });
            let Some((length, text, ideas)) = known else {
                unknown.push(characters[at]);
                at += 1;
                continue;
            };
            found.extend(unknown_run(&mut unknown));
            let english = ideas.iter().take(ENGLISH_IDEAS);
            let english = english.filter_map(|idea| self.english.get(usize::from(*idea)));
            let mut known = meaning(None, ideas, english.flatten().cloned().collect());
            known
                .terms
                .extend(pairs(&text).into_iter().map(|pair| (pair, PAIR)));
            found.push(known);
            at += length;
        }
        found.extend(unknown_run(&mut unknown));
        found
    }
}

fn unknown_run(run: &mut String) -> Vec<Meaning> {
    let run = std::mem::take(run);
    // Single characters between known words are mostly grammar.
    if run.chars().count() < 2 {
        return Vec::new();
    }
    let pairs = pairs(&run).into_iter();
    pairs
        .map(|pair| Meaning {
            terms: vec![(pair, PAIR)],
            said: Vec::new(),
        })
        .collect()
}

fn key(phrase: &str) -> String {
    let words = words(phrase).into_iter();
    let words = words.map(|word| match word {
        Word::Letters(word) => stem(&word),
        Word::East(run) => run,
    });
    words.collect::<Vec<_>>().join(" ")
}

fn stem_of(word: &Word) -> Option<String> {
    match word {
        Word::Letters(word) => Some(stem(word)),
        Word::East(_) => None,
    }
}

fn letters(word: &Word) -> Option<String> {
    match word {
        Word::Letters(word) => Some(word.clone()),
        Word::East(_) => None,
    }
}

/// The words of a phrase that say something.
fn plain(phrase: &str) -> Vec<String> {
    let words = words(phrase);
    let letters = words.iter().filter_map(letters);
    letters.filter(|word| !is_stop(word)).collect()
}

fn meaning(own: Option<String>, ideas: &[u16], said: Vec<String>) -> Meaning {
    // A word of many ideas says little of each.
    let weight = IDEA / (ideas.len().max(1) as f32).sqrt();
    let mut terms: Vec<(String, f32)> = own.into_iter().map(|word| (word, 1.0)).collect();
    terms.extend(ideas.iter().map(|idea| (format!("#{idea}"), weight)));
    Meaning { terms, said }
}

#[cfg(test)]
mod tests {
    use crate::search::lexicon::Lexicon;

    #[test]
    fn words_of_one_idea_meet() {
        let lexicon = Lexicon::read("delete, remove, get rid of, 删除\npet, animal, 宠物\n");
        let ideas = |text: &str| -> Vec<String> {
            let meanings = lexicon.meanings(text).into_iter();
            let terms = meanings.flat_map(|meaning| meaning.terms);
            terms
                .map(|(term, _)| term)
                .filter(|term| term.starts_with('#'))
                .collect()
        };
        for text in [
            "removePet",
            "Get rid of the animals",
            "删除这个宠物",
            "delete pets",
        ] {
            assert_eq!(ideas(text), ["#0", "#1"], "{text}");
        }
        assert_eq!(ideas("get a book"), [""; 0]);
    }

    #[test]
    fn the_built_in_words_are_many_and_in_both_languages() {
        let words = &Lexicon::built_in().ideas;
        assert!(words.len() > 1_000, "{}", words.len());
        assert!(words.keys().filter(|word| !word.is_ascii()).count() > 300);
    }
}
