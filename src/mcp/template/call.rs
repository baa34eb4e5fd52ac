//! What the functions do.

use std::cmp::Ordering;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::mcp::template::data::Data;
use crate::mcp::template::function::{Function, Group};
use crate::mcp::template::run::Run;
use crate::mcp::template::{OUTPUT_BYTES_MAX, RenderError, date, format};

/// Calls a function with its arguments, of which a pipeline's is the last.
pub fn call(run: &mut Run<'_>, function: Function, given: &[Data]) -> Result<Data, RenderError> {
    let call = Call { function, given };
    match function {
        Function::Now => Ok(Data::Time(run.moment.now)),
        Function::Uuid => Ok(Data::text(&uuid(run))),
        // Who calls is not passed on; Higress's own configurations take "" for "not known".
        Function::RealIp | Function::SocketIp => Ok(Data::text("")),
        Function::UrlQuery if run.encodes => Ok(call.at(0)),
        _ => call.pure(),
    }
}

/// A version 4 UUID (RFC 9562 section 5.4) of the rendering's seed.
fn uuid(run: &mut Run<'_>) -> String {
    let mut seed = run.moment.seed.to_be_bytes().to_vec();
    seed.extend(run.drawn.to_be_bytes());
    run.drawn += 1;
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest(&SHA256, &seed).as_ref()[..16]);
    uuid::Builder::from_random_bytes(bytes)
        .into_uuid()
        .to_string()
}

struct Call<'a> {
    function: Function,
    given: &'a [Data],
}

impl Call<'_> {
    fn fault(&self, rule: &'static str) -> RenderError {
        RenderError::Function {
            function: self.function.name(),
            rule,
        }
    }

    fn at(&self, at: usize) -> Data {
        self.given.get(at).cloned().unwrap_or(Data::Missing)
    }

    /// What a pipeline passes.
    fn subject(&self) -> Data {
        self.given.last().cloned().unwrap_or(Data::Missing)
    }

    fn text(&self, at: usize) -> String {
        self.given.get(at).map(Data::plain).unwrap_or_default()
    }

    fn number(&self, at: usize) -> Result<i128, RenderError> {
        // A value that is not there counts as zero, as in sprig.
        match self.given.get(at) {
            None => Err(self.fault("a number is missing")),
            Some(Data::Missing | Data::Null) => Ok(0),
            Some(value) => value
                .as_integer()
                .ok_or_else(|| self.fault("it needs numbers")),
        }
    }

    fn length(&self, at: usize) -> Result<usize, RenderError> {
        let number = self.number(at)?;
        usize::try_from(number).map_err(|_| self.fault("it needs a number that is not negative"))
    }

    fn elements(&self) -> Vec<Data> {
        match self.subject() {
            Data::List(members) => members.to_vec(),
            Data::Map(members) => members.values().cloned().collect(),
            Data::Missing | Data::Null => Vec::new(),
            other => vec![other],
        }
    }

    fn pure(&self) -> Result<Data, RenderError> {
        match self.function.group() {
            Group::Logic => self.logic(),
            Group::Texts => self.texts(),
            Group::Lists => self.lists(),
            Group::Numbers => self.numbers(),
            Group::Run => Err(self.fault("it cannot be called so")),
        }
    }

    fn logic(&self) -> Result<Data, RenderError> {
        Ok(match self.function {
            Function::And => {
                let first = self.given.iter().find(|value| !value.is_true());
                first.cloned().unwrap_or_else(|| self.subject())
            }
            Function::Or | Function::Coalesce => {
                let first = self.given.iter().find(|value| value.is_true());
                first.cloned().unwrap_or_else(|| self.subject())
            }
            Function::Not | Function::Empty => Data::Bool(!self.at(0).is_true()),
            Function::Eq => {
                let others = self.given.iter().skip(1);
                Data::Bool(others.into_iter().any(|other| same(&self.at(0), other)))
            }
            Function::Ne => Data::Bool(!same(&self.at(0), &self.at(1))),
            Function::Lt => Data::Bool(self.order() == Some(Ordering::Less)),
            Function::Le => Data::Bool(self.order().is_some_and(Ordering::is_le)),
            Function::Gt => Data::Bool(self.order() == Some(Ordering::Greater)),
            Function::Ge => Data::Bool(self.order().is_some_and(Ordering::is_ge)),
            Function::Len => Data::number(match self.at(0) {
                Data::List(members) => members.len(),
                Data::Map(members) => members.len(),
                Data::Text(text) => text.len(),
                _ => 0,
            }),
            Function::Index => self.given.iter().skip(1).fold(self.at(0), |value, key| {
                let key = key.plain();
                match &value {
                    Data::Map(members) => members.get(&key).cloned(),
                    Data::List(members) => key
                        .parse()
                        .ok()
                        .and_then(|at: usize| members.get(at).cloned()),
                    _ => None,
                }
                .unwrap_or(Data::Missing)
            }),
            Function::Slice => self.slice()?,
            Function::Print => {
                let texts: Vec<String> = self.given.iter().map(Data::plain).collect();
                Data::text(&texts.join(" "))
            }
            Function::Println => {
                let texts: Vec<String> = self.given.iter().map(Data::plain).collect();
                Data::text(&(texts.join(" ") + "\n"))
            }
            Function::Printf => {
                let rest = self.given.get(1..).unwrap_or_default();
                let text = format::printf(&self.text(0), rest);
                Data::text(&bounded(text)?)
            }
            Function::UrlQuery => {
                let text = self.text(0);
                let encoded: String =
                    url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
                Data::text(&encoded)
            }
            Function::Html => Data::text(&html(&self.text(0))),
            Function::Default => {
                let stands_in = self.given.len() < 2 || !self.at(1).is_true();
                self.at(usize::from(!stands_in))
            }
            Function::Ternary => self.at(usize::from(!self.subject().is_true())),
            _ => return Err(self.fault("it cannot be called so")),
        })
    }

    fn order(&self) -> Option<Ordering> {
        let (left, right) = (self.at(0), self.at(1));
        match (left.as_f64(), right.as_f64()) {
            (Some(left), Some(right)) => left.partial_cmp(&right),
            _ => Some(left.plain().cmp(&right.plain())),
        }
    }

    fn slice(&self) -> Result<Data, RenderError> {
        let start = if self.given.len() > 1 {
            self.length(1)?
        } else {
            0
        };
        let end = if self.given.len() > 2 {
            self.length(2)?
        } else {
            usize::MAX
        };
        Ok(match self.at(0) {
            Data::List(members) => {
                let end = end.min(members.len());
                Data::list(members.get(start..end).unwrap_or_default().to_vec())
            }
            other => Data::text(&characters(&other.plain(), start, end)),
        })
    }

    fn texts(&self) -> Result<Data, RenderError> {
        let subject = self.subject().plain();
        let text = match self.function {
            Function::ToJson => self.subject().json(),
            Function::ToPrettyJson => {
                let value = serde_json::from_str::<serde_json::Value>(&self.subject().json());
                let value = value.map_err(|_| RenderError::Data)?;
                format!("{value:#}")
            }
            Function::FromJson => return Data::parse(&subject),
            Function::ToString => subject,
            Function::Base64Encode => BASE64.encode(&subject),
            Function::Base64Decode => {
                let bytes = BASE64.decode(subject.trim().as_bytes());
                let bytes = bytes.map_err(|_| self.fault("it needs base64"))?;
                String::from_utf8_lossy(&bytes).into_owned()
            }
            Function::Trim => subject.trim().to_owned(),
            Function::TrimAll => {
                let cut: Vec<char> = self.text(0).chars().collect();
                subject.trim_matches(cut.as_slice()).to_owned()
            }
            Function::TrimPrefix => subject
                .strip_prefix(&self.text(0))
                .unwrap_or(&subject)
                .to_owned(),
            Function::TrimSuffix => subject
                .strip_suffix(&self.text(0))
                .unwrap_or(&subject)
                .to_owned(),
            Function::Upper => subject.to_uppercase(),
            Function::Lower => subject.to_lowercase(),
            Function::Title => title(&subject),
            Function::Replace => {
                let (old, new) = (self.text(0), self.text(1));
                let growth = subject.len().saturating_mul(new.len() + 1);
                if growth > OUTPUT_BYTES_MAX * 4 {
                    return Err(RenderError::Output);
                }
                subject.replace(&old, &new)
            }
            Function::Repeat => {
                let count = self.length(0)?;
                if subject.len().saturating_mul(count) > OUTPUT_BYTES_MAX {
                    return Err(RenderError::Output);
                }
                subject.repeat(count)
            }
            Function::Contains => return Ok(Data::Bool(subject.contains(&self.text(0)))),
            Function::HasPrefix => return Ok(Data::Bool(subject.starts_with(&self.text(0)))),
            Function::HasSuffix => return Ok(Data::Bool(subject.ends_with(&self.text(0)))),
            Function::Quote => serde_json::Value::from(subject).to_string(),
            Function::SingleQuote => format!("'{subject}'"),
            Function::Truncate => self.truncated(&subject)?,
            Function::Substring => {
                let end = self.number(1)?;
                let end = usize::try_from(end).unwrap_or(usize::MAX);
                characters(&subject, self.length(0)?, end)
            }
            Function::NoSpace => subject.split_whitespace().collect(),
            Function::Indent => indented(&subject, self.length(0)?.min(80)),
            Function::NewIndent => format!("\n{}", indented(&subject, self.length(0)?.min(80))),
            Function::Concat => {
                let texts: Vec<String> = self.given.iter().map(Data::plain).collect();
                texts.join(" ")
            }
            _ => return Err(self.fault("it cannot be called so")),
        };
        Ok(Data::text(&bounded(text)?))
    }

    fn truncated(&self, subject: &str) -> Result<String, RenderError> {
        let count = self.number(0)?;
        let length = subject.chars().count();
        let kept = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        Ok(if count < 0 {
            characters(subject, length.saturating_sub(kept), length)
        } else {
            characters(subject, 0, kept)
        })
    }

    fn lists(&self) -> Result<Data, RenderError> {
        let mut members = self.elements();
        Ok(match self.function {
            Function::Join => {
                // `join ", " .list` and, as people also write it, `join .list ", "`.
                let first = matches!(self.at(0), Data::List(_));
                let (with, list) = (self.text(usize::from(first)), self.at(usize::from(!first)));
                let texts: Vec<String> = match list {
                    Data::List(members) => members.iter().map(Data::plain).collect(),
                    other => vec![other.plain()],
                };
                Data::text(&bounded(texts.join(&with))?)
            }
            Function::Split => {
                let (with, text) = (self.text(0), self.text(1));
                if with.is_empty() {
                    return Err(self.fault("it needs a separator"));
                }
                Data::list(text.split(&with).map(Data::text).collect())
            }
            Function::List => Data::list(self.given.to_vec()),
            Function::First => members.first().cloned().unwrap_or(Data::Missing),
            Function::Last => members.last().cloned().unwrap_or(Data::Missing),
            Function::Rest => Data::list(members.split_off(1.min(members.len()))),
            Function::Unique => {
                let mut seen = std::collections::HashSet::new();
                members.retain(|member| seen.insert(member.json()));
                Data::list(members)
            }
            Function::SortText => {
                let mut texts: Vec<String> = members.iter().map(Data::plain).collect();
                texts.sort();
                Data::list(texts.iter().map(|text| Data::text(text)).collect())
            }
            Function::Reverse => {
                members.reverse();
                Data::list(members)
            }
            Function::Has => Data::Bool(members.iter().any(|member| same(member, &self.at(0)))),
            Function::HasKey | Function::Get => {
                let Data::Map(map) = self.at(0) else {
                    return Ok(Data::Missing);
                };
                let found = map.get(&self.text(1)).cloned();
                if self.function == Function::HasKey {
                    Data::Bool(found.is_some())
                } else {
                    found.unwrap_or(Data::Missing)
                }
            }
            Function::Keys => match self.subject() {
                Data::Map(map) => Data::list(map.keys().map(|name| Data::text(name)).collect()),
                _ => Data::list(Vec::new()),
            },
            Function::Values => Data::list(members),
            _ => return Err(self.fault("it cannot be called so")),
        })
    }

    fn numbers(&self) -> Result<Data, RenderError> {
        let all = || -> Result<Vec<i128>, RenderError> {
            (0..self.given.len()).map(|at| self.number(at)).collect()
        };
        let checked = |value: Option<i128>| value.ok_or_else(|| self.fault("it is too large"));
        let number = match self.function {
            Function::Add => checked(all()?.into_iter().try_fold(0_i128, i128::checked_add))?,
            Function::AddOne => checked(self.number(0)?.checked_add(1))?,
            Function::Subtract => checked(self.number(0)?.checked_sub(self.number(1)?))?,
            Function::Multiply => checked(all()?.into_iter().try_fold(1_i128, i128::checked_mul))?,
            Function::Divide | Function::Modulo => {
                let (left, right) = (self.number(0)?, self.number(1)?);
                let result = if self.function == Function::Divide {
                    left.checked_div(right)
                } else {
                    left.checked_rem(right)
                };
                result.ok_or_else(|| self.fault("nothing is divided by zero"))?
            }
            Function::Max => all()?.into_iter().max().unwrap_or(0),
            Function::Min => all()?.into_iter().min().unwrap_or(0),
            Function::Integer => self.subject().as_integer().unwrap_or(0),
            _ => return self.others(),
        };
        Ok(Data::number(number))
    }

    fn others(&self) -> Result<Data, RenderError> {
        let float = || {
            self.at(0)
                .as_f64()
                .ok_or_else(|| self.fault("it needs a number"))
        };
        Ok(match self.function {
            Function::Round => {
                let digits = i32::try_from(self.number(1).unwrap_or(0).clamp(0, 15)).unwrap_or(0);
                let scale = 10_f64.powi(digits);
                Data::number((float()? * scale).round() / scale)
            }
            Function::Floor => Data::number(float()?.floor()),
            Function::Ceil => Data::number(float()?.ceil()),
            Function::Float => Data::number(self.subject().as_f64().unwrap_or(0.0)),
            Function::Date => self.date(&self.at(1), "UTC")?,
            Function::DateInZone => self.date(&self.at(1), &self.text(2))?,
            Function::UnixEpoch => match self.subject() {
                Data::Time(time) => Data::text(&time.timestamp().to_string()),
                _ => return Err(self.fault("it needs a time")),
            },
            Function::Sha256 => {
                let text = self.subject().plain();
                Data::text(&hex::encode(digest(&SHA256, text.as_bytes())))
            }
            _ => return Err(self.fault("it cannot be called so")),
        })
    }

    fn date(&self, time: &Data, zone: &str) -> Result<Data, RenderError> {
        let time = match time {
            Data::Time(time) => *time,
            other => {
                let seconds = other.as_integer().and_then(|s| i64::try_from(s).ok());
                let time = seconds.and_then(|s| chrono::DateTime::from_timestamp(s, 0));
                time.ok_or_else(|| self.fault("it needs a time"))?
            }
        };
        let zone =
            date::zone(zone).ok_or_else(|| self.fault("that time zone is not known here"))?;
        Ok(Data::text(&date::written(
            &time.with_timezone(&zone),
            &self.text(0),
        )))
    }
}

/// Numbers by their value, everything else by what it says.
fn same(left: &Data, right: &Data) -> bool {
    match (left, right) {
        (Data::Number(a), Data::Number(b)) if a != b => a
            .parse::<f64>()
            .ok()
            .is_some_and(|a| b.parse::<f64>() == Ok(a)),
        (Data::Missing | Data::Null, Data::Missing | Data::Null) => true,
        (Data::Bool(a), Data::Bool(b)) => a == b,
        _ => left.plain() == right.plain(),
    }
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&#34;")
        .replace('\'', "&#39;")
}

/// # Errors
/// The text is too long.
fn bounded(text: String) -> Result<String, RenderError> {
    if text.len() > OUTPUT_BYTES_MAX {
        return Err(RenderError::Output);
    }
    Ok(text)
}

fn characters(text: &str, start: usize, end: usize) -> String {
    text.chars()
        .skip(start)
        .take(end.saturating_sub(start))
        .collect()
}

fn title(text: &str) -> String {
    let mut starts = true;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if starts {
            out.extend(c.to_uppercase());
        } else {
            out.push(c);
        }
        starts = c.is_whitespace();
    }
    out
}

fn indented(text: &str, spaces: usize) -> String {
    let pad = " ".repeat(spaces);
    format!("{pad}{}", text.replace('\n', &format!("\n{pad}")))
}
