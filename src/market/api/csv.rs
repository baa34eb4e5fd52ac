//! Lines of a table that spreadsheets read.

/// A line of RFC 4180.
pub(super) fn line<const COLUMNS: usize>(cells: [String; COLUMNS]) -> String {
    let mut line = cells.map(|cell| quoted(&cell)).join(",");
    line.push_str("\r\n");
    line
}

/// A value as a spreadsheet takes for text: one that could be a formula gets an apostrophe in front.
fn quoted(value: &str) -> String {
    let formula = value.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let value = if formula {
        format!("'{value}")
    } else {
        value.to_owned()
    };
    if value.contains(['"', ',', '\r', '\n']) {
        return format!("\"{}\"", value.replace('"', "\"\""));
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_never_a_formula_and_always_one_value() {
        for (value, written) in [
            ("", ""),
            ("listPets", "listPets"),
            ("a-b=c@d", "a-b=c@d"),
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\tx", "'\tx"),
            ("\rx", "\"'\rx\""),
            (
                "=HYPERLINK(\"x\",\"y\")",
                "\"'=HYPERLINK(\"\"x\"\",\"\"y\"\")\"",
            ),
            ("a,b", "\"a,b\""),
            ("a\nb", "\"a\nb\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("'quoted'", "'quoted'"),
        ] {
            assert_eq!(quoted(value), written, "{value:?}");
        }
    }
}
