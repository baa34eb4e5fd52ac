//! JSON or YAML events into a `Value`, counted while they come: nodes, depth, the length of the
//! keys on the way down, duplicate keys.
//!
//! `serde_json::Value` would drop duplicate keys silently and has no bound on its size.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::openapi::pointer::escape;

/// Duplicate keys listed; a document with more has a fault of its own.
const DUPLICATES_MAX: usize = 1_000;

/// Bytes of the keys on the way to one value. Every finding carries such a way, and every operation
/// its path: one key of megabytes would be repeated for each of them.
pub const KEYS_BYTES_MAX: usize = 8 << 10;

/// What is counted while a document is read.
#[derive(Debug)]
pub struct Counts {
    nodes: Cell<usize>,
    nodes_max: usize,
    depth: Cell<usize>,
    depth_max: usize,
    keys_bytes: Cell<usize>,
    breach: Cell<Option<Breach>>,
    /// Keys of the path to each duplicate, innermost first: a parent appends its own key when it
    /// sees that its child found some, so that a path costs nothing where there is none.
    duplicates: RefCell<Vec<Vec<String>>>,
}

/// Which bound was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breach {
    Nodes,
    Depth,
    Keys,
}

impl Counts {
    pub fn new(nodes_max: usize, depth_max: usize) -> Self {
        Self {
            nodes: Cell::new(0),
            nodes_max,
            depth: Cell::new(0),
            depth_max,
            keys_bytes: Cell::new(0),
            breach: Cell::new(None),
            duplicates: RefCell::default(),
        }
    }

    pub fn breach(&self) -> Option<Breach> {
        self.breach.get()
    }

    /// Pointers to the keys that occur twice.
    pub fn into_duplicates(self) -> Vec<String> {
        let pointer = |path: Vec<String>| {
            let tokens = path.iter().rev().map(|key| format!("/{}", escape(key)));
            tokens.collect::<String>()
        };
        let mut found: Vec<String> = Vec::new();
        for path in self.duplicates.into_inner() {
            let next = pointer(path);
            if !found.contains(&next) {
                found.push(next);
            }
        }
        found
    }

    fn enter<E: Error>(&self) -> Result<(), E> {
        self.depth.set(self.depth.get() + 1);
        if self.depth.get() > self.depth_max {
            self.breach.set(Some(Breach::Depth));
            return Err(E::custom("too deep"));
        }
        Ok(())
    }

    fn leave(&self) {
        self.depth.set(self.depth.get() - 1);
    }

    fn enter_key<E: Error>(&self, key: &str) -> Result<(), E> {
        self.keys_bytes.set(self.keys_bytes.get() + key.len());
        if self.keys_bytes.get() > KEYS_BYTES_MAX {
            self.breach.set(Some(Breach::Keys));
            return Err(E::custom("keys too long"));
        }
        Ok(())
    }

    fn leave_key(&self, key: &str) {
        self.keys_bytes.set(self.keys_bytes.get() - key.len());
    }

    fn count<E: Error>(&self) -> Result<(), E> {
        self.nodes.set(self.nodes.get() + 1);
        if self.nodes.get() > self.nodes_max {
            self.breach.set(Some(Breach::Nodes));
            return Err(E::custom("too many values"));
        }
        Ok(())
    }

    fn duplicate(&self, key: &str) {
        let mut duplicates = self.duplicates.borrow_mut();
        if duplicates.len() < DUPLICATES_MAX {
            duplicates.push(vec![key.to_owned()]);
        }
    }

    /// Appends `key` to every path found since `before`.
    fn below(&self, before: usize, key: impl FnOnce() -> String) {
        let mut duplicates = self.duplicates.borrow_mut();
        if duplicates.len() > before {
            let key = key();
            for path in &mut duplicates[before..] {
                path.push(key.clone());
            }
        }
    }

    fn found(&self) -> usize {
        self.duplicates.borrow().len()
    }
}

/// Reads one value.
#[derive(Clone, Copy)]
pub struct Tree<'c>(pub &'c Counts);

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.0.count()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_i128<E>(self, number: i128) -> Result<Value, E> {
        Ok(wide(i64::try_from(number).map(Number::from), number as f64))
    }

    fn visit_u128<E>(self, number: u128) -> Result<Value, E> {
        Ok(wide(u64::try_from(number).map(Number::from), number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        self.0.enter()?;
        let mut items = Vec::new();
        loop {
            let before = self.0.found();
            let Some(item) = access.next_element_seed(self)? else {
                break;
            };
            self.0.below(before, || items.len().to_string());
            items.push(item);
        }
        self.0.leave();
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        self.0.enter()?;
        let mut members = Map::new();
        while let Some(key) = access.next_key_seed(Key)? {
            let before = self.0.found();
            self.0.enter_key(&key)?;
            let value = access.next_value_seed(self)?;
            self.0.leave_key(&key);
            self.0.below(before, || key.clone());
            if members.contains_key(&key) {
                self.0.duplicate(&key);
            }
            members.insert(key, value);
        }
        self.0.leave();
        Ok(Value::Object(members))
    }
}

fn wide<E>(exact: Result<Number, E>, rounded: f64) -> Value {
    exact
        .ok()
        .or_else(|| Number::from_f64(rounded))
        .map_or(Value::Null, Value::Number)
}

/// A key as it was written: `200:` is "200", `null:` is "null".
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        let key = <Option<String> as serde::Deserialize>::deserialize(deserializer)?;
        Ok(key.unwrap_or_else(|| "null".to_owned()))
    }
}
