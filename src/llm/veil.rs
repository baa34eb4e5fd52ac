//! Hides values in bytes that are passed on piece by piece, wherever the pieces are cut: what may be the beginning of
//! a value waits for what follows.

use bytes::Bytes;
use memchr::memmem;

use crate::credential::mask::{MASKED, VALUE_CHARACTERS_MIN};

/// The values to hide, and what waits.
pub struct Veil {
    /// The longest first.
    values: Vec<Vec<u8>>,
    held: Vec<u8>,
}

impl Veil {
    /// Values that are too short to be hidden stay visible, as everywhere.
    pub fn of(values: impl IntoIterator<Item = String>) -> Self {
        let long = |value: &String| value.chars().count() >= VALUE_CHARACTERS_MIN;
        let values = values.into_iter().filter(long);
        let mut values: Vec<Vec<u8>> = values.map(String::into_bytes).collect();
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        values.dedup();
        Self {
            values,
            held: Vec::new(),
        }
    }

    /// Takes in a piece, and gives what may go on.
    pub fn push(&mut self, piece: Bytes) -> Bytes {
        if self.held.is_empty() && !self.is_touched(&piece) {
            return piece;
        }
        self.held.extend_from_slice(&piece);
        let mut clean = std::mem::take(&mut self.held);
        for value in &self.values {
            clean = without(&clean, value);
        }
        let kept = self.waiting(&clean);
        self.held = clean.split_off(clean.len() - kept);
        clean.into()
    }

    /// Nothing follows any more.
    pub fn finish(&mut self) -> Bytes {
        std::mem::take(&mut self.held).into()
    }

    fn is_touched(&self, piece: &[u8]) -> bool {
        let found = |value: &Vec<u8>| memmem::find(piece, value).is_some();
        self.waiting(piece) > 0 || self.values.iter().any(found)
    }

    /// How many bytes at the end may be the beginning of a value.
    fn waiting(&self, bytes: &[u8]) -> usize {
        let of = |value: &Vec<u8>| {
            let longest = bytes.len().min(value.len() - 1);
            let mut lengths = (1..=longest).rev();
            lengths.find(|length| bytes.ends_with(&value[..*length]))
        };
        self.values.iter().filter_map(of).max().unwrap_or(0)
    }
}

fn without(bytes: &[u8], value: &[u8]) -> Vec<u8> {
    let mut clean = Vec::with_capacity(bytes.len());
    let mut from = 0;
    for at in memmem::find_iter(bytes, value) {
        clean.extend_from_slice(&bytes[from..at]);
        clean.extend_from_slice(MASKED.as_bytes());
        from = at + value.len();
    }
    clean.extend_from_slice(&bytes[from..]);
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_hidden_wherever_the_pieces_are_cut() {
        let text = b"data: the key sk-secret-1, sk-sec, and sk-secret-1 again; s".as_slice();
        let expected = "data: the key [masked], sk-sec, and [masked] again; s";
        for first in 0..text.len() {
            for second in first..text.len() {
                let mut veil = Veil::of(["sk-secret-1".to_owned(), "ab".to_owned()]);
                let mut passed = Vec::new();
                for piece in [&text[..first], &text[first..second], &text[second..]] {
                    passed.extend_from_slice(&veil.push(Bytes::copy_from_slice(piece)));
                }
                passed.extend_from_slice(&veil.finish());
                let passed = String::from_utf8(passed).unwrap();
                assert_eq!(passed, expected, "{first} {second}");
            }
        }
    }

    #[test]
    fn what_has_nothing_of_it_goes_on_at_once() {
        let mut veil = Veil::of(["sk-secret-1".to_owned()]);
        let piece = Bytes::from_static(b"data: {}\n\n");
        assert_eq!(veil.push(piece.clone()), piece);
        assert!(veil.finish().is_empty());
    }
}
