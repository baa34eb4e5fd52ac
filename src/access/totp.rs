//! One-time codes of a device (RFC 6238 over RFC 4226, with SHA-1 as every authenticator speaks it),
//! and the codes that stand in when the device is lost. Pure: time and randomness are parameters.

use aws_lc_rs::hmac;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use subtle::ConstantTimeEq;

/// Bytes of a shared secret, as many as SHA-1 gives (RFC 4226 section 4 recommends it).
pub const SECRET_BYTES: usize = 20;
const DIGITS: u32 = 6;
const STEP_S: i64 = 30;
/// Clocks may differ by one step either way.
const STEPS_APART: i64 = 1;
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Recovery codes somebody gets, and the random bytes of each: 80 bits are not guessed.
pub const RECOVERY_CODES: usize = 8;
pub const RECOVERY_BYTES: usize = 10;

/// The code of a time step.
fn code(secret: &[u8], step: i64, digits: u32) -> u32 {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let at = usize::from(tag[tag.len() - 1] & 0x0f);
    let word = [tag[at] & 0x7f, tag[at + 1], tag[at + 2], tag[at + 3]];
    u32::from_be_bytes(word) % 10_u32.pow(digits)
}

/// The time step whose code this is, if that is now or next to now, and after `last`. A code is never
/// taken twice.
pub fn step_of(secret: &[u8], entered: &str, now: i64, last: Option<i64>) -> Option<i64> {
    let entered: String = entered.chars().filter(|c| !c.is_whitespace()).collect();
    let current = now.div_euclid(STEP_S);
    let mut found = None;
    for step in current - STEPS_APART..=current + STEPS_APART {
        let expected = format!("{:06}", code(secret, step, DIGITS));
        let same = bool::from(expected.as_bytes().ct_eq(entered.as_bytes()));
        if same && last.is_none_or(|last| step > last) {
            found = Some(step);
        }
    }
    found
}

/// Bytes as RFC 4648 base 32, without padding.
pub fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut held, mut bits) = (0_u32, 0);
    for byte in bytes {
        held = held << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(ALPHABET[(held >> bits & 31) as usize]));
        }
    }
    if bits > 0 {
        text.push(char::from(ALPHABET[(held << (5 - bits) & 31) as usize]));
    }
    text
}

/// What an authenticator reads: as text, or out of a picture.
pub fn uri(secret: &[u8], name: &str) -> String {
    let name = utf8_percent_encode(name, NON_ALPHANUMERIC);
    format!(
        "otpauth://totp/Causeway:{name}?secret={}&issuer=Causeway",
        base32(secret)
    )
}

/// A recovery code as people are shown it: four groups of four.
pub fn recovery_code(bytes: &[u8; RECOVERY_BYTES]) -> String {
    let text = base32(bytes).to_lowercase();
    let groups: Vec<&str> = (0..4)
        .map(|index| &text[index * 4..index * 4 + 4])
        .collect();
    groups.join("-")
}

/// A recovery code as it is compared: however it was typed.
pub fn normalized(entered: &str) -> String {
    let kept = entered.chars().filter(char::is_ascii_alphanumeric);
    kept.map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"12345678901234567890";

    #[test]
    fn codes_are_those_of_rfc_6238() {
        // Appendix B, the rows of SHA-1.
        for (seconds, expected) in [
            (59, 94_287_082),
            (1_111_111_109, 7_081_804),
            (1_111_111_111, 14_050_471),
            (1_234_567_890, 89_005_924),
            (2_000_000_000, 69_279_037),
            (20_000_000_000, 65_353_130),
        ] {
            assert_eq!(code(SECRET, seconds / 30, 8), expected, "{seconds}");
        }
        // RFC 4226 appendix D.
        for (step, expected) in [(0, 755_224), (1, 287_082), (9, 520_489)] {
            assert_eq!(code(SECRET, step, 6), expected, "{step}");
        }
    }

    #[test]
    fn a_code_is_good_for_its_step_and_the_next_to_it_and_once() {
        let at = |step: i64| step * 30 + 7;
        assert_eq!(step_of(SECRET, "287082", at(1), None), Some(1));
        assert_eq!(step_of(SECRET, " 287 082 ", at(2), None), Some(1));
        assert_eq!(step_of(SECRET, "287082", at(0), None), Some(1));
        assert_eq!(step_of(SECRET, "287082", at(3), None), None);
        assert_eq!(step_of(SECRET, "287082", at(1), Some(1)), None, "twice");
        assert_eq!(step_of(SECRET, "287082", at(1), Some(2)), None, "an older");
        assert_eq!(step_of(SECRET, "287082", at(1), Some(0)), Some(1));
        for wrong in ["287083", "28708", "2870822", "", "94287082"] {
            assert_eq!(step_of(SECRET, wrong, at(1), None), None, "{wrong}");
        }
    }

    #[test]
    fn base_32_is_that_of_rfc_4648() {
        for (bytes, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
        assert_eq!(
            uri(SECRET, "a b"),
            "otpauth://totp/Causeway:a%20b?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Causeway"
        );
    }

    #[test]
    fn a_recovery_code_is_typed_as_people_type() {
        let code = recovery_code(b"foobarfoob");
        assert_eq!(code, "mzxw-6ytb-ojtg-633c");
        assert_eq!(normalized(" MZXW 6ytb-OJTG633C"), normalized(&code));
    }
}
