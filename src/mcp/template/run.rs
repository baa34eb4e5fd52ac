//! Rendering: the tree, the data and a count of steps.

use crate::mcp::template::data::Data;
use crate::mcp::template::function::Function;
use crate::mcp::template::path::Path;
use crate::mcp::template::place::{Place, Writer};
use crate::mcp::template::syntax::{Command, Node, Operand, Pipeline, Range};
use crate::mcp::template::{Moment, OUTPUT_BYTES_MAX, RenderError, STEPS_MAX, call};

/// One rendering.
pub struct Run<'a> {
    root: &'a Data,
    variables: Vec<(String, Data)>,
    writer: Writer,
    steps: usize,
    pub moment: &'a Moment,
    /// Random values made so far.
    pub drawn: u32,
    /// What is written is encoded afterwards, so that functions that encode have nothing to do.
    pub encodes: bool,
}

/// What a loop does after a node.
#[derive(PartialEq, Eq)]
enum Flow {
    On,
    Continue,
    Break,
}

impl<'a> Run<'a> {
    pub fn new(root: &'a Data, place: Place, moment: &'a Moment) -> Self {
        Self {
            root,
            variables: Vec::new(),
            writer: Writer::new(place),
            steps: 0,
            moment,
            drawn: 0,
            encodes: place == Place::Form,
        }
    }

    pub fn render(mut self, nodes: &[Node]) -> Result<String, RenderError> {
        let root = self.root.clone();
        self.nodes(nodes, &root)?;
        Ok(self.writer.out)
    }

    /// Counts.
    pub fn step(&mut self, count: usize) -> Result<(), RenderError> {
        self.steps = self.steps.saturating_add(count);
        if self.steps > STEPS_MAX {
            return Err(RenderError::Steps);
        }
        Ok(())
    }

    fn nodes(&mut self, nodes: &[Node], dot: &Data) -> Result<Flow, RenderError> {
        for node in nodes {
            let flow = self.node(node, dot)?;
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        Ok(Flow::On)
    }

    fn node(&mut self, node: &Node, dot: &Data) -> Result<Flow, RenderError> {
        self.step(1)?;
        match node {
            Node::Text(text) => {
                self.step(text.len() / 64)?;
                self.writer.literal(text);
                self.bounded()?;
            }
            Node::Write(pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                self.step(value.weight())?;
                self.writer.value(&value);
                self.bounded()?;
            }
            Node::Set(name, pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                self.set(name, value);
            }
            Node::If(branches, otherwise) => return self.conditional(branches, otherwise, dot),
            Node::With(over, body, otherwise) => {
                let value = self.pipeline(over, dot)?;
                return if value.is_true() {
                    self.scoped(body, &value)
                } else {
                    self.scoped(otherwise, dot)
                };
            }
            Node::Range(range) => return self.range(range, dot),
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn bounded(&self) -> Result<(), RenderError> {
        if self.writer.out.len() > OUTPUT_BYTES_MAX {
            return Err(RenderError::Output);
        }
        Ok(())
    }

    fn conditional(
        &mut self,
        branches: &[(Pipeline, Vec<Node>)],
        otherwise: &[Node],
        dot: &Data,
    ) -> Result<Flow, RenderError> {
        for (condition, body) in branches {
            if self.pipeline(condition, dot)?.is_true() {
                return self.scoped(body, dot);
            }
        }
        self.scoped(otherwise, dot)
    }

    /// Variables declared within a block end with it; those outside keep what was given to them.
    fn scoped(&mut self, nodes: &[Node], dot: &Data) -> Result<Flow, RenderError> {
        let known = self.variables.len();
        let flow = self.nodes(nodes, dot);
        self.variables.truncate(known);
        flow
    }

    fn set(&mut self, name: &str, value: Data) {
        match self
            .variables
            .iter_mut()
            .rev()
            .find(|(known, _)| known == name)
        {
            Some((_, known)) => *known = value,
            None => self.variables.push((name.to_owned(), value)),
        }
    }

    fn range(&mut self, range: &Range, dot: &Data) -> Result<Flow, RenderError> {
        let over = self.pipeline(&range.over, dot)?;
        let mut pairs = pairs(&over).peekable();
        if pairs.peek().is_none() {
            return self.scoped(&range.otherwise, dot);
        }
        let known = self.variables.len();
        for (key, value) in pairs {
            self.step(1)?;
            if let Some(name) = &range.key {
                self.variables.push((name.clone(), key));
            }
            if let Some(name) = &range.value {
                self.variables.push((name.clone(), value.clone()));
            }
            let flow = self.nodes(&range.body, &value);
            self.variables.truncate(known);
            if flow? == Flow::Break {
                break;
            }
        }
        Ok(Flow::On)
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Data) -> Result<Data, RenderError> {
        let mut last = None;
        for command in pipeline {
            self.step(1)?;
            last = Some(match command {
                Command::Value(operand) => self.operand(operand, dot)?,
                Command::Call(function, operands) => {
                    let mut arguments = Vec::with_capacity(operands.len() + 1);
                    for operand in operands {
                        arguments.push(self.operand(operand, dot)?);
                    }
                    arguments.extend(last);
                    self.call(*function, &arguments, dot)?
                }
            });
        }
        Ok(last.unwrap_or(Data::Missing))
    }

    fn operand(&mut self, operand: &Operand, dot: &Data) -> Result<Data, RenderError> {
        Ok(match operand {
            Operand::Dot(path) => self.at(path, dot)?,
            Operand::Variable(name, path) => {
                let known = self.variables.iter().rev().find(|(known, _)| known == name);
                let value = match known {
                    Some((_, value)) => value.clone(),
                    None if name.is_empty() => self.root.clone(),
                    None => Data::Missing,
                };
                self.at(path, &value)?
            }
            Operand::Text(text) => Data::text(&self.writer.said(text)),
            Operand::Number(number) => Data::number(number),
            Operand::Bool(value) => Data::Bool(*value),
            Operand::Nil => Data::Null,
            Operand::Nested(pipeline, path) => {
                let value = self.pipeline(pipeline, dot)?;
                self.at(path, &value)?
            }
            Operand::Call(function) => self.call(*function, &[], dot)?,
        })
    }

    fn at(&mut self, path: &Path, data: &Data) -> Result<Data, RenderError> {
        let mut looked_at = 0;
        let found = path.of(data, &mut looked_at);
        self.step(looked_at)?;
        Ok(found)
    }

    fn call(
        &mut self,
        function: Function,
        arguments: &[Data],
        dot: &Data,
    ) -> Result<Data, RenderError> {
        let weight: usize = arguments.iter().map(Data::weight).sum();
        self.step(1 + weight)?;
        if function == Function::Gjson {
            let path = arguments.first().map(Data::plain).unwrap_or_default();
            let path = Path::parse(&path).map_err(|_| RenderError::Function {
                function: "gjson",
                rule: "the path is not supported",
            })?;
            return self.at(&path, dot);
        }
        let value = call::call(self, function, arguments)?;
        self.step(value.weight())?;
        Ok(value)
    }
}

/// What a loop goes over: keys and values, made one by one.
fn pairs(over: &Data) -> Box<dyn Iterator<Item = (Data, Data)> + '_> {
    match over {
        Data::List(members) => {
            let members = members.iter().enumerate();
            Box::new(members.map(|(at, member)| (Data::number(at), member.clone())))
        }
        Data::Map(members) => {
            let members = members.iter();
            Box::new(members.map(|(name, member)| (Data::text(name), member.clone())))
        }
        Data::Number(_) => {
            let end = over.as_integer().unwrap_or(0);
            Box::new((0..end).map(|at| (Data::number(at), Data::number(at))))
        }
        _ => Box::new(std::iter::empty()),
    }
}
