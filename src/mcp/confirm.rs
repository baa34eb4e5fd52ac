//! The arguments of a call that somebody has to agree to: told apart from the word that was given for it,
//! reduced to a digest that only the very same arguments have, and written for a person to read. Pure.

mod shown;

use aws_lc_rs::digest::{Context, SHA256};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::mcp::content::json;
use crate::mcp::curation::Confirm;
use crate::mcp::provider::Arguments;
use crate::mcp::tool::ToolDef;
use crate::mcp::tool::name::unique;

pub use crate::mcp::confirm::shown::{SHOWN_BYTES_MAX, TooLong, shown};

/// The reserved argument, but for a collision.
const ARGUMENT: &str = "_confirm";

/// What stands before a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    pub who: Confirm,
    /// The reserved argument that carries a token. It is in no schema and reaches no API.
    pub argument: String,
}

impl Gate {
    /// `None`: nobody is asked.
    pub fn of(def: &ToolDef, who: Option<Confirm>) -> Option<Self> {
        let who = who.filter(|who| who.asks())?;
        let properties = def
            .input_schema
            .get("properties")
            .and_then(Value::as_object);
        let is_free = |name: &str| !properties.is_some_and(|known| known.contains_key(name));
        Some(Self {
            who,
            argument: unique(ARGUMENT, is_free),
        })
    }

    /// The arguments without the reserved one, and what that one said. Arguments that are no object
    /// stay as they are.
    pub fn take(&self, arguments: Arguments) -> (Arguments, Option<String>) {
        let Some(given) = arguments.as_ref().map(|raw| raw.get().trim()) else {
            return (arguments, None);
        };
        let is_ours = |key: &str| json::unquoted(key) == self.argument;
        if !given.starts_with('{') || !json::members(given).any(|(key, _)| is_ours(key)) {
            return (arguments, None);
        }
        let mut token = None;
        let mut kept = Vec::new();
        for (key, value) in json::members(given) {
            if is_ours(key) {
                token = Some(json::unquoted(value.trim()).into_owned());
            } else {
                kept.push(format!("{key}:{value}"));
            }
        }
        let rest = RawValue::from_string(format!("{{{}}}", kept.join(","))).ok();
        (rest, token)
    }
}

/// A digest of the arguments: the same however they are spaced, escaped and ordered, and another one
/// where anything else differs, a digit of a long number too. None are like an empty object.
pub fn digest(arguments: &Arguments) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    let text = arguments.as_ref().map_or("{}", |raw| raw.get());
    feed(&mut context, text.trim());
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

/// Every value is closed by what follows it, so that no two arguments are written the same.
fn feed(context: &mut Context, value: &str) {
    match value.as_bytes().first() {
        Some(b'{') => {
            let mut members: Vec<_> = json::members(value)
                .map(|(key, value)| (json::unquoted(key), value.trim()))
                .collect();
            // Stable: which of two members of one name comes last may matter to the API.
            members.sort_by(|one, other| one.0.cmp(&other.0));
            context.update(b"{");
            for (key, value) in members {
                context.update(Value::from(&*key).to_string().as_bytes());
                context.update(b":");
                feed(context, value);
                context.update(b",");
            }
            context.update(b"}");
        }
        Some(b'[') => {
            context.update(b"[");
            for element in json::elements(value) {
                feed(context, element.trim());
                context.update(b",");
            }
            context.update(b"]");
        }
        Some(b'"') => {
            let text = json::unquoted(value);
            context.update(Value::from(&*text).to_string().as_bytes());
        }
        _ => context.update(value.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn only_the_same_arguments_have_the_same_digest() {
        for (one, other, same) in [
            (r#"{"a":1,"b":[2]}"#, r#" { "b" : [ 2 ] , "a":1 } "#, true),
            (r#"{"a":"é"}"#, r#"{"a":"\u00e9"}"#, true),
            (r#"{"a":"b"}"#, r#"{"\u0061":"b"}"#, true),
            (r#"{"a":1}"#, r#"{"a":1.0}"#, false),
            (r#"{"a":1}"#, r#"{"a":"1"}"#, false),
            (
                r#"{"a":12345678901234567890123}"#,
                r#"{"a":12345678901234567890124}"#,
                false,
            ),
            (r#"{"a":1,"a":2}"#, r#"{"a":2,"a":1}"#, false),
            (r#"{"a":1,"a":2}"#, r#"{"a":2}"#, false),
            (r#"{"a":[1,[2]]}"#, r#"{"a":[[1],2]}"#, false),
            (r#"{"a":null}"#, "{}", false),
            (r#"{"a":{"b":1}}"#, r#"{"a":{},"b":1}"#, false),
        ] {
            let equal = digest(&Some(raw(one))) == digest(&Some(raw(other)));
            assert_eq!(equal, same, "{one} {other}");
        }
        assert_eq!(digest(&None), digest(&Some(raw("{}"))));
    }

    #[test]
    fn the_reserved_argument_is_taken_out_and_nothing_else() {
        let gate = Gate {
            who: Confirm::Client,
            argument: "_confirm".to_owned(),
        };
        for (given, rest, token) in [
            (r#"{"a":1.50}"#, r#"{"a":1.50}"#, None),
            (r#"{"a":1.50,"_confirm":"t"}"#, r#"{"a":1.50}"#, Some("t")),
            (r#"{"_confirm":"t"}"#, "{}", Some("t")),
            (
                r#"{"_conf\u0069rm":"t","b":{"_confirm":2},"_confirm":"u"}"#,
                r#"{"b":{"_confirm":2}}"#,
                Some("u"),
            ),
            (r#"{"_confirm":7}"#, "{}", Some("7")),
            ("[1]", "[1]", None),
        ] {
            let (left, found) = gate.take(Some(raw(given)));
            assert_eq!(left.unwrap().get(), rest, "{given}");
            assert_eq!(found.as_deref(), token, "{given}");
        }
        assert!(gate.take(None).0.is_none());
    }
}
