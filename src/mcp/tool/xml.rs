//! How JSON is written as XML: the `xml` objects of a schema, read once.
//!
//! Versions up to 3.1 name an element after its property, 3.2 after the component a property refers
//! to (OAS 3.2.0, "XML Node Names"); `attribute` and `wrapped` are the older words for `nodeType`.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::openapi::{Api, SpecVersion};

/// A model is no larger than this; a larger one is left out, and XML is written by the caller.
const NODES_MAX: usize = 2_000;

/// Schemas combined by `allOf` and its like are followed this deep.
const COMBINED_DEPTH_MAX: usize = 8;

/// What a JSON value of one schema becomes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct XmlModel {
    /// The name of the outermost element.
    pub name: String,
    pub root: XmlNode,
    #[serde(skip_serializing_if = "IndexMap::is_empty", default)]
    pub definitions: IndexMap<String, XmlNode>,
    /// What refers to a component is named after it.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub component_names: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct XmlNode {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kind: Option<XmlKind>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub prefix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub namespace: Option<String>,
    /// Of the model's definitions: what this one does not say, that one does.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub definition: Option<String>,
    #[serde(skip_serializing_if = "IndexMap::is_empty", default)]
    pub properties: IndexMap<String, XmlNode>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub prefix_items: Vec<XmlNode>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub items: Option<Box<XmlNode>>,
}

/// OAS 3.2.0, "XML Node Types".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum XmlKind {
    Element,
    Attribute,
    Text,
    Cdata,
    None,
}

/// The model of a body's schema; `None` where the outermost element has no name.
pub fn model(api: &Api, schema: &Value) -> Option<XmlModel> {
    let mut builder = Builder {
        api,
        definitions: IndexMap::new(),
        left: NODES_MAX,
    };
    let root = builder.node(schema);
    builder.finish()?;
    let referred = root.definition.as_deref();
    let target = referred.and_then(|name| builder.definitions.get(name));
    let is_array = |schema: &Value| crate::mcp::tool::media::has_type(schema, "array");
    let array = is_array(schema)
        || referred.is_some_and(|name| api.definitions.get(name).is_some_and(is_array));
    let kind = root.kind.or(target.and_then(|target| target.kind));
    // The items of an array that is no element of its own would be several roots.
    if array && kind != Some(XmlKind::Element) {
        return None;
    }
    let named = root
        .name
        .as_ref()
        .or(target.and_then(|target| target.name.as_ref()));
    let title = schema.get("title").and_then(Value::as_str);
    let name = named.map(String::as_str).or(referred).or(title)?.to_owned();
    is_name(&name).then_some(XmlModel {
        name,
        root,
        definitions: builder.definitions,
        component_names: api.version == SpecVersion::V3_2,
    })
}

/// A name an element may have, without a prefix (XML 1.0 section 2.3, Namespaces in XML section 4).
pub fn is_name(name: &str) -> bool {
    let starts = |c: char| c == '_' || c.is_alphabetic();
    name.starts_with(starts)
        && name
            .chars()
            .all(|c| starts(c) || c.is_numeric() || "-.".contains(c))
}

struct Builder<'a> {
    api: &'a Api,
    definitions: IndexMap<String, XmlNode>,
    /// Nodes that may still be made.
    left: usize,
}

impl Builder<'_> {
    /// Reads the definitions that were referred to, and those they refer to.
    fn finish(&mut self) -> Option<()> {
        let mut at = 0;
        while let Some((name, _)) = self.definitions.get_index(at) {
            let name = name.clone();
            let schema = self.api.definitions.get(&name);
            let node = schema.map(|schema| self.node(schema)).unwrap_or_default();
            self.definitions.insert(name, node);
            at += 1;
        }
        (self.left > 0).then_some(())
    }

    fn node(&mut self, schema: &Value) -> XmlNode {
        let mut node = XmlNode::default();
        if self.left == 0 {
            return node;
        }
        self.left -= 1;
        if let Some(xml) = schema.get("xml") {
            let text = |key: &str| xml.get(key)?.as_str().map(str::to_owned);
            let says = |key: &str| xml.get(key).and_then(Value::as_bool) == Some(true);
            node.name = text("name").filter(|name| is_name(name));
            node.prefix = text("prefix").filter(|prefix| is_name(prefix));
            node.namespace = text("namespace").filter(|namespace| !namespace.is_empty());
            node.kind = match text("nodeType").as_deref() {
                Some("element") => Some(XmlKind::Element),
                Some("attribute") => Some(XmlKind::Attribute),
                Some("text") => Some(XmlKind::Text),
                Some("cdata") => Some(XmlKind::Cdata),
                Some("none") => Some(XmlKind::None),
                _ if says("attribute") => Some(XmlKind::Attribute),
                _ if says("wrapped") => Some(XmlKind::Element),
                _ => None,
            };
        }
        self.parts(schema, &mut node, 0);
        node
    }

    /// Properties and items, also those of schemas that are combined.
    fn parts(&mut self, schema: &Value, node: &mut XmlNode, depth: usize) {
        if let Some(name) = definition(schema) {
            self.definitions.entry(name.to_owned()).or_default();
            node.definition.get_or_insert_with(|| name.to_owned());
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, property) in properties.into_iter().flatten() {
            if !node.properties.contains_key(name) {
                let property = self.node(property);
                node.properties.insert(name.clone(), property);
            }
        }
        let first = schema.get("prefixItems").and_then(Value::as_array);
        if let Some(first) = first.filter(|_| node.prefix_items.is_empty()) {
            node.prefix_items = first.iter().map(|item| self.node(item)).collect();
        }
        if let Some(items) = schema.get("items").filter(|_| node.items.is_none()) {
            node.items = Some(Box::new(self.node(items)));
        }
        let combined = ["allOf", "anyOf", "oneOf"].map(|key| schema.get(key));
        let combined = combined.into_iter().flatten().filter_map(Value::as_array);
        for part in combined.flatten() {
            if depth < COMBINED_DEPTH_MAX && self.left > 0 {
                self.left -= 1;
                let target = definition(part).and_then(|name| self.api.definitions.get(name));
                self.parts(target.unwrap_or(part), node, depth + 1);
            }
        }
    }
}

fn definition(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix("#/$defs/")
}
