//! Tokens as OpenAI's models count them. A vocabulary takes a fifth of a second and 24 MB when it is first needed, stays
//! from then on, and is not there before.

use serde_json::Value;

use tiktoken::{CoreBpe, get_encoding};

/// What a model cuts texts into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vocabulary {
    /// Of GPT-4o and all after it.
    O200k,
    /// Of GPT-4 and GPT-3.5, and of embeddings.
    Cl100k,
}

/// Beginnings of names, up to a whole word, after OpenAI's own list (`tiktoken/model.py`); the first that fits counts.
const MODELS: [(&str, Vocabulary); 18] = [
    ("gpt-4o", Vocabulary::O200k),
    ("gpt-4.1", Vocabulary::O200k),
    ("gpt-4.5", Vocabulary::O200k),
    ("gpt-5", Vocabulary::O200k),
    ("gpt-oss", Vocabulary::O200k),
    ("chatgpt-4o", Vocabulary::O200k),
    ("codex-mini", Vocabulary::O200k),
    ("o1", Vocabulary::O200k),
    ("o3", Vocabulary::O200k),
    ("o4-mini", Vocabulary::O200k),
    ("gpt-4", Vocabulary::Cl100k),
    ("gpt-3.5-turbo", Vocabulary::Cl100k),
    ("gpt-35-turbo", Vocabulary::Cl100k),
    ("text-embedding-3", Vocabulary::Cl100k),
    ("text-embedding-ada-002", Vocabulary::Cl100k),
    ("davinci-002", Vocabulary::Cl100k),
    ("babbage-002", Vocabulary::Cl100k),
    ("gpt-3.5", Vocabulary::Cl100k),
];

impl Vocabulary {
    /// The one a model reads with, by the name its provider gives it. `None`: its maker says it of no such model.
    pub fn of(model: &str) -> Option<Self> {
        let name = model.rsplit('/').next().unwrap_or(model);
        let name = name.strip_prefix("ft:").unwrap_or(name);
        let found = MODELS.iter().find(|(beginning, _)| {
            let rest = name.strip_prefix(beginning);
            // `gpt-4.2` is another model than `gpt-4`, and `gpt-5.1` is one of `gpt-5`.
            rest.is_some_and(|rest| match rest.chars().next() {
                None | Some('-' | ':' | '@') => true,
                Some('.') => *beginning == "gpt-5",
                Some(_) => false,
            })
        });
        found.map(|(_, vocabulary)| *vocabulary)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::O200k => "o200k_base",
            Self::Cl100k => "cl100k_base",
        }
    }

    /// How many tokens a text has.
    pub fn count(self, text: &str) -> usize {
        self.loaded()
            .map_or(text.len(), |loaded| loaded.count(text))
    }

    /// Loads it where nobody did.
    fn loaded(self) -> Option<&'static CoreBpe> {
        get_encoding(self.name())
    }
}

/// The texts of a body in JSON with all that is around them, as its maker's models would read it: that has more tokens
/// than what a provider makes of it. `None`: it has more than texts, or is none.
pub fn texts(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    // Written again, because a letter that was escaped is one letter to a model.
    (!has_media(&body)).then(|| body.to_string())
}

/// Whether a picture, a sound or a document is among it, which no text is cut for.
fn has_media(value: &Value) -> bool {
    match value {
        Value::String(text) => text.starts_with("data:"),
        Value::Array(values) => values.iter().any(has_media),
        Value::Object(members) => {
            let kind = members.get("type").and_then(Value::as_str);
            let is_media = |kind: &str| {
                let medias = ["image", "audio", "file", "document", "video"];
                medias.iter().any(|media| kind.contains(media))
            };
            let parts = ["inlineData", "inline_data", "fileData", "file_data"];
            kind.is_some_and(is_media)
                || parts.iter().any(|part| members.contains_key(*part))
                || members.values().any(has_media)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_model_is_known_by_its_name() {
        use Vocabulary::{Cl100k, O200k};
        for (model, vocabulary) in [
            ("gpt-4o", Some(O200k)),
            ("gpt-4o-mini-2024-07-18", Some(O200k)),
            ("openai/gpt-5.1-codex", Some(O200k)),
            ("gpt-5-nano", Some(O200k)),
            ("gpt-oss:20b", Some(O200k)),
            ("o3", Some(O200k)),
            ("ft:gpt-4o-mini:org::id", Some(O200k)),
            ("gpt-4", Some(Cl100k)),
            ("gpt-4-turbo", Some(Cl100k)),
            ("gpt-3.5-turbo-0125", Some(Cl100k)),
            ("text-embedding-3-small", Some(Cl100k)),
            ("gpt-4.2", None),
            ("gpt-50", None),
            ("o10", None),
            ("o4", None),
            ("claude-haiku-4-5", None),
            ("llama-3.3-70b", None),
            ("dall-e-2", None),
            ("", None),
        ] {
            assert_eq!(Vocabulary::of(model), vocabulary, "{model}");
        }
    }

    #[test]
    fn texts_are_cut_as_by_the_makers_own_library() {
        for (text, o200k, cl100k) in VECTORS {
            let counts = (
                Vocabulary::O200k.count(text),
                Vocabulary::Cl100k.count(text),
            );
            assert_eq!(counts, (o200k, cl100k), "{text:?}");
        }
    }

    /// Counted with the crate tiktoken-rs 0.12.1, which has OpenAI's own code.
    const VECTORS: [(&str, usize, usize); 18] = [
        ("", 0, 0),
        ("hello world", 2, 2),
        ("The quick brown fox jumps over the lazy dog.", 10, 10),
        ("petId=42&limit=1000000", 10, 10),
        ("{\"role\":\"user\",\"content\":\"hi\"}", 9, 9),
        ("  leading and  double  spaces\n\n\nand lines\r\n\t", 12, 12),
        ("don't can't we'll I'VE", 5, 9),
        ("\u{4f60}\u{597d}\u{ff0c}\u{4e16}\u{754c}\u{3002}", 4, 7),
        (
            "\u{417}\u{434}\u{440}\u{430}\u{432}\u{441}\u{442}\u{432}\u{443}\u{439}, \u{43c}\u{438}\u{440}!",
            7,
            9,
        ),
        ("na\u{ef}ve caf\u{e9}", 4, 4),
        (
            "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} \u{1f600}",
            9,
            14,
        ),
        ("fn main() { println!(\"{}\", 1 << 20); }", 13, 13),
        ("1234567890", 4, 4),
        ("./a/b/c.\n/d", 6, 6),
        ("ATotalOfTwoHTTPRequests", 6, 6),
        ("<|endoftext|>", 7, 7),
        ("\u{627}\u{644}\u{633}\u{644}\u{627}\u{645}", 1, 4),
        ("Say hello.", 3, 3),
    ];

    #[test]
    fn only_texts_are_counted() {
        let said = json!({ "model": "m", "messages": [{ "role": "user", "content": "\u{4f60}\u{597d}" }] });
        assert_eq!(
            texts(br#"{"a":"\u4f60"}"#).as_deref(),
            Some("{\"a\":\"\u{4f60}\"}")
        );
        assert!(texts(said.to_string().as_bytes()).is_some());
        for part in [
            json!({ "type": "image_url", "image_url": { "url": "https://x/y.png" } }),
            json!({ "type": "input_audio", "input_audio": {} }),
            json!({ "type": "input_file", "file_id": "f" }),
            json!({ "type": "document", "source": {} }),
            json!({ "inlineData": { "mimeType": "image/png" } }),
            json!({ "url": "data:image/png;base64,AA" }),
        ] {
            let body = json!({ "messages": [{ "role": "user", "content": [part] }] });
            assert_eq!(texts(body.to_string().as_bytes()), None, "{body}");
        }
        assert_eq!(texts(b"--form"), None);
    }

    #[test]
    fn a_text_of_one_long_word_takes_no_longer_than_others() {
        let began = std::time::Instant::now();
        let count = Vocabulary::O200k.count(&"ab1".repeat(100_000));
        assert!(count > 10_000);
        assert!(Vocabulary::O200k.count(&" ".repeat(300_000)) > 1_000);
        assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
    }
}
