//! Passwords from a terminal or a pipe; never from the command line, where others can read them.

use std::io::{self, BufRead, IsTerminal};

use anyhow::{Context, bail};
use zeroize::Zeroizing;

/// Reads one line of standard input. What follows it stays there to be read.
pub(super) async fn from_stdin() -> anyhow::Result<Zeroizing<String>> {
    let line = tokio::task::spawn_blocking(|| {
        let mut line = Zeroizing::new(String::new());
        io::stdin().lock().read_line(&mut line).map(|_| line)
    });
    let line = line.await?.context("cannot read the password from standard input")?;
    let password = line.strip_suffix('\n').unwrap_or(&line);
    let password = Zeroizing::new(password.strip_suffix('\r').unwrap_or(password).to_owned());
    if password.is_empty() {
        bail!("standard input holds no password in its first line");
    }
    Ok(password)
}

/// Asks on the terminal, without showing what is typed.
pub(super) async fn from_terminal(prompt: String) -> anyhow::Result<Zeroizing<String>> {
    let answer = tokio::task::spawn_blocking(move || rpassword::prompt_password(prompt));
    Ok(Zeroizing::new(answer.await?.context("cannot ask for the password")?))
}

/// Asks twice for a new password.
pub(super) async fn new_from_terminal(user: &str) -> anyhow::Result<Zeroizing<String>> {
    if !io::stdin().is_terminal() {
        bail!("no terminal to ask for the password: pipe it and add --password-stdin");
    }
    let first = from_terminal(format!("New password for {user}: ")).await?;
    let second = from_terminal("Once more: ".to_owned()).await?;
    if *first != *second {
        bail!("the two passwords differ; nothing was changed");
    }
    Ok(first)
}
