//! The grammar.

use std::collections::BTreeMap;

use lakeward_policy::change::{
    GrantKey, MaskCall, PolicyChange, Privilege, RuleClauses, RuleKind, RuleTarget, Scalar, mask_functions,
    mask_parameters,
};
use sqlparser::tokenizer::Token;

use super::PolicyStatement;
use super::words::{Located, Piece};
use crate::error::{QueryError, SqlState};

const ROW_POLICY: &str = "CREATE [OR REPLACE] ROW POLICY name ON {schema.table [, ...] | TAG tag} \
    [AS {PERMISSIVE | RESTRICTIVE}] [TO {role [, ...] | PUBLIC}] [EXCEPT {role [, ...] | NONE}] USING (condition); \
    ALTER takes any of the clauses, DROP ROW POLICY [IF EXISTS] none";
const MASKING_POLICY: &str = "CREATE [OR REPLACE] MASKING POLICY name ON {schema.table (column) | TAG tag} \
    [TO {role [, ...] | PUBLIC}] [EXCEPT {role [, ...] | NONE}] USING mask([argument [, ...]]); \
    ALTER takes any of the clauses, DROP MASKING POLICY [IF EXISTS] none";
const GRANT: &str = "{GRANT | DENY} {SELECT | DESCRIBE} [, ...] ON schema.table [, ...] TO role [, ...] \
    [IN TENANT 'tenant']";
const REVOKE: &str =
    "REVOKE {SELECT | DESCRIBE} [, ...] ON schema.table [, ...] FROM role [, ...] [IN TENANT 'tenant']";
const SHOW: &str = "SHOW POLICIES [ON schema.table]";
const EXPLAIN: &str = "EXPLAIN POLICY FOR USER name ON schema.table";

/// Words that begin a clause: names only in double quotes.
const RESERVED: [&str; 10] = ["ON", "AS", "TO", "EXCEPT", "USING", "IN", "FROM", "TABLE", "PUBLIC", "NONE"];

/// Records that one statement may change.
const MOST_CHANGES: usize = 1_000;

/// Reads a statement that [`Piece::is_about_policies`].
pub(crate) fn parse(piece: &Piece<'_>) -> Result<PolicyStatement, QueryError> {
    let mut parser = Parser { piece, at: 0, form: ROW_POLICY };
    let statement = parser.statement()?;
    if parser.peek().is_some() {
        return Err(parser.unexpected());
    }
    Ok(statement)
}

struct Parser<'a> {
    piece: &'a Piece<'a>,
    at: usize,
    form: &'static str,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Located> {
        self.piece.tokens.get(self.at)
    }

    fn unexpected(&self) -> QueryError {
        self.piece.error_at(self.peek(), self.form)
    }

    /// Takes `word` where it stands here.
    fn word(&mut self, word: &str) -> bool {
        let here = matches!(self.peek().map(|at| &at.token), Some(Token::Word(found))
            if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word));
        self.at += usize::from(here);
        here
    }

    fn expect(&mut self, word: &str) -> Result<(), QueryError> {
        if self.word(word) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn token(&mut self, token: &Token) -> bool {
        let here = self.peek().is_some_and(|at| at.token == *token);
        self.at += usize::from(here);
        here
    }

    fn expect_token(&mut self, token: &Token) -> Result<(), QueryError> {
        if self.token(token) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn statement(&mut self) -> Result<PolicyStatement, QueryError> {
        if self.word("CREATE") {
            let replace = self.word("OR");
            if replace {
                self.expect("REPLACE")?;
            }
            let kind = self.rule_kind()?;
            let name = self.name()?;
            let clauses = self.clauses(kind)?;
            let whole = clauses.target.is_some() && (clauses.using.is_some() || clauses.mask.is_some());
            if !whole {
                return Err(self.unexpected());
            }
            let tag = match kind {
                RuleKind::RowPolicy => "CREATE ROW POLICY",
                RuleKind::MaskingPolicy => "CREATE MASKING POLICY",
            };
            return Ok(change(tag, PolicyChange::Create { kind, name, replace, clauses }));
        }
        if self.word("ALTER") {
            let kind = self.rule_kind()?;
            let name = self.name()?;
            let clauses = self.clauses(kind)?;
            if clauses == RuleClauses::default() {
                return Err(self.unexpected());
            }
            let tag = match kind {
                RuleKind::RowPolicy => "ALTER ROW POLICY",
                RuleKind::MaskingPolicy => "ALTER MASKING POLICY",
            };
            return Ok(change(tag, PolicyChange::Alter { kind, name, clauses }));
        }
        if self.word("DROP") {
            let kind = self.rule_kind()?;
            let if_exists = self.word("IF");
            if if_exists {
                self.expect("EXISTS")?;
            }
            let name = self.name()?;
            let tag = match kind {
                RuleKind::RowPolicy => "DROP ROW POLICY",
                RuleKind::MaskingPolicy => "DROP MASKING POLICY",
            };
            return Ok(change(tag, PolicyChange::Drop { kind, name, if_exists }));
        }
        if self.word("SHOW") {
            self.form = SHOW;
            self.expect("POLICIES")?;
            let table = if self.word("ON") { Some(self.table()?) } else { None };
            return Ok(PolicyStatement::Show { table });
        }
        if self.word("EXPLAIN") {
            self.form = EXPLAIN;
            for word in ["POLICY", "FOR", "USER"] {
                self.expect(word)?;
            }
            let user = match self.string() {
                Some(user) => user,
                None => self.name()?,
            };
            self.expect("ON")?;
            return Ok(PolicyStatement::Explain { user, table: self.table()? });
        }
        self.grant()
    }

    fn rule_kind(&mut self) -> Result<RuleKind, QueryError> {
        if self.word("POLICY") {
            return Err(QueryError::new(
                SqlState::FeatureNotSupported,
                "PostgreSQL's POLICY is not supported; there are row policies and masking policies",
            )
            .with_hint(format!("The form is: {ROW_POLICY}")));
        }
        let kind = if self.word("MASKING") {
            self.form = MASKING_POLICY;
            RuleKind::MaskingPolicy
        } else {
            self.expect("ROW")?;
            RuleKind::RowPolicy
        };
        self.expect("POLICY")?;
        Ok(kind)
    }

    fn grant(&mut self) -> Result<PolicyStatement, QueryError> {
        let (tag, preposition) = if self.word("REVOKE") {
            ("REVOKE", "FROM")
        } else if self.word("DENY") {
            ("DENY", "TO")
        } else {
            self.expect("GRANT")?;
            ("GRANT", "TO")
        };
        self.form = if tag == "REVOKE" { REVOKE } else { GRANT };
        let privileges = self.list(|parser| {
            if parser.word("SELECT") {
                Ok(Privilege::Select)
            } else {
                parser.expect("DESCRIBE").map(|()| Privilege::Describe)
            }
        })?;
        self.expect("ON")?;
        self.word("TABLE");
        let objects = self.list(Self::pattern)?;
        self.expect(preposition)?;
        let roles = self.list(Self::name)?;
        let tenant = if self.word("IN") {
            self.expect("TENANT")?;
            Some(match self.string() {
                Some(tenant) => tenant,
                None => self.name()?,
            })
        } else {
            None
        };
        if privileges.len().saturating_mul(objects.len()).saturating_mul(roles.len()) > MOST_CHANGES {
            return Err(QueryError::new(
                SqlState::ProgramLimitExceeded,
                format!("one statement changes at most {MOST_CHANGES} grants"),
            ));
        }
        let mut changes = Vec::new();
        for role in &roles {
            for object in &objects {
                for privilege in &privileges {
                    let grant = GrantKey {
                        privilege: *privilege,
                        object: object.clone(),
                        role: role.clone(),
                        tenant: tenant.clone(),
                    };
                    changes.push(match tag {
                        "REVOKE" => PolicyChange::Revoke(grant),
                        _ => PolicyChange::Grant { grant, deny: tag == "DENY" },
                    });
                }
            }
        }
        Ok(PolicyStatement::Change { tag, changes })
    }

    /// Clauses in any order, each once.
    fn clauses(&mut self, kind: RuleKind) -> Result<RuleClauses, QueryError> {
        let mut clauses = RuleClauses::default();
        while self.peek().is_some() {
            let start = self.at;
            let again = if self.word("ON") {
                clauses.target.replace(self.target(kind)?).is_some()
            } else if kind == RuleKind::RowPolicy && self.word("AS") {
                let permissive = self.word("PERMISSIVE");
                if !permissive {
                    self.expect("RESTRICTIVE")?;
                }
                clauses.permissive.replace(permissive).is_some()
            } else if self.word("TO") {
                let to = if self.word("PUBLIC") { None } else { Some(self.list(Self::name)?) };
                clauses.to.replace(to).is_some()
            } else if self.word("EXCEPT") {
                let except = if self.word("NONE") { Vec::new() } else { self.list(Self::name)? };
                clauses.except.replace(except).is_some()
            } else if self.word("USING") {
                match kind {
                    RuleKind::RowPolicy => clauses.using.replace(self.condition()?).is_some(),
                    RuleKind::MaskingPolicy => clauses.mask.replace(self.mask()?).is_some(),
                }
            } else {
                return Err(self.unexpected());
            };
            if again {
                self.at = start;
                return Err(self.unexpected());
            }
        }
        Ok(clauses)
    }

    fn target(&mut self, kind: RuleKind) -> Result<RuleTarget, QueryError> {
        let start = self.at;
        if self.word("TAG") {
            let is_schema = self.peek().is_some_and(|at| at.token == Token::Period);
            if !is_schema {
                return match self.string() {
                    Some(tag) => Ok(RuleTarget::Tag(tag)),
                    None => self.run(&[Token::Period, Token::Minus]).map(RuleTarget::Tag),
                };
            }
            self.at = start;
        }
        match kind {
            RuleKind::RowPolicy => self.list(Self::pattern).map(RuleTarget::Tables),
            RuleKind::MaskingPolicy => {
                let on = self.pattern()?;
                self.expect_token(&Token::LParen)?;
                let column = match self.string() {
                    Some(column) => column,
                    None => self.run(&[Token::Period])?,
                };
                self.expect_token(&Token::RParen)?;
                Ok(RuleTarget::Column { on, column })
            }
        }
    }

    fn list<T>(
        &mut self,
        mut one: impl FnMut(&mut Self) -> Result<T, QueryError>,
    ) -> Result<Vec<T>, QueryError> {
        let mut all = vec![one(self)?];
        while self.token(&Token::Comma) {
            all.push(one(self)?);
        }
        Ok(all)
    }

    /// A name as PostgreSQL reads one: in lower case unless it is in double quotes.
    fn name(&mut self) -> Result<String, QueryError> {
        let name = match self.peek().map(|at| &at.token) {
            Some(Token::Word(word)) if word.quote_style == Some('"') => word.value.clone(),
            Some(Token::Word(word))
                if word.quote_style.is_none()
                    && !RESERVED.iter().any(|known| known.eq_ignore_ascii_case(&word.value)) =>
            {
                word.value.to_lowercase()
            }
            _ => return Err(self.unexpected()),
        };
        self.at += 1;
        Ok(name)
    }

    fn string(&mut self) -> Option<String> {
        let text = match self.peek().map(|at| &at.token) {
            Some(Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text)) => text.clone(),
            _ => return None,
        };
        self.at += 1;
        Some(text)
    }

    /// Words and numbers, and `between`, with no space in between.
    fn run(&mut self, between: &[Token]) -> Result<String, QueryError> {
        let mut text = String::new();
        let mut end = None;
        while let Some(at) = self.piece.tokens.get(self.at) {
            if end.is_some_and(|end| end != at.start) {
                break;
            }
            match &at.token {
                Token::Word(word) if word.quote_style == Some('"') => {
                    // A pattern has no way to say that a star is a star.
                    if word.value.contains('*') {
                        return Err(self.unexpected());
                    }
                    text.push_str(&word.value);
                }
                Token::Word(word) if word.quote_style.is_none() => text.push_str(&word.value.to_lowercase()),
                Token::Number(number, false) => text.push_str(number),
                token if between.contains(token) => {
                    text.push_str(self.piece.message.get(at.start..at.end).unwrap_or_default());
                }
                _ => break,
            }
            end = Some(at.end);
            self.at += 1;
        }
        if text.is_empty() { Err(self.unexpected()) } else { Ok(text) }
    }

    /// `schema.table`, with `*` for any text; in single quotes as policy files write it.
    fn pattern(&mut self) -> Result<String, QueryError> {
        let start = self.at;
        let pattern = match self.string() {
            Some(pattern) => pattern,
            None => self.run(&[Token::Period, Token::Mul])?,
        };
        if pattern.parse::<lakeward_policy::ObjectPattern>().is_err() {
            self.at = start;
            return Err(self.unexpected());
        }
        Ok(pattern)
    }

    /// One table, without `*`.
    fn table(&mut self) -> Result<(String, String), QueryError> {
        let schema = self.name()?;
        self.expect_token(&Token::Period)?;
        Ok((schema, self.name()?))
    }

    /// What stands in parentheses, as it was written.
    fn condition(&mut self) -> Result<String, QueryError> {
        let open = self.at;
        self.expect_token(&Token::LParen)?;
        let mut depth = 1_usize;
        while let Some(at) = self.peek() {
            match at.token {
                Token::LParen => depth += 1,
                Token::RParen => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
            self.at += 1;
        }
        let (Some(first), Some(last)) = (self.piece.tokens.get(open), self.peek()) else {
            return Err(self.unexpected());
        };
        let text = self.piece.message.get(first.end..last.start).unwrap_or_default().trim().to_owned();
        if text.is_empty() {
            return Err(self.unexpected());
        }
        self.at += 1;
        Ok(text)
    }

    /// `mask(argument, name => argument …)`
    fn mask(&mut self) -> Result<MaskCall, QueryError> {
        let start = self.at;
        let function = self.name()?;
        let Some(parameters) = mask_parameters(&function) else {
            self.at = start;
            let known: Vec<_> = mask_functions().collect();
            let mut error =
                QueryError::new(SqlState::UndefinedFunction, format!("there is no mask {function}"))
                    .with_hint(format!("There are: {}.", known.join(", ")));
            error.position = self.unexpected().position;
            return Err(error);
        };
        let mut arguments = BTreeMap::new();
        if self.token(&Token::LParen) && !self.token(&Token::RParen) {
            let mut positional = parameters.iter();
            loop {
                let here = self.at;
                let named = matches!(
                    self.piece.tokens.get(self.at + 1).map(|at| &at.token),
                    Some(Token::RArrow | Token::Assignment)
                );
                let name = if named {
                    let name = self.name()?;
                    self.at += 1;
                    parameters.iter().find(|known| **known == name)
                } else {
                    positional.next()
                };
                let wrong = |parser: &Self| {
                    let mut error = QueryError::new(
                        SqlState::UndefinedFunction,
                        format!("mask {function} has no such argument"),
                    )
                    .with_hint(format!("The form is: {function}({})", parameters.join(", ")));
                    error.position = parser.unexpected().position;
                    error
                };
                let Some(name) = name else {
                    self.at = here;
                    return Err(wrong(self));
                };
                let value = self.scalar()?;
                if arguments.insert((*name).to_owned(), value).is_some() {
                    self.at = here;
                    return Err(wrong(self));
                }
                if !self.token(&Token::Comma) {
                    break;
                }
            }
            self.expect_token(&Token::RParen)?;
        }
        Ok(MaskCall { function, arguments })
    }

    fn scalar(&mut self) -> Result<Scalar, QueryError> {
        if let Some(text) = self.string() {
            return Ok(Scalar::Text(text));
        }
        let start = self.at;
        let minus = self.token(&Token::Minus);
        let Some(Token::Number(number, false)) = self.peek().map(|at| at.token.clone()) else {
            self.at = start;
            return Err(self.unexpected());
        };
        let text = if minus { format!("-{number}") } else { number };
        let value = match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(value), _) => Scalar::Integer(value),
            (_, Ok(value)) if value.is_finite() => Scalar::Number(value),
            _ => return Err(self.unexpected()),
        };
        self.at += 1;
        Ok(value)
    }
}

fn change(tag: &'static str, change: PolicyChange) -> PolicyStatement {
    PolicyStatement::Change { tag, changes: vec![change] }
}
