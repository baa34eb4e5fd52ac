//! Some servers of the catalog and the words they are found by.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::search::shelf::{Labels, Listing};
use crate::search::words::{Word, pairs, words};
use crate::types::ServerId;

/// How much of what was typed is read.
const QUERY_CHARS_MAX: usize = 200;
const QUERY_WORDS_MAX: usize = 8;
const WORD_CHARS_MAX: usize = 48;

/// Some servers and the words they are found by.
#[derive(Default)]
pub(super) struct Part {
    /// By slug.
    pub(super) listings: Vec<Arc<Listing>>,
    /// Theirs, in the same order.
    pub(super) ids: Vec<ServerId>,
    places: HashMap<ServerId, u32>,
    pub(super) categories: Labels,
    pub(super) tags: Labels,
    /// Sorted; what a term leads to is at the same place of `ranges`.
    pub(super) terms: Vec<Box<str>>,
    /// Where in `servers` and `weights` each term's begin; one more at the end.
    ranges: Vec<u32>,
    /// The servers that have a term, and at the same place the weight of the best field that has it.
    servers: Vec<u32>,
    weights: Vec<u8>,
    /// What the first letters lead to that very many words begin with: each server and its best score.
    pub(super) beginnings: HashMap<Box<str>, Vec<(u32, u16)>>,
}

/// What a whole word counts by where it is found; the beginning of one counts three quarters.
const NAME: u8 = 64;
const TITLE: u8 = 32;
const TAG: u8 = 16;
const TOOL: u8 = 8;
const SUMMARY: u8 = 4;
const WHOLE: u16 = 4;
const BEGUN: u16 = 3;

/// Letters of the longest beginning whose servers are kept.
const BEGINNING_CHARS_MAX: usize = 3;
/// A beginning is kept where its words are found in more places than this for each server.
const PLACES_PER_SERVER: usize = 2;

impl Part {
    pub(super) fn new(mut listings: Vec<Arc<Listing>>) -> Self {
        listings.sort_by(|a, b| a.slug.cmp(&b.slug));
        let mut ids: HashMap<Box<str>, u32> = HashMap::new();
        let mut found: Vec<(u32, u32, u8)> = Vec::new();
        let mut own: HashMap<u32, u8> = HashMap::new();
        for (server, listing) in (0_u32..).zip(&listings) {
            let mut note = |text: &str, weight: u8| {
                for term in terms(text) {
                    let next = u32::try_from(ids.len()).unwrap_or(u32::MAX);
                    let id = *ids.entry(term.into_boxed_str()).or_insert(next);
                    let best = own.entry(id).or_insert(weight);
                    *best = weight.max(*best);
                }
            };
            note(&listing.slug, NAME);
            note(&listing.title, TITLE);
            for tag in listing.category.iter().chain(&listing.tags) {
                note(tag, TAG);
            }
            for tool in &listing.tools {
                note(&tool.name, TOOL);
                note(&tool.title, TOOL);
            }
            note(&listing.summary, SUMMARY);
            found.extend(own.drain().map(|(id, weight)| (id, server, weight)));
        }
        let mut terms: Vec<(Box<str>, u32)> = ids.into_iter().collect();
        terms.sort_unstable();
        let mut order = vec![0_u32; terms.len()];
        for (at, (_, id)) in (0_u32..).zip(&terms) {
            order[*id as usize] = at;
        }
        for posting in &mut found {
            posting.0 = order[posting.0 as usize];
        }
        found.sort_unstable();
        let mut ranges = vec![0_u32; terms.len() + 1];
        for (id, ..) in &found {
            ranges[*id as usize + 1] += 1;
        }
        for at in 1..ranges.len() {
            ranges[at] += ranges[at - 1];
        }
        let places = (0_u32..).zip(&listings).map(|(at, it)| (it.id, at));
        let mut part = Self {
            places: places.collect(),
            ids: listings.iter().map(|listing| listing.id).collect(),
            categories: Labels::new(listings.iter().map(|listing| &listing.category)),
            tags: Labels::new(listings.iter().map(|listing| &listing.tags)),
            terms: terms.into_iter().map(|(term, _)| term).collect(),
            ranges,
            servers: found.iter().map(|(_, server, _)| *server).collect(),
            weights: found.iter().map(|(.., weight)| *weight).collect(),
            beginnings: HashMap::new(),
            listings,
        };
        part.keep_beginnings();
        part
    }

    /// Somebody who types a first letter asks for nearly every word there is; what that comes to is made
    /// once.
    fn keep_beginnings(&mut self) {
        let mut kept = HashMap::new();
        let mut best = vec![0_u16; self.listings.len()];
        for chars in 1..=BEGINNING_CHARS_MAX {
            let mut at = 0;
            while let Some(term) = self.terms.get(at) {
                let Some(beginning) = beginning(term, chars) else {
                    at += 1;
                    continue;
                };
                let range = self.begun_by(beginning);
                at = range.end;
                let places = self.ranges[range.end] - self.ranges[range.start];
                if places as usize <= self.listings.len() * PLACES_PER_SERVER {
                    continue;
                }
                best.fill(0);
                self.note_best(beginning, range, &mut best);
                let servers = (0_u32..).zip(best.iter().copied());
                let servers = servers.filter(|(_, score)| *score > 0);
                kept.insert(Box::from(beginning), servers.collect());
            }
        }
        self.beginnings = kept;
    }

    /// Where the terms are that begin with this.
    fn begun_by(&self, beginning: &str) -> Range<usize> {
        let start = self.terms.partition_point(|term| **term < *beginning);
        let count = self.terms[start..].partition_point(|term| term.starts_with(beginning));
        start..start + count
    }

    /// What each server has best of these terms, which all begin with `word`.
    pub(super) fn note_best(&self, word: &str, terms: Range<usize>, best: &mut [u16]) {
        for at in terms {
            let counts = if *self.terms[at] == *word {
                WHOLE
            } else {
                BEGUN
            };
            let range = self.ranges[at] as usize..self.ranges[at + 1] as usize;
            for (server, weight) in self.servers[range.clone()].iter().zip(&self.weights[range]) {
                let best = &mut best[*server as usize];
                *best = (*best).max(u16::from(*weight) * counts);
            }
        }
    }

    pub(super) fn get(&self, id: ServerId) -> Option<&Arc<Listing>> {
        self.listings.get(*self.places.get(&id)? as usize)
    }

    /// One score a server; 0 where a word fits nothing of it. All are 1 where nothing was asked.
    pub(super) fn scores(&self, asked: &[String]) -> Vec<u32> {
        let mut sums = vec![u32::from(asked.is_empty()); self.listings.len()];
        let mut best = vec![0_u16; self.listings.len()];
        for (round, word) in asked.iter().enumerate() {
            best.fill(0);
            match self.beginnings.get(&**word) {
                Some(servers) => {
                    for (server, score) in servers {
                        best[*server as usize] = *score;
                    }
                }
                None => self.note_best(word, self.begun_by(word), &mut best),
            }
            for (sum, best) in sums.iter_mut().zip(&best) {
                let so_far = round == 0 || *sum > 0;
                *sum = if so_far && *best > 0 {
                    *sum + u32::from(*best)
                } else {
                    0
                };
            }
        }
        sums
    }
}

/// So many letters of it, if it has them.
fn beginning(term: &str, chars: usize) -> Option<&str> {
    let (last, letter) = term.char_indices().nth(chars - 1)?;
    Some(&term[..last + letter.len_utf8()])
}

/// The words somebody typed, each of which a server has to have.
pub(super) fn asked(text: &str) -> Vec<String> {
    let text: String = text.chars().take(QUERY_CHARS_MAX).collect();
    let mut asked = Vec::new();
    for word in words(&folded(&text)) {
        match word {
            Word::Letters(word) => asked.push(word),
            Word::East(run) => asked.extend(pairs(&run)),
        }
    }
    for word in &mut asked {
        *word = word.chars().take(WORD_CHARS_MAX).collect();
    }
    let mut seen = HashSet::new();
    asked.retain(|word| seen.insert(word.clone()));
    asked.truncate(QUERY_WORDS_MAX);
    asked
}

/// The words a text is found by: its words, each two neighbours of a name in one piece, and Chinese by each character and
/// each two neighbours.
pub(super) fn terms(text: &str) -> Vec<String> {
    let text = folded(text);
    let mut terms = Vec::new();
    for piece in text.split_whitespace() {
        let before = terms.len();
        for word in words(piece) {
            match word {
                Word::Letters(word) => terms.push(word),
                Word::East(run) => {
                    terms.extend(run.chars().map(String::from));
                    if run.chars().nth(1).is_some() {
                        terms.extend(pairs(&run));
                    }
                }
            }
        }
        if piece.is_ascii() {
            // Somebody types on over the end of a word: `stockl` in `listStockLevels`.
            let own = terms[before..].to_vec();
            terms.extend(own.windows(2).map(<[String]>::concat));
        }
    }
    for term in &mut terms {
        if term.len() > WORD_CHARS_MAX {
            *term = term.chars().take(WORD_CHARS_MAX).collect();
        }
    }
    terms
}

/// Without accents and with wide letters as narrow ones; letters keep their case, which parts words.
fn folded(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let folded = text.nfkd().filter(|it| !is_combining_mark(*it));
    folded.nfc().collect()
}
