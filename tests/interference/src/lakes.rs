//! Three lakes on disk: A, B and the physical copy.

use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Result;

use crate::delta::{self, Layout};
use crate::masks::KEY;
use crate::tables::{self, Table, Variant};

/// One of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Few hidden rows.
    A,
    /// Many hostile ones.
    B,
    /// What the analyst may see, made by hand; no policy but grants.
    Copy,
}

/// What a row filter costs the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Less than what a statement says itself: an engine that orders predicates by cost leaves it first.
    Cheap,
    /// More.
    Expensive,
}

const GOVERNED: &str = include_str!("../policies/governed.yaml");
const COPY: &str = include_str!("../policies/copy.yaml");
const VIEWS: &str = include_str!("../policies/views.yaml");
/// None.
pub const NO_VIEWS: &str = "version: 1\nviews: []\n";

const COPY_VIEWS: &str = include_str!("../policies/copy-views.yaml");

/// Text of the policies.
#[must_use]
pub fn policies(which: Which, filter: Filter) -> String {
    match (which, filter) {
        (Which::Copy, _) => COPY.to_owned(),
        (_, Filter::Cheap) => GOVERNED.to_owned(),
        (_, Filter::Expensive) => GOVERNED.replace(
            "using: tenant_id = principal.tenant",
            "using: lower(tenant_id) || upper(tenant_id) = principal.tenant || upper(principal.tenant) \
             and btrim(tenant_id) = principal.tenant and character_length(tenant_id) < 2",
        ),
    }
}

/// A lake before it is written.
pub struct Lake {
    /// Text of its policies.
    pub policies: String,
    /// Its tables.
    pub tables: Vec<Table>,
    /// Text of its views.
    pub views: &'static str,
    /// How these lie in their files.
    pub layout: Layout,
}

/// One of the three.
#[must_use]
pub fn lake(which: Which, layout: Layout, filter: Filter) -> Lake {
    let policies = policies(which, filter);
    let tables = tables::all(if which == Which::B { Variant::B } else { Variant::A });
    match which {
        Which::A | Which::B => Lake { policies, tables, views: VIEWS, layout },
        Which::Copy => {
            let shown = tables.iter().filter(|table| !table.shown.is_empty());
            let tables = shown.map(Table::copy).collect();
            Lake { policies, tables, views: COPY_VIEWS, layout: Layout::Plain }
        }
    }
}

/// Writes a lake below `directory`: tables in `lake/`, policies and their key beside it.
pub fn write(directory: &Path, lake: &Lake) -> Result<()> {
    use std::io::Write as _;
    for table in &lake.tables {
        delta::write(&directory.join("lake"), table, lake.layout)?;
    }
    fs::write(directory.join("policies.yaml"), &lake.policies)?;
    fs::write(directory.join("views.yaml"), lake.views)?;
    let mut key =
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(directory.join("mask.key"))?;
    key.write_all(KEY)?;
    Ok(())
}
