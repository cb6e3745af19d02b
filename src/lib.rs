//! Lakeward: governed SQL over healthcare lakehouses.
//!
//! This package is the service process: command line, configuration, start and stop.
//! What happens to a query lives in `lakeward-scheduler`.

pub mod cli;
pub mod commands;
pub mod config;
pub mod demo;
pub mod logging;
pub mod reload;
pub mod service;
