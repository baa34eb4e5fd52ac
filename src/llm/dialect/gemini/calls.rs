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

/// An id for the call of this number in an answer that has none; answers of different ids give different ones.
pub(crate) fn made_id(answer: &str, number: usize) -> String {
    // FNV-1a: short, the same everywhere, and no secret.
    let hash = answer
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    format!("{MADE}{hash:016x}_{number}")
}

/// An id that somebody else gave.
pub(crate) fn given(id: &str) -> Option<&str> {
    (!id.is_empty() && !id.starts_with(MADE)).then_some(id)
}
