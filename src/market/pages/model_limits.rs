//! The limits that models have for whoever asks for them, as the pages of consumers show them.

use std::collections::HashMap;
use std::sync::Arc;

use uuid::Uuid;

use crate::access::limit::Limit;
use crate::llm::live::LiveModel;
use crate::market::api::Market;
use crate::market::pages::limits::LimitRow;
use crate::types::OrganizationId;

/// Models that are listed with their limits.
const ROWS_MAX: usize = 100;

/// A model, and what all who ask for it may use of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelLimits {
    pub name: String,
    pub limits: Vec<LimitRow>,
    /// The model that takes over once tokens or money are used up.
    pub downgrade: Option<String>,
}

/// The models of an organization that have limits.
pub(super) struct Limited(HashMap<Uuid, Arc<LiveModel>>);

impl Limited {
    pub(super) fn of(market: &Market, organization: OrganizationId) -> Self {
        let models = &market.0.parts.llm.models;
        Self(models.seeing(organization, |offer| {
            let limited = offer.models.all().filter(|model| !model.limits.is_empty());
            limited.map(|model| (model.id, model.clone())).collect()
        }))
    }

    /// The name of a model, and its limits; none where it has none, or is gone.
    pub(super) fn find(&self, id: Uuid) -> Option<(&str, &[Limit])> {
        let model = self.0.get(&id)?;
        Some((&model.name, &model.limits))
    }

    /// By name.
    pub(super) fn listed(&self) -> Vec<ModelLimits> {
        let mut models: Vec<&Arc<LiveModel>> = self.0.values().collect();
        models.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let shown = models.into_iter().take(ROWS_MAX).map(|model| ModelLimits {
            name: model.name.clone(),
            limits: model.limits.iter().map(LimitRow::of).collect(),
            downgrade: model.on_exhaust.as_ref().map(|it| it.downgrade.clone()),
        });
        shown.collect()
    }
}
