//! The phases of a call and what a filter may say in each.
