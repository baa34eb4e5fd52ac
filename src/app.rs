//! How a process is put together and served.

pub mod edge;
pub mod hold;
pub mod listen;
pub mod logs;
pub mod operate;
pub mod secrets;
pub mod serve;
pub mod tls;
