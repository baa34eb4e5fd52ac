//! Lines of a table that spreadsheets read.

use serde_json::Value;

/// The columns of a table: what each is called, and where in a row what it holds is.
pub(super) type Columns = [(&'static str, &'static str)];

/// The line with the names of the columns.
pub(super) fn head(columns: &Columns) -> String {
    line(columns.iter().map(|(name, _)| quoted(name)))
}

/// The line of a row; what is not known is empty.
pub(super) fn row(columns: &Columns, row: &Value) -> String {
    line(columns.iter().map(|(_, place)| match row.pointer(place) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => quoted(text),
        Some(other) => quoted(&other.to_string()),
    }))
}

/// A line of RFC 4180.
fn line(cells: impl Iterator<Item = String>) -> String {
    let mut line = cells.collect::<Vec<_>>().join(",");
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
