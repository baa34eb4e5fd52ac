//! Texts as vectors, so that what is alike lies close together.

use crate::search::vectors::{DIMENSIONS, known, to_length_one};
use crate::search::words::{Word, is_stop, words};

/// Makes vectors of texts. A provider's model can stand here; the built-in one needs none.
pub trait Embed: Send + Sync {
    /// A vector of length one, of the same dimensions for every text; of zeros where the text says
    /// nothing that is understood.
    fn embed(&self, text: &str) -> Vec<f32>;
}

/// The mean of the directions of a text's English words, rare words counting more.
pub struct Averaged;

impl Embed for Averaged {
    fn embed(&self, text: &str) -> Vec<f32> {
        let mut vector = vec![0.0; DIMENSIONS];
        for word in words(text) {
            let Word::Letters(word) = word else { continue };
            let Some(known) = known(&word).filter(|_| !is_stop(&word)) else {
                continue;
            };
            for (sum, x) in vector.iter_mut().zip(known.direction()) {
                *sum += known.weight() * x;
            }
        }
        to_length_one(&mut vector);
        vector
    }
}

/// Numbers that are multiplied at once.
const LANES: usize = 8;

/// How close two vectors of length one are: 1 the same direction, 0 nothing in common.
pub fn likeness(a: &[f32], b: &[f32]) -> f32 {
    let (a_lanes, a_rest) = a.as_chunks::<LANES>();
    let (b_lanes, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}
