//! The catalog: pages and the management API.

pub mod address;
pub mod api;
pub mod difference;
pub mod discover;
pub mod doctor;
pub mod gate;
pub mod language;
pub mod markdown;
pub mod pages;
mod table;
