//! Prices of an operator's own that cost nothing, because no provider goes by the list they are in.

use std::collections::BTreeSet;

use crate::llm::live::Models;
use crate::llm::price::PriceBook;
use crate::llm::provider::built_in;

/// A list of own prices that no provider goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdlePrices {
    pub list: String,
    /// What the provider or the kind goes by that is called so.
    pub meant: Option<String>,
}

impl Models {
    /// Lists of the operator's own table that neither a kind of provider goes by nor a provider that there is now.
    pub fn idle_prices(&self, book: &PriceBook) -> Vec<IdlePrices> {
        let own = book.own_lists();
        if own.is_empty() {
            return Vec::new();
        }
        let kinds = built_in().iter();
        let mut called: Vec<(String, String)> = kinds
            .map(|kind| (kind.id.clone(), kind.price_list().to_owned()))
            .collect();
        self.seeing_all(|offer| {
            let live = offer.providers.values();
            called.extend(live.map(|it| (it.name.clone(), it.provider.price_list().to_owned())));
        });
        idle(own, &called)
    }
}

/// Those of the lists that are none of the second of each pair: what is called so, and what it goes by.
fn idle(own: Vec<String>, called: &[(String, String)]) -> Vec<IdlePrices> {
    let used: BTreeSet<&str> = called.iter().map(|(_, list)| list.as_str()).collect();
    let idle = own.into_iter().filter(|list| !used.contains(list.as_str()));
    let with_meant = idle.map(|list| {
        let mut named = called.iter().filter(|(name, _)| *name == list);
        IdlePrices {
            meant: named.next().map(|(_, list)| list.clone()),
            list,
        }
    });
    with_meant.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_nobody_goes_by_is_found() {
        let called = [
            ("openai", "openai"),
            ("azure-deployments", "azure"),
            ("my-provider", "my-kind"),
        ];
        let called = called.map(|(name, list)| (name.to_owned(), list.to_owned()));
        let own = [
            "openai",
            "azure",
            "azure-deployments",
            "my-kind",
            "my-provider",
            "nokind",
        ];
        let own = own.map(str::to_owned).to_vec();
        let found = idle(own, &called).into_iter();
        let found: Vec<_> = found.map(|it| (it.list, it.meant)).collect();
        let expected = [
            ("azure-deployments", Some("azure")),
            ("my-provider", Some("my-kind")),
            ("nokind", None),
        ];
        let expected = expected.map(|(list, meant)| (list.to_owned(), meant.map(str::to_owned)));
        assert_eq!(found, expected);
    }
}
