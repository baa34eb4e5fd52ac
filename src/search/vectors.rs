//! English words by direction: those that are used alike point alike. The table is compiled in and
//! read where it lies; `scripts/word-vectors.py` says how it is made, and of what.

use std::cmp::Ordering;

/// Numbers of a direction.
pub const DIMENSIONS: usize = 64;

static TABLE: &[u8] = include_bytes!("vectors.bin");
/// The table begins with three numbers of four bytes.
const HEAD: usize = 12;

/// How soon a frequent word says less (the `a` of smooth inverse frequency), and the share of all
/// words that the most frequent one has.
const SMOOTH: f32 = 1e-3;
const SHARE: f32 = 0.1;

/// A word of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known(u32);

/// A word, if it is in the table. It is in lower case.
pub fn known(word: &str) -> Option<Known> {
    let (mut low, mut high) = (0, count());
    while low < high {
        let middle = low.midpoint(high);
        match text(middle).cmp(word.as_bytes()) {
            Ordering::Less => low = middle + 1,
            Ordering::Greater => high = middle,
            Ordering::Equal => return u32::try_from(middle).ok().map(Known),
        }
    }
    None
}

impl Known {
    /// Its direction: a vector of length one.
    pub fn direction(self) -> [f32; DIMENSIONS] {
        let mut vector = [0.0; DIMENSIONS];
        for (x, byte) in vector.iter_mut().zip(row(self.0 as usize)) {
            *x = f32::from(i8::from_le_bytes([*byte]));
        }
        to_length_one(&mut vector);
        vector
    }

    /// How much it says: nearly 1 for rare words, little for the most frequent.
    pub fn weight(self) -> f32 {
        let at = ranks_at() + self.0 as usize * 2;
        let rank = TABLE
            .get(at..at + 2)
            .map_or(0, |bytes| u16::from_le_bytes([bytes[0], bytes[1]]));
        // How frequent the word of a rank is, after Zipf.
        SMOOTH / (SMOOTH + SHARE / (f32::from(rank) + 3.0))
    }
}

/// Makes a vector one of length one, unless it is nothing.
pub fn to_length_one(vector: &mut [f32]) {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length > 0.0 {
        for x in vector {
            *x /= length;
        }
    }
}

fn number(at: usize) -> usize {
    let bytes = TABLE
        .get(at..at + 4)
        .and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, |bytes| u32::from_le_bytes(bytes) as usize)
}

fn count() -> usize {
    number(0)
}

fn ranks_at() -> usize {
    HEAD + count() * 4
}

fn text(at: usize) -> &'static [u8] {
    let texts = ranks_at() + count() * 2;
    let start = if at == 0 {
        0
    } else {
        number(HEAD + (at - 1) * 4)
    };
    let end = number(HEAD + at * 4);
    TABLE.get(texts + start..texts + end).unwrap_or_default()
}

fn row(at: usize) -> &'static [u8] {
    let start = ranks_at() + count() * 2 + number(8) + at * DIMENSIONS;
    TABLE.get(start..start + DIMENSIONS).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::search::embed::likeness;
    use crate::search::vectors::{DIMENSIONS, HEAD, TABLE, count, known, number, text};

    #[test]
    fn the_table_is_whole_and_sorted() {
        assert_eq!(number(4), DIMENSIONS);
        assert_eq!(
            TABLE.len(),
            HEAD + count() * (4 + 2 + DIMENSIONS) + number(8)
        );
        assert!(count() > 20_000 && TABLE.len() < 2_100_000);
        for at in 1..count() {
            assert!(text(at - 1) < text(at));
        }
        for word in ["a", "zzzz", "", "petId", "größe"] {
            assert_eq!(known(word), None, "{word}");
        }
    }

    #[test]
    fn words_that_mean_alike_point_alike() {
        let alike = |a: &str, b: &str| {
            let direction = |word| known(word).unwrap().direction();
            likeness(&direction(a), &direction(b))
        };
        for (word, near, far) in [
            ("song", "music", "invoice"),
            ("picture", "photo", "payment"),
            ("directory", "file", "singer"),
        ] {
            assert!(alike(word, near) > alike(word, far) + 0.3, "{word}");
        }
        assert!((alike("song", "song") - 1.0).abs() < 1e-5);
        assert!(known("the").unwrap().weight() < known("invoice").unwrap().weight() / 3.0);
    }
}
