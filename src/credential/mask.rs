//! Hides known credential values wherever they turn up, by value and not by position: an upstream
//! that echoes a request must not hand its key to the caller.
//!
//! A value shorter than four characters is not hidden: it would shred every text it happens to
//! occur in, and protects nothing.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::fmt::Write;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::HeaderValue;
use memchr::memmem::Finder;
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::ExposeSecret;
use url::form_urlencoded;

use crate::credential::Secret;
use crate::credential::place::COOKIE_VALUE;
use crate::types::UpstreamResponse;

/// What stands where a secret stood. Valid inside JSON strings, URLs and headers.
pub const MASKED: &str = "[masked]";

/// Shorter values are not hidden.
pub const VALUE_CHARACTERS_MIN: usize = 4;

/// Finds and hides the values of a server's credentials: raw, in base64 of it or of a text that holds
/// it, percent-encoded,
/// JSON-escaped, HTML-escaped, UTF-16. Empty for a server without any, and then free.
#[derive(Clone, Default)]
pub struct Mask(Vec<Arc<Matcher>>);

struct Matcher {
    search: Search,
    longest: usize,
}

enum Search {
    /// Many forms at once.
    All(AhoCorasick),
    /// One form after the other, the longest first: found without an automaton, which would cost more
    /// to make than a call.
    Each(Vec<Finder<'static>>),
}

impl Mask {
    /// A mask for these secrets.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let mut values = Vec::new();
        for secret in secrets {
            match secret {
                Secret::Token(token) => values.push(token.expose_secret().to_owned()),
                Secret::Basic { user, password } => {
                    let password = password.expose_secret();
                    values.push(password.to_owned());
                    values.push(format!("{user}:{password}"));
                    // What stands in the request, and may itself be encoded with all of it.
                    values.push(STANDARD_NO_PAD.encode(format!("{user}:{password}")));
                    // Some APIs take their key as the user, without a password.
                    if password.chars().count() < VALUE_CHARACTERS_MIN {
                        values.push(user.clone());
                    }
                }
                // No API is ever sent a private key; what is a user's own is hidden in that user's calls.
                Secret::Identity(_) | Secret::EachUser(None) => {}
                Secret::Client(client) | Secret::EachUser(Some(client)) => {
                    let client = &client.registration;
                    let Some(secret) = &client.secret else {
                        continue;
                    };
                    let secret = secret.expose_secret();
                    values.push(secret.to_owned());
                    // As it stands in a request for a token (RFC 6749 section 2.3.1).
                    let encoded = |text: &str| -> String {
                        form_urlencoded::byte_serialize(text.as_bytes()).collect()
                    };
                    let pair = format!("{}:{}", encoded(&client.id), encoded(secret));
                    values.push(STANDARD_NO_PAD.encode(pair));
                }
            }
        }
        Self::of_values(values)
    }

    /// A mask for secrets that are no credential an owner entered, such as tokens.
    pub fn of_values(mut values: Vec<String>) -> Self {
        values.retain(|value| value.chars().count() >= VALUE_CHARACTERS_MIN);
        let mut forms = BTreeSet::new();
        for value in &values {
            add_forms(&mut forms, value);
        }
        let mut forms: Vec<Vec<u8>> = forms.into_iter().map(String::into_bytes).collect();
        for value in values {
            // UTF-16, in either order of bytes.
            forms.push(value.encode_utf16().flat_map(u16::to_le_bytes).collect());
            forms.push(value.encode_utf16().flat_map(u16::to_be_bytes).collect());
        }
        let longest = forms.iter().map(Vec::len).max().unwrap_or_default();
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(&forms)
            .ok()
            .filter(|_| !forms.is_empty());
        let search = automaton.map(Search::All);
        let matcher = search.map(|search| Arc::new(Matcher { search, longest }));
        Self(matcher.into_iter().collect())
    }

    /// A mask for values that only one call has to hide: as they are, inside JSON, and encoded for a URL
    /// or in base64.
    pub fn of_call(values: &BTreeSet<String>) -> Self {
        let mut forms = BTreeSet::new();
        for value in values {
            forms.insert(value.clone());
            forms.insert(json_escaped(value, |_| false, false));
            forms.insert(utf8_percent_encode(value, &UNRESERVED).to_string());
            forms.extend(inside_base64(value));
        }
        // A form may be a part of another.
        let mut forms: Vec<String> = forms.into_iter().collect();
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        let longest = forms.first().map_or(0, String::len);
        let finders = forms.iter().map(|form| Finder::new(form).into_owned());
        let search = Search::Each(finders.collect());
        let matcher = (!forms.is_empty()).then(|| Arc::new(Matcher { search, longest }));
        Self(matcher.into_iter().collect())
    }

    /// Hides what either hides; where a secret of `other` stands inside one of these, all of it.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        Self([&self.0[..], &other.0[..]].concat())
    }

    /// Hides nothing.
    pub fn none() -> &'static Self {
        static NONE: Mask = Mask(Vec::new());
        &NONE
    }

    /// Whether there is nothing to hide.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `text` without secrets; borrowed when there was none.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut clean = Cow::Borrowed(text);
        for matcher in self.matching(text.as_bytes()) {
            let replaced = matcher.replace(clean.as_bytes(), |b| String::from_utf8_lossy(b).into());
            clean = Cow::Owned(replaced);
        }
        clean
    }

    /// `body` without secrets; the same bytes when there was none.
    pub fn bytes(&self, mut body: Bytes) -> Bytes {
        for matcher in self.matching(&body.clone()) {
            body = matcher.replace(&body, |b| Bytes::from(b.to_vec()));
        }
        body
    }

    /// An answer without secrets, headers and body. Where the body was cut, a secret cut in two
    /// goes with it.
    pub fn response(&self, mut response: UpstreamResponse) -> UpstreamResponse {
        if self.is_empty() {
            return response;
        }
        for value in response.headers.values_mut() {
            let written = value.clone();
            for matcher in self.matching(written.as_bytes()) {
                *value = matcher.replace(value.as_bytes(), |b| {
                    HeaderValue::from_bytes(b).unwrap_or(HeaderValue::from_static(MASKED))
                });
            }
        }
        response.body = self.bytes(response.body);
        if response.truncated {
            let longest = self.0.iter().map(|matcher| matcher.longest).max();
            let kept = response.body.len().saturating_sub(longest.unwrap_or(0));
            response.body.truncate(kept);
        }
        response
    }

    /// Those that find something. A mark is no part of a secret, so no more find something later.
    fn matching<'m>(&'m self, bytes: &'m [u8]) -> impl Iterator<Item = &'m Matcher> {
        let matchers = self.0.iter().map(AsRef::as_ref);
        matchers.filter(move |matcher| matcher.search.finds(bytes))
    }
}

impl Matcher {
    fn replace<T>(&self, haystack: &[u8], finish: impl Fn(&[u8]) -> T) -> T {
        let mut clean = Vec::with_capacity(haystack.len());
        match &self.search {
            Search::All(automaton) => {
                automaton.replace_all_with_bytes(haystack, &mut clean, |_, _, out| {
                    out.extend_from_slice(MASKED.as_bytes());
                    true
                });
            }
            Search::Each(finders) => {
                clean.extend_from_slice(haystack);
                for finder in finders {
                    clean = without(finder, &clean);
                }
            }
        }
        finish(&clean)
    }
}

impl Search {
    fn finds(&self, haystack: &[u8]) -> bool {
        match self {
            Self::All(automaton) => automaton.is_match(haystack),
            Self::Each(finders) => finders.iter().any(|form| form.find(haystack).is_some()),
        }
    }

    fn forms(&self) -> usize {
        match self {
            Self::All(automaton) => automaton.patterns_len(),
            Self::Each(finders) => finders.len(),
        }
    }
}

/// The haystack with a mark in the place of each match.
fn without(finder: &Finder<'_>, haystack: &[u8]) -> Vec<u8> {
    let mut clean = Vec::with_capacity(haystack.len());
    let mut from = 0;
    for at in finder.find_iter(haystack) {
        clean.extend_from_slice(&haystack[from..at]);
        clean.extend_from_slice(MASKED.as_bytes());
        from = at + finder.needle().len();
    }
    clean.extend_from_slice(&haystack[from..]);
    clean
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patterns: usize = self.0.iter().map(|m| m.search.forms()).sum();
        write!(f, "Mask({patterns} forms)")
    }
}

/// Percent-encoding as libraries differ in it: everything, RFC 3986's unreserved kept,
/// JavaScript's `encodeURIComponent` and `encodeURI`, and what the WHATWG URL standard encodes in
/// a query; and what we encode in a cookie.
const PERCENT_SETS: [&AsciiSet; 6] = [
    COOKIE_VALUE,
    NON_ALPHANUMERIC,
    &UNRESERVED,
    &UNRESERVED
        .remove(b'!')
        .remove(b'*')
        .remove(b'\'')
        .remove(b'(')
        .remove(b')'),
    &CONTROLS
        .add(b' ')
        .add(b'"')
        .add(b'%')
        .add(b'<')
        .add(b'>')
        .add(b'[')
        .add(b'\\')
        .add(b']')
        .add(b'^')
        .add(b'`')
        .add(b'{')
        .add(b'|')
        .add(b'}'),
    &CONTROLS
        .add(b' ')
        .add(b'"')
        .add(b'#')
        .add(b'<')
        .add(b'>')
        .add(b'\''),
];

const UNRESERVED: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Adds every form in which a value may come back: as it is or encoded for a URL or a cookie, each
/// of these inside JSON or HTML; and base64.
fn add_forms(forms: &mut BTreeSet<String>, value: &str) {
    let mut plain = BTreeSet::from([
        value.to_owned(),
        form_urlencoded::byte_serialize(value.as_bytes()).collect(),
    ]);
    plain.extend(PERCENT_SETS.map(|set| utf8_percent_encode(value, set).to_string()));
    plain.extend(plain.iter().map(|form| lower_hex(form)).collect::<Vec<_>>());
    for form in &plain {
        // Without padding, which is then left behind where there is any.
        forms.insert(STANDARD_NO_PAD.encode(form));
        forms.insert(URL_SAFE_NO_PAD.encode(form));
        forms.extend(inside_base64(form));
        for escapes in JSON_WRITERS {
            forms.insert(json_escaped(form, escapes, false));
            forms.insert(json_escaped(form, escapes, true));
        }
        for apostrophe in ["'", "&#39;", "&#x27;", "&apos;", "&#039;"] {
            let escaped = form
                .replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;")
                .replace('\'', apostrophe);
            forms.insert(escaped.replace('"', "&quot;"));
            forms.insert(escaped.replace('"', "&#34;"));
        }
    }
    forms.append(&mut plain);
}

/// What base64 of a longer text shows of a value in it, wherever it begins: without the characters at
/// its edges that hold bits of its neighbours too.
fn inside_base64(value: &str) -> impl Iterator<Item = String> {
    (0..3).flat_map(move |before: usize| {
        let mut text = vec![0; before];
        text.extend_from_slice(value.as_bytes());
        // Six bits a character: the first that hold the value alone, and the last.
        let first = (before * 8).div_ceil(6);
        let end = text.len() * 8 / 6;
        [STANDARD_NO_PAD, URL_SAFE_NO_PAD].map(|engine| engine.encode(&text)[first..end].to_owned())
    })
}

/// `%2F` as `%2f`.
fn lower_hex(encoded: &str) -> String {
    let mut pieces = encoded.split('%');
    let mut lower = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (hex, rest) = piece.split_at_checked(2).unwrap_or((piece, ""));
        lower.push('%');
        lower.push_str(&hex.to_ascii_lowercase());
        lower.push_str(rest);
    }
    lower
}

/// What JSON writers escape beyond the need: nothing, Go, Python, JavaScript in HTML, PHP, .NET.
const JSON_WRITERS: [fn(char) -> bool; 6] = [
    |_| false,
    |c| matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}'),
    |c| !c.is_ascii(),
    |c| c == '/',
    |c| c == '/' || !c.is_ascii(),
    |c| !c.is_ascii() || matches!(c, '"' | '&' | '\'' | '+' | '<' | '>' | '`'),
];

/// The inside of a JSON string, with one of the two ways to write hex digits.
fn json_escaped(value: &str, escapes: fn(char) -> bool, upper: bool) -> String {
    let mut escaped = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '/' if escapes(c) => escaped.push_str("\\/"),
            _ if escapes(c) || (c.is_ascii_control() && !"\n\r\t".contains(c)) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = if upper {
                        write!(escaped, "\\u{unit:04X}")
                    } else {
                        write!(escaped, "\\u{unit:04x}")
                    };
                }
            }
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(text: &str) -> Secret {
        Secret::Token(text.into())
    }

    #[test]
    fn what_one_call_has_to_hide_is_hidden_beside_what_is_held() {
        let held = Mask::new([&token("the-secret-of-the-owner")]);
        let values = BTreeSet::from([
            "Bearer a/token+of=one\"call".to_owned(),
            "a/token+of=one\"call".to_owned(),
        ]);
        let mask = Mask::of_call(&values).with(&held);
        let base64 = STANDARD_NO_PAD.encode("user:a/token+of=one\"call;");
        for text in [
            "the-secret-of-the-owner",
            "Bearer a/token+of=one\"call",
            "a/token+of=one\\\"call",
            "a%2Ftoken%2Bof%3Done%22call",
            &base64,
            "a/token+of=one\"call and the-secret-of-the-owner",
        ] {
            let clean = mask.text(text);
            assert!(clean.contains(MASKED), "{text}: {clean}");
            assert!(
                !clean.contains("call") && !clean.contains("owner"),
                "{text}: {clean}"
            );
        }
        assert!(matches!(mask.text("a token of one call"), Cow::Borrowed(_)));
        assert_eq!(held.text("a/token+of=one\"call"), "a/token+of=one\"call");
        // Made and searched in a moment, whatever it is.
        let long = BTreeSet::from(["x".repeat(8 << 10)]);
        let mask = Mask::of_call(&long);
        assert_eq!(mask.text(&"x".repeat(1 << 20)), MASKED.repeat(128));
    }

    #[test]
    fn every_form_of_a_secret_is_hidden() {
        let mask = Mask::new([&token("s3cr/t+k\"y=é&\\z'<!>~")]);
        for form in [
            "s3cr/t+k\"y=é&\\z'<!>~",
            "czNjci90K2siecO5",
            "s3cr%2Ft%2Bk%22y%3D%C3%A9%26%5Cz%27%3C%21%3E~",
            "s3cr%2ft%2bk%22y%3d%c3%a9%26%5cz%27%3c%21%3e~",
            "s3cr%2Ft%2Bk%22y%3D%C3%A9%26%5Cz'%3C!%3E~",
            "s3cr%2Ft%2Bk%22y%3D%C3%A9%26%5Cz%27%3C%21%3E%7E",
            "s3cr/t+k%22y=%C3%A9&%5Cz'%3C!%3E~",
            r#"s3cr/t+k\"y=é&\\z'<!>~"#,
            r#"s3cr\/t+k\"y=\u00e9&\\z'<!>~"#,
            r#"s3cr/t+k\"y=é\u0026\\z'\u003c!\u003e~"#,
            r"s3cr/t\u002Bk\u0022y=\u00E9\u0026\\z\u0027\u003C!\u003E~",
            "s3cr/t+k&quot;y=é&amp;\\z&#x27;&lt;!&gt;~",
        ] {
            if form.starts_with("czNj") {
                let encoded = STANDARD_NO_PAD.encode("s3cr/t+k\"y=é&\\z'<!>~");
                assert_eq!(mask.text(&format!("({encoded}==)")), "([masked]==)");
                continue;
            }
            assert_eq!(mask.text(&format!("({form})")), "([masked])", "{form}");
        }
    }

    #[test]
    fn base64_of_more_than_the_secret_hides_the_secret() {
        use base64::engine::general_purpose::{STANDARD, URL_SAFE};
        let arounds = [
            "",
            "a",
            "ab",
            "abc",
            "Bearer ",
            "GET / HTTP/1.1\r\nX: Bearer ",
        ];
        let afters = ["", "x", "xy", "\r\nHost: api.example.com\r\n\r\n"];
        let hidden = |mask: &Mask, encoded: &str| {
            let shown = mask.text(encoded);
            assert!(shown.contains(MASKED), "{encoded}: {shown}");
            encoded.len() - (shown.len() - MASKED.len())
        };
        // With bytes that the two alphabets write in their own way.
        for secret in [
            "s3cr",
            "tok_live_0123456789",
            "~~~>>>???~~~é",
            "a/b+c=d&e f",
        ] {
            let mask = Mask::new([&token(secret)]);
            let wholes = arounds
                .iter()
                .flat_map(|around| afters.map(|after| format!("{around}{secret}{after}")));
            for whole in wholes {
                // All but the edges, which share their bits with what is around.
                let least = secret.len() * 8 / 6 - 4;
                assert!(hidden(&mask, &STANDARD.encode(&whole)) >= least, "{whole}");
                assert!(hidden(&mask, &URL_SAFE.encode(&whole)) >= least, "{whole}");
            }
        }
        let basic = Secret::Basic {
            user: "ada".into(),
            password: "pass word".into(),
        };
        let request = "GET / HTTP/1.1\r\nAuthorization: Basic YWRhOnBhc3Mgd29yZA==\r\n\r\n";
        let shown = Mask::new([&basic])
            .text(&STANDARD.encode(request))
            .into_owned();
        assert!(shown.contains(MASKED), "{shown}");
    }

    #[test]
    fn both_halves_of_a_basic_credential_are_hidden() {
        let basic = |user: &str, password: &str| Secret::Basic {
            user: user.into(),
            password: password.into(),
        };
        let mask = Mask::new([&basic("ada", "pass word")]);
        assert_eq!(mask.text("Basic YWRhOnBhc3Mgd29yZA=="), "Basic [masked]==");
        assert_eq!(
            mask.text("ada / pass word / pass+word"),
            "ada / [masked] / [masked]"
        );
        let key_as_user = Mask::new([&basic("sk_live_1", "")]);
        assert_eq!(key_as_user.text("sk_live_1"), "[masked]");
    }

    #[test]
    fn short_values_and_no_values_leave_everything() {
        let text = "abc abc abc";
        assert!(Mask::new([&token("abc")]).is_empty());
        assert!(Mask::default().is_empty());
        assert!(matches!(Mask::default().text(text), Cow::Borrowed(_)));
        assert!(matches!(
            Mask::new([&token("abcd")]).text(text),
            Cow::Borrowed(_)
        ));
        assert!(!format!("{:?}", Mask::new([&token("abcd")])).contains("abcd"));
    }

    #[test]
    fn a_secret_cut_in_two_by_the_limit_is_not_half_shown() {
        let mask = Mask::new([&token("0123456789")]);
        let response = |truncated| UpstreamResponse {
            status: http::StatusCode::OK,
            headers: [(http::header::ETAG, HeaderValue::from_static("x0123456789x"))]
                .into_iter()
                .collect(),
            body: Bytes::from("long enough a text to keep something of it: 01234567"),
            truncated,
            first_byte: std::time::Duration::ZERO,
            total: std::time::Duration::ZERO,
        };
        let cut = mask.response(response(true));
        assert!(!String::from_utf8_lossy(&cut.body).contains("0123"));
        assert_eq!(cut.headers["etag"], "x[masked]x");
        assert!(mask.response(response(false)).body.ends_with(b"01234567"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn an_echo_by_any_writer_is_hidden(
            secret in "[ -~é€\u{1f511}\n\t]{4,40}", before in "[a-z ]{0,9}", after in "[a-z ]{0,9}",
        ) {
            let mask = Mask::new([&token(&secret)]);
            let around = |form: String| format!("{before}{form}{after}");
            let json = serde_json::to_string(&secret).unwrap();
            let url = form_urlencoded::Serializer::new(String::new()).append_pair("k", &secret).finish();
            for form in [secret.clone(), json.clone(), url, STANDARD_NO_PAD.encode(&secret)] {
                let shown = around(form);
                prop_assert!(mask.text(&shown).contains(MASKED), "{}", shown);
            }
            let echoed = mask.text(&json).into_owned();
            prop_assert!(serde_json::from_str::<String>(&echoed).is_ok(), "{}", echoed);
        }
    }
}
