//! Names for tools and arguments: valid everywhere a client or a model provider looks at them.

use std::collections::HashSet;

use crate::mcp::tool::text::clean;
use crate::openapi::{Operation, OperationKey, PathPiece};
use crate::types::ToolName;

/// Argument names as model providers accept them: `^[a-zA-Z0-9_.-]{1,64}$`.
pub const ARGUMENT_LENGTH_MAX: usize = 64;

const HASH_DIGITS: usize = 6;

/// Gives every operation its tool name: the operationId, else method and path; made readable ASCII,
/// at most [`ToolName::GENERATED_LENGTH_MAX`] long, unique without regard to case. What is cut or
/// taken gets a suffix hashed from the operation's key, so that it stays the same over re-imports.
#[derive(Default)]
pub struct ToolNames {
    taken: HashSet<String>,
}

impl ToolNames {
    pub fn name(&mut self, operation: &Operation) -> ToolName {
        let wanted = operation
            .operation_id
            .as_deref()
            .map(identifier)
            .filter(|name| says_something(name))
            .or_else(|| Some(from_path(operation)).filter(|name| says_something(name)))
            .unwrap_or_else(|| NAMELESS.to_owned());
        let name = if wanted.len() <= ToolName::GENERATED_LENGTH_MAX && self.is_free(&wanted) {
            wanted
        } else {
            self.suffixed(&wanted, &operation.key.0)
        };
        self.taken.insert(name.to_ascii_lowercase());
        name.parse().expect("generated within the rule of ToolName")
    }

    fn is_free(&self, name: &str) -> bool {
        !self.taken.contains(&name.to_ascii_lowercase())
    }

    fn suffixed(&self, wanted: &str, key: &str) -> String {
        suffixed_text(wanted, key, |name| self.is_free(name))
    }
}

/// `wanted` with a suffix hashed from the operation's key, in place of a name that is taken. The same
/// operation gets the same one over re-imports.
pub fn suffixed(wanted: &str, key: &OperationKey, is_free: impl Fn(&str) -> bool) -> ToolName {
    let name = suffixed_text(wanted, &key.0, is_free);
    name.parse().expect("generated within the rule of ToolName")
}

fn suffixed_text(wanted: &str, key: &str, is_free: impl Fn(&str) -> bool) -> String {
    let room = ToolName::GENERATED_LENGTH_MAX - HASH_DIGITS - 1;
    let stem = wanted[..wanted.len().min(room)].trim_end_matches(['_', '-']);
    (0..=u32::MAX)
        .map(|round| format!("{stem}_{}", short_hash(&format!("{key}#{round}"))))
        .find(|name| is_free(name))
        .expect("more names than operations")
}

/// What an operation is called of which nothing can be read: a method may be all hyphens.
const NAMELESS: &str = "operation";

fn says_something(name: &str) -> bool {
    name.bytes().any(|b| b.is_ascii_alphanumeric())
}

fn from_path(operation: &Operation) -> String {
    let mut text = operation.method.to_ascii_lowercase();
    for piece in &operation.path.pieces {
        let (PathPiece::Literal(part) | PathPiece::Variable(part)) = piece;
        text.push('_');
        text.push_str(part);
    }
    identifier(&text)
}

/// Readable ASCII of any text: transliterated, with `_` for everything that is no letter or digit,
/// never two in a row and never at an end.
pub fn identifier(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in deunicode::deunicode_with_tofu(&clean(text), "_").chars() {
        let c = if c.is_ascii_alphanumeric() || c == '-' {
            c
        } else {
            '_'
        };
        if c != '_' || !out.ends_with('_') {
            out.push(c);
        }
    }
    out.trim_matches(['_', '-']).to_owned()
}

/// The words a name or a text is made of, in lower case: cut at everything that is no letter or
/// digit, and where a capital begins a word (`listPetsByID`: list, pets, by, id).
pub fn words(text: &str) -> impl Iterator<Item = String> + use<> {
    let letters: Vec<char> = text.chars().collect();
    let mut found: Vec<String> = Vec::new();
    let mut open = false;
    for (at, letter) in letters.iter().enumerate() {
        if !letter.is_alphanumeric() {
            open = false;
            continue;
        }
        let before = at.checked_sub(1).and_then(|at| letters.get(at));
        let after = letters.get(at + 1);
        let begins = letter.is_uppercase()
            && before.is_some_and(|before| {
                before.is_lowercase()
                    || before.is_uppercase() && after.is_some_and(|after| after.is_lowercase())
            });
        if begins || !open {
            found.push(String::new());
            open = true;
        }
        if let Some(word) = found.last_mut() {
            word.extend(letter.to_lowercase());
        }
    }
    found.into_iter()
}

/// A valid argument name for a wire name; the wire name itself wherever that is one.
pub fn argument(wire: &str) -> String {
    if is_argument(wire) {
        return wire.to_owned();
    }
    let mut name = identifier(wire);
    if name.is_empty() {
        name = format!("arg_{}", short_hash(wire));
    }
    if name.len() > ARGUMENT_LENGTH_MAX {
        name.truncate(ARGUMENT_LENGTH_MAX - HASH_DIGITS - 1);
        name = format!("{}_{}", name.trim_end_matches(['_', '-']), short_hash(wire));
    }
    name
}

pub fn is_argument(name: &str) -> bool {
    (1..=ARGUMENT_LENGTH_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

/// `name`, or `name_2`, `name_3` … whichever `is_free` first.
pub fn unique(name: &str, is_free: impl Fn(&str) -> bool) -> String {
    if is_free(name) {
        return name.to_owned();
    }
    let stem = &name[..name.len().min(ARGUMENT_LENGTH_MAX - 6)];
    (2..=u32::MAX)
        .map(|n| format!("{stem}_{n}"))
        .find(|name| is_free(name))
        .expect("more names than operations")
}

fn short_hash(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    hex::encode(&digest.as_ref()[..HASH_DIGITS / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_readable_whatever_the_script() {
        for (text, expected) in [
            ("listPets", "listPets"),
            ("pets.list/all", "pets_list_all"),
            ("获取图书", "Huo_Qu_Tu_Shu"),
            ("größe (cm)", "grosse_cm"),
            ("__a  b__", "a_b"),
            ("***", ""),
        ] {
            assert_eq!(identifier(text), expected, "{text}");
        }
    }

    #[test]
    fn argument_names_keep_what_is_valid() {
        for (wire, expected) in [
            ("ids[]", "ids"),
            ("$top", "top"),
            ("filter.name", "filter.name"),
            ("X-Request-Id", "X-Request-Id"),
            ("名称", "Ming_Cheng"),
        ] {
            assert_eq!(argument(wire), expected, "{wire}");
        }
        assert!(is_argument(&argument(&"x".repeat(200))));
        assert!(is_argument(&argument("[]")));
    }
}
