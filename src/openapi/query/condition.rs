//! What a filter asks of a value (RFC 9535 sections 2.3.5 and 2.4).

use std::cmp::Ordering;

use regex::Regex;
use serde_json::Value;

use crate::openapi::keyword::weight;
use crate::openapi::query::{Exceeded, Query, Scope};

/// A condition.
#[derive(Clone, Debug)]
pub(super) enum Condition {
    Any(Vec<Self>),
    All(Vec<Self>),
    Not(Box<Self>),
    Exists(Query),
    Compare(Operand, Comparison, Operand),
    /// `match` and `search`, whose pattern is compiled once.
    Pattern(Operand, Regex),
}

/// What is compared.
#[derive(Clone, Debug)]
pub(super) enum Operand {
    Literal(Value),
    /// Leads to one place at most.
    Query(Query),
    Length(Box<Self>),
    Count(Query),
    /// The value of the only place.
    Only(Query),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// How much text counts as one value.
const TEXT_BYTES: usize = 64;

impl Condition {
    pub(super) fn holds(&self, scope: Scope<'_, '_>) -> Result<bool, Exceeded> {
        scope.patience.take(1)?;
        match self {
            Self::Any(conditions) => {
                for condition in conditions {
                    if condition.holds(scope)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::All(conditions) => {
                for condition in conditions {
                    if !condition.holds(scope)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Not(condition) => Ok(!condition.holds(scope)?),
            Self::Exists(query) => Ok(!query.nodes(scope)?.is_empty()),
            Self::Pattern(text, pattern) => {
                let text = text.value(scope)?;
                let Some(text) = text.as_ref().and_then(|text| text.get().as_str()) else {
                    return Ok(false);
                };
                scope.patience.take(text.len() / TEXT_BYTES)?;
                Ok(pattern.is_match(text))
            }
            Self::Compare(left, comparison, right) => {
                let (left, right) = (left.value(scope)?, right.value(scope)?);
                let (left, right) = (
                    left.as_ref().map(Given::get),
                    right.as_ref().map(Given::get),
                );
                scope.patience.take(left.map_or(0, cost))?;
                Ok(comparison.holds(left, right))
            }
        }
    }
}

fn cost(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() / TEXT_BYTES,
        value => weight(value),
    }
}

/// A value of the document, or one that was made.
enum Given<'v> {
    Found(&'v Value),
    Made(Value),
}

impl Given<'_> {
    fn get(&self) -> &Value {
        match self {
            Self::Found(value) => value,
            Self::Made(value) => value,
        }
    }
}

impl Operand {
    /// `None`: there is no such value.
    fn value<'v>(&'v self, scope: Scope<'v, '_>) -> Result<Option<Given<'v>>, Exceeded> {
        Ok(match self {
            Self::Literal(value) => Some(Given::Found(value)),
            Self::Query(query) | Self::Only(query) => {
                let nodes = query.nodes(scope)?;
                let only = Some(&nodes).filter(|nodes| nodes.len() == 1);
                only.map(|nodes| Given::Found(nodes[0].value))
            }
            Self::Count(query) => Some(Given::Made(query.nodes(scope)?.len().into())),
            Self::Length(of) => {
                let length = match of.value(scope)?.as_ref().map(Given::get) {
                    Some(Value::String(text)) => {
                        scope.patience.take(text.len() / TEXT_BYTES)?;
                        Some(text.chars().count())
                    }
                    Some(Value::Array(items)) => Some(items.len()),
                    Some(Value::Object(members)) => Some(members.len()),
                    _ => None,
                };
                length.map(|length| Given::Made(length.into()))
            }
        })
    }
}

impl Comparison {
    fn holds(self, left: Option<&Value>, right: Option<&Value>) -> bool {
        let is_equal = match (left, right) {
            (Some(left), Some(right)) => equal(left, right),
            (left, right) => left.is_none() && right.is_none(),
        };
        let order = left.zip(right).and_then(|(left, right)| order(left, right));
        match self {
            Self::Equal => is_equal,
            Self::Unequal => !is_equal,
            Self::Less => order == Some(Ordering::Less),
            Self::Greater => order == Some(Ordering::Greater),
            Self::LessOrEqual => is_equal || order == Some(Ordering::Less),
            Self::GreaterOrEqual => is_equal || order == Some(Ordering::Greater),
        }
    }
}

/// Numbers are equal by value, however they are written.
fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let same = |(name, a): (&String, &Value)| b.get(name).is_some_and(|b| equal(a, b));
            a.len() == b.len() && a.iter().all(same)
        }
        (left, right) => left == right,
    }
}

fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => a.as_f64()?.partial_cmp(&b.as_f64()?),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    }
}
