//! JSON as XML, by the `xml` objects of its schema (OAS 3.2.0 section "XML Object").

use std::fmt::Write;

use crate::mcp::plan::PlanError;
use crate::mcp::plan::raw::{Raw, Shape};
use crate::mcp::tool::xml::{XmlKind, XmlModel, XmlNode, is_name};

/// An element under construction.
#[derive(Default)]
struct Element {
    attributes: String,
    content: String,
}

/// The document for a value; a text is taken as a document that is written already.
pub(super) fn document(
    argument: &str,
    raw: &Raw,
    model: Option<&XmlModel>,
) -> Result<String, PlanError> {
    let Some(model) = model.filter(|_| !raw.text().starts_with('"')) else {
        return Ok(raw.plain().into_owned());
    };
    let mut writer = Writer {
        argument,
        model,
        out: Element::default(),
    };
    let root = XmlNode {
        kind: Some(XmlKind::Element),
        name: Some(model.name.clone()),
        ..model.root.clone()
    };
    writer.node(&model.name, &root, raw)?;
    let prolog = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
    Ok(format!("{prolog}{}", writer.out.content))
}

struct Writer<'a> {
    argument: &'a str,
    model: &'a XmlModel,
    /// The element whose content is being written.
    out: Element,
}

/// A node with what its definition adds.
struct Resolved<'n> {
    node: &'n XmlNode,
    target: Option<&'n XmlNode>,
}

impl<'n> Resolved<'n> {
    fn kind(&self) -> Option<XmlKind> {
        let of_target = || self.target.and_then(|target| target.kind);
        self.node.kind.or_else(of_target)
    }

    fn name(&self) -> Option<&'n str> {
        let of_target = || self.target.and_then(|target| target.name.as_deref());
        self.node.name.as_deref().or_else(of_target)
    }

    fn prefix(&self) -> Option<&'n str> {
        let of_target = || self.target.and_then(|target| target.prefix.as_deref());
        self.node.prefix.as_deref().or_else(of_target)
    }

    fn namespace(&self) -> Option<&'n str> {
        let of_target = || self.target.and_then(|target| target.namespace.as_deref());
        self.node.namespace.as_deref().or_else(of_target)
    }

    fn property(&self, key: &str) -> Option<&'n XmlNode> {
        let of_target = || self.target.and_then(|target| target.properties.get(key));
        self.node.properties.get(key).or_else(of_target)
    }

    fn item(&self, index: usize) -> Option<&'n XmlNode> {
        let of = |node: &'n XmlNode| node.prefix_items.get(index).or(node.items.as_deref());
        of(self.node).or_else(|| self.target.and_then(of))
    }

    /// The name with its prefix, and the declaration of its namespace.
    fn qualified(&self, name: &str) -> (String, String) {
        let declared = self.namespace().map(attribute_text);
        match (self.prefix(), declared) {
            (Some(prefix), Some(uri)) => (
                format!("{prefix}:{name}"),
                format!(" xmlns:{prefix}=\"{uri}\""),
            ),
            (Some(prefix), None) => (format!("{prefix}:{name}"), String::new()),
            (None, Some(uri)) => (name.to_owned(), format!(" xmlns=\"{uri}\"")),
            (None, None) => (name.to_owned(), String::new()),
        }
    }
}

fn resolve<'n>(model: &'n XmlModel, node: &'n XmlNode) -> Resolved<'n> {
    let definition = |name: &String| model.definitions.get(name);
    let mut target = node.definition.as_ref().and_then(definition);
    // A component may refer to another; circles are cut while the document is read.
    for _ in 0..DEFINITIONS_MAX {
        let Some(next) = target.and_then(|target| target.definition.as_ref()) else {
            break;
        };
        target = definition(next).or(target);
    }
    Resolved { node, target }
}

/// Components that refer to one another are followed this far.
const DEFINITIONS_MAX: usize = 8;

impl Writer<'_> {
    /// Writes a value under its inferred name.
    fn node(&mut self, inferred: &str, node: &XmlNode, raw: &Raw) -> Result<(), PlanError> {
        let resolved = resolve(self.model, node);
        let names = self.model.component_names;
        let component = node.definition.as_deref().filter(|_| names);
        let inferred = component.filter(|name| is_name(name)).unwrap_or(inferred);
        let name = resolved.name().unwrap_or(inferred);
        let is_array = matches!(raw.shape(), Shape::Array(_));
        let default = if is_array {
            XmlKind::None
        } else {
            XmlKind::Element
        };
        let kind = resolved.kind().unwrap_or(default);
        match kind {
            XmlKind::Element => self.element(name, &resolved, raw),
            XmlKind::Attribute | XmlKind::Text | XmlKind::Cdata if raw.is_null() => Ok(()),
            XmlKind::Attribute => {
                self.check_name(name)?;
                let text = self.checked(&raw.plain())?;
                let (name, declared) = resolved.qualified(name);
                let text = attribute_text(&text);
                // A default namespace does not reach attributes.
                let declared = declared.strip_prefix(" xmlns=").map_or(&*declared, |_| "");
                let _ = write!(self.out.attributes, "{declared} {name}=\"{text}\"");
                Ok(())
            }
            XmlKind::Text => {
                let text = self.checked(&raw.plain())?;
                self.out.content.push_str(&content_text(&text));
                Ok(())
            }
            XmlKind::Cdata => {
                let text = self
                    .checked(&raw.plain())?
                    .replace("]]>", "]]]]><![CDATA[>");
                let _ = write!(self.out.content, "<![CDATA[{text}]]>");
                Ok(())
            }
            XmlKind::None => self.content(inferred, &resolved, raw),
        }
    }

    fn element(&mut self, name: &str, resolved: &Resolved<'_>, raw: &Raw) -> Result<(), PlanError> {
        self.check_name(name)?;
        let (qualified, declared) = resolved.qualified(name);
        if raw.is_null() {
            let nil = "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:nil=\"true\"";
            let _ = write!(self.out.content, "<{qualified}{declared} {nil}/>");
            return Ok(());
        }
        let outer = std::mem::take(&mut self.out);
        let written = self.content(name, resolved, raw);
        let inner = std::mem::replace(&mut self.out, outer);
        written?;
        let Element {
            attributes,
            content,
        } = inner;
        let out = &mut self.out.content;
        let _ = if content.is_empty() {
            write!(out, "<{qualified}{declared}{attributes}/>")
        } else {
            write!(
                out,
                "<{qualified}{declared}{attributes}>{content}</{qualified}>"
            )
        };
        Ok(())
    }

    /// What stands inside an element, or in place of it. The items of an array are named as it is,
    /// unless they say otherwise.
    fn content(&mut self, name: &str, resolved: &Resolved<'_>, raw: &Raw) -> Result<(), PlanError> {
        let plain = XmlNode::default();
        match raw.shape() {
            Shape::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.node(name, resolved.item(index).unwrap_or(&plain), item)?;
                }
            }
            Shape::Object(members) => {
                for (key, member) in &members {
                    self.node(key, resolved.property(key).unwrap_or(&plain), member)?;
                }
            }
            Shape::Scalar(_) if raw.is_null() => {}
            Shape::Scalar(text) => {
                let text = self.checked(&text)?;
                self.out.content.push_str(&content_text(&text));
            }
        }
        Ok(())
    }

    fn check_name(&self, name: &str) -> Result<(), PlanError> {
        if is_name(name) {
            return Ok(());
        }
        let rule = "it is sent as XML, where not every name of a member can name an element";
        Err(PlanError::value(self.argument, rule))
    }

    /// Text of characters that XML has (XML 1.0 section 2.2).
    fn checked(&self, text: &str) -> Result<String, PlanError> {
        let is_char = |c: char| {
            matches!(c, '\t' | '\n' | '\r') || (c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}'))
        };
        if text.chars().all(is_char) {
            return Ok(text.to_owned());
        }
        let rule = "it is sent as XML, which has no control characters";
        Err(PlanError::value(self.argument, rule))
    }
}

fn content_text(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('\r', "&#13;")
}

fn attribute_text(text: &str) -> String {
    content_text(text)
        .replace('"', "&quot;")
        .replace('\t', "&#9;")
        .replace('\n', "&#10;")
}
