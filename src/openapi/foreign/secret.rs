//! What looks like a secret, by its name or by itself. A document that is converted passes names of
//! credentials on, never their values; where it is not clear, the value is taken for one.

use crate::openapi::foreign::address::{self, Parts};

/// A value shorter than this is no token by itself.
const TOKEN_LENGTH_MIN: usize = 20;

/// Beginnings by which issuers mark what they issue.
const MARKS: [&str; 17] = [
    "sk-",
    "sk_",
    "pk_",
    "rk_",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "xox",
    "AKIA",
    "ASIA",
    "AIza",
    "eyJ",
    "SG.",
    "shpat_",
    "whsec_",
];

/// Words that name a credential wherever they stand in a name.
const WORDS: [&str; 33] = [
    "apikey",
    "appkey",
    "appcode",
    "appsecret",
    "secret",
    "password",
    "passwd",
    "pwd",
    "pass",
    "passphrase",
    "passcode",
    "credential",
    "credentials",
    "authorization",
    "auth",
    "bearer",
    "jwt",
    "signature",
    "sig",
    "hmac",
    "sessionid",
    "cookie",
    "accesskey",
    "privatekey",
    "clientsecret",
    "accesstoken",
    "authtoken",
    "apitoken",
    "pin",
    "otp",
    "totp",
    "cvv",
    "ssn",
];

/// Words that make a key of the word `key` after them.
const KINDS_OF_KEY: [&str; 12] = [
    "api",
    "app",
    "access",
    "private",
    "secret",
    "subscription",
    "license",
    "auth",
    "signing",
    "functions",
    "service",
    "master",
];

/// Words before `token` that make it a place in a list, not a credential.
const KINDS_OF_PLACE: [&str; 9] = [
    "page",
    "next",
    "previous",
    "prev",
    "continuation",
    "sync",
    "max",
    "cursor",
    "start",
];

/// Whether a parameter, header, variable or property of that name holds a credential.
pub fn is_secret_name(name: &str) -> bool {
    let words = words(name);
    let is_word = |word: &String| WORDS.contains(&word.as_str());
    if words.iter().any(is_word) || WORDS.contains(&words.concat().as_str()) {
        return true;
    }
    words.iter().enumerate().any(|(at, word)| {
        let before = at
            .checked_sub(1)
            .map_or("", |before| words[before].as_str());
        match word.as_str() {
            "key" => KINDS_OF_KEY.contains(&before),
            "token" => !KINDS_OF_PLACE.contains(&before),
            "id" => before == "session",
            // `X-Session` is one, `session_count` is none.
            "session" => at + 1 == words.len(),
            _ => false,
        }
    })
}

/// Whether a value is a token by itself: marked as one, or long and without any word in it; or a URL
/// that holds one.
pub fn is_secret_value(value: &str) -> bool {
    let value = value.trim();
    if value.contains("://") {
        return is_secret_url(value);
    }
    if value.len() < TOKEN_LENGTH_MIN || value.contains(char::is_whitespace) {
        return false;
    }
    if MARKS.iter().any(|mark| value.starts_with(mark)) {
        return true;
    }
    let token = |b: u8| b.is_ascii_alphanumeric() || b"-_.~+/=:".contains(&b);
    if !value.bytes().all(token) || is_uuid(value) {
        return false;
    }
    has_mixed_letters(value) || has_no_vowels(value) || (is_dense(value) && !is_path(value))
}

/// A user name or password, or a token in the path or the query.
fn is_secret_url(url: &str) -> bool {
    let Parts { base, path, query } = address::split(url);
    let in_query = |(name, value): &(String, Option<String>)| {
        is_secret(name, value.as_deref().unwrap_or_default()) || is_secret_value(name)
    };
    base.contains('@')
        || path.split('/').any(is_secret_value)
        || address::pairs(query).iter().any(in_query)
}

/// Words have few digits, and numbers and dates no letters.
fn is_dense(value: &str) -> bool {
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let letters = value.bytes().filter(u8::is_ascii_alphabetic).count();
    digits * 8 >= value.len() && letters * 8 >= value.len()
}

/// Names have a capital at the beginning of a word, not within it.
fn has_mixed_letters(value: &str) -> bool {
    let upper = value.bytes().filter(u8::is_ascii_uppercase).count();
    let lower = value.bytes().filter(u8::is_ascii_lowercase).count();
    upper * 4 >= value.len() && lower * 4 >= value.len()
}

/// Letters of one case, so many of them without a vowel as no word has.
fn has_no_vowels(value: &str) -> bool {
    const CONSONANTS_MIN: usize = 6;
    let one_case = value.bytes().all(|b| b.is_ascii_lowercase())
        || value.bytes().all(|b| b.is_ascii_uppercase());
    let vowel = |b: &u8| b"aeiouy".contains(&b.to_ascii_lowercase());
    let mut runs = value.as_bytes().split(vowel);
    one_case && runs.any(|run| run.len() >= CONSONANTS_MIN)
}

/// Words and numbers between slashes or colons: a path, an address, a URN.
fn is_path(value: &str) -> bool {
    const SHORT: usize = 4;
    let plain = |part: &str| {
        let is_number = part.bytes().all(|b| b.is_ascii_digit());
        part.len() <= SHORT || is_number || !is_dense(part) || is_uuid(part)
    };
    value.contains(['/', ':']) && value.split(['/', ':']).all(plain)
}

/// Whether either of the two says so.
pub fn is_secret(name: &str, value: &str) -> bool {
    is_secret_name(name) || is_secret_value(value)
}

/// The 8-4-4-4-12 form (RFC 9562 section 4).
pub fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// `X-Api-Key`, `apiKey` and `API_KEY` are `api` and `key`.
pub fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in name.chars().take(200) {
        let starts = c.is_uppercase() && (before.is_lowercase() || before.is_numeric());
        if (!c.is_alphanumeric() || starts) && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_credentials_are_known_however_they_are_written() {
        for name in [
            "apiKey",
            "X-API-Key",
            "api_key",
            "APIKEY",
            "Authorization",
            "access_token",
            "token",
            "clientSecret",
            "client_secret",
            "X-Auth-Token",
            "userPassword",
            "appCode",
            "Ocp-Apim-Subscription-Key",
            "session_id",
            "accessToken",
            "X-Api-Pass",
            "sig",
            "session",
            "X-Session",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "page_token",
            "nextToken",
            "key",
            "keyword",
            "id",
            "userId",
            "baseUrl",
            "author",
            "sort",
            "tokens",
            "monkey",
            "X-Request-Id",
            "session_count",
            "passenger",
            "design",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn values_of_credentials_are_known_by_their_look() {
        for value in [
            "sk-proj-abcdefghijklmnop",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
            "9f86d081884c7d659a2feaa0c55ad015",
            "xoxb-1234-5678-abcdefgh",
            // A bot of Telegram, webhooks of Slack, a signature of Azure, a key of AWS.
            "bot123456789:AAEhBP0av28vNkQ-xyzabcdefghijklmnop",
            "qWkzJhGtrWpLdKfjGhMnBvCx",
            "qwkzjhgtrwpldkfjghmnbvcx",
            "https://hooks.slack.com/services/T0/B0/qWkzJhGtrWpLdKfjGhMnBvCx",
            "https://me:hunter2@api.example.com",
            "https://api.example.com/things?sig=abc",
            "n3vFJ8l0/9Kb2Qxr+Zk1h7mYwT4uPcE5sD6gA0bVjLo=",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        ] {
            assert!(is_secret_value(value), "{value}");
        }
        for value in [
            "2024-01-01T00:00:00Z",
            "a-rather-long-slug-of-words",
            "3f0d0a52-5d53-4f38-9c5e-0d7ab0a0c0de",
            "short1",
            "https://api.example.com/v1",
            "12345678901234567890",
            "/v1/users/12345/orders/678",
            "http://10.20.30.40:18080/api/v1/things",
            "2024-01-01T00:00:00.000+02:00",
            "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
            "getUserAccountInformationById",
            "customeraccountsettings",
            "America/Argentina/Buenos_Aires",
            "application/vnd.api+json",
        ] {
            assert!(!is_secret_value(value), "{value}");
        }
    }
}
