//! Names told apart by numbers: `id`, `id2`, `id3`.

use std::collections::HashMap;

/// The number that comes next after each name, so that none is tried twice.
#[derive(Debug, Default)]
pub struct Numbered(HashMap<String, usize>);

impl Numbered {
    /// `wanted`, or with the first number that makes it one that `is_free`.
    pub fn name(&mut self, wanted: &str, mut is_free: impl FnMut(&str) -> bool) -> String {
        let next = self.0.entry(wanted.to_owned()).or_insert(1);
        loop {
            let name = match *next {
                1 => wanted.to_owned(),
                number => format!("{wanted}{number}"),
            };
            *next += 1;
            if is_free(&name) {
                return name;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_tried_once() {
        let mut taken = vec!["b".to_owned(), "b2".to_owned()];
        let (mut names, mut tries) = (Numbered::default(), 0);
        let mut next = |wanted: &str| {
            let name = names.name(wanted, |name| {
                tries += 1;
                !taken.iter().any(|known| known == name)
            });
            taken.push(name.clone());
            name
        };
        let found = ["a", "a", "b", "b", "a"].map(&mut next);
        assert_eq!(found, ["a", "a2", "b3", "b4", "a3"]);
        assert_eq!(tries, 7);
    }
}
