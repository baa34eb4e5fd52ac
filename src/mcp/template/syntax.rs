//! What a template says, as a tree.

use crate::mcp::template::function::Function;
use crate::mcp::template::path::Path;
use crate::mcp::template::token::{self, Piece, Word};
use crate::mcp::template::{NESTING_MAX, SyntaxError};

/// A piece of a template.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    Text(String),
    Write(Pipeline),
    /// `$x := …`, and `$x = …`.
    Set(String, Pipeline),
    If(Vec<(Pipeline, Vec<Node>)>, Vec<Node>),
    With(Pipeline, Vec<Node>, Vec<Node>),
    Range(Range),
    Break,
    Continue,
}

/// A loop over a list, an object or a number.
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    pub key: Option<String>,
    pub value: Option<String>,
    pub over: Pipeline,
    pub body: Vec<Node>,
    /// Where there is nothing to loop over.
    pub otherwise: Vec<Node>,
}

/// Commands, each given the result of the one before it as its last argument.
pub type Pipeline = Vec<Command>;

/// A value, or a function and its arguments.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    Value(Operand),
    Call(Function, Vec<Operand>),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// `.a.b`
    Dot(Path),
    /// `$x.a`; the name of `$` is empty.
    Variable(String, Path),
    Text(String),
    Number(String),
    Bool(bool),
    Nil,
    /// `(…).a`
    Nested(Pipeline, Path),
    /// A function without arguments, as an argument.
    Call(Function),
}

/// Reads a template.
///
/// # Errors
/// What in it is not understood.
pub fn parse(source: &str) -> Result<Vec<Node>, SyntaxError> {
    let pieces = token::pieces(source)?;
    let mut parser = Parser {
        pieces: pieces.into_iter(),
        depth: 0,
    };
    let (nodes, end) = parser.block()?;
    match end {
        End::Source => Ok(nodes),
        End::Word(words) => Err(action(&words, "it closes nothing")),
    }
}

/// What ended a block.
enum End {
    Source,
    /// `end`, or `else` with what follows it.
    Word(Vec<Word>),
}

struct Parser<'a> {
    pieces: std::vec::IntoIter<Piece<'a>>,
    depth: usize,
}

impl Parser<'_> {
    fn block(&mut self) -> Result<(Vec<Node>, End), SyntaxError> {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            let text = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text(text.to_owned()));
                    continue;
                }
                Piece::Action(text) => text,
            };
            let words = token::words(text)?;
            let keyword = match words.first() {
                Some(Word::Name(name)) => name.clone(),
                Some(_) => String::new(),
                None => continue,
            };
            match keyword.as_str() {
                "end" | "else" => return Ok((nodes, End::Word(words))),
                "if" | "with" | "range" => nodes.push(self.nested(&keyword, &words[1..])?),
                "break" => nodes.push(Node::Break),
                "continue" => nodes.push(Node::Continue),
                "define" | "template" | "block" => {
                    return Err(action(
                        &words,
                        "templates within templates are not supported",
                    ));
                }
                _ => nodes.push(simple(&words)?),
            }
        }
        Ok((nodes, End::Source))
    }

    fn nested(&mut self, keyword: &str, head: &[Word]) -> Result<Node, SyntaxError> {
        self.depth += 1;
        if self.depth > NESTING_MAX {
            return Err(SyntaxError::TooDeep);
        }
        let node = match keyword {
            "if" => self.conditional(head)?,
            "with" => {
                let over = pipeline(head)?;
                let (body, otherwise) = self.branches(head)?;
                Node::With(over, body, otherwise)
            }
            _ => {
                let (key, value, over) = loop_head(head)?;
                let (body, otherwise) = self.branches(head)?;
                Node::Range(Range {
                    key,
                    value,
                    over,
                    body,
                    otherwise,
                })
            }
        };
        self.depth -= 1;
        Ok(node)
    }

    /// `if … else if … else … end`
    fn conditional(&mut self, head: &[Word]) -> Result<Node, SyntaxError> {
        let mut branches = Vec::new();
        let mut condition = pipeline(head)?;
        loop {
            let (body, end) = self.block()?;
            branches.push((condition, body));
            let words = closed(end, head)?;
            match words.get(..2) {
                Some([Word::Name(first), Word::Name(second)])
                    if first == "else" && second == "if" =>
                {
                    condition = pipeline(&words[2..])?;
                }
                _ if words == [Word::Name("else".to_owned())] => {
                    let (otherwise, end) = self.block()?;
                    return ended(end, head).map(|()| Node::If(branches, otherwise));
                }
                _ => return Ok(Node::If(branches, Vec::new())),
            }
        }
    }

    fn branches(&mut self, head: &[Word]) -> Result<(Vec<Node>, Vec<Node>), SyntaxError> {
        let (body, end) = self.block()?;
        let words = closed(end, head)?;
        if words.first() != Some(&Word::Name("else".to_owned())) {
            return Ok((body, Vec::new()));
        }
        if words.len() > 1 {
            return Err(action(&words, "only `if` has branches with conditions"));
        }
        let (otherwise, end) = self.block()?;
        ended(end, head).map(|()| (body, otherwise))
    }
}

fn closed(end: End, head: &[Word]) -> Result<Vec<Word>, SyntaxError> {
    match end {
        End::Word(words) => Ok(words),
        End::Source => Err(action(head, "its `end` is missing")),
    }
}

fn ended(end: End, head: &[Word]) -> Result<(), SyntaxError> {
    let words = closed(end, head)?;
    if words == [Word::Name("end".to_owned())] {
        Ok(())
    } else {
        Err(action(&words, "`end` is expected"))
    }
}

/// An action that is no block.
fn simple(words: &[Word]) -> Result<Node, SyntaxError> {
    if let [
        Word::Variable(name, fields),
        Word::Sign(":=" | "="),
        rest @ ..,
    ] = words
        && fields.is_empty()
        && !name.is_empty()
    {
        return Ok(Node::Set(name.clone(), pipeline(rest)?));
    }
    Ok(Node::Write(pipeline(words)?))
}

type LoopHead = (Option<String>, Option<String>, Pipeline);

/// `$i, $x := …`, `$x := …` or only the pipeline.
fn loop_head(words: &[Word]) -> Result<LoopHead, SyntaxError> {
    match words {
        [
            Word::Variable(key, _),
            Word::Sign(","),
            Word::Variable(value, _),
            Word::Sign(":="),
            rest @ ..,
        ] => Ok((Some(key.clone()), Some(value.clone()), pipeline(rest)?)),
        [Word::Variable(value, _), Word::Sign(":="), rest @ ..] => {
            Ok((None, Some(value.clone()), pipeline(rest)?))
        }
        _ => Ok((None, None, pipeline(words)?)),
    }
}

fn pipeline(words: &[Word]) -> Result<Pipeline, SyntaxError> {
    let mut at = 0;
    let found = commands(words, &mut at, 0)?;
    if at < words.len() {
        return Err(action(words, "a bracket is closed that was not opened"));
    }
    Ok(found)
}

fn commands(words: &[Word], at: &mut usize, depth: usize) -> Result<Pipeline, SyntaxError> {
    if depth > NESTING_MAX {
        return Err(SyntaxError::TooDeep);
    }
    let mut found = Vec::new();
    loop {
        found.push(command(words, at, depth)?);
        if words.get(*at) != Some(&Word::Sign("|")) {
            return Ok(found);
        }
        *at += 1;
    }
}

fn command(words: &[Word], at: &mut usize, depth: usize) -> Result<Command, SyntaxError> {
    let mut operands = Vec::new();
    let mut function = None;
    while let Some(word) = words.get(*at) {
        if matches!(word, Word::Sign("|" | ")")) {
            break;
        }
        *at += 1;
        let operand = match word {
            Word::Name(name) => match name.as_str() {
                "true" => Operand::Bool(true),
                "false" => Operand::Bool(false),
                "nil" => Operand::Nil,
                name => {
                    let named = Function::named(name)?;
                    if operands.is_empty() && function.is_none() {
                        function = Some(named);
                        continue;
                    }
                    Operand::Call(named)
                }
            },
            Word::Field(fields) => Operand::Dot(Path::of_fields(fields)),
            Word::Variable(name, fields) => {
                Operand::Variable(name.clone(), Path::of_fields(fields))
            }
            Word::Text(text) => Operand::Text(text.clone()),
            Word::Raw(path) => Operand::Dot(Path::parse(path)?),
            Word::Number(number) => Operand::Number(number.clone()),
            Word::Sign("(") => nested(words, at, depth)?,
            Word::Member(_) | Word::Sign(_) => {
                return Err(action(words, "a sign has no place there"));
            }
        };
        operands.push(operand);
    }
    match (function, operands.len()) {
        (Some(function), _) => {
            checked(function, &operands)?;
            Ok(Command::Call(function, operands))
        }
        (None, 1) => Ok(Command::Value(operands.remove(0))),
        (None, 0) => Err(action(words, "a value is missing")),
        (None, _) => Err(action(words, "only functions have arguments")),
    }
}

fn nested(words: &[Word], at: &mut usize, depth: usize) -> Result<Operand, SyntaxError> {
    let inner = commands(words, at, depth + 1)?;
    if words.get(*at) != Some(&Word::Sign(")")) {
        return Err(action(words, "a bracket is not closed"));
    }
    *at += 1;
    let path = match words.get(*at) {
        Some(Word::Member(fields)) => {
            *at += 1;
            Path::of_fields(fields)
        }
        _ => Path::default(),
    };
    Ok(Operand::Nested(inner, path))
}

/// A GJSON path that is written out is checked before it is used.
fn checked(function: Function, operands: &[Operand]) -> Result<(), SyntaxError> {
    if function == Function::Gjson
        && let Some(Operand::Text(path)) = operands.first()
    {
        Path::parse(path)?;
    }
    Ok(())
}

fn action(words: &[Word], rule: &'static str) -> SyntaxError {
    let shown = words.iter().map(|word| match word {
        Word::Name(name) => name.clone(),
        Word::Field(fields) | Word::Member(fields) => format!(".{}", fields.join(".")),
        Word::Variable(name, _) => format!("${name}"),
        Word::Text(text) => format!("{text:?}"),
        Word::Raw(text) => format!("`{text}`"),
        Word::Number(number) => number.clone(),
        Word::Sign(sign) => (*sign).to_owned(),
    });
    let shown = shown.collect::<Vec<_>>().join(" ");
    SyntaxError::Action(shown.chars().take(80).collect(), rule)
}
