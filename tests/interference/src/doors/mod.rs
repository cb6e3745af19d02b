//! The ways in: a session in this process, and the PostgreSQL wire with its two protocols.

mod inside;
mod wire;

use std::net::SocketAddr;

use anyhow::{Result, bail};

use crate::observe::Answer;
use crate::service::Service;

/// The service's database.
const DATABASE: &str = "lakeward";

/// A way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// No wire.
    Inside,
    /// PostgreSQL's simple protocol.
    Simple,
    /// PostgreSQL's extended protocol, parameters and results as text.
    Extended,
}

impl Door {
    /// The door that cases call so.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "inside" => Self::Inside,
            "simple" => Self::Simple,
            "extended" => Self::Extended,
            _ => return None,
        })
    }
}

/// A person who is in.
pub enum Visitor {
    /// By [`Door::Inside`].
    Inside(inside::Inside),
    /// By one of the wires.
    Wire(Box<wire::Wire>),
}

impl Visitor {
    /// Lets `person` in.
    pub async fn enter(service: &Service, door: Door, person: &str) -> Result<Self> {
        Ok(match door {
            Door::Inside => Self::Inside(inside::Inside::enter(service, person).await?),
            Door::Simple => Self::wire(service.address, DATABASE, person, false).await?,
            Door::Extended => Self::wire(service.address, DATABASE, person, true).await?,
        })
    }

    /// Lets `person` in by the simple protocol of whatever server listens at `address`.
    pub async fn at(address: SocketAddr, database: &str, person: &str) -> Result<Self> {
        Self::wire(address, database, person, false).await
    }

    async fn wire(address: SocketAddr, database: &str, person: &str, extended: bool) -> Result<Self> {
        Ok(Self::Wire(Box::new(wire::Wire::enter(address, database, person, extended).await?)))
    }

    /// Runs a statement.
    pub async fn run(&mut self, sql: &str) -> Result<Answer> {
        match self {
            Self::Inside(inside) => Ok(inside.run(sql).await),
            Self::Wire(wire) => wire.run(sql).await,
        }
    }

    /// Prepares a statement under a name. The simple protocol keeps its text.
    pub async fn prepare(&mut self, name: &str, sql: &str) -> Result<Answer> {
        match self {
            Self::Inside(inside) => Ok(inside.prepare(name, sql).await),
            Self::Wire(wire) => wire.prepare(name, sql).await,
        }
    }

    /// At most `rows` more rows of a prepared statement.
    pub async fn fetch(&mut self, name: &str, rows: i32) -> Result<Answer> {
        match self {
            Self::Inside(_) => bail!("only the extended protocol fetches"),
            Self::Wire(wire) => wire.fetch(name, rows).await,
        }
    }

    /// Runs a prepared statement.
    pub async fn execute(&mut self, name: &str, parameters: &[String]) -> Result<Answer> {
        match self {
            Self::Inside(inside) => inside.execute(name, parameters).await,
            Self::Wire(wire) => wire.execute(name, parameters).await,
        }
    }
}
