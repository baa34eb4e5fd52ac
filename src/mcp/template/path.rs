//! GJSON paths: members, elements, `#`, queries, wildcards and the modifiers that reshape lists.

use indexmap::IndexMap;

use crate::mcp::template::SyntaxError;
use crate::mcp::template::data::Data;

/// Steps of one path.
const STEPS_MAX: usize = 64;

/// A path, compiled.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Path(Vec<Step>);

#[derive(Clone, Debug, PartialEq)]
enum Step {
    /// A member, or an element by its number.
    Member(String),
    /// A member whose name has `*` and `?` in it.
    Wild(String),
    /// `#`: the count where it is last, else the rest for every element.
    Each,
    /// `#(…)`: the first element that fits; with `all`, every one.
    Query {
        filter: Filter,
        all: bool,
    },
    Modifier(Modifier),
}

#[derive(Clone, Debug, PartialEq)]
struct Filter {
    path: Path,
    compare: Option<(Compare, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compare {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
    Like,
    Unlike,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Modifier {
    This,
    Reverse,
    Keys,
    Values,
    Flatten,
    Text,
}

impl Path {
    /// `.a.b` of an action: names as they are.
    pub fn of_fields(fields: &[String]) -> Self {
        let step = |field: &String| match field.as_str() {
            "#" => Step::Each,
            name => modifier(name).map_or_else(|| Step::Member(name.to_owned()), Step::Modifier),
        };
        Self(fields.iter().take(STEPS_MAX).map(step).collect())
    }

    /// A path as GJSON writes it.
    ///
    /// # Errors
    /// It uses what is not supported.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        parse(text).ok_or_else(|| SyntaxError::Path(text.chars().take(80).collect()))
    }

    /// The value there, and how many values were looked at.
    pub fn of(&self, data: &Data, steps: &mut usize) -> Data {
        walk(&self.0, data, steps)
    }
}

fn parse(text: &str) -> Option<Path> {
    let mut steps = Vec::new();
    let mut rest = text;
    while !rest.is_empty() && steps.len() < STEPS_MAX {
        let (part, used) = part(rest)?;
        steps.push(step(&part)?);
        rest = rest[used..]
            .strip_prefix(['.', '|'])
            .unwrap_or(&rest[used..]);
    }
    rest.is_empty().then_some(Path(steps))
}

/// The text up to the next `.` or `|`, outside of brackets and escapes.
fn part(text: &str) -> Option<(String, usize)> {
    let mut depth = 0_usize;
    let mut escaped = false;
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        if escaped {
            escaped = false;
            continue;
        }
        match c {
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.checked_sub(1)?,
            '.' | '|' if depth == 0 && !quoted => return Some((text[..at].to_owned(), at)),
            _ => {}
        }
    }
    (depth == 0).then(|| (text.to_owned(), text.len()))
}

fn step(part: &str) -> Option<Step> {
    if part == "#" {
        return Some(Step::Each);
    }
    if let Some(query) = part.strip_prefix("#(") {
        let (query, all) = match query.strip_suffix(")#") {
            Some(query) => (query, true),
            None => (query.strip_suffix(')')?, false),
        };
        return Some(Step::Query {
            filter: filter(query)?,
            all,
        });
    }
    if part.starts_with('@') {
        return modifier(part).map(Step::Modifier);
    }
    if part.is_empty() || part.starts_with(['{', '[', '!', '#']) {
        return None;
    }
    let wild = part.contains(['*', '?']) && !part.contains('\\');
    let plain = unescaped(part);
    Some(if wild {
        Step::Wild(plain)
    } else {
        Step::Member(plain)
    })
}

fn unescaped(part: &str) -> String {
    let mut out = String::new();
    let mut letters = part.chars();
    while let Some(c) = letters.next() {
        out.push(if c == '\\' {
            letters.next().unwrap_or('\\')
        } else {
            c
        });
    }
    out
}

fn modifier(part: &str) -> Option<Modifier> {
    Some(match part {
        "@this" | "@valid" | "@ugly" | "@pretty" => Modifier::This,
        "@reverse" => Modifier::Reverse,
        "@keys" => Modifier::Keys,
        "@values" => Modifier::Values,
        "@flatten" => Modifier::Flatten,
        "@tostr" => Modifier::Text,
        _ => return None,
    })
}

/// `path op value`; without one, the path has to exist.
fn filter(query: &str) -> Option<Filter> {
    const SIGNS: [(&str, Compare); 9] = [
        ("==", Compare::Equal),
        ("!=", Compare::Unequal),
        ("<=", Compare::LessOrEqual),
        (">=", Compare::MoreOrEqual),
        ("!%", Compare::Unlike),
        ("<", Compare::Less),
        (">", Compare::More),
        ("%", Compare::Like),
        ("=", Compare::Equal),
    ];
    if query.contains("&&") || query.contains("||") || query.contains("#(") {
        return None;
    }
    let at = query.find(['=', '!', '<', '>', '%']);
    let Some(at) = at else {
        return Some(Filter {
            path: parse(query.trim())?,
            compare: None,
        });
    };
    let (path, rest) = query.split_at(at);
    let (sign, compare) = SIGNS.iter().find(|(sign, _)| rest.starts_with(sign))?;
    let value = rest[sign.len()..].trim().trim_matches('"').to_owned();
    Some(Filter {
        path: parse(path.trim())?,
        compare: Some((*compare, value)),
    })
}

fn walk(steps: &[Step], data: &Data, count: &mut usize) -> Data {
    *count += 1;
    let Some((step, rest)) = steps.split_first() else {
        return data.clone();
    };
    match step {
        Step::Member(name) => walk(rest, &member(data, name), count),
        Step::Wild(pattern) => {
            let Data::Map(members) = data else {
                return Data::Missing;
            };
            *count += members.len();
            let found = members.iter().find(|(name, _)| like(name, pattern));
            found.map_or(Data::Missing, |(_, value)| walk(rest, value, count))
        }
        Step::Each => {
            let Data::List(members) = data else {
                return Data::Missing;
            };
            if rest.is_empty() {
                return Data::number(members.len());
            }
            let found = members.iter().map(|member| walk(rest, member, count));
            Data::list(found.filter(|value| *value != Data::Missing).collect())
        }
        Step::Query { filter, all } => {
            let Data::List(members) = data else {
                return Data::Missing;
            };
            let mut fits = members.iter().filter(|member| filter.fits(member, count));
            if !all {
                let first = fits.next().cloned();
                return first.map_or(Data::Missing, |first| walk(rest, &first, count));
            }
            let found: Vec<Data> = fits.cloned().collect();
            // `#(…)#.name` goes on for every element that fits.
            if rest.is_empty() || matches!(rest[0], Step::Modifier(_) | Step::Each) {
                return walk(rest, &Data::list(found), count);
            }
            let inner = found.iter().map(|member| walk(rest, member, count));
            Data::list(inner.filter(|value| *value != Data::Missing).collect())
        }
        Step::Modifier(modifier) => {
            *count += data.weight();
            walk(rest, &modified(*modifier, data), count)
        }
    }
}

fn member(data: &Data, name: &str) -> Data {
    match data {
        Data::Map(members) => members.get(name).cloned().unwrap_or(Data::Missing),
        Data::List(members) => {
            let at = name.parse::<usize>().ok();
            at.and_then(|at| members.get(at).cloned())
                .unwrap_or(Data::Missing)
        }
        _ => Data::Missing,
    }
}

impl Filter {
    fn fits(&self, data: &Data, count: &mut usize) -> bool {
        let found = walk(&self.path.0, data, count);
        let Some((compare, wanted)) = &self.compare else {
            return found != Data::Missing;
        };
        if found == Data::Missing {
            return false;
        }
        let text = found.plain();
        *count += text.len() / 64;
        let order = match (found.as_f64(), wanted.parse::<f64>()) {
            (Some(left), Ok(right)) => left.partial_cmp(&right),
            _ => Some(text.as_str().cmp(wanted)),
        };
        match compare {
            Compare::Equal => order.is_some_and(std::cmp::Ordering::is_eq),
            Compare::Unequal => !order.is_some_and(std::cmp::Ordering::is_eq),
            Compare::Less => order.is_some_and(std::cmp::Ordering::is_lt),
            Compare::LessOrEqual => order.is_some_and(std::cmp::Ordering::is_le),
            Compare::More => order.is_some_and(std::cmp::Ordering::is_gt),
            Compare::MoreOrEqual => order.is_some_and(std::cmp::Ordering::is_ge),
            Compare::Like => like(&text, wanted),
            Compare::Unlike => !like(&text, wanted),
        }
    }
}

fn modified(modifier: Modifier, data: &Data) -> Data {
    match (modifier, data) {
        (Modifier::Text, data) => Data::text(&data.json()),
        (Modifier::Reverse, Data::List(members)) => {
            Data::list(members.iter().rev().cloned().collect())
        }
        (Modifier::Reverse, Data::Map(members)) => {
            let reversed: IndexMap<String, Data> = members
                .iter()
                .rev()
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect();
            Data::Map(reversed.into())
        }
        (Modifier::Keys, Data::Map(members)) => {
            Data::list(members.keys().map(|name| Data::text(name)).collect())
        }
        (Modifier::Values, Data::Map(members)) => Data::list(members.values().cloned().collect()),
        (Modifier::Flatten, Data::List(members)) => Data::list(
            members
                .iter()
                .flat_map(|member| match member {
                    Data::List(inner) => inner.to_vec(),
                    other => vec![other.clone()],
                })
                .collect(),
        ),
        (_, data) => data.clone(),
    }
}

/// Whether a text fits a pattern of `*` and `?`, in time linear in both but for one star at a time.
fn like(text: &str, pattern: &str) -> bool {
    let text: Vec<char> = text.chars().take(4_096).collect();
    let pattern: Vec<char> = pattern.chars().take(256).collect();
    let (mut at, mut of, mut star) = (0, 0, None);
    while at < text.len() {
        match pattern.get(of) {
            Some('*') => {
                star = Some((of, at));
                of += 1;
            }
            Some(c) if *c == '?' || *c == text[at] => {
                at += 1;
                of += 1;
            }
            _ => match star {
                Some((place, from)) => {
                    star = Some((place, from + 1));
                    at = from + 1;
                    of = place + 1;
                }
                None => return false,
            },
        }
    }
    pattern[of..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_where_gjson_leads() {
        let data = r#"{"name":{"first":"Tom"},"a.b":1,"friends":[
            {"first":"Dale","age":44,"nets":["ig","fb"]},
            {"first":"Roger","age":68,"nets":["fb"]},
            {"first":"Jane","age":47,"nets":["ig"]}],"odd":[[1],[2,3]]}"#;
        let data = Data::parse(data).unwrap();
        for (path, expected) in [
            ("name.first", "\"Tom\""),
            ("a\\.b", "1"),
            ("friends.#", "3"),
            ("friends.1.first", "\"Roger\""),
            ("friends.#.first", r#"["Dale","Roger","Jane"]"#),
            ("friends.#(age>45).first", "\"Roger\""),
            ("friends.#(age>45)#.first", r#"["Roger","Jane"]"#),
            ("friends.#(first%\"D*\").age", "44"),
            ("friends.#(first!=\"Dale\")#|#", "2"),
            ("friends.#.nets.0", r#"["ig","fb","ig"]"#),
            ("name.f*", "\"Tom\""),
            ("odd.@flatten", "[1,2,3]"),
            ("friends.@reverse.0.first", "\"Jane\""),
            ("name.@keys", "[\"first\"]"),
            ("none.x", "null"),
        ] {
            let found = Path::parse(path).unwrap().of(&data, &mut 0);
            assert_eq!(found.json(), expected, "{path}");
        }
        for path in [
            "{a,b}",
            "@group",
            "friends.#(age>1 && age<2)",
            "a..b",
            "#(x",
        ] {
            assert!(Path::parse(path).is_err(), "{path}");
        }
    }
}
