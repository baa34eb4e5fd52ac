//! `printf` with the verbs of Go that templates use.

use crate::mcp::template::data::Data;

const WIDTH_MAX: usize = 256;

/// The text of a format and its values.
pub fn printf(format: &str, values: &[Data]) -> String {
    let mut out = String::new();
    let mut values = values.iter();
    let mut letters = format.chars().peekable();
    while let Some(c) = letters.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut flags = String::new();
        while let Some(flag) = letters.next_if(|c| "-+ 0#".contains(*c)) {
            flags.push(flag);
        }
        let mut number = || {
            let mut digits = String::new();
            while let Some(digit) = letters.next_if(char::is_ascii_digit) {
                digits.push(digit);
            }
            digits.parse::<usize>().ok().map(|n| n.min(WIDTH_MAX))
        };
        let width = number();
        let precision = letters.next_if_eq(&'.').map(|_| {
            let mut digits = String::new();
            while let Some(digit) = letters.next_if(char::is_ascii_digit) {
                digits.push(digit);
            }
            digits.parse::<usize>().unwrap_or(0).min(WIDTH_MAX)
        });
        let text = match letters.next() {
            Some('%') => "%".to_owned(),
            Some(verb) => match values.next() {
                Some(value) => written(verb, value, precision, &flags),
                None => format!("%!{verb}(MISSING)"),
            },
            None => "%!(NOVERB)".to_owned(),
        };
        out.push_str(&padded(&text, width, &flags));
    }
    out
}

fn written(verb: char, value: &Data, precision: Option<usize>, flags: &str) -> String {
    let number = || value.as_f64().unwrap_or(0.0);
    let text = match verb {
        'd' => match value.as_integer() {
            Some(number) => number.to_string(),
            None => value.plain(),
        },
        'f' | 'F' => format!("{:.*}", precision.unwrap_or(6), number()),
        'e' => format!("{:e}", number()),
        'g' => value.plain(),
        'q' => serde_json::Value::from(value.plain()).to_string(),
        'x' => match value {
            Data::Number(_) => format!("{:x}", value.as_integer().unwrap_or(0)),
            other => hex::encode(other.plain()),
        },
        't' => value.is_true().to_string(),
        's' | 'v' => {
            let plain = value.plain();
            match precision {
                Some(count) => plain.chars().take(count).collect(),
                None => plain,
            }
        }
        other => format!("%!{other}({})", value.plain()),
    };
    let signed = flags.contains('+') && matches!(verb, 'd' | 'f' | 'F') && !text.starts_with('-');
    if signed { format!("+{text}") } else { text }
}

fn padded(text: &str, width: Option<usize>, flags: &str) -> String {
    let missing = width.unwrap_or(0).saturating_sub(text.chars().count());
    if flags.contains('-') {
        format!("{text}{}", " ".repeat(missing))
    } else if flags.contains('0') {
        let (sign, digits) = text.split_at(usize::from(text.starts_with(['-', '+'])));
        format!("{sign}{}{digits}", "0".repeat(missing))
    } else {
        format!("{}{text}", " ".repeat(missing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_write_as_go_does() {
        let values = |json: &str| match Data::parse(json).unwrap() {
            Data::List(members) => members.to_vec(),
            other => vec![other],
        };
        for (format, given, expected) in [
            ("%s-%d", r#"["a", 7]"#, "a-7"),
            ("%05.1f|", "3.14159", "003.1|"),
            ("%-4s|%4s|", r#"["ab","cd"]"#, "ab  |  cd|"),
            (
                "%q %v %t 100%%",
                r#"["x\"y", [1,2], true]"#,
                "\"x\\\"y\" [1,2] true 100%",
            ),
            ("%d", "12345678901234567890", "12345678901234567890"),
            ("%x", "255", "ff"),
            ("%d %s", "1", "1 %!s(MISSING)"),
            ("%+d%", "1", "+1%!(NOVERB)"),
        ] {
            assert_eq!(printf(format, &values(given)), expected, "{format}");
        }
    }
}
