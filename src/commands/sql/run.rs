//! Statements in, results out, with bounded memory between.

use std::io::{self, BufRead, Write};
use std::ops::ControlFlow;
use std::pin::pin;

use futures::{FutureExt, StreamExt};
use tokio::signal;
use tokio::sync::mpsc;
use tokio_postgres::types::Type;
use tokio_postgres::{SimpleQueryMessage, SimpleQueryStream};

use super::Format;
use super::connect::{Failure, Session};
use super::csv::Csv;
use super::json::Json;
use super::split::Splitter;
use super::table::Table;

/// Bytes collected for one write.
const CHUNK: usize = 64 * 1024;

/// A column of a result.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    /// Known where it is asked for: JSON.
    pub(super) kind: Option<Type>,
}

#[cfg(test)]
impl Column {
    pub(super) fn untyped(name: &str) -> Self {
        Self { name: name.to_owned(), kind: None }
    }
}

/// A way to print rows.
pub(super) trait Rows: Send {
    /// A result begins.
    fn begin(&mut self, columns: &[Column], out: &mut Vec<u8>);
    /// One row.
    fn row(&mut self, values: &[Option<&str>], out: &mut Vec<u8>);
    /// The result ended well.
    fn end(&mut self, out: &mut Vec<u8>);
}

/// Runs statements one after another.
pub(super) struct Runner {
    session: Session,
    format: Format,
    rows: Box<dyn Rows>,
}

/// How a statement ended.
enum End {
    Good,
    Failed(Failure),
    /// Nobody reads the output any more.
    NoReader,
}

impl Runner {
    pub(super) fn new(session: Session, format: Format) -> Self {
        let rows: Box<dyn Rows> = match format {
            Format::Table => Box::new(Table::default()),
            Format::Csv => Box::new(Csv),
            Format::Json => Box::new(Json::default()),
        };
        Self { session, format, rows }
    }

    /// Runs statements of the command line until one fails; whether all were good.
    pub(super) async fn commands(&mut self, commands: &[String]) -> anyhow::Result<bool> {
        for command in commands {
            let mut splitter = Splitter::default();
            let mut statements = splitter.push(command);
            statements.extend(splitter.finish());
            if let ControlFlow::Break(good) = self.batch(statements, false).await? {
                return Ok(good);
            }
        }
        Ok(true)
    }

    /// Runs statements from standard input. With a prompt errors are printed and it goes on;
    /// without one, the first error ends it. Whether all were good, as far as that matters.
    pub(super) async fn lines(&mut self, prompt: Option<String>) -> anyhow::Result<bool> {
        let mut splitter = Splitter::default();
        let mut input = stdin_lines();
        loop {
            if let Some(prompt) = &prompt {
                let sign = if splitter.is_pending() { "->" } else { "=>" };
                eprint!("{prompt}{sign} ");
            }
            let line = tokio::select! {
                line = input.recv() => line,
                _ = signal::ctrl_c() => {
                    if prompt.is_none() {
                        return Ok(false);
                    }
                    eprintln!();
                    if !splitter.is_pending() {
                        return Ok(true);
                    }
                    splitter.clear();
                    continue;
                }
            };
            let statements = match line.transpose()? {
                Some(line) => {
                    if prompt.is_some()
                        && !splitter.is_pending()
                        && matches!(line.trim(), "\\q" | "quit" | "exit")
                    {
                        return Ok(true);
                    }
                    splitter.push(&line)
                }
                None => {
                    let rest = std::mem::take(&mut splitter).finish();
                    let last = rest.map(|statement| vec![statement]).unwrap_or_default();
                    return match self.batch(last, prompt.is_some()).await? {
                        ControlFlow::Break(good) => Ok(good),
                        ControlFlow::Continue(()) => Ok(true),
                    };
                }
            };
            if let ControlFlow::Break(good) = self.batch(statements, prompt.is_some()).await? {
                return Ok(good);
            }
        }
    }

    /// Runs statements; breaks with whether all were good where no more are to be run.
    async fn batch(
        &mut self,
        statements: Vec<String>,
        interactive: bool,
    ) -> anyhow::Result<ControlFlow<bool>> {
        for statement in statements {
            match self.statement(&statement).await? {
                End::Good => {}
                End::NoReader => return Ok(ControlFlow::Break(true)),
                End::Failed(failure) => {
                    eprintln!("{failure}");
                    if !interactive || self.session.client.is_closed() {
                        return Ok(ControlFlow::Break(false));
                    }
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    async fn statement(&mut self, statement: &str) -> anyhow::Result<End> {
        let canceller = self.session.canceller();
        let mut out = Vec::with_capacity(CHUNK * 2);
        let result = {
            let mut work = pin!(stream(&self.session, self.format, self.rows.as_mut(), statement, &mut out));
            loop {
                tokio::select! {
                    result = &mut work => break result,
                    // The statement then ends with the server's error for it.
                    _ = signal::ctrl_c() => canceller.cancel().await,
                }
            }
        };
        match result.and_then(|()| Ok(write(&mut out)?)) {
            Ok(()) => Ok(End::Good),
            Err(Trouble::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(End::NoReader),
            Err(Trouble::Output(error)) => Err(error.into()),
            Err(Trouble::Server(error)) => {
                // Rows that came before the error were sent; show them before it.
                match write(&mut out) {
                    Ok(()) => Ok(End::Failed(Failure::from(&error))),
                    Err(_) => Ok(End::NoReader),
                }
            }
        }
    }
}

enum Trouble {
    Server(tokio_postgres::Error),
    Output(io::Error),
}

impl From<tokio_postgres::Error> for Trouble {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Server(error)
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

async fn stream(
    session: &Session,
    format: Format,
    rows: &mut dyn Rows,
    statement: &str,
    out: &mut Vec<u8>,
) -> Result<(), Trouble> {
    // The text protocol gives every type as PostgreSQL writes it, but not which type it is.
    let kinds = match format {
        Format::Json => {
            let prepared = session.client.prepare(statement).await?;
            prepared.columns().iter().map(|column| column.type_().clone()).collect()
        }
        Format::Table | Format::Csv => Vec::new(),
    };
    let messages: SimpleQueryStream = session.client.simple_query_raw(statement).await?;
    let mut messages = pin!(messages);
    let mut in_result = false;
    loop {
        // What is there is shown before waiting for more.
        let message = match messages.next().now_or_never() {
            Some(message) => message,
            None => {
                write(out)?;
                messages.next().await
            }
        };
        match message.transpose()? {
            None => return Ok(()),
            Some(SimpleQueryMessage::RowDescription(names)) => {
                let columns: Vec<Column> = names
                    .iter()
                    .enumerate()
                    .map(|(index, column)| Column {
                        name: column.name().to_owned(),
                        kind: kinds.get(index).cloned(),
                    })
                    .collect();
                rows.begin(&columns, out);
                in_result = true;
            }
            Some(SimpleQueryMessage::Row(row)) => {
                let values: Vec<Option<&str>> =
                    (0..row.len()).map(|index| row.try_get(index)).collect::<Result<_, _>>()?;
                rows.row(&values, out);
            }
            Some(SimpleQueryMessage::CommandComplete(_)) => {
                if in_result {
                    rows.end(out);
                } else if format == Format::Table {
                    out.extend_from_slice(b"OK\n");
                }
                in_result = false;
            }
            Some(_) => {}
        }
        if out.len() >= CHUNK {
            write(out)?;
        }
    }
}

/// Writes and forgets the bytes. Waiting for a slow reader is what holds the server back.
fn write(out: &mut Vec<u8>) -> io::Result<()> {
    if out.is_empty() {
        return Ok(());
    }
    let result = tokio::task::block_in_place(|| {
        let mut stdout = io::stdout().lock();
        stdout.write_all(out)?;
        stdout.flush()
    });
    out.clear();
    result
}

/// Lines of standard input, read on a thread of their own: reading a terminal cannot be cancelled.
fn stdin_lines() -> mpsc::Receiver<io::Result<String>> {
    let (sender, receiver) = mpsc::channel(16);
    tokio::task::spawn_blocking(move || {
        loop {
            let mut line = String::new();
            let read = io::stdin().lock().read_line(&mut line);
            let item = match read {
                Ok(0) => return,
                Ok(_) => Ok(line),
                Err(error) => Err(error),
            };
            let failed = item.is_err();
            if sender.blocking_send(item).is_err() || failed {
                return;
            }
        }
    });
    receiver
}
