//! Which call a result belongs to. Gemini's ids are optional: where they are missing, a result is that of the first
//! call by its name that has none yet (<https://ai.google.dev/gemini-api/docs/function-calling>).

/// Begins the ids that we made up. They are never sent to Gemini, which gave none.
const MADE: &str = "call_gm_";

/// The calls of a conversation that wait for their results.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    made: usize,
    waiting: Vec<(String, String)>,
}

impl Calls {
    /// A model's turn begins: what was not answered before never will be.
    pub(crate) fn turn(&mut self) {
        self.waiting.clear();
    }

    /// The id of a call.
    pub(crate) fn called(&mut self, id: Option<String>, name: &str) -> String {
        let id = id.unwrap_or_else(|| self.make());
        self.waiting.push((id.clone(), name.to_owned()));
        id
    }

    /// The id of the call that a result is of.
    pub(crate) fn answered(&mut self, id: Option<String>, name: &str) -> String {
        let position = self.waiting.iter().position(|(waiting, called)| match &id {
            Some(id) => waiting == id,
            None => called == name,
        });
        match (position, id) {
            (Some(position), _) => self.waiting.remove(position).0,
            (None, Some(id)) => id,
            (None, None) => self.make(),
        }
    }

    fn make(&mut self) -> String {
        self.made += 1;
        format!("{MADE}{}", self.made)
    }
}

/// An id for the call of this number in an answer of this id; answers of different ids give different ones. Where the
/// answer has none, it is a number only, until [`named`] is told what else there is to tell answers apart.
pub(crate) fn made_id(answer: &str, number: usize) -> String {
    if answer.is_empty() {
        return format!("{MADE}{number}");
    }
    format!("{MADE}{:016x}_{number}", hash(answer))
}

/// An id of a number only, as one that no other answer gives; `None`: it is none.
pub(crate) fn named(id: &str, answer: &str) -> Option<String> {
    let number = id.strip_prefix(MADE)?.parse().ok()?;
    Some(made_id(answer, number))
}

/// FNV-1a: short, the same everywhere, and no secret.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// An id that somebody else gave.
pub(crate) fn given(id: &str) -> Option<&str> {
    (!id.is_empty() && !id.starts_with(MADE)).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_without_an_id_are_told_apart_by_their_answers() {
        let first = made_id("answer-1", 1);
        assert_ne!(first, made_id("answer-2", 1));
        assert_ne!(first, made_id("answer-1", 2));
        assert_eq!(named(&first, "other"), None, "it has a name");
        assert_eq!(named("call_1", "other"), None, "it was given");
        let bare = made_id("", 2);
        assert_eq!(named(&bare, "answer-1"), Some(made_id("answer-1", 2)));
        for id in [&bare, &first] {
            assert_eq!(given(id), None, "Gemini never gave it");
        }
    }
}
