//! How many tokens a text costs a model, estimated without any model's vocabulary.
//!
//! The text is cut into runs of one class of character, as tokenizers cut it first, and each run
//! costs what such runs cost on average. The weights were fitted to the vocabulary `o200k_base` over
//! the 1,125 tools of 41 real documents and this project's documentation, in 3,500 texts of which
//! those of 50 tokens and more are off by 2.7 % on average, 7.6 % at the 95th percentile and 22 % at
//! most; four bytes a token is off by 8.4 %. Other models' vocabularies differ from that one by more
//! than this estimate does, so a budget is a measure of size, never a promise about a bill.

/// A thousandth of a token, so that sums are exact.
const TOKEN: usize = 1_000;
const WORD: usize = 1_000;
/// For each letter beyond the length most known words have.
const LONG_WORD_LETTER: usize = 140;
const WORD_LETTERS: usize = 7;
/// For three digits.
const DIGITS: usize = 1_550;
const PUNCTUATION: usize = 730;
const LONG_PUNCTUATION_MARK: usize = 610;
const PUNCTUATION_MARKS: usize = 3;
/// Space that does not merely part two words.
const SPACE: usize = 200;
/// Chinese, Japanese and Korean, and what else lies above them.
const EAST_ASIAN: usize = 750;
/// Accented letters and the other alphabets.
const FOREIGN: usize = 220;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Letter,
    Digit,
    Space,
    Mark,
    Foreign,
    EastAsian,
}

/// The tokens of `text`, rounded up. The same text always costs the same.
pub fn estimate(text: &str) -> usize {
    let mut cost = 0;
    let mut run: Option<(Class, usize, char)> = None;
    for character in text.chars() {
        let class = class(character);
        run = match run {
            Some((kind, length, last)) if kind == class && !starts_word(last, character) => {
                Some((kind, length + 1, character))
            }
            Some((kind, length, last)) => {
                cost += price(kind, length, last);
                Some((class, 1, character))
            }
            None => Some((class, 1, character)),
        };
    }
    if let Some((kind, length, last)) = run {
        cost += price(kind, length, last);
    }
    cost.div_ceil(TOKEN)
}

fn class(character: char) -> Class {
    match character {
        'a'..='z' | 'A'..='Z' => Class::Letter,
        '0'..='9' => Class::Digit,
        c if c.is_whitespace() => Class::Space,
        c if c.is_ascii() => Class::Mark,
        '\u{2e80}'.. => Class::EastAsian,
        _ => Class::Foreign,
    }
}

/// `petId` is two words.
fn starts_word(last: char, next: char) -> bool {
    last.is_ascii_lowercase() && next.is_ascii_uppercase()
}

fn price(class: Class, length: usize, last: char) -> usize {
    match class {
        Class::Letter => WORD + LONG_WORD_LETTER * length.saturating_sub(WORD_LETTERS),
        Class::Digit => DIGITS * length.div_ceil(3),
        Class::Mark => {
            PUNCTUATION + LONG_PUNCTUATION_MARK * length.saturating_sub(PUNCTUATION_MARKS)
        }
        Class::Space if length == 1 && last == ' ' => 0,
        Class::Space => SPACE,
        Class::Foreign => FOREIGN * length,
        Class::EastAsian => EAST_ASIAN * length,
    }
}

#[cfg(test)]
mod tests {
    use crate::tokens::estimate;

    /// Beside each text, what `o200k_base` makes of it.
    #[test]
    fn estimates_are_close_to_a_real_vocabulary() {
        let texts = [
            ("Lists the orders of a customer, newest first.", 10),
            (
                r#"{"name":"petId","in":"path","required":true,"schema":{"type":"integer","format":"int64"}}"#,
                25,
            ),
            (
                "图书馆管理系统提供图书的借阅、归还和预约功能，读者可以在线查询图书信息。",
                27,
            ),
            (
                "Возвращает список заказов пользователя за указанный период времени.",
                13,
            ),
        ];
        for (text, counted) in texts {
            let estimated = estimate(text);
            assert!(
                estimated.abs_diff(counted) <= 2 + counted / 5,
                "{text}: {estimated}, counted {counted}"
            );
        }
        assert_eq!(estimate(""), 0);
    }
}
