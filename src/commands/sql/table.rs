//! Aligned columns for people.

use std::iter::repeat_n;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::run::{Column, Rows};

/// Rows and bytes looked at to find the widths; the rest streams by.
const SAMPLE_ROWS: usize = 1000;
const SAMPLE_BYTES: usize = 1 << 20;
/// Widest a column gets; longer values end in `…`.
const MAX_WIDTH: usize = 60;

/// A table as psql draws it.
#[derive(Debug, Default)]
pub(super) struct Table {
    names: Vec<String>,
    sample: Vec<Vec<String>>,
    sampled_bytes: usize,
    /// Width and whether numbers stand at the right; empty until the sample is complete.
    layout: Vec<(usize, bool)>,
    rows: u64,
}

impl Rows for Table {
    fn begin(&mut self, columns: &[Column], _out: &mut Vec<u8>) {
        *self = Self { names: columns.iter().map(|column| cell(&column.name)).collect(), ..Self::default() };
    }

    fn row(&mut self, values: &[Option<&str>], out: &mut Vec<u8>) {
        self.rows += 1;
        let cells: Vec<String> = values.iter().map(|value| value.map_or("NULL".to_owned(), cell)).collect();
        if !self.layout.is_empty() {
            self.line(&cells, out);
            return;
        }
        self.sampled_bytes += cells.iter().map(String::len).sum::<usize>();
        self.sample.push(cells);
        if self.sample.len() >= SAMPLE_ROWS || self.sampled_bytes >= SAMPLE_BYTES {
            self.settle(out);
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if self.layout.is_empty() {
            self.settle(out);
        }
        let rows = if self.rows == 1 { "row" } else { "rows" };
        out.extend_from_slice(format!("({} {rows})\n\n", self.rows).as_bytes());
    }
}

impl Table {
    /// Fixes the widths and draws the header and what was held back.
    fn settle(&mut self, out: &mut Vec<u8>) {
        let sample = std::mem::take(&mut self.sample);
        self.layout = (0..self.names.len())
            .map(|index| {
                let values = || sample.iter().filter_map(|cells| cells.get(index));
                let widest = values().map(|value| value.width()).max().unwrap_or(0);
                let numbers = values().any(|value| value != "NULL")
                    && values().all(|value| value == "NULL" || is_number(value));
                (widest.max(self.names[index].width()), numbers)
            })
            .collect();
        for (index, (name, (width, _))) in self.names.iter().zip(&self.layout).enumerate() {
            if index > 0 {
                out.push(b'|');
            }
            let space = width - name.width();
            let before = space / 2;
            pad(before + 1, out);
            out.extend_from_slice(name.as_bytes());
            pad(space - before + 1, out);
        }
        out.push(b'\n');
        for (index, (width, _)) in self.layout.iter().enumerate() {
            if index > 0 {
                out.push(b'+');
            }
            out.extend(repeat_n(b'-', width + 2));
        }
        out.push(b'\n');
        for cells in &sample {
            self.line(cells, out);
        }
    }

    fn line(&self, cells: &[String], out: &mut Vec<u8>) {
        let last = self.layout.len().saturating_sub(1);
        for (index, (cell, (width, numbers))) in cells.iter().zip(&self.layout).enumerate() {
            if index > 0 {
                out.push(b'|');
            }
            let space = width.saturating_sub(cell.width());
            out.push(b' ');
            if *numbers {
                pad(space, out);
            }
            out.extend_from_slice(cell.as_bytes());
            if !numbers && index < last {
                pad(space, out);
            }
            if index < last {
                out.push(b' ');
            }
        }
        out.push(b'\n');
    }
}

fn pad(count: usize, out: &mut Vec<u8>) {
    out.extend(repeat_n(b' ', count));
}

fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit() || c == '-') && text.parse::<f64>().is_ok()
}

/// One line of at most [`MAX_WIDTH`] columns of the terminal, with nothing that moves its cursor.
fn cell(text: &str) -> String {
    let mut out = String::new();
    let mut width = 0;
    for character in text.chars() {
        let piece = if character.is_control() {
            character.escape_default().to_string()
        } else {
            character.to_string()
        };
        let piece_width = if character.is_control() { piece.len() } else { character.width().unwrap_or(0) };
        if width + piece_width > MAX_WIDTH {
            // Room for the sign that something is missing.
            while width + 1 > MAX_WIDTH {
                let Some(last) = out.pop() else { break };
                width -= last.width().unwrap_or(0);
            }
            out.push('…');
            return out;
        }
        out.push_str(&piece);
        width += piece_width;
    }
    out
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn draw(names: &[&str], rows: &[&[Option<&str>]]) -> String {
        let columns: Vec<Column> = names.iter().map(|name| Column::untyped(name)).collect();
        let (mut table, mut out) = (Table::default(), Vec::new());
        table.begin(&columns, &mut out);
        for row in rows {
            table.row(row, &mut out);
        }
        table.end(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_are_aligned() {
        let drawn =
            draw(&["name", "n"], &[&[Some("María"), Some("1")], &[Some("字"), Some("-20")], &[None, None]]);
        assert_eq!(
            drawn,
            " name  |  n   \n-------+------\n María |    1\n 字    |  -20\n NULL  | NULL\n(3 rows)\n\n"
        );
        assert_eq!(draw(&["a"], &[]), " a \n---\n(0 rows)\n\n");
        assert_eq!(draw(&[], &[&[]]), "\n\n\n(1 row)\n\n");
    }

    #[test]
    fn long_values_are_cut_and_control_characters_shown() {
        let drawn = draw(&["a"], &[&[Some(&"x".repeat(100))], &[Some("a\nb\u{1b}[2J")]]);
        assert!(drawn.contains(&format!(" {}…\n", "x".repeat(59))), "{drawn}");
        assert!(drawn.contains(" a\\nb\\u{1b}[2J\n"), "{drawn}");
    }

    #[test]
    fn memory_holds_the_sample_only() {
        let (mut table, mut out) = (Table::default(), Vec::new());
        table.begin(&[Column::untyped("n")], &mut out);
        for _ in 0..SAMPLE_ROWS {
            table.row(&[Some("1")], &mut out);
        }
        assert!(table.sample.is_empty());
        out.clear();
        table.row(&[Some("123456")], &mut out);
        assert_eq!(out, b" 123456\n");
    }
}
