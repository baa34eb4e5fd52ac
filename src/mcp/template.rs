//! Templates as Higress writes them: Go's `text/template` with GJSON paths, the part that is used.
//!
//! Invariants: pure, and bounded by [`STEPS_MAX`] and [`OUTPUT_BYTES_MAX`] whatever the template and
//! the data are; a value is encoded for the place it is written into and never leaves it; numbers
//! keep every digit they came with. A template is stored as its text and compiled when it is read.

pub mod answer;
pub mod binding;
pub mod call;
pub mod data;
pub mod date;
pub mod format;
pub mod function;
pub mod path;
pub mod place;
pub mod run;
pub mod syntax;
pub mod token;

use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::mcp::template::data::Data;
use crate::mcp::template::place::Place;
use crate::mcp::template::run::Run;
use crate::mcp::template::syntax::Node;

/// The text of one template.
pub const SOURCE_BYTES_MAX: usize = 64 << 10;
/// Blocks within blocks, and pipelines within pipelines.
pub const NESTING_MAX: usize = 24;
/// What rendering may cost, in nodes, elements and 64-byte pieces of text.
pub const STEPS_MAX: usize = 400_000;
/// What a template may write, and how long a value that it makes may get.
pub const OUTPUT_BYTES_MAX: usize = 1 << 20;

/// A template, compiled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template {
    source: String,
    nodes: Vec<Node>,
}

/// Why a text is no template that can be rendered here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    #[error("it is longer than {SOURCE_BYTES_MAX} bytes")]
    TooLong,
    #[error("it is nested deeper than {NESTING_MAX} levels")]
    TooDeep,
    #[error("`{{{{{0}` is not closed")]
    Open(String),
    #[error("`{{{{{0}}}}}` is not understood: {1}")]
    Action(String, &'static str),
    #[error("the function `{0}` is not supported")]
    Function(String),
    #[error("the GJSON path `{0}` is not supported")]
    Path(String),
}

/// Why a template gave no text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    #[error("the template takes too many steps")]
    Steps,
    #[error("the template writes more than {OUTPUT_BYTES_MAX} bytes")]
    Output,
    #[error("`{function}` in the template: {rule}")]
    Function {
        function: &'static str,
        rule: &'static str,
    },
    #[error("the template's data is no JSON")]
    Data,
}

/// When a template is rendered, and what makes its random values.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moment {
    pub now: DateTime<Utc>,
    /// Different for every rendering.
    pub seed: u128,
}

impl Template {
    /// The text for `data`, its values encoded for `place`.
    ///
    /// # Errors
    /// A limit is exceeded, or a function cannot do what it is asked for.
    pub fn render(
        &self,
        data: &Data,
        place: Place,
        moment: &Moment,
    ) -> Result<String, RenderError> {
        Run::new(data, place, moment).render(&self.nodes)
    }
}

impl FromStr for Template {
    type Err = SyntaxError;

    fn from_str(source: &str) -> Result<Self, SyntaxError> {
        if source.len() > SOURCE_BYTES_MAX {
            return Err(SyntaxError::TooLong);
        }
        Ok(Self {
            source: source.to_owned(),
            nodes: syntax::parse(source)?,
        })
    }
}

impl TryFrom<String> for Template {
    type Error = SyntaxError;

    fn try_from(source: String) -> Result<Self, SyntaxError> {
        source.parse()
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.source
    }
}
