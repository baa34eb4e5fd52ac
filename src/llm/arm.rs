//! Targets that are chosen from together: a model's own, or those of its canary.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use crate::llm::route::Target;
use crate::llm::standing::Doing;

/// Targets, and how each is doing.
#[derive(Debug)]
pub struct Arm {
    /// What it is called in the ledger; `None`: there is no other.
    pub name: Option<String>,
    pub targets: Vec<ArmTarget>,
}

#[derive(Debug)]
pub struct ArmTarget {
    pub target: Target,
    pub doing: Arc<Doing>,
    /// What tells it apart from others that may be asked the same.
    pub id: u64,
}

impl Arm {
    pub fn new(
        name: Option<String>,
        targets: &[Target],
        doing: &impl Fn(&Target) -> Arc<Doing>,
    ) -> Self {
        let targets = targets.iter().map(|target| ArmTarget {
            doing: doing(target),
            id: id(target),
            target: target.clone(),
        });
        Self {
            name,
            targets: targets.collect(),
        }
    }

    /// One target, of which nothing is remembered.
    pub fn alone(target: Target) -> Self {
        Self::new(None, &[target], &|_| Arc::default())
    }
}

fn id(target: &Target) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&target.provider, &target.model).hash(&mut hasher);
    hasher.finish()
}

/// A target with nothing else said of it.
pub fn target_of(provider: &str, model: Option<&str>) -> Target {
    Target {
        provider: provider.to_owned(),
        model: model.map(str::to_owned),
        weight: 1,
        tier: 0,
        max_output_tokens: None,
        only_on: None,
    }
}
