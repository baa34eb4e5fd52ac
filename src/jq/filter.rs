//! One jq filter: compiled, and run on JSON. Nothing of the world outside can be named in it.

use std::io::{self, Write};

use jaq_core::data::JustLut;
use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Filter, Vars, load, unwrap_valr};
use jaq_json::{Val, read, write};

/// What would reach out of the filter, or ends the process.
const FORBIDDEN: [&str; 14] = [
    "env",
    "halt",
    "halt_error",
    "input",
    "inputs",
    "input_filename",
    "input_line_number",
    "debug",
    "debug_empty",
    "stderr",
    "stderr_empty",
    "localtime",
    "strflocaltime",
    "mktime_local",
];
const MESSAGE_BYTES_MAX: usize = 500;

/// A filter that can be run.
pub(super) struct Compiled(Filter<JustLut<Val>>);

/// Why a filter gave nothing.
pub(super) enum Fault {
    Failed(String),
    TooLarge,
}

impl Compiled {
    /// # Errors
    /// What is wrong with the filter, in words for its author.
    pub(super) fn new(filter: &str) -> Result<Self, String> {
        let allowed = |name: &str| !FORBIDDEN.contains(&name);
        let defs = jaq_core::defs()
            .chain(jaq_std::defs())
            .chain(jaq_json::defs())
            .filter(|def| allowed(def.name));
        let funs = jaq_core::funs()
            .chain(jaq_std::funs())
            .chain(jaq_json::funs())
            .filter(|(name, ..)| allowed(name));
        let arena = Arena::default();
        let program = File {
            code: filter,
            path: (),
        };
        let modules = Loader::new(defs)
            .load(&arena, program)
            .map_err(|errors| joined(errors.into_iter().map(|(_, error)| loading(&error))))?;
        let compiled = Compiler::default().with_funs(funs).compile(modules);
        compiled.map(Self).map_err(|errors| {
            joined(errors.into_iter().flat_map(|(_, errors)| {
                errors
                    .into_iter()
                    .map(|(name, kind)| format!("there is no {} {name}", kind.as_str()))
            }))
        })
    }

    /// The only output of the filter, or the list of its outputs; `null` for none.
    pub(super) fn run(&self, input: &[u8], bytes_max: usize) -> Result<Vec<u8>, Fault> {
        let failed = |text: String| Fault::Failed(short(text));
        let input = read::parse_single(input).map_err(|error| failed(error.to_string()))?;
        let context = Ctx::<JustLut<Val>>::new(&self.0.lut, Vars::new([]));
        let mut out = Bounded {
            bytes: vec![b'['],
            bytes_max,
        };
        let mut count = 0;
        for value in self.0.id.run((context, input)).map(unwrap_valr) {
            let value = value.map_err(|error| failed(error.to_string()))?;
            if count > 0 {
                out.bytes.push(b',');
            }
            count += 1;
            let plain = write::Pp::default();
            write::write(&mut out, &plain, 0, &value).map_err(|_| Fault::TooLarge)?;
        }
        out.bytes.push(b']');
        match count {
            0 => Ok(b"null".to_vec()),
            1 => Ok(out.bytes[1..out.bytes.len() - 1].to_vec()),
            _ => Ok(out.bytes),
        }
    }
}

fn loading(error: &load::Error<&str>) -> String {
    let near = |text: &str| text.chars().take(40).collect::<String>();
    match error {
        load::Error::Io(errors) => joined(
            errors
                .iter()
                .map(|(path, _)| format!("\"{path}\": modules cannot be loaded")),
        ),
        load::Error::Lex(errors) => joined(errors.iter().map(|(expected, found)| {
            format!("expected {} at \"{}\"", expected.as_str(), near(found))
        })),
        load::Error::Parse(errors) => joined(errors.iter().map(|(expected, found)| {
            let found = if found.is_empty() {
                "the end".to_owned()
            } else {
                format!("\"{}\"", near(found))
            };
            format!("expected {} at {found}", expected.as_str())
        })),
    }
}

fn joined(texts: impl Iterator<Item = String>) -> String {
    short(texts.take(5).collect::<Vec<_>>().join("; "))
}

fn short(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MESSAGE_BYTES_MAX));
    text
}

/// Takes bytes up to a limit.
struct Bounded {
    bytes: Vec<u8>,
    bytes_max: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.bytes_max {
            return Err(io::Error::other("too large"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(filter: &str, input: &str) -> String {
        let compiled = Compiled::new(filter).unwrap_or_else(|error| panic!("{filter}: {error}"));
        match compiled.run(input.as_bytes(), 1_000) {
            Ok(bytes) => String::from_utf8(bytes).unwrap(),
            Err(Fault::Failed(text)) => format!("failed: {text}"),
            Err(Fault::TooLarge) => "too large".to_owned(),
        }
    }

    #[test]
    fn filters_keep_order_and_digits() {
        let input = r#"{"z":12345678901234567890123,"a":1.10,"items":[{"id":1,"x":2},{"id":2}]}"#;
        for (filter, expected) in [
            (".", input),
            ("[.items[] | {id}]", r#"[{"id":1},{"id":2}]"#),
            (".items[].id", "[1,2]"),
            ("empty", "null"),
            (".items | map(select(.x)) | length", "1"),
            (r#""a1b" | sub("[0-9]"; "-")"#, r#""a-b""#),
            ("[limit(3; range(1e12))]", "[0,1,2]"),
        ] {
            assert_eq!(run(filter, input), expected, "{filter}");
        }
        assert!(run(".a.b", "[]").starts_with("failed: "));
        assert_eq!(run("[range(10000)]", "null"), "too large");
    }

    #[test]
    fn what_reaches_out_is_no_filter() {
        for filter in [
            "halt",
            "halt(1)",
            "halt_error",
            "env",
            "$ENV",
            "$ENV.HOME",
            "input",
            "inputs",
            "input_filename",
            "debug",
            "debug(1)",
            "stderr",
            "import \"a\" as a; .",
            "include \"a\"; .",
            "$__prog_args",
            "(",
            ".[",
            "nope",
            "get_search_list",
            "input_line_number",
        ] {
            let error = Compiled::new(filter).err();
            assert!(
                error.as_ref().is_some_and(|error| !error.is_empty()),
                "{filter}: {error:?}"
            );
        }
    }
}
