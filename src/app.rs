//! How a process is put together and served.

pub mod listen;
pub mod logs;
pub mod operate;
pub mod serve;
