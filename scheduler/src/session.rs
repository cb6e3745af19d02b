//! One connection's life: its principal, its settings, its statements.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::ScalarValue;
use futures::FutureExt as _;
use lakeward_policy::Principal;
use lakeward_policy::identity::{ActsFor, EndUser};
use lakeward_policy::mutation::{Mutation, active};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::acting::{Acting, END_USER};
use crate::coordinator::Coordinator;
use crate::error::{QueryError, SqlState};
use crate::execute;
use crate::explain;
use crate::governed::securable;
use crate::plan::Planned;
use crate::policy_statement;
use crate::result::QueryStream;
use crate::run::{Stop, StopHandle, timed_out};
use crate::settings::Settings;
use crate::statement::Kind;
pub use crate::statement::Statement;
use crate::view::{View, default_search_path};
use crate::views;

/// The wire a session came in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// PostgreSQL protocol 3.
    Postgres,
    /// Inside the process: the operator's own commands.
    Internal,
}

impl Protocol {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Internal => "internal",
        }
    }
}

/// What is known of the client; for the registry and the audit trail, never for decisions.
#[derive(Debug, Clone)]
pub struct ClientInfo {
    /// Wire.
    pub protocol: Protocol,
    /// Remote address, where there is one.
    pub peer: Option<SocketAddr>,
    /// `application_name` as sent.
    pub application: String,
}

/// What ReadyForQuery reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionStatus {
    /// Outside a transaction block.
    Idle,
    /// Inside one.
    Active,
    /// Inside one that failed.
    Failed,
}

/// A planned statement: parameters and result columns are known.
#[derive(Debug, Clone)]
pub struct Prepared {
    pub(crate) statement: Statement,
    /// None for statements that need no plan.
    pub(crate) planned: Option<Arc<Planned>>,
    declared: Vec<Option<DataType>>,
    schema: Option<SchemaRef>,
}

impl Prepared {
    /// Types of `$1`, `$2` …
    #[must_use]
    pub fn parameter_types(&self) -> &[DataType] {
        self.planned.as_ref().map_or(&[], |planned| &planned.parameter_types)
    }

    /// Columns of the result; None where the statement returns no rows.
    #[must_use]
    pub fn schema(&self) -> Option<SchemaRef> {
        self.schema.clone()
    }
}

/// What an executed statement gives.
#[derive(Debug)]
pub enum Outcome {
    /// Rows, streamed. `command` is the first word of the command tag: SELECT, SHOW, EXPLAIN.
    Rows {
        /// First word of the command tag.
        command: &'static str,
        /// The rows.
        stream: QueryStream,
    },
    /// No rows: the whole command tag (`SET`, `BEGIN` …).
    Done {
        /// Command tag.
        tag: String,
        /// Settings that a client must be told of (PostgreSQL's ParameterStatus): name, value.
        reported: Vec<(String, String)>,
        /// A notice at warning level, such as BEGIN inside a transaction.
        warning: Option<String>,
    },
    /// Names of prepared statements or portals to forget belong to the wire: DEALLOCATE, CLOSE, DISCARD.
    Forget(Forget),
}

/// What the wire is asked to forget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forget {
    /// DEALLOCATE name.
    Statement(String),
    /// DEALLOCATE ALL.
    AllStatements,
    /// CLOSE name.
    Portal(String),
    /// CLOSE ALL.
    AllPortals,
    /// DISCARD ALL: statements, portals; settings are already reset.
    Everything,
}

/// One connection's governed session.
pub struct Session {
    pub(crate) coordinator: Arc<Coordinator>,
    account: Arc<Principal>,
    /// Streams of this session ask it, too.
    acting: Arc<Mutex<Acting>>,
    pub(crate) client: ClientInfo,
    id: String,
    settings: Arc<Mutex<Settings>>,
    view: Mutex<Option<Arc<View>>>,
    transaction: Mutex<TransactionStatus>,
    /// The statement that runs now: a wire runs one at a time, portals of one session share it.
    running: Mutex<Vec<StopHandle>>,
    closed: AtomicBool,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Session {
    pub(crate) async fn open(
        coordinator: Arc<Coordinator>,
        principal: Principal,
        client: ClientInfo,
    ) -> Result<Arc<Self>, QueryError> {
        let account = Arc::new(principal);
        let acting = Acting::new(Arc::clone(&account));
        // Before it names an end user, such an account has nothing to search in.
        let path = match coordinator.identity().acts_for(&account.user) {
            ActsFor::Required => Vec::new(),
            ActsFor::Nobody | ActsFor::Optional => default_search_path(&acting.lake(&coordinator).await?),
        };
        let mut settings = Settings::new(&account.user, &path, coordinator.options().statement_timeout);
        if !client.application.is_empty() {
            // A name the list would refuse is no reason to refuse the connection.
            let _ = settings.set("application_name", Some(&client.application));
        }
        coordinator.metrics().session_opened();
        Ok(Arc::new(Self {
            coordinator,
            account,
            acting: Arc::new(Mutex::new(acting)),
            client,
            id: uuid::Uuid::new_v4().simple().to_string(),
            settings: Arc::new(Mutex::new(settings)),
            view: Mutex::new(None),
            transaction: Mutex::new(TransactionStatus::Idle),
            running: Mutex::new(Vec::new()),
            closed: AtomicBool::new(false),
        }))
    }

    /// 128 random bits, hexadecimal.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The account that logged in.
    #[must_use]
    pub fn principal(&self) -> &Arc<Principal> {
        &self.account
    }

    /// Whom it acts as now.
    pub(crate) fn acting(&self) -> Acting {
        self.acting.lock().clone()
    }

    /// What streams ask whether the session still acts as it did when they began.
    pub(crate) fn shared_acting(&self) -> Arc<Mutex<Acting>> {
        Arc::clone(&self.acting)
    }

    /// Parameters a PostgreSQL client is told of at start: `server_version`, `TimeZone` …
    #[must_use]
    pub fn reported_parameters(&self) -> Vec<(String, String)> {
        self.settings.lock().reported()
    }

    /// Splits a message into statements, refusing what is not on the allow-list.
    /// An empty message gives an empty list.
    pub fn parse(&self, sql: &str) -> Result<Vec<Statement>, QueryError> {
        Statement::parse_all(sql)
            .inspect_err(|error| self.denied(sql, error, "not on the list of statements"))
    }

    /// Plans a statement. `parameter_types`: what the client declared; None = infer.
    pub async fn prepare(
        &self,
        statement: &Statement,
        parameter_types: &[Option<DataType>],
    ) -> Result<Prepared, QueryError> {
        self.usable(statement)?;
        let prepared = self.prepare_inner(statement, parameter_types).await;
        if let Err(error) = &prepared {
            self.mark_failed();
            self.denied(statement.text(), error, "could not be planned");
        }
        prepared
    }

    async fn prepare_inner(
        &self,
        statement: &Statement,
        declared: &[Option<DataType>],
    ) -> Result<Prepared, QueryError> {
        let (planned, schema) = match &*statement.kind {
            Kind::Query(_) => {
                let planned = self.planned(statement, declared).await?;
                let schema = Arc::clone(&planned.schema);
                (Some(planned), Some(schema))
            }
            Kind::Explain { .. } => (Some(self.planned(statement, declared).await?), Some(explain::schema())),
            Kind::Show(name) => (None, Some(show_schema(name.as_deref()))),
            Kind::Policy(policy) => (None, policy.schema()),
            _ => (None, None),
        };
        Ok(Prepared { statement: statement.clone(), planned, declared: declared.to_vec(), schema })
    }

    async fn planned(
        &self,
        statement: &Statement,
        declared: &[Option<DataType>],
    ) -> Result<Arc<Planned>, QueryError> {
        let (Kind::Query(ast) | Kind::Explain { statement: ast, .. }) = &*statement.kind else {
            return Err(QueryError::new(SqlState::InternalError, "the statement has no plan"));
        };
        let view = self.view().await?;
        let text: Arc<str> = Arc::from(ast.to_string());
        if let Some(known) = view.known_plan(&text, declared) {
            return Ok(known);
        }
        let limit = self.statement_timeout().map(|limit| Instant::now() + limit);
        let planning = AssertUnwindSafe(Planned::new(&view, ast, declared)).catch_unwind();
        let planning = async { planning.await.unwrap_or_else(|_| Err(crate::failure::panicked())) };
        let planned = Arc::new(match limit {
            Some(limit) => tokio::time::timeout_at(limit, planning).await.map_err(|_| timed_out())??,
            None => planning.await?,
        });
        view.keep_plan(&text, declared, &planned);
        Ok(planned)
    }

    /// Runs a planned statement; re-checks policy epoch and expiry and plans anew where they moved.
    /// Errors also mark the transaction failed.
    pub async fn execute(
        &self,
        prepared: &Prepared,
        parameters: Vec<ScalarValue>,
    ) -> Result<Outcome, QueryError> {
        self.usable(&prepared.statement)?;
        let outcome = self.execute_inner(prepared, parameters).await;
        if outcome.is_err() {
            self.mark_failed();
        }
        outcome
    }

    async fn execute_inner(
        &self,
        prepared: &Prepared,
        parameters: Vec<ScalarValue>,
    ) -> Result<Outcome, QueryError> {
        let done = |tag: &str| Outcome::Done { tag: tag.to_owned(), reported: Vec::new(), warning: None };
        Ok(match &*prepared.statement.kind {
            Kind::Query(_) | Kind::Explain { .. } => {
                if parameters.len() != prepared.parameter_types().len() {
                    return Err(QueryError::new(
                        SqlState::ProtocolViolation,
                        format!(
                            "{} parameters given, {} expected",
                            parameters.len(),
                            prepared.parameter_types().len()
                        ),
                    ));
                }
                if self.reads_latest() {
                    self.look_for_commits(&prepared.statement).await?;
                }
                let view = self.view().await?;
                let planned = self.current_plan(&view, prepared).await?;
                execute::run(self, &view, &prepared.statement, &planned, parameters).await?
            }
            Kind::Show(name) => self.show(name.as_deref())?,
            Kind::Set { name, value } if name == END_USER => {
                self.act_for(value.as_deref().filter(|token| !token.is_empty())).await?;
                done("SET")
            }
            Kind::Reset(Some(name)) if name == END_USER => {
                self.act_for(None).await?;
                done("RESET")
            }
            Kind::Policy(policy) => policy_statement::run(self, &prepared.statement, policy).await?,
            Kind::Set { name, value } => Outcome::Done {
                tag: "SET".to_owned(),
                reported: self.settings.lock().set(name, value.as_deref())?,
                warning: None,
            },
            Kind::Reset(Some(name)) => Outcome::Done {
                tag: "RESET".to_owned(),
                reported: self.settings.lock().set(name, None)?,
                warning: None,
            },
            Kind::Reset(None) => {
                self.act_for(None).await?;
                let reported = self.settings.lock().reset_all();
                Outcome::Done { tag: "RESET".to_owned(), reported, warning: None }
            }
            Kind::Begin { tag } => {
                let mut transaction = self.transaction.lock();
                let nested = *transaction != TransactionStatus::Idle;
                *transaction = TransactionStatus::Active;
                let warning = nested.then(|| "there is already a transaction in progress".to_owned());
                Outcome::Done { tag: (*tag).to_owned(), reported: Vec::new(), warning }
            }
            Kind::Commit | Kind::Rollback => {
                let before = std::mem::replace(&mut *self.transaction.lock(), TransactionStatus::Idle);
                let commit =
                    matches!(*prepared.statement.kind, Kind::Commit) && before != TransactionStatus::Failed;
                let warning = (before == TransactionStatus::Idle)
                    .then(|| "there is no transaction in progress".to_owned());
                let tag = if commit { "COMMIT" } else { "ROLLBACK" };
                Outcome::Done { tag: tag.to_owned(), reported: Vec::new(), warning }
            }
            Kind::Nothing(tag) => done(tag),
            Kind::DiscardAll => {
                self.act_for(None).await?;
                self.settings.lock().reset_all();
                Outcome::Forget(Forget::Everything)
            }
            Kind::Deallocate(Some(name)) => Outcome::Forget(Forget::Statement(name.clone())),
            Kind::Deallocate(None) => Outcome::Forget(Forget::AllStatements),
            Kind::Close(Some(name)) => Outcome::Forget(Forget::Portal(name.clone())),
            Kind::Close(None) => Outcome::Forget(Forget::AllPortals),
        })
    }

    /// Acts for the end user that `token` names from now on, without one for the account itself.
    async fn act_for(&self, token: Option<&str>) -> Result<(), QueryError> {
        let end_user = match token {
            None if self.acting().end_user.is_none() => return Ok(()),
            None => None,
            Some(token) => Some(Arc::new(self.end_user(token).inspect_err(|error| {
                self.denied("SET lakeward.end_user", error, "the end user's token was not accepted");
            })?)),
        };
        self.act_as(end_user).await
    }

    /// The same for an end user whose token was accepted.
    pub(crate) async fn act_as(&self, end_user: Option<Arc<EndUser>>) -> Result<(), QueryError> {
        let before = self.acting();
        let shown = end_user.as_ref().map(|user| user.principal.user.clone());
        let acting = before.turned_to(end_user);
        let path = match acting.lake(&self.coordinator).await {
            Ok(lake) => default_search_path(&lake),
            // What the account may not do for itself is said when it tries.
            Err(_) if acting.end_user.is_none() => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut current = self.acting.lock();
        *current = Acting { turn: current.turn + 1, ..acting };
        self.settings.lock().act_for(shown.as_deref().unwrap_or_default(), &path);
        Ok(())
    }

    fn end_user(&self, token: &str) -> Result<EndUser, QueryError> {
        let refused = |text: String| QueryError::new(SqlState::InvalidAuthorization, text);
        let identity = self.coordinator.identity();
        if identity.acts_for(&self.account.user) == ActsFor::Nobody {
            let text = "the account does not act for end users".to_owned();
            return Err(refused(text).with_hint("An operator allows it by `end_users` in the users file."));
        }
        let verified = identity.end_users().verify(token, chrono::Utc::now());
        verified.map_err(|why| refused(format!("the end user's token is not accepted: {why}")))
    }

    fn reads_latest(&self) -> bool {
        self.settings.lock().get("lakeward.read_latest") == Some("on")
    }

    /// Brings the tables that a statement names, and that may be seen, to their newest versions: what
    /// this client's own writer committed before is then read.
    async fn look_for_commits(&self, statement: &Statement) -> Result<(), QueryError> {
        let named = statement.tables();
        let lake = self.acting().lake(&self.coordinator).await?;
        let is_named = |schema: &str, name: &str| {
            named.iter().any(|(in_schema, table)| {
                table == name && in_schema.as_deref().is_none_or(|named| named == schema)
            })
        };
        let tables = lake
            .catalog
            .tables()
            .filter(|entry| is_named(&entry.schema, &entry.name))
            .filter(|entry| lake.resolved.may_see(&securable(entry)))
            .map(|entry| (entry.schema.clone(), entry.name.clone()));
        let views = lake.visible_views().filter(|view| {
            let definition = &view.parsed.definition;
            is_named(&definition.schema, &definition.name)
        });
        let below = views.flat_map(|view| lake.views.tables_below(view));
        let wanted: Vec<_> = tables.chain(below).collect();
        let looking = self.coordinator.catalog().refresh_tables(&wanted);
        let limit = self.statement_timeout().unwrap_or(std::time::Duration::MAX);
        tokio::time::timeout(limit, looking).await.map_err(|_| timed_out())?.map_err(|error| {
            tracing::warn!(%error, "the newest versions could not be looked for");
            QueryError::new(
                SqlState::ObjectNotInPrerequisiteState,
                "the newest version of a table could not be looked for",
            )
            .with_hint("SET lakeward.read_latest = off reads the newest version that is known.")
        })
    }

    /// The prepared plan, or a new one where policies, tables or settings moved since.
    async fn current_plan(&self, view: &View, prepared: &Prepared) -> Result<Arc<Planned>, QueryError> {
        match &prepared.planned {
            Some(planned) if planned.view == view.key => Ok(Arc::clone(planned)),
            _ => {
                let planned = self.planned(&prepared.statement, &prepared.declared).await?;
                let promised = prepared.planned.as_ref().map(|known| (&known.schema, &known.parameter_types));
                if promised.is_some_and(|(schema, types)| {
                    *schema != planned.schema || *types != planned.parameter_types
                }) {
                    return Err(QueryError::new(
                        SqlState::FeatureNotSupported,
                        "cached plan must not change result type",
                    )
                    .with_hint("The table or the policies changed; prepare the statement again."));
                }
                Ok(planned)
            }
        }
    }

    /// The catalog as it is to this principal now.
    pub(crate) async fn view(&self) -> Result<Arc<View>, QueryError> {
        let acting = self.acting();
        let lake = acting.lake(&self.coordinator).await?;
        let settings = self.settings.lock().generation();
        let known = self.view.lock().clone();
        if let Some(view) = known
            && (view.key.epoch == lake.resolved.snapshot().epoch() || active(Mutation::EpochUnchecked))
            && view.key.generation == lake.catalog.generation
            && view.key.settings == settings
            && view.key.turn == acting.turn
            && view.key.views == lake.views.epoch
        {
            return Ok(view);
        }
        let listing = views::listing(&self.coordinator, &lake, &acting, &self.settings).await?;
        let view = Arc::new(View::new(&self.coordinator, lake, &acting, &self.settings, &listing)?);
        *self.view.lock() = Some(Arc::clone(&view));
        Ok(view)
    }

    fn show(&self, name: Option<&str>) -> Result<Outcome, QueryError> {
        let (schema, columns): (SchemaRef, Vec<ArrayRef>) = {
            let settings = self.settings.lock();
            match name {
                Some(name) => {
                    let value = settings.get(name).ok_or_else(|| {
                        QueryError::new(
                            SqlState::UndefinedObject,
                            format!("unrecognized configuration parameter \"{name}\""),
                        )
                    })?;
                    (show_schema(Some(name)), vec![Arc::new(StringArray::from(vec![value]))])
                }
                None => {
                    let (names, values): (Vec<_>, Vec<_>) = settings.all().unzip();
                    let blank = vec![""; names.len()];
                    (
                        show_schema(None),
                        vec![
                            Arc::new(StringArray::from(names)),
                            Arc::new(StringArray::from(values)),
                            Arc::new(StringArray::from(blank)),
                        ],
                    )
                }
            }
        };
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns)
            .map_err(|error| crate::failure::execution(&error.into()))?;
        let stream = QueryStream::new(schema, futures::stream::iter([Ok(batch)]));
        Ok(Outcome::Rows { command: "SHOW", stream })
    }

    /// The shorter of what the session asked for and what the service allows.
    pub(crate) fn statement_timeout(&self) -> Option<std::time::Duration> {
        let asked = self.settings.lock().statement_timeout();
        match (asked, self.coordinator.options().statement_timeout) {
            (Some(asked), Some(limit)) => Some(asked.min(limit)),
            (asked, limit) => asked.or(limit),
        }
    }

    /// State for ReadyForQuery.
    pub fn transaction_status(&self) -> TransactionStatus {
        *self.transaction.lock()
    }

    /// Tells the session that a statement failed outside `execute` (a stream, an encoding): an open transaction is
    /// marked failed.
    pub fn mark_failed(&self) {
        let mut transaction = self.transaction.lock();
        if *transaction == TransactionStatus::Active {
            *transaction = TransactionStatus::Failed;
        }
    }

    /// Cancels what runs now: its stream ends with 57014.
    pub fn cancel(&self) {
        self.stop_all(Stop::Cancel);
    }

    /// Cancels everything and refuses more; called when the connection goes away.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.stop_all(Stop::Gone);
    }

    /// Ends what runs with 57P01; called when the service stops after its grace period.
    pub fn shutdown(&self) {
        self.closed.store(true, Ordering::Release);
        self.stop_all(Stop::Shutdown);
    }

    fn stop_all(&self, reason: Stop) {
        for handle in self.running.lock().drain(..) {
            handle.stop(reason);
        }
    }

    /// Registers a statement that starts; ended ones are forgotten on the way.
    pub(crate) fn register(&self, handle: StopHandle) {
        let mut running = self.running.lock();
        // Only the registry's entry and this list hold a handle once its stream is gone.
        running.retain(|known| known.is_alive());
        running.push(handle);
    }

    fn usable(&self, statement: &Statement) -> Result<(), QueryError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(QueryError::new(SqlState::AdminShutdown, "the session is closed"));
        }
        if self.transaction_status() == TransactionStatus::Failed && !statement.ends_transaction() {
            return Err(QueryError::new(
                SqlState::InFailedTransaction,
                "current transaction is aborted, commands ignored until end of transaction block",
            ));
        }
        self.acting().check_account(&self.coordinator)
    }

    /// Writes down a statement that was refused for what it is or what it names.
    pub(crate) fn denied(&self, text: &str, error: &QueryError, reason: &str) {
        execute::audit_denial(self, text, error, reason);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stop_all(Stop::Gone);
        self.coordinator.metrics().session_closed();
    }
}

fn show_schema(name: Option<&str>) -> SchemaRef {
    let names: Vec<&str> = match name {
        Some(name) => vec![name],
        None => vec!["name", "setting", "description"],
    };
    Arc::new(Schema::new(
        names.into_iter().map(|name| Field::new(name, DataType::Utf8, true)).collect::<Vec<_>>(),
    ))
}
