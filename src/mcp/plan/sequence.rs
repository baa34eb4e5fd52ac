//! Sequences of items: JSON lines, JSON text sequences (RFC 7464) and server-sent events.

use std::fmt::Write;

use crate::events::Framing;
use crate::mcp::plan::PlanError;
use crate::mcp::plan::raw::{Raw, Shape};

/// The items of an array, each as the framing tells it from the next. What they hold is written as it
/// was given.
pub(super) fn sequence(argument: &str, raw: &Raw, framing: Framing) -> Result<String, PlanError> {
    let Shape::Array(items) = raw.shape() else {
        let rule = "a sequence of items is written as an array";
        return Err(PlanError::value(argument, rule));
    };
    let mut out = String::with_capacity(raw.text().len());
    for (index, item) in items.iter().enumerate() {
        match framing {
            Framing::Lines => out.extend([&*in_one_line(item), "\n"]),
            Framing::Sequence => out.extend(["\u{1e}", &*in_one_line(item), "\n"]),
            Framing::ServerSent => event(&mut out, &format!("{argument}.{index}"), item)?,
        }
    }
    Ok(out)
}

/// JSON without line breaks: a text within it has none (RFC 8259 section 7), so that they only ever
/// stand between its pieces.
fn in_one_line(item: &Raw) -> String {
    item.text().replace(['\r', '\n'], "")
}

/// One event (WHATWG HTML, section 9.2.6): a line for each field, several for data of several lines.
fn event(out: &mut String, argument: &str, item: &Raw) -> Result<(), PlanError> {
    let Shape::Object(fields) = item.shape() else {
        return Err(PlanError::value(
            argument,
            "an event is written as an object",
        ));
    };
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
        let text = match value.shape() {
            Shape::Scalar(text) => text.into_owned(),
            _ => in_one_line(value),
        };
        let fits = match name.as_str() {
            "data" => true,
            "event" => !text.contains(['\r', '\n']),
            "id" => !text.contains(['\r', '\n', '\0']),
            "retry" => !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()),
            _ => false,
        };
        if !fits {
            let rule = "an event has `data`, and if wanted an `event` and an `id` of one line each, \
                        and `retry`, a number of milliseconds";
            return Err(PlanError::value(argument, rule));
        }
        for line in text.replace("\r\n", "\n").split(['\r', '\n']) {
            let _ = writeln!(out, "{name}: {line}");
        }
    }
    out.push('\n');
    Ok(())
}
