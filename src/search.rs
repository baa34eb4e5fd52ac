//! Finds entries by what somebody wants, in English or Chinese, among the words of their fields.
//!
//! A question is read three times: as words and the ideas behind them, each with the words of the
//! index that come close to it, which BM25 ranks, knowing what is rare; as a whole, by the likeness of
//! vectors; and for what it wants done. What is found comes with a measure of how well it fits, so
//! that "there is nothing" can be said.

pub mod embed;
pub mod intent;
pub mod lexicon;
pub mod shelf;
pub mod vectors;
pub mod vocabulary;
pub mod words;

use std::collections::HashMap;

use crate::search::embed::{Embed, likeness};
use crate::search::intent::{Effect, Intent};
use crate::search::lexicon::{Lexicon, Meaning};
use crate::search::vocabulary::Vocabulary;

/// A part of an entry, and what a word in it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Name,
    Title,
    Description,
    /// What kind of change it is.
    Action,
    Path,
    Tags,
    Arguments,
}

impl Field {
    fn weight(self) -> f32 {
        match self {
            Self::Name | Self::Title => 3.0,
            Self::Action | Self::Path => 1.5,
            Self::Description => 1.2,
            Self::Tags => 1.0,
            Self::Arguments => 0.4,
        }
    }
}

/// Something to be found.
pub struct Entry {
    pub fields: Vec<(Field, String)>,
    pub effect: Effect,
}

/// What is looked at of one field.
const FIELD_BYTES_MAX: usize = 2_000;
/// What is looked at of a question.
const QUESTION_BYTES_MAX: usize = 1_000;

/// BM25: how soon more of the same word counts no more, and how much long entries are discounted.
const K1: f32 = 2.0;
const B: f32 = 0.4;
/// How much of a score hangs on how much of the name was asked for.
const NAMED: f32 = 0.8;
/// What the likeness of the whole counts beside the words, in the order and in the fit.
const LIKENESS: f32 = 0.5;
const LIKENESS_FIT: f32 = 0.4;
/// What is looked at of what an entry says of itself as a whole.
const SPOKEN_BYTES_MAX: usize = 200;

/// Entries, ready to be searched.
pub struct Index {
    /// Of each term, the entries it is in and how much.
    postings: HashMap<String, Vec<(usize, f32)>>,
    lengths: Vec<f32>,
    length_mean: f32,
    vectors: Vec<Vec<f32>>,
    effects: Vec<Effect>,
    vocabulary: Vocabulary,
    /// What the words of each entry's name mean: of each, its terms.
    names: Vec<Vec<Terms>>,
}

type Terms = Vec<(String, f32)>;

/// An entry that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// The entry's place in what the index was built from.
    pub place: usize,
    /// How well it fits: near 0 where next to nothing speaks for it, near 1 and more where much does.
    pub fit: f32,
}

/// Below this fit, what was found is likely not what was meant.
pub const FIT_MIN: f32 = 0.4;

impl Index {
    pub fn build(entries: &[Entry], embed: &dyn Embed) -> Self {
        let lexicon = Lexicon::built_in();
        let mut postings: HashMap<String, Vec<(usize, f32)>> = HashMap::new();
        let mut lengths = Vec::with_capacity(entries.len());
        let mut vectors = Vec::with_capacity(entries.len());
        let mut names = Vec::with_capacity(entries.len());
        for (place, entry) in entries.iter().enumerate() {
            let (weights, length) = weigh(entry);
            for (term, weight) in weights {
                postings.entry(term).or_default().push((place, weight));
            }
            lengths.push(length);
            let name = entry.of(Field::Name);
            let name = name.flat_map(|text| lexicon.meanings(head(text, FIELD_BYTES_MAX)));
            names.push(name.map(|meaning| meaning.terms).collect());
            vectors.push(embed.embed(&spoken(entry)));
        }
        let length_mean = lengths.iter().sum::<f32>() / (lengths.len().max(1) as f32);
        let texts = entries.iter().flat_map(|entry| &entry.fields);
        Self {
            postings,
            lengths,
            length_mean: length_mean.max(1.0),
            vectors,
            effects: entries.iter().map(|entry| entry.effect).collect(),
            vocabulary: Vocabulary::of(texts.map(|(_, text)| head(text, FIELD_BYTES_MAX))),
            names,
        }
    }

    /// The entries that answer `question` best, at most `limit`, best first. Entries for which
    /// `visible` says no do not exist.
    pub fn find(
        &self,
        question: &str,
        embed: &dyn Embed,
        limit: usize,
        visible: impl Fn(usize) -> bool,
    ) -> Vec<Hit> {
        let question = head(question, QUESTION_BYTES_MAX);
        let mut meanings = distinct(Lexicon::built_in().meanings(question));
        let intent = Intent::of(question, &meanings);
        let most = self.most(&meanings);
        self.vocabulary.widen(&mut meanings);
        let words = self.by_words(&meanings);
        let vector = embed.embed(question);
        let likenesses = self.vectors.iter().map(|v| likeness(v, &vector).max(0.0));
        let likenesses: Vec<f32> = likenesses.collect();
        let seen: Vec<usize> = (0..words.len()).filter(|at| visible(*at)).collect();
        let best = |of: &[f32]| seen.iter().map(|at| of[*at]).fold(0.0, f32::max);
        let (by_words, alike) = (best(&words).max(f32::MIN_POSITIVE), best(&likenesses));
        let scored = seen.iter().map(|&at| {
            let score = words[at] / by_words + LIKENESS * likenesses[at];
            (score * intent.suits(self.effects[at]), at)
        });
        let mut scored: Vec<(f32, usize)> = scored.filter(|(score, _)| *score > 0.0).collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        scored.truncate(limit);
        let hits = scored.into_iter();
        hits.map(|(_, place)| Hit {
            place,
            fit: words[place] / most + LIKENESS_FIT * alike,
        })
        .collect()
    }

    /// What an entry would come to that had each word that was asked, once: what scores are measured
    /// by. A word no entry has counts most, for it says that something else may be meant.
    fn most(&self, meanings: &[Meaning]) -> f32 {
        let most = meanings.iter().map(|meaning| {
            let known = meaning.terms.iter();
            let known = known.filter_map(|(term, _)| self.postings.get(term));
            let rarest = known.map(|p| self.rarity(p.len())).reduce(f32::max);
            rarest.unwrap_or_else(|| self.rarity(0))
        });
        most.sum::<f32>().max(f32::MIN_POSITIVE)
    }

    fn by_words(&self, meanings: &[Meaning]) -> Vec<f32> {
        let mut scores = vec![0.0; self.lengths.len()];
        let terms = meanings.iter().flat_map(|meaning| &meaning.terms);
        let asked: HashMap<&str, f32> = terms.map(|(term, w)| (term.as_str(), *w)).collect();
        for meaning in meanings {
            // A word counts once per entry, by whichever of its terms says most.
            let mut best: HashMap<usize, f32> = HashMap::new();
            for (term, weight) in &meaning.terms {
                let Some(postings) = self.postings.get(term) else {
                    continue;
                };
                let rarity = self.rarity(postings.len());
                for (place, count) in postings {
                    let length = self.lengths[*place] / self.length_mean;
                    let saturated = count * (K1 + 1.0) / (count + K1 * (1.0 - B + B * length));
                    let score = weight * rarity * saturated;
                    let known = best.entry(*place).or_default();
                    *known = known.max(score);
                }
            }
            for (place, score) in best {
                scores[place] += score;
            }
        }
        for (place, score) in scores
            .iter_mut()
            .enumerate()
            .filter(|(_, score)| **score > 0.0)
        {
            *score *= 1.0 - NAMED + NAMED * self.named(place, &asked);
        }
        scores
    }

    /// How much of an entry's name was asked for. `createSite` and `createSiteHook` have the same
    /// words of "create a site", and only one of them has no other.
    fn named(&self, place: usize, asked: &HashMap<&str, f32>) -> f32 {
        let (mut covered, mut all) = (0.0, 0.0);
        for terms in &self.names[place] {
            let known = terms.iter().filter_map(|(term, _)| self.postings.get(term));
            let rarity = 1.0 + known.map(|p| self.rarity(p.len())).fold(0.0, f32::max);
            let here = terms
                .iter()
                .filter_map(|(term, weight)| Some(asked.get(term.as_str())?.min(*weight)));
            covered += rarity * here.fold(0.0, f32::max).min(1.0);
            all += rarity;
        }
        if all > 0.0 { covered / all } else { 0.0 }
    }

    fn rarity(&self, entries: usize) -> f32 {
        let (all, entries) = (self.lengths.len() as f32, entries as f32);
        (1.0 + (all - entries + 0.5) / (entries + 0.5)).ln()
    }

    /// Roughly what the index holds in memory.
    pub fn bytes(&self) -> usize {
        let postings: usize = self.postings.values().map(|p| 80 + p.len() * 16).sum();
        let names: usize = self
            .names
            .iter()
            .flatten()
            .map(|terms| 24 + terms.len() * 40)
            .sum();
        let vectors: usize = self.vectors.iter().map(|v| 32 + v.len() * 4).sum();
        postings + vectors + names + self.vocabulary.bytes() + self.lengths.len() * 5
    }
}

impl Entry {
    fn of(&self, field: Field) -> impl Iterator<Item = &str> {
        let fields = self.fields.iter().filter(move |(own, _)| *own == field);
        fields.map(|(_, text)| text.as_str())
    }
}

/// What each term counts in an entry, and how long the entry is.
fn weigh(entry: &Entry) -> (HashMap<String, f32>, f32) {
    let mut weights: HashMap<String, f32> = HashMap::new();
    let mut length = 0.0;
    for (field, text) in &entry.fields {
        let meanings = Lexicon::built_in().meanings(head(text, FIELD_BYTES_MAX));
        length += field.weight() * meanings.len() as f32;
        for (term, weight) in meanings.into_iter().flat_map(|meaning| meaning.terms) {
            *weights.entry(term).or_default() += weight * field.weight();
        }
    }
    (weights, length)
}

/// What an entry says of itself as a whole, in short: what a question is likened to.
fn spoken(entry: &Entry) -> String {
    let descriptions = entry.of(Field::Description).map(first_sentence);
    let texts = entry
        .of(Field::Name)
        .chain(descriptions)
        .chain(entry.of(Field::Path));
    let texts: Vec<&str> = texts.map(|text| head(text, SPOKEN_BYTES_MAX)).collect();
    texts.join("\n")
}

fn first_sentence(text: &str) -> &str {
    let text = text.trim_start();
    let end = text
        .char_indices()
        .zip(text.chars().skip(1))
        .find(|((_, c), next)| {
            next.is_whitespace() && matches!(c, '.' | '!' | '?') || *next == '\n'
        });
    end.map_or(text, |((at, c), _)| &text[..at + c.len_utf8()])
}

/// Each meaning once.
fn distinct(meanings: Vec<Meaning>) -> Vec<Meaning> {
    let mut found: Vec<Meaning> = Vec::new();
    for meaning in meanings {
        if !found.iter().any(|known| known.terms == meaning.terms) {
            found.push(meaning);
        }
    }
    found
}

fn head(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}
