//! A stored model as it is read: its name, what is stored under it, and whom its canary names.

use uuid::Uuid;

use crate::llm::live::StoredModel;
use crate::llm::names::Pattern;
use crate::llm::route::ModelSettings;
use crate::store::models::ModelRow;
use crate::store::{Store, StoreError};
use crate::types::OrganizationId;

pub(super) fn read(row: &ModelRow) -> Option<(Pattern, StoredModel)> {
    let stored = serde_json::from_str::<StoredModel>(&row.settings);
    let stored = stored.map_err(|error| error.to_string());
    let pattern = Pattern::read(&row.name).map_err(|error| error.to_string());
    match stored.and_then(|stored| Ok((pattern?, stored))) {
        Ok(read) => Some(read),
        Err(error) => {
            tracing::error!(model = row.name, error, "a model cannot be read");
            None
        }
    }
}

/// The consumers that a canary always gets, as far as there are any of these names.
pub(super) async fn listed(
    store: &Store,
    organization: OrganizationId,
    settings: &ModelSettings,
) -> Result<Vec<Uuid>, StoreError> {
    let mut ids = Vec::new();
    for name in settings.canary.iter().flat_map(|it| &it.consumers) {
        let row = store.consumer(organization, name).await?;
        ids.extend(row.map(|row| row.id));
    }
    Ok(ids)
}
