//! An operator's own table of prices, JSON or YAML: read row by row, so that an error says which one it is.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::llm::price::{Price, Prices, Unit};

/// Picodollars of one dollar for a million.
const PICOS_PER_MILLION: f64 = 1_000_000.0;
/// Of a number, before it would no longer be exact.
const PICOS_MAX: f64 = 9e15;

/// Why an operator's table is none.
#[derive(Debug, thiserror::Error)]
pub enum OwnPricesError {
    #[error("it is neither JSON nor YAML: {0}")]
    Syntax(String),
    #[error("{0}")]
    Shape(String),
    #[error("`date` is the day the prices were right, such as 2026-11-26")]
    Date,
    #[error("the price of `{model}` at `{provider}`: {what}")]
    Row {
        provider: String,
        model: String,
        what: String,
    },
}

/// The table as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    date: String,
    #[serde(default)]
    source: Option<String>,
    unit: Written,
    providers: BTreeMap<String, BTreeMap<String, Value>>,
}

/// What its numbers are.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Written {
    /// For one token, search or image, as the built-in table has them.
    PicoDollars,
    /// For a million tokens, searches or images.
    DollarsPerMillion,
}

impl Prices {
    /// Reads an operator's own table.
    ///
    /// # Errors
    /// The first thing that is wrong with it, with its row.
    pub fn read_own(text: &str) -> Result<Self, OwnPricesError> {
        let value: Value = serde_saphyr::from_str(text)
            .map_err(|error| OwnPricesError::Syntax(error.to_string()))?;
        let table: Table = serde_json::from_value(value)
            .map_err(|error| OwnPricesError::Shape(error.to_string()))?;
        if chrono::NaiveDate::parse_from_str(&table.date, "%Y-%m-%d").is_err() {
            return Err(OwnPricesError::Date);
        }
        let mut providers: BTreeMap<String, BTreeMap<String, Price>> = BTreeMap::new();
        for (provider, models) in table.providers {
            let known = providers.entry(provider.clone()).or_default();
            for (model, row) in models {
                let price = price(row, table.unit).map_err(|what| OwnPricesError::Row {
                    provider: provider.clone(),
                    model: model.clone(),
                    what,
                })?;
                known.insert(model, price);
            }
        }
        Ok(Self {
            date: table.date,
            source: table.source,
            unit: Unit::PicoDollars,
            providers,
        })
    }
}

fn price(row: Value, unit: Written) -> Result<Price, String> {
    let row = match unit {
        Written::PicoDollars => row,
        Written::DollarsPerMillion => in_picos(row, "")?,
    };
    let price: Price = serde_json::from_value(row).map_err(|error| error.to_string())?;
    price.check().map_err(|what| format!("it {what}"))?;
    Ok(price)
}

/// All numbers in picodollars, but for the number of tokens at which a step begins, and hundredths.
fn in_picos(value: Value, name: &str) -> Result<Value, String> {
    Ok(match value {
        Value::Object(members) => {
            let members = members.into_iter().map(|(name, value)| {
                let value = in_picos(value, &name)?;
                Ok((name, value))
            });
            Value::Object(members.collect::<Result<Map<_, _>, String>>()?)
        }
        Value::Array(values) => {
            let values = values.into_iter().map(|value| in_picos(value, name));
            Value::Array(values.collect::<Result<_, _>>()?)
        }
        Value::Number(number) if name != "above" && !name.ends_with("_percent") => {
            let picos = number.as_f64().unwrap_or(-1.0) * PICOS_PER_MILLION;
            if !(0.0..PICOS_MAX).contains(&picos) {
                return Err(format!("`{name}` is dollars for a million, at least 0"));
            }
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "between 0 and nine million billions"
            )]
            let picos = picos.round() as u64;
            picos.into()
        }
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::price::{PriceBook, ServiceTier};

    const OWN: &str = "
date: 2026-11-26
unit: dollars-per-million
providers:
  openai:
    gpt-4o-mini: { standard: [{ input: 0.1, output: 0.4 }, { above: 128000, input: 0.2, output: 0.8 }] }
  my-own:
    big: { standard: [{ input: 2 }], search: 10000 }
";

    #[test]
    fn hundredths_are_no_dollars() {
        let own = "
date: 2026-11-26
unit: dollars-per-million
providers: { a: { b: { standard: [{ input: 2 }], fast_percent: 150 } } }
";
        let prices = Prices::read_own(own).unwrap();
        let (_, _, price) = prices.all().next().unwrap();
        assert_eq!(price.fast_percent, Some(150));
    }

    #[test]
    fn an_own_table_wins_row_by_row_and_the_rest_stays() {
        let book = PriceBook::default();
        let built_in = book.price("openai", "gpt-4o", ServiceTier::Standard);
        assert!(built_in.is_some());
        assert_eq!(book.price("my-own", "big", ServiceTier::Standard), None);
        book.replace(Some(Prices::read_own(OWN).unwrap()));
        let mini = book.price("openai", "gpt-4o-mini-2024-07-18", ServiceTier::Standard);
        let mini = serde_json::to_value(mini.unwrap()).unwrap();
        let steps = serde_json::json!([
            { "input": 100_000, "output": 400_000 },
            { "above": 128_000, "input": 200_000, "output": 800_000 },
        ]);
        assert_eq!(mini, serde_json::json!({ "standard": steps }));
        assert_eq!(
            book.price("openai", "gpt-4o", ServiceTier::Standard),
            built_in
        );
        let big = book.price("my-own", "big", ServiceTier::Standard).unwrap();
        assert_eq!(
            serde_json::to_value(big).unwrap()["search"],
            10_000_000_000_u64
        );
        book.replace(None);
        assert_eq!(book.price("my-own", "big", ServiceTier::Standard), None);
    }

    #[test]
    fn the_same_table_is_read_as_the_built_in_one_is_written() {
        let text = include_str!("prices.json");
        let own = Prices::read_own(text).unwrap();
        assert!(own.all().eq(Prices::built_in().all()));
    }

    #[test]
    fn what_is_wrong_names_the_row() {
        for (from, to, said) in [
            (
                "input: 0.1,",
                "input: -0.1,",
                "the price of `gpt-4o-mini` at `openai`: `input`",
            ),
            (
                "input: 0.1,",
                "inptu: 0.1,",
                "the price of `gpt-4o-mini` at `openai`: unknown field `inptu`",
            ),
            (
                "above: 128000",
                "above: 0",
                "the price of `gpt-4o-mini` at `openai`: it has steps out of order",
            ),
            (
                "[{ input: 2 }], search: 10000",
                "[]",
                "the price of `big` at `my-own`: it has no rates",
            ),
            ("2026-11-26", "yesterday", "`date`"),
            ("dollars-per-million", "euros", "unknown variant `euros`"),
            ("providers:", "provider:", "unknown field `provider`"),
            ("providers:", "providers: [", "neither JSON nor YAML"),
        ] {
            let text = OWN.replacen(from, to, 1);
            let error = Prices::read_own(&text).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
