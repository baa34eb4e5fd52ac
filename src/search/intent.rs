//! What a question wants done: to see something, to change something, or to be rid of it.

use std::sync::LazyLock;

use crate::search::lexicon::{Lexicon, Meaning};
use crate::search::words::{Word, words};

/// What an entry does to what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    Looks,
    Changes,
    Removes,
}

/// What a question asks for, as far as its grammar tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intent {
    /// It asks for an answer, not for a deed.
    pub looks: bool,
    /// It says that something shall be gone.
    pub removes: bool,
}

/// What an entry counts that changes something when an answer is asked for; that only looks when a
/// deed is; and that removes something when nothing was said of that.
const DEED_FOR_ANSWER: f32 = 0.55;
const ANSWER_FOR_DEED: f32 = 0.65;
const UNASKED_REMOVAL: f32 = 0.8;

/// What questions in English begin with.
const QUESTIONS: &str = " what which who whom whose how where when why is are was were do does did has \
    have had am can could show list tell see view look display find get give fetch check read search ";
/// What questions in Chinese have somewhere.
const CHINESE: [&str; 13] = [
    "吗", "呢", "哪", "谁", "几", "么", "？", "?", "多少", "是否", "查", "看", "列出",
];
/// The ideas of removal.
static REMOVALS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let meanings = Lexicon::built_in().meanings("delete cancel").into_iter();
    let terms = meanings.flat_map(|meaning| meaning.terms);
    let ideas = terms.filter(|(term, _)| term.starts_with('#'));
    ideas.map(|(term, _)| term).collect()
});

impl Intent {
    /// What `question`, which means `meanings`, asks for.
    pub fn of(question: &str, meanings: &[Meaning]) -> Self {
        let mut terms = meanings.iter().flat_map(|meaning| &meaning.terms);
        let removes = terms.any(|(term, _)| REMOVALS.contains(term));
        let words = words(question);
        let east = words.iter().any(|word| matches!(word, Word::East(_)));
        let looks = if east {
            CHINESE.iter().any(|mark| question.contains(mark))
        } else {
            let begins = matches!(words.first(),
                Some(Word::Letters(word)) if QUESTIONS.contains(&format!(" {word} ")));
            begins || question.trim_end().ends_with('?')
        };
        Self { looks, removes }
    }

    /// How far an entry of this effect is what was asked for.
    pub fn suits(self, effect: Effect) -> f32 {
        let deed = effect != Effect::Looks;
        let suits = match (self.looks, deed) {
            (true, true) => DEED_FOR_ANSWER,
            (false, false) => ANSWER_FOR_DEED,
            _ => 1.0,
        };
        if effect == Effect::Removes && !self.removes {
            suits * UNASKED_REMOVAL
        } else {
            suits
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::search::intent::{Effect, Intent};
    use crate::search::lexicon::Lexicon;

    #[test]
    fn questions_ask_for_answers_and_orders_for_deeds() {
        for (question, looks, removes) in [
            ("which songs did I save?", true, false),
            ("Is it on?", true, false),
            ("show the invoices", true, false),
            ("pause the music", false, false),
            ("get rid of this hook", true, true),
            ("删除这个任务", false, true),
            ("有哪些任务", true, false),
            ("暂停播放", false, false),
            ("", false, false),
        ] {
            let meanings = Lexicon::built_in().meanings(question);
            let intent = Intent::of(question, &meanings);
            assert_eq!(
                (intent.looks, intent.removes),
                (looks, removes),
                "{question}"
            );
        }
    }

    #[test]
    fn nothing_is_removed_unasked() {
        let of = |looks, removes| Intent { looks, removes };
        assert!(of(true, false).suits(Effect::Looks) > of(true, false).suits(Effect::Changes));
        assert!(of(false, false).suits(Effect::Changes) > of(false, false).suits(Effect::Removes));
        assert!(of(false, true).suits(Effect::Removes) > of(false, true).suits(Effect::Looks));
    }
}
