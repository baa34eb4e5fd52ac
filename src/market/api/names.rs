//! What those who are known by an id are called now: `key:0190…` is the key `billing`.

use std::collections::HashMap;

use uuid::Uuid;

use crate::market::api::Market;
use crate::store::StoreError;
use crate::types::{ApprovalId, ConsumerId, KeyId, OrganizationId, UserId};

/// The names of things that are written `kind:id`. What is gone, or is nothing with a name, has none.
pub(crate) async fn names_of<'a>(
    market: &Market,
    organization: OrganizationId,
    written: impl Iterator<Item = &'a str>,
) -> Result<HashMap<String, String>, StoreError> {
    let mut names = HashMap::new();
    for text in written {
        let parts = text.split_once(':');
        let Some((kind, Ok(id))) = parts.map(|(kind, id)| (kind, id.parse::<Uuid>())) else {
            continue;
        };
        if names.contains_key(text) {
            continue;
        }
        if let Some(name) = name(market, organization, (kind, id)).await? {
            names.insert(text.to_owned(), name);
        }
    }
    Ok(names)
}

async fn name(
    market: &Market,
    organization: OrganizationId,
    (kind, id): (&str, Uuid),
) -> Result<Option<String>, StoreError> {
    let publisher = &market.0.parts.publisher;
    let store = &publisher.store;
    Ok(match kind {
        "consumer" => store.consumer_name(ConsumerId(id)).await?,
        "user" => store.user(UserId(id)).await?.map(|user| user.name),
        "key" => store
            .key(organization, KeyId(id))
            .await?
            .map(|key| key.name),
        "approval" => {
            let now = publisher.clock.now();
            let row = store.approval(organization, ApprovalId(id), now).await?;
            row.map(|row| format!("{}/{}", row.server, row.tool))
        }
        _ => None,
    })
}
