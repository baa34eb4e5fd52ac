//! Texts as vectors, so that what is alike lies close together.

use crate::search::lexicon::Lexicon;

/// Makes vectors of texts. A provider's model can stand here; the built-in one needs none.
pub trait Embed: Send + Sync {
    /// A vector of length one, of the same dimensions for every text.
    fn embed(&self, text: &str) -> Vec<f32>;
}

/// Words, their ideas and their groups of three letters, hashed into a vector: finds misspellings
/// and parts of words, which comparing whole words cannot.
pub struct Hashed;

const DIMENSIONS: usize = 256;
/// How much three letters count beside a word.
const LETTERS: f32 = 0.35;

impl Embed for Hashed {
    fn embed(&self, text: &str) -> Vec<f32> {
        let mut vector = vec![0.0; DIMENSIONS];
        let meanings = Lexicon::built_in().meanings(text);
        for (term, weight) in meanings.iter().flat_map(|meaning| &meaning.terms) {
            push(&mut vector, term, *weight);
            if !term.starts_with('#') {
                push_letters(&mut vector, term);
            }
        }
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        if length > 0.0 {
            for x in &mut vector {
                *x /= length;
            }
        }
        vector
    }
}

fn push_letters(vector: &mut [f32], word: &str) {
    let framed: Vec<char> = format!("<{word}>").chars().collect();
    for letters in framed.windows(3) {
        push(vector, &String::from_iter(letters), LETTERS);
    }
}

fn push(vector: &mut [f32], feature: &str, weight: f32) {
    let hash = fnv(feature);
    let at = (hash >> 1) as usize % vector.len();
    vector[at] += if hash & 1 == 0 { weight } else { -weight };
}

/// FNV-1a, which is the same everywhere and always.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// How close two vectors of length one are: 1 the same direction, 0 nothing in common.
pub fn likeness(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
