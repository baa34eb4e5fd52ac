//! Finds one short field of a form with files (RFC 7578), so that it can be replaced and everything else left as it is.

use std::ops::Range;

use http::HeaderValue;
use memchr::memmem;

use crate::llm::fault::Fault;

/// The boundary of a form with files; `None` for other media types.
pub fn boundary(content_type: &HeaderValue) -> Option<String> {
    let text = content_type.to_str().ok()?;
    let (media, parameters) = text.split_once(';')?;
    if !media.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = parameter(parameters, "boundary")?;
    (!boundary.is_empty() && boundary.len() <= 70).then(|| boundary.to_owned())
}

/// Where the value of a field stands. What follows the last delimiter is a part too: some readers take it for one.
///
/// # Errors
/// Where it stands there twice: two readers would not agree on which one counts.
pub fn field(body: &[u8], boundary: &str, name: &str) -> Result<Option<Range<usize>>, Fault> {
    let delimiter = format!("--{boundary}");
    let mut parts = memmem::find_iter(body, delimiter.as_bytes()).peekable();
    let mut found = None;
    while let Some(start) = parts.next() {
        let from = start + delimiter.len();
        let until = parts.peek().copied().unwrap_or(body.len());
        let part = &body[from..until];
        let Some(head) = memmem::find(part, b"\r\n\r\n") else {
            continue;
        };
        let headers = String::from_utf8_lossy(&part[..head]);
        if name_in(&headers) != Some(name) {
            continue;
        }
        if found.is_some() {
            return Err(Fault::invalid(name, format!("`{name}` stands there twice")));
        }
        // The line break before the next delimiter belongs to it.
        let end = if part.ends_with(b"\r\n") {
            until - 2
        } else {
            until
        };
        found = Some(from + head + 4..end.max(from + head + 4));
    }
    Ok(found)
}

/// The field that the headers of a part name.
pub(crate) fn name_in(headers: &str) -> Option<&str> {
    const DISPOSITION: &str = "content-disposition:";
    let mut lines = headers.lines();
    let disposition = lines.find(|line| {
        let start = line.get(..DISPOSITION.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(DISPOSITION))
    });
    parameter(disposition?, "name")
}

/// The value of a parameter of a header.
fn parameter<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let value = parameters(line).find_map(|parameter| {
        let (said, value) = parameter.split_once('=')?;
        said.trim().eq_ignore_ascii_case(name).then_some(value)
    })?;
    Some(value.trim().trim_matches('"'))
}

/// What stands between semicolons that are not quoted: a file may be called anything.
fn parameters(line: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    line.split(move |letter| {
        quoted ^= letter == '"' && !escaped;
        escaped = quoted && letter == '\\' && !escaped;
        letter == ';' && !quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &str = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"model\"\r\n\r\n--x model\r\n\
                        --b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--b--\r\n";

    #[test]
    fn a_field_is_found_among_files() {
        let place = field(FORM.as_bytes(), "b", "model").unwrap().unwrap();
        assert_eq!(&FORM[place], "whisper-1");
        assert_eq!(field(FORM.as_bytes(), "b", "missing"), Ok(None));
        assert_eq!(field(b"", "b", "model"), Ok(None));
        let head = |name: &str| format!("Content-Disposition: form-data; {name}");
        let named = |text: &str| name_in(&head(text)).map(str::to_owned);
        assert_eq!(
            named(r#"filename="a;b\";"; name="model""#).unwrap(),
            "model"
        );
        let tricky = r#"filename="a; name=model; b"; name=file"#;
        assert_eq!(named(tricky).unwrap(), "file");
        for text in [r#"NAME="model""#, r#"name = "model""#, "Name =model "] {
            assert_eq!(named(text).unwrap(), "model", "{text}");
        }
    }

    #[test]
    fn a_field_that_stands_there_twice_is_refused() {
        let part = |name: &str, value: &str| {
            format!("--b\r\nContent-Disposition: form-data; name={name}\r\n\r\n{value}\r\n")
        };
        let (one, other) = (part("model", "a"), part("\"model\"", "b"));
        let file = part("file", "x");
        for form in [
            format!("{one}{file}{other}--b--\r\n"),
            format!("{one}{one}--b--"),
            // Behind the end, without one, and in the middle of a line.
            format!("{one}--b--\r\n{other}"),
            format!("{one}{other}"),
            format!("{one}{}--b--", part("file", &format!("x{other}"))),
        ] {
            let fault = field(form.as_bytes(), "b", "model").unwrap_err();
            assert_eq!(fault.message, "`model` stands there twice", "{form}");
            assert_eq!(fault.field.as_deref(), Some("model"), "{form}");
        }
        // Others may, as pictures do.
        let form = format!("{file}{one}{file}--b--\r\n");
        let place = field(form.as_bytes(), "b", "model").unwrap().unwrap();
        assert_eq!(&form[place], "a");
    }

    #[test]
    fn boundaries_are_read() {
        for (text, expected) in [
            ("multipart/form-data; boundary=b", Some("b")),
            (
                "Multipart/Form-Data; charset=x; Boundary=\"a b\"",
                Some("a b"),
            ),
            ("multipart/form-data", None),
            ("application/json; boundary=b", None),
        ] {
            let value = HeaderValue::from_static(text);
            assert_eq!(boundary(&value).as_deref(), expected, "{text}");
        }
    }
}
