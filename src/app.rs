//! How a process is put together and served.

pub mod edge;
pub mod exposition;
mod ground;
pub mod hold;
pub mod listen;
pub mod logs;
mod management;
pub mod measures;
mod memory;
mod model_measures;
mod models;
pub mod operate;
mod prices;
pub mod secrets;
mod seed;
pub mod serve;
pub mod tls;
mod upkeep;
mod watched;
