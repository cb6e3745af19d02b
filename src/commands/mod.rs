//! One module per command: `Args` for clap and `run`.

pub mod audit;
pub mod cert;
pub mod config;
pub mod demo;
mod password;
pub mod policy;
pub mod serve;
pub mod sql;
pub mod table;
pub mod user;
