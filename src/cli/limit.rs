//! Limits as they are written on the command line: `60/minute/consumer`, `$5/month/key,day=15`.

use clap::Args;
use serde_json::{Value, json};

use crate::access::limit::Limit;

pub(super) const SYNTAX: &str = "\
A LIMIT is AMOUNT[:UNIT]/WINDOW/SCOPE[,burst=N][,day=N]:
  60/minute/consumer,burst=10      calls; second, minute, hour, day or month
  500000:tokens/day/consumer       tokens of answers
  $5.25/month/consumer,day=15      money, by day or month; day: when a month begins
  4:concurrency/key                calls at the same time, without a window
Scopes: key, consumer, user, server, tool, address. docs/limits.md says what each means.";

/// All limits there are to be.
#[derive(Args)]
pub(super) struct Limits {
    /// A limit; may be repeated. Those that are not named are removed
    #[arg(long = "limit", value_name = "LIMIT", value_parser = parse, required_unless_present = "no_limit")]
    limits: Vec<Limit>,
    /// Remove all limits
    #[arg(long, conflicts_with = "limits")]
    no_limit: bool,
}

impl Limits {
    /// As the management API takes them.
    pub(super) fn json(&self) -> Value {
        json!(self.limits)
    }
}

fn parse(text: &str) -> Result<Limit, String> {
    let mut options = text.split(',');
    let said = options.next().unwrap_or_default();
    let parts: Vec<&str> = said.split('/').collect();
    let (count, window, scope) = match *parts.as_slice() {
        [count, window, scope] => (count, Some(window), scope),
        [count, scope] => (count, None, scope),
        _ => return Err("it is written AMOUNT[:UNIT]/WINDOW/SCOPE".to_owned()),
    };
    let (amount, unit) = match count.strip_prefix('$') {
        Some(dollars) => (micros(dollars), "money"),
        None => {
            let (amount, unit) = count.split_once(':').unwrap_or((count, "requests"));
            (amount.parse().ok(), unit)
        }
    };
    let amount = amount.ok_or_else(|| format!("{count} is no amount"))?;
    let mut limit = json!({ "unit": unit, "amount": amount, "window": window, "scope": scope });
    for option in options {
        let (name, number) = option.split_once('=').unwrap_or((option, ""));
        let number: u64 = number
            .parse()
            .map_err(|_| format!("{option} is neither burst=N nor day=N"))?;
        match name {
            "burst" => limit["burst"] = number.into(),
            "day" => limit["resetDay"] = number.into(),
            _ => return Err(format!("{option} is neither burst=N nor day=N")),
        }
    }
    let limit: Limit = serde_json::from_value(limit).map_err(|error| error.to_string())?;
    limit.check().map_err(|error| error.to_string())?;
    Ok(limit)
}

/// Dollars as millionths of one, exactly or not at all.
fn micros(dollars: &str) -> Option<u64> {
    let (whole, part) = dollars.split_once('.').unwrap_or((dollars, "0"));
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !plain(whole) || !plain(part) || part.len() > 6 {
        return None;
    }
    format!("{whole}{part:0<6}").parse().ok()
}

/// Limits of the management API as they are written here, one a line.
pub(super) fn lines(limits: &Value) -> Vec<String> {
    let limits = limits.as_array().into_iter().flatten();
    limits.map(line).collect()
}

fn line(limit: &Value) -> String {
    let text = |name: &str| limit[name].as_str().unwrap_or_default();
    let amount = limit["amount"].as_u64().unwrap_or_default();
    let mut said = match text("unit") {
        "money" => dollars(amount),
        "requests" => amount.to_string(),
        unit => format!("{amount}:{unit}"),
    };
    for part in [text("window"), text("scope")] {
        if !part.is_empty() {
            said = format!("{said}/{part}");
        }
    }
    for (name, member) in [("burst", "burst"), ("day", "resetDay")] {
        if let Some(number) = limit[member].as_u64() {
            said = format!("{said},{name}={number}");
        }
    }
    said
}

pub(super) fn dollars(micros: u64) -> String {
    let part = format!("{:06}", micros % 1_000_000);
    let text = format!("${}.{part}", micros / 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_read_as_it_is_written() {
        for text in [
            "60/minute/consumer,burst=10",
            "500000:tokens/day/consumer",
            "$5.25/month/consumer,day=15",
            "$0.000001/day/key",
            "4:concurrency/key",
        ] {
            let limit = parse(text).unwrap();
            assert_eq!(lines(&json!([limit])), [text]);
        }
    }

    #[test]
    fn what_is_no_limit_says_why() {
        for (text, said) in [
            ("60", "AMOUNT[:UNIT]/WINDOW/SCOPE"),
            ("many/minute/key", "many is no amount"),
            ("$1.0000001/day/key", "$1.0000001 is no amount"),
            ("60/minute/key,burst", "neither burst=N nor day=N"),
            ("60/minute/key,b=1", "neither burst=N nor day=N"),
            ("60/week/key", "unknown variant `week`"),
            ("60/minute/everybody", "unknown variant `everybody`"),
            ("0/minute/key", "`amount` is"),
            ("$5/minute/key", "money has the window"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
