//! People across, tables down.

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use lakeward_policy::{Explanation, Right};

use super::lake::PolicyLake;

/// The matrix as text.
pub(super) fn of(lake: &PolicyLake, users: &[String]) -> anyhow::Result<Table> {
    let mut matrix = Table::new();
    matrix.load_preset(NOTHING);
    let mut header = vec!["table".to_owned()];
    let mut columns = Vec::new();
    for person in lake.people(users)? {
        header.push(person.user.clone());
        let resolved = lake.resolve(person);
        columns.push(lake.tables.iter().map(|table| cell(&resolved.explain(table))).collect::<Vec<_>>());
    }
    matrix.set_header(header);
    for (row, table) in lake.tables.iter().enumerate() {
        let cells = columns.iter().filter_map(|column| column.get(row).cloned());
        matrix.add_row(std::iter::once(table.full_name()).chain(cells));
    }
    Ok(matrix)
}

fn cell(explanation: &Explanation) -> String {
    let word = match explanation.right {
        Right::Invisible => "-",
        Right::Unresolved => "none",
        Right::Describe => "describe",
        Right::Select if explanation.no_rows => "none",
        Right::Select => match (explanation.row_filters.is_empty(), explanation.masks.is_empty()) {
            (true, true) => "all",
            (false, true) => "rows",
            (true, false) => "masks",
            (false, false) => "rows, masks",
        },
    };
    word.to_owned()
}
