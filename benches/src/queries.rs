//! The 22 queries.

/// One query and what its text promises about the order of rows.
#[derive(Debug, Clone, Copy)]
pub struct Query {
    /// From 1.
    pub number: u8,
    /// SQL.
    pub text: &'static str,
    /// Output columns of ORDER BY, in its order; empty where the query has none.
    pub order: &'static [usize],
    /// LIMIT.
    pub limit: Option<usize>,
}

impl Query {
    /// The query of a number.
    #[must_use]
    pub fn of(number: u8) -> Option<&'static Self> {
        QUERIES.iter().find(|query| query.number == number)
    }

    /// The text without its LIMIT: shows which rows tie with the last one.
    #[must_use]
    pub fn unlimited(&self) -> &'static str {
        match self.limit.and_then(|_| self.text.rfind("limit")) {
            Some(end) => self.text.get(..end).unwrap_or(self.text),
            None => self.text,
        }
    }
}

macro_rules! query {
    ($number:literal, $order:expr, $limit:expr) => {
        Query {
            number: $number,
            text: include_str!(concat!("../tpch/queries/q", $number, ".sql")),
            order: $order,
            limit: $limit,
        }
    };
}

/// All of them.
pub const QUERIES: [Query; 22] = [
    query!(1, &[0, 1], None),
    query!(2, &[0, 2, 1, 3], Some(100)),
    query!(3, &[1, 2], Some(10)),
    query!(4, &[0], None),
    query!(5, &[1], None),
    query!(6, &[], None),
    query!(7, &[0, 1, 2], None),
    query!(8, &[0], None),
    query!(9, &[0, 1], None),
    query!(10, &[2], Some(20)),
    query!(11, &[1], None),
    query!(12, &[0], None),
    query!(13, &[1, 0], None),
    query!(14, &[], None),
    query!(15, &[0], None),
    query!(16, &[3, 0, 1, 2], None),
    query!(17, &[], None),
    query!(18, &[4, 3], Some(100)),
    query!(19, &[], None),
    query!(20, &[0], None),
    query!(21, &[1, 0], Some(100)),
    query!(22, &[0], None),
];

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use datafusion::sql::sqlparser::ast::{LimitClause, OrderByKind, Statement};
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn parsed(text: &str) -> (usize, Option<usize>) {
        let statements = Parser::parse_sql(&PostgreSqlDialect {}, text).unwrap();
        let [Statement::Query(query)] = statements.as_slice() else { panic!("one query") };
        let order = query.order_by.as_ref().map_or(0, |order| match &order.kind {
            OrderByKind::Expressions(keys) => keys.len(),
            OrderByKind::All(_) => panic!("ORDER BY ALL"),
        });
        let limit = query.limit_clause.as_ref().map(|clause| match clause {
            LimitClause::LimitOffset { limit: Some(limit), .. } => limit.to_string().parse().unwrap(),
            other => panic!("{other}"),
        });
        (order, limit)
    }

    #[test]
    fn the_table_of_queries_says_what_their_texts_say() {
        for query in &QUERIES {
            let (order, limit) = parsed(query.text);
            assert_eq!((order, limit), (query.order.len(), query.limit), "q{}", query.number);
            assert_eq!(parsed(query.unlimited()), (order, None), "q{}", query.number);
        }
    }
}
