//! Finds entries by what somebody wants, in English or Chinese, among the words of their fields.
//!
//! Two rankings are fused: BM25 over words and the ideas behind them, which knows what is rare, and
//! the likeness of vectors, which knows what is spelled alike. What is found comes with a measure of
//! how much of the question it covers, so that "there is nothing" can be said.

pub mod embed;
pub mod lexicon;
pub mod words;

use std::collections::HashMap;

use crate::search::embed::{Embed, likeness};
use crate::search::lexicon::{Lexicon, Meaning};

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

/// Something to be found: its fields.
pub type Entry = Vec<(Field, String)>;

/// What is looked at of one field.
const FIELD_BYTES_MAX: usize = 2_000;
/// What is looked at of a question.
const QUESTION_BYTES_MAX: usize = 1_000;

/// BM25: how soon more of the same word counts no more, and how much long entries are discounted.
const K1: f32 = 2.0;
const B: f32 = 0.4;
/// Reciprocal rank fusion: how flat ranks are, and what the second ranking counts beside the first.
const RANK: f32 = 3.0;
const LIKENESS: f32 = 0.15;
/// How much of a score hangs on how much of the name was asked for.
const NAMED: f32 = 0.9;

/// Entries, ready to be searched.
pub struct Index {
    /// Of each term, the entries it is in and how much.
    postings: HashMap<String, Vec<(usize, f32)>>,
    lengths: Vec<f32>,
    length_mean: f32,
    vectors: Vec<Vec<f32>>,
    /// What the words of each entry's name mean.
    names: Vec<Vec<Meaning>>,
}

/// An entry that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// The entry's place in what the index was built from.
    pub place: usize,
    /// How much of the question the entry covers, from 0 to 1.
    pub coverage: f32,
}

/// Below this coverage, what was found is likely not what was meant.
pub const COVERAGE_MIN: f32 = 0.2;

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
            let name = entry.iter().filter(|(field, _)| *field == Field::Name);
            let name = name.flat_map(|(_, text)| lexicon.meanings(head(text, FIELD_BYTES_MAX)));
            names.push(name.collect());
            vectors.push(embed.embed(&spoken(entry)));
        }
        let length_mean = lengths.iter().sum::<f32>() / (lengths.len().max(1) as f32);
        Self {
            postings,
            lengths,
            length_mean: length_mean.max(1.0),
            vectors,
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
        let meanings = distinct(Lexicon::built_in().meanings(question));
        let words = self.by_words(&meanings);
        let vector = embed.embed(question);
        let likenesses: Vec<f32> = self.vectors.iter().map(|v| likeness(v, &vector)).collect();
        let mut fused = vec![0.0; self.lengths.len()];
        for (scores, weight) in [(&words, 1.0), (&likenesses, LIKENESS)] {
            let mut order: Vec<usize> = (0..scores.len())
                .filter(|at| scores[*at] > 0.0 && visible(*at))
                .collect();
            order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
            for (rank, at) in order.into_iter().enumerate() {
                fused[at] += weight / (RANK + rank as f32);
            }
        }
        let mut order: Vec<usize> = (0..fused.len())
            .filter(|at| words[*at] > 0.0 && fused[*at] > 0.0)
            .collect();
        order.sort_by(|a, b| fused[*b].total_cmp(&fused[*a]).then(a.cmp(b)));
        order.truncate(limit);
        let hits = order.into_iter();
        hits.map(|place| Hit {
            place,
            coverage: self.coverage(&meanings, place),
        })
        .collect()
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
        for meaning in &self.names[place] {
            let terms = meaning.terms.iter();
            let known = terms.filter_map(|(term, _)| self.postings.get(term));
            let rarity = 1.0 + known.map(|p| self.rarity(p.len())).fold(0.0, f32::max);
            let terms = meaning.terms.iter();
            let here =
                terms.filter_map(|(term, weight)| Some(asked.get(term.as_str())?.min(*weight)));
            covered += rarity * here.fold(0.0, f32::max).min(1.0);
            all += rarity;
        }
        if all > 0.0 { covered / all } else { 0.0 }
    }

    fn rarity(&self, entries: usize) -> f32 {
        let (all, entries) = (self.lengths.len() as f32, entries as f32);
        (1.0 + (all - entries + 0.5) / (entries + 0.5)).ln()
    }

    /// How much of what was asked an entry has, rare words counting more.
    fn coverage(&self, meanings: &[Meaning], place: usize) -> f32 {
        let (mut covered, mut asked) = (0.0, 0.0);
        for meaning in meanings {
            let known = meaning.terms.iter().filter_map(|(term, weight)| {
                let postings = self.postings.get(term)?;
                let here = postings.binary_search_by_key(&place, |(at, _)| *at);
                Some((self.rarity(postings.len()) * weight, here.is_ok()))
            });
            let known: Vec<(f32, bool)> = known.collect();
            let most = known.iter().map(|(rarity, _)| *rarity).fold(0.0, f32::max);
            let here = known.iter().filter(|(_, here)| *here);
            // A word no entry has says that something else may be meant.
            asked += if known.is_empty() {
                self.rarity(0)
            } else {
                most
            };
            covered += here.map(|(rarity, _)| *rarity).fold(0.0, f32::max);
        }
        if asked > 0.0 { covered / asked } else { 0.0 }
    }

    /// Roughly what the index holds in memory.
    pub fn bytes(&self) -> usize {
        let postings: usize = self.postings.values().map(|p| 80 + p.len() * 16).sum();
        let names: usize = self
            .names
            .iter()
            .flatten()
            .map(|m| 24 + m.terms.len() * 40)
            .sum();
        let vectors: usize = self.vectors.iter().map(|v| 32 + v.len() * 4).sum();
        postings + vectors + names + self.lengths.len() * 4
    }
}

/// What each term counts in an entry, and how long the entry is.
fn weigh(entry: &Entry) -> (HashMap<String, f32>, f32) {
    let mut weights: HashMap<String, f32> = HashMap::new();
    let mut length = 0.0;
    for (field, text) in entry {
        let meanings = Lexicon::built_in().meanings(head(text, FIELD_BYTES_MAX));
        length += field.weight() * meanings.len() as f32;
        for (term, weight) in meanings.into_iter().flat_map(|meaning| meaning.terms) {
            *weights.entry(term).or_default() += weight * field.weight();
        }
    }
    (weights, length)
}

/// What an entry says of itself in words: what a question is likened to.
fn spoken(entry: &Entry) -> String {
    let fields = entry.iter().filter(|(field, _)| {
        matches!(
            field,
            Field::Name | Field::Title | Field::Description | Field::Action
        )
    });
    let texts: Vec<&str> = fields
        .map(|(_, text)| head(text, FIELD_BYTES_MAX))
        .collect();
    texts.join("\n")
}

fn distinct(meanings: Vec<Meaning>) -> Vec<Meaning> {
    let mut found: Vec<Meaning> = Vec::new();
    for meaning in meanings {
        if !found.contains(&meaning) {
            found.push(meaning);
        }
    }
    found
}

fn head(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}
