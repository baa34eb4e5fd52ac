//! The words of an index by what they mean: which of them come close to a word that none of them is.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use crate::search::embed::likeness;
use crate::search::lexicon::Meaning;
use crate::search::vectors::{DIMENSIONS, Known, known, to_length_one};
use crate::search::words::{Word, is_stop, stem, words};

/// The words an index has, by their stems.
#[derive(Default)]
pub struct Vocabulary {
    /// Sorted by stem.
    words: Vec<(String, Option<Known>)>,
}

/// How alike words are that may stand for each other, how many may, and what the nearest counts.
const ALIKE_MIN: f32 = 0.4;
const NEAR_MAX: usize = 5;
const NEAR: f32 = 0.6;
/// How much of its groups of three letters a misspelled word shares with what is meant.
const SPELLED_MIN: f32 = 0.5;
/// Words are not misspelled below this many letters: they are other words.
const SPELLED_LETTERS_MIN: usize = 5;

impl Vocabulary {
    pub fn of<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut written: HashSet<String> = HashSet::new();
        for word in texts.flat_map(words) {
            if let Word::Letters(word) = word
                && !is_stop(&word)
            {
                written.insert(word);
            }
        }
        // The shortest form that is known stands for all of them.
        let mut forms: HashMap<String, (bool, usize, String)> = HashMap::new();
        for word in written {
            let form = (known(&word).is_none(), word.len(), word);
            match forms.entry(stem(&form.2)) {
                Entry::Occupied(mut best) if form < *best.get() => {
                    best.insert(form);
                }
                Entry::Occupied(_) => {}
                Entry::Vacant(place) => {
                    place.insert(form);
                }
            }
        }
        let words = forms.into_iter();
        let mut words: Vec<_> = words
            .map(|(stem, (_, _, form))| (stem, known(&form)))
            .collect();
        words.sort_by(|a, b| a.0.cmp(&b.0));
        Self { words }
    }

    /// Adds to each meaning the words that come close to it, each counting as much as it does.
    pub fn widen(&self, meanings: &mut [Meaning]) {
        let asked: Vec<Option<[f32; DIMENSIONS]>> =
            meanings.iter().map(|m| direction(&m.said)).collect();
        let mut near: Vec<Vec<(f32, usize)>> = vec![Vec::new(); meanings.len()];
        for (at, (_, known)) in self.words.iter().enumerate() {
            let Some(known) = known else { continue };
            let own = known.direction();
            for (asked, near) in asked.iter().zip(&mut near) {
                let alike = asked.as_ref().map_or(0.0, |asked| likeness(asked, &own));
                if alike >= ALIKE_MIN {
                    near.push((alike, at));
                }
            }
        }
        for (meaning, mut near) in meanings.iter_mut().zip(near) {
            near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            for (alike, at) in near.into_iter().take(NEAR_MAX) {
                let weight = NEAR * (alike - ALIKE_MIN) / (1.0 - ALIKE_MIN);
                push(meaning, &self.words[at].0, weight);
            }
            if let Some((stem, weight)) = self.spelled_like(meaning) {
                push(meaning, &stem, weight);
            }
        }
    }

    /// The word that a word nobody knows may have been meant for.
    fn spelled_like(&self, meaning: &Meaning) -> Option<(String, f32)> {
        let [word] = meaning.said.as_slice() else {
            return None;
        };
        let own = meaning.terms.first().filter(|_| meaning.terms.len() == 1);
        let (stem, _) = own?;
        let is_here = self
            .words
            .binary_search_by(|(w, _)| w.as_str().cmp(stem))
            .is_ok();
        if is_here || known(word).is_some() || word.len() < SPELLED_LETTERS_MIN {
            return None;
        }
        let asked = triples(stem);
        let shares = self
            .words
            .iter()
            .map(|(stem, _)| (shared(&asked, &triples(stem)), stem));
        let (share, stem) = shares.max_by(|a, b| a.0.total_cmp(&b.0))?;
        (share >= SPELLED_MIN).then(|| (stem.clone(), NEAR * share))
    }

    /// Roughly what it holds in memory.
    pub fn bytes(&self) -> usize {
        self.words.iter().map(|(stem, _)| 40 + stem.len()).sum()
    }
}

fn push(meaning: &mut Meaning, stem: &str, weight: f32) {
    if !meaning.terms.iter().any(|(term, _)| term == stem) {
        meaning.terms.push((stem.to_owned(), weight));
    }
}

/// Where words together point, if any of them is known.
fn direction(said: &[String]) -> Option<[f32; DIMENSIONS]> {
    let mut sum = [0.0; DIMENSIONS];
    for known in said.iter().filter_map(|word| known(word)) {
        for (sum, x) in sum.iter_mut().zip(known.direction()) {
            *sum += x;
        }
    }
    to_length_one(&mut sum);
    sum.iter().any(|x| x.abs() > 0.0).then_some(sum)
}

fn triples(word: &str) -> Vec<[char; 3]> {
    let framed: Vec<char> = format!("<{word}>").chars().collect();
    framed.array_windows::<3>().copied().collect()
}

fn shared(a: &[[char; 3]], b: &[[char; 3]]) -> f32 {
    let both = a.iter().filter(|triple| b.contains(triple)).count();
    2.0 * both as f32 / (a.len() + b.len()).max(1) as f32
}

#[cfg(test)]
mod tests {
    use crate::search::lexicon::Lexicon;
    use crate::search::vocabulary::Vocabulary;

    fn widened(question: &str) -> Vec<String> {
        let vocabulary = Vocabulary::of(["listPhotos", "createInvoice subscriptions"].into_iter());
        let mut meanings = Lexicon::built_in().meanings(question);
        for meaning in &mut meanings {
            meaning.terms.retain(|(term, _)| !term.starts_with('#'));
        }
        vocabulary.widen(&mut meanings);
        let terms = meanings.into_iter().flat_map(|meaning| meaning.terms);
        terms.map(|(term, _)| term).collect()
    }

    #[test]
    fn words_that_come_close_stand_for_what_was_asked() {
        assert_eq!(widened("snapshots")[1..], ["photo"]);
        assert_eq!(widened("penguin").len(), 1);
    }

    #[test]
    fn misspelled_words_are_found() {
        assert_eq!(widened("invoyce")[1..], ["invoic"]);
        assert_eq!(widened("subscribtions")[1..], ["subscript"]);
    }
}
