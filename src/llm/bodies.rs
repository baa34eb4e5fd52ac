//! What is logged of requests and answers where a model's owner wants it: their beginning, without what looks like a
//! secret.

use std::sync::{Arc, LazyLock};

use regex::{Captures, Regex};

use crate::access::ledger::{Called, LedgerEntry};
use crate::credential::mask::{MASKED, Mask};
use crate::llm::live::LiveKey;
use crate::llm::signed::secrets;

/// Of one body, so many bytes are logged.
pub const LOGGED_BYTES_MAX: usize = 16 << 10;
/// More than a secret has: so much is read beyond what is logged, so that none is cut in two.
const MARGIN_BYTES: usize = 8 << 10;
/// Patterns an operator may add, and what one may be.
const PATTERNS_MAX: usize = 50;
const PATTERN_BYTES_MAX: usize = 1_000;

/// Names of members whose values are secrets.
const NAMES: &str = "authorization|proxy-authorization|x-api-key|api[_-]?key|apikey|token|access[_-]?token|\
                     refresh[_-]?token|id[_-]?token|secret|client[_-]?secret|secret[_-]?access[_-]?key|password|\
                     passwd|cookie|set-cookie|private[_-]?key|credential|credentials";

/// What looks like a secret, by itself.
const SHAPES: [&str; 12] = [
    r"(?i)\b(?:bearer|basic)\s+[a-z0-9._~+/=-]{8,}",
    r"\b(?:sk|rk|pk|gsk|xai|pplx|nvapi|hf|r8|tgp|fw|csk)[-_][A-Za-z0-9_-]{12,}",
    r"\bcw_[0-9a-f]{16,}",
    r"\b(?:AKIA|ASIA)[0-9A-Z]{12,}",
    r"\bAIza[0-9A-Za-z_-]{20,}",
    r"\bya29\.[0-9A-Za-z._-]{10,}",
    r"\b(?:gh[pousr]_|github_pat_|glpat-)[A-Za-z0-9_-]{16,}",
    r"\bxox[abeprs]-[A-Za-z0-9-]{8,}",
    r"\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]*",
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|\z)",
    r"\b[a-z][a-z0-9+.-]*://[^/\s:@]+:[^/\s@]+@",
    r"(?i)[?&](?:key|api[_-]?key|token|access_token|sig|signature)=[^&\s\x22\\]{4,}",
];

static BUILT_IN: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    // In JSON, and in JSON inside of a text of JSON, such as the arguments of a tool call.
    let members = [
        format!(r#"(?i)("(?:{NAMES})"\s*:\s*")((?:[^"\\]|\\.)*)"#),
        format!(r#"(?i)(\\+"(?:{NAMES})\\+"\s*:\s*\\+")([^"]*)"#),
    ];
    let all = members.iter().map(String::as_str).chain(SHAPES);
    let compiled = all.map(|pattern| Regex::new(pattern).ok());
    compiled
        .collect::<Option<Vec<_>>>()
        .expect("a test compiles the patterns")
});

/// Hides what looks like a secret. Cheap to clone.
#[derive(Clone, Default)]
pub struct Redactor(Arc<[Regex]>);

/// Why a pattern is none.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    #[error("there are at most {PATTERNS_MAX}")]
    Many,
    #[error("number {0} is longer than {PATTERN_BYTES_MAX} bytes")]
    Long(usize),
    #[error("number {0} cannot be read: {1}")]
    Syntax(usize, regex::Error),
}

impl Redactor {
    /// What is hidden beside the usual.
    ///
    /// # Errors
    /// Where a pattern is no regular expression.
    pub fn with(patterns: &[String]) -> Result<Self, PatternError> {
        if patterns.len() > PATTERNS_MAX {
            return Err(PatternError::Many);
        }
        let numbered = patterns.iter().enumerate();
        let compiled = numbered.map(|(place, pattern)| {
            if pattern.len() > PATTERN_BYTES_MAX {
                return Err(PatternError::Long(place + 1));
            }
            Regex::new(pattern).map_err(|error| PatternError::Syntax(place + 1, error))
        });
        Ok(Self(compiled.collect::<Result<Vec<_>, _>>()?.into()))
    }

    fn text(&self, text: &str) -> String {
        let mut clean = text.to_owned();
        for pattern in BUILT_IN.iter().chain(self.0.iter()) {
            let hidden = pattern.replace_all(&clean, |found: &Captures<'_>| {
                // The name of a member stays.
                let name = found.get(2).and_then(|_| found.get(1));
                format!("{}{MASKED}", name.map_or("", |name| name.as_str()))
            });
            if let std::borrow::Cow::Owned(hidden) = hidden {
                clean = hidden;
            }
        }
        clean
    }
}

/// The beginning of a body, and how long it is.
#[derive(Default)]
struct Kept {
    start: Vec<u8>,
    bytes: u64,
}

impl Kept {
    fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        let room = (LOGGED_BYTES_MAX + MARGIN_BYTES).saturating_sub(self.start.len());
        let kept = &bytes[..bytes.len().min(room)];
        self.start.extend_from_slice(kept);
    }

    /// As it is logged.
    fn shown(&self, mask: &Mask, redactor: &Redactor) -> String {
        let is_cut = self.bytes > self.start.len() as u64;
        let text = match std::str::from_utf8(&self.start) {
            Ok(text) => text,
            // A character that was cut in two.
            Err(error) if is_cut && error.error_len().is_none() => {
                std::str::from_utf8(&self.start[..error.valid_up_to()]).unwrap_or_default()
            }
            Err(_) => return format!("[{} bytes that are no text]", self.bytes),
        };
        let mut shown = redactor.text(&mask.text(text));
        // What comes last may be the half of a secret that nobody recognised.
        let sure = if is_cut {
            shown.len().saturating_sub(MARGIN_BYTES)
        } else {
            shown.len()
        };
        let end = shown.floor_char_boundary(sure.min(LOGGED_BYTES_MAX));
        shown.truncate(end);
        shown
    }
}

/// The bodies of one request whose model's owner wants them logged.
pub(crate) struct Bodies {
    redactor: Redactor,
    /// Keys that were used: what is said of them is hidden by value.
    keys: Vec<Arc<LiveKey>>,
    request: Kept,
    answer: Kept,
}

impl Bodies {
    pub(crate) fn of(redactor: &Redactor, request: &[u8]) -> Self {
        let mut kept = Kept::default();
        kept.add(request);
        Self {
            redactor: redactor.clone(),
            keys: Vec::new(),
            request: kept,
            answer: Kept::default(),
        }
    }

    /// A provider with these keys is asked.
    pub(crate) fn hide(&mut self, keys: &[Arc<LiveKey>]) {
        let new = |key: &&Arc<LiveKey>| self.keys.iter().all(|known| known.id != key.id);
        let new: Vec<_> = keys.iter().filter(new).cloned().collect();
        self.keys.extend(new);
    }

    /// So much more went to the caller.
    pub(crate) fn answered(&mut self, bytes: &[u8]) {
        self.answer.add(bytes);
    }

    /// Logs them.
    pub(crate) fn tell(self, entry: &LedgerEntry) {
        let Called::Model(call) = &entry.called else {
            return;
        };
        let hidden = self.keys.iter().flat_map(|key| secrets(key));
        let mask = Mask::of_values(hidden.collect());
        tracing::info!(
            target: "causeway::bodies",
            {
                trace.id = entry.trace_id,
                model = call.model,
                answered.by = call.target,
                request.bytes = self.request.bytes,
                request.body = self.request.shown(&mask, &self.redactor),
                response.bytes = self.answer.bytes,
                response.body = self.answer.shown(&mask, &self.redactor),
            },
            "bodies of a request for {}", call.model
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let mut kept = Kept::default();
        kept.add(text.as_bytes());
        kept.shown(Mask::none(), &Redactor::default())
    }

    #[test]
    fn what_looks_like_a_secret_is_hidden_and_the_rest_stays() {
        for (text, expected) in [
            (
                r#"{"messages":[{"content":"a token of love"}],"max_tokens":7}"#,
                r#"{"messages":[{"content":"a token of love"}],"max_tokens":7}"#,
            ),
            (
                r#"{"api_key":"hush","Password" : "a\"b","x":1}"#,
                r#"{"api_key":"[masked]","Password" : "[masked]","x":1}"#,
            ),
            (
                r#"{"arguments":"{\"api_key\":\"hush\",\"q\":\"sea\"}"}"#,
                r#"{"arguments":"{\"api_key\":\"[masked]"q\":\"sea\"}"}"#,
            ),
            (
                "Authorization: Bearer abcdefgh12345",
                "Authorization: [masked]",
            ),
            ("my key is sk-proj-0123456789abcdef.", "my key is [masked]."),
            (
                "AKIAIOSFODNN7EXAMPLE and AIzaSyA-0123456789abcdefghijk",
                "[masked] and [masked]",
            ),
            ("postgres://app:hush@db/x", "[masked]db/x"),
            (
                "https://a.example/?key=abcdef&b=1",
                "https://a.example/[masked]&b=1",
            ),
            (
                "eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSM, -----BEGIN PRIVATE KEY-----\\nMII\\n-----END PRIVATE KEY-----!",
                "[masked], [masked]!",
            ),
        ] {
            let said = shown(text);
            if text.contains("arguments") {
                assert!(!said.contains("hush") && said.contains("sea"), "{said}");
            } else {
                assert_eq!(said, expected);
            }
        }
    }

    #[test]
    fn patterns_of_an_operator_are_hidden_too_and_wrong_ones_named() {
        let redactor = Redactor::with(&[r"\bEMP-\d+".to_owned()]).unwrap();
        assert_eq!(redactor.text("EMP-4711 asks"), "[masked] asks");
        let wrong = Redactor::with(&["a".to_owned(), "(".to_owned()]).err();
        let said = wrong.map(|error| error.to_string()).unwrap();
        assert!(said.starts_with("number 2 cannot be read"), "{said}");
        assert!(Redactor::with(&vec!["a".to_owned(); 51]).is_err());
    }

    #[test]
    fn a_body_is_cut_and_no_secret_with_it() {
        let secret = "sk-0123456789abcdefghij";
        // Wherever the secret stands, nothing of it is shown.
        for before in (LOGGED_BYTES_MAX - 60..LOGGED_BYTES_MAX + 10)
            .chain(LOGGED_BYTES_MAX + MARGIN_BYTES - 40..LOGGED_BYTES_MAX + MARGIN_BYTES + 3)
        {
            let text = format!("{} {secret} {}", "é".repeat(before / 2), "y".repeat(20_000));
            let said = shown(&text);
            assert!(said.len() <= LOGGED_BYTES_MAX, "{}", said.len());
            assert!(!said.contains("sk-0"), "{before}");
        }
        // Also where much is hidden before it, so that what follows moves up.
        let text = format!("{} {secret}", "sk-aaaaaaaaaaaaaaaa ".repeat(1_228));
        let said = shown(&format!("{text}{}", "z".repeat(30_000)));
        assert!(!said.contains("sk-"), "{said}");
        let mut kept = Kept::default();
        kept.add(&[0xff, 0xfe, 0x00]);
        let said = kept.shown(Mask::none(), &Redactor::default());
        assert_eq!(said, "[3 bytes that are no text]");
    }
}
