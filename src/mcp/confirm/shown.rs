//! Arguments written for a person who decides: every value in its place and every digit kept, but for
//! secrets, which are masked by what the tool's definition says of them, never by their value.

use std::fmt::Write;

use serde_json::Value;

use crate::credential::mask::MASKED;
use crate::mcp::content::json;
use crate::mcp::provider::Arguments;
use crate::mcp::tool::ToolDef;
use crate::mcp::tool::text::is_invisible;
use crate::openapi::foreign::secret::is_secret_name;

/// More than this is read by nobody who has to decide.
pub const SHOWN_BYTES_MAX: usize = 64 << 10;
/// A longer text is shown by its beginning, its length and a digest.
const TEXT_CHARACTERS_MAX: usize = 4_000;
/// Schemas that are looked at for one value.
const SCHEMAS_MAX: usize = 64;

/// The arguments are too many for somebody to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the arguments are longer than {SHOWN_BYTES_MAX} bytes, which nobody can read and confirm")]
pub struct TooLong;

/// The arguments as JSON over several lines.
///
/// # Errors
/// When they are too long to be shown.
pub fn shown(def: &ToolDef, arguments: &Arguments) -> Result<String, TooLong> {
    let text = arguments.as_ref().map_or("{}", |raw| raw.get());
    let mut writer = Writer {
        root: &def.input_schema,
        write_only: &def.details.write_only,
        out: String::new(),
    };
    writer.value(text.trim(), &[&def.input_schema], 0)?;
    Ok(writer.out)
}

struct Writer<'a> {
    root: &'a Value,
    /// Names of properties that no answer shows.
    write_only: &'a [String],
    out: String,
}

impl<'a> Writer<'a> {
    /// One value, of which these schemas speak.
    fn value(&mut self, value: &str, schemas: &[&'a Value], level: usize) -> Result<(), TooLong> {
        if self.out.len() > SHOWN_BYTES_MAX {
            return Err(TooLong);
        }
        let schemas = self.all(schemas);
        if schemas.iter().any(|schema| is_secret(schema)) {
            self.text(MASKED);
            return Ok(());
        }
        match value.as_bytes().first() {
            Some(b'{') => self.object(value, &schemas, level),
            Some(b'[') => self.array(value, &schemas, level),
            Some(b'"') => {
                self.text(&json::unquoted(value));
                Ok(())
            }
            _ => {
                self.out.push_str(value);
                Ok(())
            }
        }
    }

    fn object(&mut self, value: &str, schemas: &[&'a Value], level: usize) -> Result<(), TooLong> {
        self.out.push('{');
        let mut separator = "";
        for (key, member) in json::members(value) {
            let name = json::unquoted(key);
            self.out.push_str(separator);
            separator = ",";
            self.line(level + 1);
            self.text(&name);
            self.out.push_str(": ");
            if is_secret_name(&name) || self.write_only.iter().any(|known| *known == *name) {
                self.text(MASKED);
                continue;
            }
            self.value(member.trim(), &properties(schemas, &name), level + 1)?;
        }
        if !separator.is_empty() {
            self.line(level);
        }
        self.out.push('}');
        Ok(())
    }

    fn array(&mut self, value: &str, schemas: &[&'a Value], level: usize) -> Result<(), TooLong> {
        let items = items(schemas);
        self.out.push('[');
        let mut separator = "";
        for element in json::elements(value) {
            self.out.push_str(separator);
            separator = ",";
            self.line(level + 1);
            self.value(element.trim(), &items, level + 1)?;
        }
        if !separator.is_empty() {
            self.line(level);
        }
        self.out.push(']');
        Ok(())
    }

    fn line(&mut self, level: usize) {
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n("  ", level));
    }

    /// A text in quotes. Characters that are not seen, or that turn around how others are read, are
    /// written as escapes.
    fn text(&mut self, text: &str) {
        let length = text.chars().count();
        let kept: String = text.chars().take(TEXT_CHARACTERS_MAX).collect();
        for character in Value::from(kept).to_string().chars() {
            if is_invisible(character) {
                let mut units = [0_u16; 2];
                for unit in character.encode_utf16(&mut units) {
                    let _ = write!(self.out, "\\u{unit:04x}");
                }
            } else {
                self.out.push(character);
            }
        }
        if length > TEXT_CHARACTERS_MAX {
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
            let digest = hex::encode(digest.as_ref());
            let _ = write!(self.out, " … ({length} characters, SHA-256 {digest})");
        }
    }

    /// The schemas with those they refer to and are put together from.
    fn all(&self, schemas: &[&'a Value]) -> Vec<&'a Value> {
        let mut found: Vec<&'a Value> = schemas.to_vec();
        let mut at = 0;
        while at < found.len() && found.len() < SCHEMAS_MAX {
            let schema = found[at];
            at += 1;
            let reference = schema.get("$ref").and_then(Value::as_str);
            let target = reference
                .and_then(|reference| reference.strip_prefix('#'))
                .and_then(|pointer| self.root.pointer(pointer));
            let parts = ["allOf", "anyOf", "oneOf"]
                .into_iter()
                .filter_map(|word| schema.get(word)?.as_array())
                .flatten();
            for part in parts.chain(target) {
                if !found.iter().any(|known| std::ptr::eq(*known, part)) {
                    found.push(part);
                }
            }
        }
        found
    }
}

fn is_secret(schema: &Value) -> bool {
    let says = |key: &str, wanted: &Value| schema.get(key) == Some(wanted);
    says("format", &Value::from("password")) || says("writeOnly", &Value::Bool(true))
}

/// What the schemas say of the member of that name. A pattern may be meant, so each of them is.
fn properties<'a>(schemas: &[&'a Value], name: &str) -> Vec<&'a Value> {
    let mut found = Vec::new();
    for schema in schemas {
        let named = schema.get("properties").and_then(|known| known.get(name));
        let patterns = schema.get("patternProperties").and_then(Value::as_object);
        let other = schema
            .get("additionalProperties")
            .filter(|_| named.is_none());
        found.extend(named);
        found.extend(patterns.into_iter().flat_map(|known| known.values()));
        found.extend(other);
    }
    found
}

fn items<'a>(schemas: &[&'a Value]) -> Vec<&'a Value> {
    let mut found = Vec::new();
    for schema in schemas {
        found.extend(schema.get("items"));
        let prefix = schema.get("prefixItems").and_then(Value::as_array);
        found.extend(prefix.into_iter().flatten());
    }
    found
}
